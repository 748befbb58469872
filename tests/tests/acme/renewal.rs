//! ARI and PRO: when to renew, what replaces what, and by which profile.

use nix::sys::signal::Signal;
use pki_core::time::Timestamp;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tests::acme_raw::{Account, Answer, Key, b64, new_account};
use tests::ca::{Ca, at_time};
use tests::certificate::{hex, sha256};
use tests::external_account::External;
use tests::process::Process;
use tests::wait;
use tests::world::enrolled;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use crate::postgres::new_database;
use crate::world::{Order, World, csr, fresh_name, identifiers};

/// The name of RFC 9773 section 4.1.
fn name_of(der: &[u8]) -> String {
    let certificate = X509Certificate::from_der(der).unwrap().1;
    let key = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(key) => key.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    });
    format!("{}.{}", b64(key.unwrap()), b64(certificate.raw_serial()))
}

async fn ask(world: &World, name: &str) -> Answer {
    world.client.request("GET", &format!("{}/{name}", world.client.url("renewalInfo")), &[], b"").await
}

/// Start and end of a window, in Unix seconds.
fn window(answer: &Answer) -> (i64, i64) {
    let time = |end: &str| {
        let text = answer.json()["suggestedWindow"][end].as_str().unwrap().to_owned();
        Timestamp::parse_rfc3339(&text).unwrap().unix_seconds()
    };
    let (start, end) = (time("start"), time("end"));
    assert!(start < end, "ARI-2: {answer}");
    (start, end)
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ari_1_to_3_renewal_information() {
    let world = World::shared().await;
    let account = world.account().await;
    let base = world.client.url("renewalInfo");
    assert!(!base.ends_with('/'), "DIR-1: RFC 9773 section 4.1");
    let issued = world.issue(&account, &[&fresh_name()]).await;
    let (der, name) = (issued.leaf(), name_of(&issued.leaf()));
    let answer = ask(&world, &name).await.expect("ARI-1", 200, "");
    let members: Vec<String> = answer.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["suggestedWindow"], "ARI-2");
    let life = X509Certificate::from_der(&der).unwrap().1.validity().clone();
    let (begin, end) = (life.not_before.timestamp(), life.not_after.timestamp());
    let first = window(&answer);
    assert!(first.0 >= begin + (end - begin) * 2 / 3 && first.1 <= end, "ARI-3: the last third: {first:?}");
    assert_eq!(window(&ask(&world, &name).await), first, "ARI-3: the dice are not thrown again");
    let again: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((3600..=6 * 3600).contains(&again), "ARI-2: {again}");
    assert!(answer.header("cache-control").unwrap().contains("max-age="), "ARI-2: {answer}");
    assert!(answer.header("replay-nonce").is_none(), "ARI-1: nothing is signed, so it may be kept");

    let (key, serial) = name.split_once('.').unwrap();
    for (what, asked, status) in [
        ("no dot", key.to_owned(), 400),
        ("no serial number", format!("{key}."), 400),
        ("no key", format!(".{serial}"), 400),
        ("three parts", format!("{name}.AQ"), 400),
        ("padding", format!("{key}=.{serial}"), 400),
        ("no base64url", format!("{key}.%20"), 400),
        ("long", format!("{key}.{}", "AQ".repeat(200)), 400),
        ("a serial number that is long", format!("{key}.{}", b64([1; 30])), 400),
        ("another serial number", format!("{key}.{}", b64([1; 16])), 404),
        ("another CA", format!("{}.{serial}", b64([1; 20])), 404),
    ] {
        ask(&world, &asked).await.expect(&format!("ARI-1: {what}"), status, "malformed");
    }
    account.get(&format!("{base}/{name}")).await.expect("HTP-5", 405, "malformed");
    world.client.request("GET", &base, &[], b"").await.expect("ARI-1: no name", 404, "malformed");

    let sent = json!({ "certificate": b64(&der), "reason": 4 });
    account.post(&world.client.url("revokeCert"), &sent).await.expect("REV-3", 200, "");
    let revoked = window(&ask(&world, &name).await.expect("ARI-3", 200, ""));
    assert!(revoked.1 <= now(), "ARI-3: revoked, so it is late: {revoked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ari_3_and_pro_3_short_lives_and_replacing_all() {
    let world = World::start_configured(&["--open-acme"], |config| {
        config["acme"]["explanation_url"] = "https://ca.site.test/why".into();
    })
    .await;
    let account = world.account().await;
    let name = fresh_name();
    let order = Order::new(&account, &json!({ "identifiers": identifiers(&[&name]), "profile": "wild" })).await;
    world.prove(&account, &order).await;
    let key = KeyPair::generate().unwrap();
    let done = order.finalize(&account, &csr(&[&name], &key)).await.expect("FIN-1", 200, "").json();
    let chain = account.get(done["certificate"].as_str().unwrap()).await;
    let der = crate::world::leaf(chain.text());
    let leaf = X509Certificate::from_der(&der).unwrap().1;
    let (begin, end) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    assert_eq!(end - begin, 86_400, "PRO-3: the life of the profile");
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.client_auth, "PRO-3: the usages of the profile");

    let answer = ask(&world, &name_of(&der)).await.expect("ARI-2", 200, "");
    assert_eq!(answer.json()["explanationURL"], "https://ca.site.test/why", "ARI-2");
    let regular = window(&answer);
    assert!(regular.0 >= begin + 43_200 && regular.1 <= end, "ARI-3: half of a short life: {regular:?}");
    let again: i64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(again <= 8640, "ARI-2: a tenth of what is left: {again}");

    // by ones: whatever was made in the same second is meant
    wait::until_true("the next second", 5, async || now() > begin).await;
    world.ca.command(&["cert", "replace-all", "--within", "1h", "--comment", "a mishap"]).await.success();
    let asked = now();
    let moved = window(&ask(&world, &name_of(&der)).await.expect("ARI-3", 200, ""));
    assert!(moved.0 >= asked - 10 && moved.0 <= asked + 3600, "ARI-3: moved: {moved:?}, asked at {asked}");
    let later = world.issue(&account, &[&fresh_name()]).await;
    assert!(window(&ask(&world, &name_of(&later.leaf())).await).0 > asked + 86_400, "ARI-3: what is new stays");
    let refused = world.ca.command(&["cert", "replace-all", "--within", "91d"]).await;
    assert_eq!(refused.code, 1, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ari_4_and_5_an_order_names_what_it_replaces() {
    let world = World::shared().await;
    let (account, other, url) = (world.account().await, world.account().await, world.client.url("newOrder"));
    let (name, second) = (fresh_name(), fresh_name());
    let issued = world.issue(&account, &[&name, &second]).await;
    let replaced = name_of(&issued.leaf());
    let sent = |names: &[&str], replaces: &str| json!({ "identifiers": identifiers(names), "replaces": replaces });
    let foreign = name_of(&world.issue(&other, &[&name]).await.leaf());
    for (what, names, replaces) in [
        ("no name", &[name.as_str()][..], "x"),
        ("empty", &[&name], ""),
        ("another CA's certificate", &[&name], &format!("{}.{}", b64([7; 20]), b64([7; 16]))),
        ("never issued", &[&name], &format!("{}.{}", replaced.split_once('.').unwrap().0, b64([7; 16]))),
        ("another account's", &[&name], &foreign),
        ("nothing in common", &[&fresh_name()], &replaced),
    ] {
        let answer = account.post(&url, &sent(names, replaces)).await;
        answer.expect(&format!("ARI-4: {what}"), 400, "malformed");
    }

    let order = Order::new(&account, &sent(&[&name], &replaced)).await;
    assert_eq!(order.object["replaces"], replaced, "ARI-4: echoed");
    assert_eq!(order.read(&account).await["replaces"], replaced, "ARI-4: echoed");
    assert_eq!(order.object["status"], "ready", "ORD-7");
    account.post(&url, &sent(&[&second], &replaced)).await.expect("ARI-4: another order", 409, "alreadyReplaced");
    // the order fails, and gives its place back
    let lost = Order::new(&account, &sent(&[&fresh_name(), &name], &foreign_free(&world, &account, &name).await)).await;
    account.post(&lost.authorizations()[0], &json!({ "status": "deactivated" })).await.expect("AUZ-5", 200, "");
    let failed = lost.read(&account).await;
    assert_eq!(failed["status"], "invalid", "ARI-4");
    let again = sent(&[&name], failed["replaces"].as_str().unwrap());
    Order::new(&account, &again).await;

    order.finalize(&account, &csr(&[&name], &KeyPair::generate().unwrap())).await.expect("ARI-4", 200, "");
    account.post(&url, &sent(&[&name], &replaced)).await.expect("ARI-4: was replaced", 409, "alreadyReplaced");
    account.post(&url, &json!({ "identifiers": identifiers(&[&name]) })).await.expect("ARI-4: without", 201, "");

    let fresh = world.issue(&account, &[&name]).await;
    let many = sent(&[&name], &name_of(&fresh.leaf()));
    let all = futures_util::future::join_all((0..6).map(|_| account.post(&url, &many))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1, "ARI-4: many at once: {all:#?}");
    assert_eq!(all.iter().filter(|answer| answer.problem() == "alreadyReplaced").count(), 5, "ARI-4: {all:#?}");
}

/// The same where transactions run side by side.
#[tokio::test(flavor = "multi_thread")]
async fn ari_4_on_postgresql_one_of_many_orders_replaces() {
    let database = new_database().await;
    let world = World::start(&["--open-acme", "--database", &database]).await;
    let (account, name) = (world.account().await, fresh_name());
    let issued = world.issue(&account, &[&name]).await;
    let sent = json!({ "identifiers": identifiers(&[&name]), "replaces": name_of(&issued.leaf()) });
    let url = world.client.url("newOrder");
    let all = futures_util::future::join_all((0..6).map(|_| account.post(&url, &sent))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1, "ARI-4: {all:#?}");
    let late = |answer: &&Answer| answer.status == 503 || answer.problem() == "alreadyReplaced";
    assert_eq!(all.iter().filter(late).count(), 5, "ARI-4: {all:#?}");
}

/// The name of a new certificate of the account that nothing replaces.
async fn foreign_free(world: &World, account: &Account, name: &str) -> String {
    name_of(&world.issue(account, &[name]).await.leaf())
}

/// ARI-4, decided: what a device was not seen using blocks nothing.
#[tokio::test(flavor = "multi_thread")]
async fn ari_4_a_device_that_lost_its_successor_gets_it_again() {
    let world = World::shared().await;
    let name = fresh_name();
    let token = world.ca.device_add(&name.replace('.', "-"), "gateway", &[&name]).await;
    let external = External::of_token(&token);
    let (key, url) = (Key::new(), world.client.url("newAccount"));
    let bound = external.bind(&url, &key.jwk(), |_| ());
    let made = new_account(&world.client, &key, &bound).await.expect("ACC-10", 201, "");
    let account = Account { client: world.client.clone(), key, url: made.location() };
    let order = async |replaces: Option<&str>| {
        let mut sent = json!({ "identifiers": identifiers(&[&name]) });
        replaces.into_iter().for_each(|replaces| sent["replaces"] = replaces.into());
        Order::new(&account, &sent).await
    };
    let issue = async |order: &Order, key: &KeyPair| {
        let done = order.finalize(&account, &csr(&[&name], key)).await.expect("ARI-4", 200, "");
        assert_eq!(done.location(), order.url, "FIN-1");
        let certificate = done.json()["certificate"].as_str().unwrap().to_owned();
        (crate::world::leaf(account.get(&certificate).await.expect("CRT-1", 200, "").text()), certificate)
    };
    let (first, _) = issue(&order(None).await, &KeyPair::generate().unwrap()).await;
    let (replaced, key) = (name_of(&first), KeyPair::generate().unwrap());

    let (second, certificate) = issue(&order(Some(&replaced)).await, &key).await;
    let (again, same) = issue(&order(Some(&replaced)).await, &key).await;
    assert_eq!((&again, same), (&second, certificate), "ARI-4: the same key gets the same certificate");
    let (third, _) = issue(&order(Some(&replaced)).await, &KeyPair::generate().unwrap()).await;
    assert_ne!(third, second, "ARI-4: another key supersedes it");
    let events = world.ca.json(&["audit", "list", "--limit", "1000"]).await;
    let superseded =
        |event: &&Value| event["action"] == "certificate.plan" && event["details"]["supersedes"].is_string();
    assert!(events.as_array().unwrap().iter().any(|event| superseded(&event)), "ARI-4: recorded: {events:#}");

    let report = json!({
        "name": "identity", "certificateSha256": hex(&sha256(&third)), "probe": { "outcome": "seen" },
        "clock": "hardware", "autonomyDays": 1, "agentVersion": "0",
    });
    let seen = account.post(&format!("{}/api/v1/agent/report", world.client.base()), &report).await;
    assert_eq!(seen.status, 204, "{seen}");
    let sent = json!({ "identifiers": identifiers(&[&name]), "replaces": replaced });
    let late = account.post(&world.client.url("newOrder"), &sent).await;
    late.expect("ARI-4: it was seen in use", 409, "alreadyReplaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn pro_1_and_2_profiles_are_chosen_echoed_and_withdrawn() {
    let world = World::start(&["--open-acme"]).await;
    let (account, url, name) = (world.account().await, world.client.url("newOrder"), fresh_name());
    let offered = world.client.directory["meta"]["profiles"].as_object().unwrap();
    assert!(offered.contains_key("server") && offered.contains_key("wild"), "PRO-1: {offered:?}");
    assert_eq!(offered["wild"], "Wildcards", "PRO-1");
    let sent = |profile: &str| json!({ "identifiers": identifiers(&[&name]), "profile": profile });
    for profile in ["nothing", "Server", "gateway", "x y", "\u{e4}"] {
        account.post(&url, &sent(profile)).await.expect(&format!("PRO-1: {profile}"), 400, "invalidProfile");
    }
    for profile in ["", "server"] {
        assert_eq!(Order::new(&account, &sent(profile)).await.object["profile"], "server", "PRO-2: {profile}");
    }
    let order = Order::new(&account, &sent("wild")).await;
    assert_eq!(order.object["profile"], "wild", "PRO-2");
    world.prove(&account, &order).await;
    std::fs::remove_file(world.ca.dir().join("policies/wild.yaml")).unwrap();
    world.ca.signal(Signal::SIGHUP);
    wait::until_true("the policies to be read again", 10, async || {
        let directory = world.client.request("GET", "/acme/directory", &[], b"").await.json();
        directory["meta"]["profiles"].get("wild").is_none()
    })
    .await;
    let refused = order.finalize(&account, &csr(&[&name], &KeyPair::generate().unwrap())).await;
    refused.expect("PRO-2: withdrawn", 400, "invalidProfile");
    assert_eq!(order.read(&account).await["status"], "ready");
}

/// The agent asks, renews before its own time when it is told to, and names what it replaces.
#[tokio::test(flavor = "multi_thread")]
async fn ari_3_and_4_the_agent_renews_earlier_when_the_ca_asks_for_it() {
    let mut ca = Ca::start(&[]).await;
    let agent = enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]).await;
    let leaf = agent.leaf("identity");
    ca.stop().await;
    ca.serve_at("+6d").await;
    ca.command(&["cert", "replace-all", "--within", "1s"]).await.success();
    let log = agent.state().join("later.log");
    let mut later = Process::start("renew-agent", &mut at_time("+6d", &agent.program(&["run"])), log);
    wait::until_true("the agent to renew", 60, async || {
        later.must_run();
        agent.leaf("identity") != leaf
    })
    .await;
    later.stop().await;
    agent.pair_must_match("identity");
    let events = ca.json(&["audit", "list", "--limit", "1000"]).await;
    let named = |event: &&Value| event["action"] == "order.create" && event["details"]["replaces"].is_string();
    assert_eq!(events.as_array().unwrap().iter().filter(named).count(), 1, "ARI-4: {events:#}");
}
