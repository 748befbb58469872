//! VAL-1, VAL-3, VAL-4 and IPI: keys, addresses and connections; and that nobody waits for another's slow target.

use std::net::Ipv6Addr;
use std::time::Instant;

use serde_json::json;
use tests::acme_raw::{Account, Jws, Key};
use tests::dns::Dns;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::responder::Reply;
use crate::world::{Challenge, World, fresh_name, must_verify};

/// Exchanges the key of an account.
async fn change_key(account: &mut Account) {
    let (url, new) = (account.client.url("keyChange"), Key::new());
    let payload = json!({ "account": account.url, "oldKey": account.key.jwk() });
    let mut inner = Jws::new(("jwk", new.jwk()), "", &url, &payload.to_string());
    inner.protected.remove("nonce");
    account.post(&url, &inner.sign(&new)).await.expect("ACC-9", 200, "");
    account.key = new;
}

#[tokio::test(flavor = "multi_thread")]
async fn val_1_the_key_at_validation_counts_and_the_one_that_asked_for_it() {
    let world = World::shared().await;
    for (what, expected) in [("before", "invalid"), ("asked", "valid"), ("now", "valid")] {
        let mut account = world.account().await;
        let mut keys = vec![account.key.thumbprint()];
        let order = world.order(&account, &[&fresh_name()]).await;
        let challenge = Challenge::of(&account, &order.authorizations()[0]).await;
        change_key(&mut account).await;
        keys.push(account.key.thumbprint());
        // The first look ends where nothing listens, so that there is a second one.
        world.responder.set(&challenge.token, Reply::Redirect("http://127.0.0.9/".to_owned()));
        account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
        tests::wait::until_true("the first look", 10, async || world.responder.asked(&challenge.token) == 1).await;
        change_key(&mut account).await;
        keys.push(account.key.thumbprint());
        let key = &keys[["before", "asked", "now"].iter().position(|one| *one == what).unwrap()];
        world.responder.set(&challenge.token, Reply::Body(format!("{}.{key}", challenge.token)));
        assert_eq!(challenge.decided(&account).await["status"], expected, "VAL-1: {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn val_3_and_ipi_3_and_4_ipv6_goes_first_and_addresses_are_certified() {
    let dns = Dns::start(&["clients.test"]).await;
    let resolver = dns.address();
    let options = ["--open-acme", "--domain", "clients.test", "--network", "::1/128"];
    let world = World::start_configured(&options, |config| {
        config["validation"]["resolvers"] = vec![resolver].into();
    })
    .await;
    let account = world.account().await;
    dns.update(&["add two.clients.test 0 A 127.0.0.1", "add two.clients.test 0 AAAA ::1"]);

    // Nothing listens at the IPv6 address yet.
    let order = world.order(&account, &["two.clients.test"]).await;
    let challenge = world.answer(&account, &order.authorizations()[0]).await;
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    assert_eq!(order.settled(&account).await["status"], "ready", "VAL-3: IPv4 after a refusal");

    // Now both do, and IPv6 says something else.
    let other = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, world.http_port)).unwrap();
    let account = world.account().await;
    let order = world.order(&account, &["two.clients.test"]).await;
    let challenge = world.answer(&account, &order.authorizations()[0]).await;
    let answering = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, from) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        stream.write_all(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        from
    });
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    let failed = challenge.decided(&account).await;
    assert_eq!(failed["error"]["type"], "urn:ietf:params:acme:error:unauthorized", "VAL-3: IPv6 decides: {failed:#}");
    assert!(failed["error"]["detail"].as_str().unwrap().contains("[::1]"), "CHL-9: {failed:#}");
    assert!(answering.join().unwrap().is_ipv6());
    assert_eq!(world.responder.asked(&challenge.token), 0, "VAL-3");

    // An identifier that is an address is asked for by it, in brackets.
    world.responder.also(&format!("[::1]:{}", world.http_port));
    let account = world.account().await;
    let issued = world.issue(&account, &["::1"]).await;
    must_verify(&world.ca, &issued.chain);
    let leaf = issued.leaf();
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(&leaf).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    assert!(
        matches!(names.as_slice(), [GeneralName::IPAddress(octets)] if *octets == Ipv6Addr::LOCALHOST.octets()),
        "IPI-3, IPI-4: {names:?}"
    );
    assert_eq!(certificate.subject().iter().count(), 0, "IPI-4: no address in the subject");
}

#[tokio::test(flavor = "multi_thread")]
async fn ipi_1_addresses_have_one_spelling() {
    let world = World::shared().await;
    let account = world.account().await;
    let url = account.client.url("newOrder");
    for wrong in ["127.0.0.01", "127.1", "[::1]", "::1%lo", "127.0.0.0/8", "::ffff:127.0.0.1", ""] {
        let sent = json!({ "identifiers": [{ "type": "ip", "value": wrong }] });
        account.post(&url, &sent).await.expect(&format!("IPI-1, IPI-3: {wrong}"), 400, "malformed");
    }
    let sent = json!({ "identifiers": [{ "type": "dns", "value": "127.0.0.1" }] });
    let answer = account.post(&url, &sent).await;
    assert_eq!(answer.status, 400, "IPI-4: an address is no DNS name: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ipi_2_the_host_of_an_address_is_the_address() {
    let world = World::shared().await;
    let account = world.account().await;
    let order = world.order(&account, &["127.0.0.1"]).await;
    let challenge = world.answer(&account, &order.authorizations()[0]).await;
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    assert_eq!(order.settled(&account).await["status"], "ready", "IPI-2");
    assert_eq!(world.responder.host(&challenge.token), format!("127.0.0.1:{}", world.http_port), "IPI-2, VAL-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn val_4_loopback_is_not_looked_at_unless_it_is_allowed() {
    let dns = Dns::start(&["clients.test"]).await;
    let resolver = dns.address();
    let world = World::start_configured(&["--open-acme", "--domain", "clients.test"], |config| {
        config["validation"]["resolvers"] = vec![resolver].into();
        config["validation"]["allow_networks"] = toml::Value::Array(Vec::new());
        config["validation"]["deny_networks"] = vec!["192.0.2.0/24"].into();
    })
    .await;
    let account = world.account().await;
    dns.update(&["add denied.clients.test 0 A 192.0.2.7", "add mapped.clients.test 0 AAAA ::ffff:127.0.0.1"]);
    for (name, kind, reason) in [
        ("127.0.0.1", "http-01", "loopback"),
        ("127.0.0.1", "tls-alpn-01", "loopback"),
        ("by-name.clients.test", "http-01", "loopback"),
        ("mapped.clients.test", "tls-alpn-01", "loopback"),
        ("denied.clients.test", "http-01", "deny_networks"),
    ] {
        let order = world.order(&account, &[name]).await;
        let challenge = Challenge::of_kind(&account, &order.authorizations()[0], kind).await;
        account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
        let seen = challenge.decided(&account).await;
        assert_eq!(seen["error"]["type"], "urn:ietf:params:acme:error:connection", "VAL-4: {name}: {seen:#}");
        assert!(seen["error"]["detail"].as_str().unwrap().contains(reason), "VAL-4: {name}: {seen:#}");
        assert_eq!(world.responder.asked(&challenge.token), 0, "VAL-4: {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chl_4_nobody_waits_for_the_slow_targets_of_another() {
    // Looks of the slow account take two minutes.
    let world = World::start_configured(&["--open-acme"], |config| {
        config["validation"]["timeout_seconds"] = 120.into();
    })
    .await;
    let (slow, quick) = (world.account().await, world.account().await);
    let mut held = Vec::new();
    for _ in 0..80 {
        let order = world.order(&slow, &[&fresh_name()]).await;
        let challenge = Challenge::of(&slow, &order.authorizations()[0]).await;
        world.responder.set(&challenge.token, Reply::Hold);
        slow.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
        held.push(challenge);
    }
    tests::wait::until_true("64 looks at once", 10, async || {
        held.iter().filter(|challenge| world.responder.asked(&challenge.token) > 0).count() >= 64
    })
    .await;
    let begun = Instant::now();
    world.ready(&quick, &[&fresh_name()]).await;
    let took = begun.elapsed();
    assert!(took.as_secs() < 20, "CHL-4: {took:?}");
    let still = held.iter().filter(|challenge| world.responder.asked(&challenge.token) == 0).count();
    assert_eq!(still, 16, "CHL-4: the rest of the slow account's looks wait for their turn");
    held.iter().for_each(|challenge| world.responder.set(&challenge.token, Reply::Status(404)));
}

/// An IPv6 address that swallows every attempt: its queue of connections is full and nobody takes any.
async fn silent_ipv6(
    port: u16,
) -> (tokio::net::TcpListener, Vec<tokio::task::JoinHandle<std::io::Result<tokio::net::TcpStream>>>) {
    let socket = tokio::net::TcpSocket::new_v6().unwrap();
    socket.bind((Ipv6Addr::LOCALHOST, port).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let connect = || tokio::spawn(tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port)));
    let mut clients: Vec<_> = (0..8).map(|_| connect()).collect();
    // Those that the queue has room for are connected; the others wait for an answer.
    tests::wait::until_true("the queue to be full", 10, async || {
        clients.push(connect());
        let probe = tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port));
        tokio::time::timeout(std::time::Duration::from_millis(200), probe).await.is_err()
    })
    .await;
    (listener, clients)
}

#[tokio::test(flavor = "multi_thread")]
async fn val_3_ipv4_is_tried_beside_an_ipv6_address_that_is_silent() {
    let dns = Dns::start(&["clients.test"]).await;
    let resolver = dns.address();
    let world = World::start_configured(&["--open-acme", "--domain", "clients.test"], |config| {
        config["validation"]["resolvers"] = vec![resolver].into();
        config["validation"]["timeout_seconds"] = 60.into();
    })
    .await;
    let account = world.account().await;
    dns.update(&["add two.clients.test 0 A 127.0.0.1", "add two.clients.test 0 AAAA ::1"]);
    let silent = silent_ipv6(world.http_port).await;
    let order = world.order(&account, &["two.clients.test"]).await;
    let challenge = world.answer(&account, &order.authorizations()[0]).await;
    let begun = Instant::now();
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    assert_eq!(order.settled(&account).await["status"], "ready", "VAL-3");
    // An address alone may take half of the time there is: 30 seconds.
    assert!(begun.elapsed().as_secs() < 15, "VAL-3: {:?}", begun.elapsed());
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn val_2_the_number_of_redirects_is_configured() {
    let world = World::start_configured(&["--open-acme"], |config| {
        config["validation"]["max_redirects"] = 1.into();
    })
    .await;
    let account = world.account().await;
    for (redirects, expected) in [(1, "valid"), (2, "invalid")] {
        let order = world.order(&account, &[&fresh_name()]).await;
        let challenge = Challenge::of(&account, &order.authorizations()[0]).await;
        let right = format!("{}.{}", challenge.token, account.key.thumbprint());
        world.responder.set(&challenge.token, Reply::Redirect(format!("/{redirects}")));
        world.responder.set_path("/2", Reply::Redirect("/1".to_owned()));
        world.responder.set_path("/1", Reply::Body(right));
        account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
        assert_eq!(challenge.decided(&account).await["status"], expected, "VAL-2: {redirects}");
    }
}
