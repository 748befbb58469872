//! What is switched on by configuration: terms of service, authorizations before orders, other addresses, other origins,
//! other chains, larger orders.

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tests::acme_raw::{Account, Client, Jws, Key, new_account};
use tests::folders::{Folder, write};

use crate::world::{Order, World, csr, fresh_name, identifiers, openssl};

#[tokio::test(flavor = "multi_thread")]
async fn acc_6_terms_of_service_are_agreed_to_and_agreed_to_again() {
    const TERMS: &str = "https://ca.site.test/terms/1";
    let mut world = World::start_configured(&["--open-acme"], |config| {
        config["acme"]["terms_of_service"] = TERMS.into();
        config["acme"]["website"] = "https://ca.site.test/".into();
    })
    .await;
    let meta = &world.client.directory["meta"];
    assert_eq!((&meta["termsOfService"], &meta["website"]), (&json!(TERMS), &json!("https://ca.site.test/")), "DIR-2");
    let key = Key::new();
    for sent in [json!({}), json!({ "termsOfServiceAgreed": false }), json!({ "onlyReturnExisting": false })] {
        let refused = new_account(&world.client, &key, &sent).await.expect("ACC-6", 403, "userActionRequired");
        must_lead_to(&refused, TERMS);
    }
    let lookup = json!({ "onlyReturnExisting": true });
    new_account(&world.client, &key, &lookup).await.expect("ACC-3", 400, "accountDoesNotExist");
    let agreed = json!({ "termsOfServiceAgreed": true });
    let made = new_account(&world.client, &key, &agreed).await.expect("ACC-6", 201, "");
    assert_eq!(made.json()["termsOfServiceAgreed"], true, "ACC-6: reflected");
    let mut account = Account { client: world.client.clone(), key, url: made.location() };
    new_account(&world.client, &account.key, &lookup).await.expect("ACC-3", 200, "");

    world.ca.stop().await;
    world.ca.configure(|config| config["acme"]["terms_of_service"] = "https://ca.site.test/terms/2".into());
    world.ca.serve().await;
    account.client = Client::of(&world.ca).await;
    let order = json!({ "identifiers": identifiers(&[&fresh_name()]) });
    let url = account.client.url("newOrder");
    let refused = account.post(&url, &order).await.expect("ACC-6: changed terms", 403, "userActionRequired");
    must_lead_to(&refused, "https://ca.site.test/terms/2");
    account.get(&account.url).await.expect("ACC-6: it may still be read", 200, "");
    account.post(&account.url, &json!({ "termsOfServiceAgreed": false })).await.expect("ACC-7", 200, "");
    account.post(&url, &order).await.expect("ACC-6: not agreed", 403, "userActionRequired");
    account.post(&account.url, &agreed).await.expect("ACC-7: agreed", 200, "");
    account.post(&url, &order).await.expect("ACC-6: agreed", 201, "");
}

#[track_caller]
fn must_lead_to(refused: &tests::acme_raw::Answer, terms: &str) {
    assert_eq!(refused.json()["instance"], terms, "ACC-6: {refused}");
    let link = format!("<{terms}>;rel=\"terms-of-service\"");
    assert!(refused.all("link").contains(&link.as_str()), "ACC-6: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn auz_6_names_are_authorised_before_they_are_ordered() {
    let closed = World::shared().await;
    assert!(closed.client.directory.get("newAuthz").is_none(), "DIR-1, AUZ-6: off");
    let account = closed.account().await;
    let asked = |value: &str| json!({ "identifier": { "type": "dns", "value": value } });
    let nowhere = format!("{}/acme/new-authz", closed.client.base());
    account.post(&nowhere, &asked("a.localhost")).await.expect("AUZ-6: off", 404, "malformed");

    let world = World::start_configured(&["--open-acme"], |config| config["acme"]["new_authz"] = true.into()).await;
    let (account, url, name) = (world.account().await, world.client.url("newAuthz"), fresh_name());
    for (what, sent, status, problem) in [
        ("a wildcard", asked(&format!("*.{name}")), 400, "malformed"),
        ("no name", asked("a..b"), 400, "malformed"),
        ("another kind", json!({ "identifier": { "type": "email", "value": "a@b" } }), 400, "unsupportedIdentifier"),
        ("outside policy", asked("a.example"), 403, "rejectedIdentifier"),
        ("nothing", json!({}), 400, "malformed"),
    ] {
        account.post(&url, &sent).await.expect(&format!("AUZ-6: {what}"), status, problem);
    }
    let begun = account.post(&url, &asked(&name)).await.expect("AUZ-6", 201, "");
    let authorization = begun.location();
    assert_eq!(begun.json(), account.get(&authorization).await.json(), "AUZ-6");
    assert_eq!(begun.json()["status"], "pending");
    let challenge = world.answer(&account, &authorization).await;
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    assert_eq!(challenge.decided(&account).await["status"], "valid");
    let order = world.order(&account, &[&name]).await;
    assert_eq!(order.object["status"], "ready", "AUZ-6, ORD-7");
    assert_eq!(order.authorizations(), [authorization], "AUZ-6");
    let fixed = world.client.request("GET", "/acme/p/wild/directory", &[], b"").await.json();
    let of_profile = fixed["newAuthz"].as_str().unwrap();
    let begun = account.post(of_profile, &asked(&fresh_name())).await.expect("AUZ-6: of a profile", 201, "");
    assert_eq!(begun.json()["challenges"].as_array().unwrap().len(), 2, "AUZ-6: the challenges of the profile");
}

#[tokio::test(flavor = "multi_thread")]
async fn htp_1_each_address_is_answered_with_its_own_urls() {
    const ALIAS: &str = "https://other.localhost:8443";
    let world = World::start_configured(&["--open-acme"], |config| {
        config["external"].as_table_mut().unwrap().insert("aliases".into(), vec![ALIAS].into());
    })
    .await;
    let (address, roots) = (world.ca.main_address(), world.ca.roots());
    let main = world.client.base();
    for host in ["evil.test", "other.localhost", "other.localhost:1", ""] {
        let foreign = Client::at_host(&address, &roots, host).await;
        assert_eq!(foreign.base(), main, "HTP-1: the Host header makes no URLs: {host}");
    }
    let headers = [("X-Forwarded-Host", "evil.test"), ("X-Forwarded-Proto", "http"), ("Forwarded", "host=evil.test")];
    let directory = world.client.request("GET", "/acme/directory", &headers, b"").await;
    assert!(!directory.text().contains("evil") && !directory.text().contains("http://"), "HTP-1: {directory}");

    let alias = Client::at_host(&address, &roots, "other.localhost:8443").await;
    assert_eq!(alias.base(), ALIAS, "HTP-1");
    let account = Account::register(&alias).await;
    assert!(account.url.starts_with(ALIAS), "HTP-1: {}", account.url);
    let name = fresh_name();
    let order = world.ready(&account, &[&name]).await;
    assert!(!serde_json::to_string(&order.object).unwrap().contains(&main), "HTP-1: {:#}", order.object);
    let done = order.finalize(&account, &csr(&[&name], &KeyPair::generate().unwrap())).await.expect("FIN-1", 200, "");
    assert!(done.location().starts_with(ALIAS) && !done.text().contains(&main), "HTP-1: {done}");

    // the same account by the main address, and JWS-9: never half of each
    let url = account.url.replace(ALIAS, &main);
    let there = Account { client: world.client.clone(), key: Key::from_pkcs8(&account.key.pkcs8), url: url.clone() };
    let read = there.get(&url).await.expect("HTP-1: by the main address", 200, "");
    assert_eq!(read.json()["orders"], format!("{url}/orders"), "HTP-1");
    let nonce = world.client.nonce().await;
    let mixed = Jws::new(("kid", account.url.clone().into()), &nonce, &url, "").sign(&account.key);
    world.client.post(&url, &mixed).await.expect("JWS-9: mixed", 400, "accountDoesNotExist");
}

#[tokio::test(flavor = "multi_thread")]
async fn htp_7_other_origins() {
    let closed = World::shared().await;
    let answer = closed.client.request("GET", "/acme/directory", &[("Origin", "https://a.test")], b"").await;
    assert!(answer.header("access-control-allow-origin").is_none(), "HTP-7: off");
    let asks = [("Origin", "https://a.test"), ("Access-Control-Request-Method", "POST")];
    closed.client.request("OPTIONS", "/acme/new-order", &asks, b"").await.expect("HTP-7: off", 405, "malformed");

    let world = World::start_configured(&["--open-acme"], |config| config["acme"]["cross_origin"] = true.into()).await;
    let (client, account) = (&world.client, world.account().await);
    for answer in [
        client.request("GET", "/acme/directory", &[], b"").await.expect("HTP-7", 200, ""),
        client.request("HEAD", &client.url("newNonce"), &[], b"").await.expect("HTP-7", 200, ""),
        account.get(&account.url).await.expect("HTP-7", 200, ""),
        account.get("/acme/nothing").await.expect("HTP-7", 404, "malformed"),
        client.request("OPTIONS", "/acme/new-order", &asks, b"").await.expect("HTP-7", 204, ""),
    ] {
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "HTP-7: {answer}");
        let exposed = answer.header("access-control-expose-headers").unwrap();
        for name in ["Link", "Location", "Replay-Nonce", "Retry-After"] {
            assert!(exposed.contains(name), "HTP-7: {answer}");
        }
    }
    let preflight = client.request("OPTIONS", "/acme/new-order", &asks, b"").await;
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("Content-Type"), "HTP-7: {preflight}");
    client.request("OPTIONS", "/acme/new-order", &[], b"").await.expect("HTP-7: no preflight", 405, "malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn crt_3_other_chains_have_links() {
    let mut world = World::start(&["--open-acme"]).await;
    let folder = Folder::new();
    let ours = world.ca.issuer();
    let run = |arguments: &str| openssl(folder.path(), &arguments.split(' ').collect::<Vec<_>>());
    run(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.crt -days 99 -subj /CN=Other",
    );
    let shown = ["x509", "-in", ours.to_str().unwrap(), "-noout", "-ext", "subjectKeyIdentifier"];
    let shown = String::from_utf8(openssl(folder.path(), &shown)).unwrap();
    let identifier = shown.lines().nth(1).unwrap().trim();
    let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=";
    write(&folder.path().join("ext"), format!("{extensions}{identifier}\n"), 0o644);
    let key = openssl(folder.path(), &["x509", "-in", ours.to_str().unwrap(), "-noout", "-pubkey"]);
    write(&folder.path().join("key.pub"), key, 0o644);
    let from = ["x509", "-new", "-force_pubkey", "key.pub", "-subj", "/CN=Test Issuing CA 1", "-extfile", "ext"];
    let by = ["-CA", "other.crt", "-CAkey", "other.key", "-set_serial", "7", "-days", "90", "-out", "cross.crt"];
    openssl(folder.path(), &[&from[..], &by].concat());
    let cross = std::fs::read_to_string(folder.path().join("cross.crt")).unwrap();
    let other = std::fs::read_to_string(folder.path().join("other.crt")).unwrap();
    world.ca.stop().await;
    let files = ["ca/cross-1.pem", "ca/cross-2.pem"];
    write(&world.ca.dir().join(files[0]), format!("{cross}{other}"), 0o644);
    write(&world.ca.dir().join(files[1]), &cross, 0o644);
    let with = |files: &[&str]| {
        let files: Vec<toml::Value> = files.iter().map(|file| (*file).into()).collect();
        world.ca.configure(|config| config["ca"]["issuing"]["alternate_chains"] = files.into());
    };
    with(&["roots.pem"]);
    let refused = tests::process::run(&mut world.ca.serve_command()).await;
    assert!(refused.code == 1 && refused.stderr.contains("not one of the issuing key"), "CRT-3: {refused}");
    with(&files);
    world.ca.serve().await;
    world.client = Client::of(&world.ca).await;

    let account = world.account().await;
    let issued = world.issue(&account, &[&fresh_name()]).await;
    let urls = [issued.url.clone(), format!("{}/1", issued.url), format!("{}/2", issued.url)];
    for (at, url) in urls.iter().enumerate() {
        let chain = account.get(url).await.expect("CRT-3", 200, "");
        let links: Vec<&str> =
            chain.all("link").into_iter().filter(|link| link.ends_with("rel=\"alternate\"")).collect();
        let others: Vec<String> =
            urls.iter().filter(|other| *other != url).map(|other| format!("<{other}>;rel=\"alternate\"")).collect();
        assert_eq!(links, others, "CRT-3: each has its own alternates");
        assert!(!chain.all("link").iter().any(|link| link.contains("\"up\"")), "CRT-4: {chain}");
        assert_eq!(crate::world::leaf(chain.text()), issued.leaf(), "CRT-3");
        assert_eq!(chain.text().contains(&cross), at > 0, "CRT-3: {at}");
        assert_eq!(chain.text().matches("BEGIN").count(), 2, "CRT-2: no root");
    }
    write(&folder.path().join("chain.pem"), account.get(&urls[1]).await.text(), 0o644);
    run("verify -CAfile other.crt -untrusted chain.pem chain.pem");
    for wrong in ["0", "3", "x", "-1"] {
        account.get(&format!("{}/{wrong}", issued.url)).await.expect(&format!("CRT-3: {wrong}"), 404, "malformed");
    }
    let stranger = world.account().await;
    stranger.get(&urls[1]).await.expect("JWS-14", 404, "malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn ord_4_the_number_of_names_is_what_the_configuration_says() {
    let world =
        World::start_configured(&["--open-acme"], |config| config["limits"]["max_identifiers"] = 150.into()).await;
    let (account, url) = (world.account().await, world.client.url("newOrder"));
    let names = |count: usize| -> Vec<Value> {
        (0..count).map(|number| json!({ "type": "dns", "value": format!("m{number}.localhost") })).collect()
    };
    let order = Order::new(&account, &json!({ "identifiers": names(150) })).await;
    assert_eq!(order.authorizations().len(), 150, "ORD-3");
    let refused = account.post(&url, &json!({ "identifiers": names(151) })).await;
    refused.expect("ORD-4: too many", 400, "malformed");
}

/// ERR-2: what passes is 503 with Retry-After, since some clients take any 4xx for final.
#[tokio::test(flavor = "multi_thread")]
async fn err_2_what_passes_is_never_the_clients_fault() {
    let world = World::start(&["--open-acme"]).await;
    let (account, name) = (world.account().await, fresh_name());
    let order = world.ready(&account, &[&name]).await;
    let request = csr(&[&name], &KeyPair::generate().unwrap());
    let writer = hold_the_writers_lock(&world.ca.dir().join("pilotlight.db-shm"));
    for answer in [
        order.finalize(&account, &request).await,
        account.post(&world.client.url("newOrder"), &json!({ "identifiers": identifiers(&[&name]) })).await,
    ] {
        let answer = answer.expect("ERR-2", 503, "serverInternal");
        assert!(answer.header("retry-after").is_some(), "ERR-2: {answer}");
    }
    drop(writer);
    assert_eq!(order.read(&account).await["status"], "ready", "ERR-2: nothing was changed");
    order.finalize(&account, &request).await.expect("ERR-2: the same again", 200, "");
}

/// The lock that a process takes which writes into the database, once nobody has it.
fn hold_the_writers_lock(file: &std::path::Path) -> std::fs::File {
    let file = std::fs::File::options().read(true).write(true).open(file).unwrap();
    let lock = libc::flock {
        l_type: libc::F_WRLCK.try_into().unwrap(),
        l_whence: libc::SEEK_SET.try_into().unwrap(),
        l_start: 120,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLKW(&lock)).unwrap();
    file
}
