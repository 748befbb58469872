//! VAL and CHL-6: what the CA looks at, what it does not look at, and what a crash does not stop.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::acme_raw::{Account, Client};

use crate::orders::in_order;
use crate::responder::Reply;
use crate::world::{Challenge, Order, World, csr, fresh_name, must_verify};

/// An order of one name with its challenge, not responded to.
async fn begun(world: &World, account: &Account, name: &str) -> (Order, Challenge) {
    let order = world.order(account, &[name]).await;
    let challenge = Challenge::of(account, &order.authorizations()[0]).await;
    (order, challenge)
}

/// Responds and waits for the decision.
async fn decision(account: &Account, challenge: &Challenge) -> Value {
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    challenge.decided(account).await
}

#[tokio::test(flavor = "multi_thread")]
async fn val_2_answers_that_prove_nothing_end_the_order() {
    let world = World::shared().await;
    let account = world.account().await;
    let rows = [
        ("another content", Reply::Body("something else <script>".to_owned()), "incorrectResponse"),
        ("empty", Reply::Body(String::new()), "incorrectResponse"),
        ("long", Reply::Body("x".repeat(100_000)), "incorrectResponse"),
        ("404", Reply::Status(404), "unauthorized"),
        ("500", Reply::Status(500), "unauthorized"),
        ("401", Reply::Status(401), "unauthorized"),
    ];
    for (what, reply, problem) in rows {
        let (order, challenge) = begun(&world, &account, &fresh_name()).await;
        world.responder.set(&challenge.token, reply);
        let failed = decision(&account, &challenge).await;
        assert_eq!(failed["status"], "invalid", "{what}");
        assert_eq!(failed["error"]["type"], format!("urn:ietf:params:acme:error:{problem}"), "{what}: {failed:#}");
        assert!(!failed.to_string().contains("script"), "CHL-9: nothing is echoed");
        in_order(account.get(&challenge.url).await.text(), &["type", "url", "status", "token", "error"]);
        let authorization = account.get(&order.authorizations()[0]).await.json();
        assert_eq!(
            (&authorization["status"], &authorization["challenges"]),
            (&json!("invalid"), &json!([failed])),
            "AUZ-3"
        );
        let dead = order.read(&account).await;
        assert_eq!(dead["status"], "invalid", "{what}");
        assert_eq!(dead["error"]["type"], failed["error"]["type"], "ORD-1: {what}: {dead:#}");
        assert_eq!(world.responder.asked(&challenge.token), 1, "CHL-6: {what} is final");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chl_6_a_refused_connection_is_tried_again_and_then_final() {
    let world = World::shared().await;
    let account = world.account().await;
    // Nothing listens on this loopback address.
    let (order, challenge) = begun(&world, &account, "127.0.0.9").await;
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    let started = Instant::now();
    let failed = tests::wait::until("the challenge to fail", 20, async || {
        let seen = account.get(&challenge.url).await.json();
        if seen["status"] == "invalid" {
            return Some(seen);
        }
        assert_eq!((&seen["status"], seen.get("error")), (&json!("processing"), None), "CHL-6");
        let authorization = account.get(&order.authorizations()[0]).await.json();
        assert!(authorization["status"] == "pending" || authorization["status"] == "invalid", "AUZ-1: {authorization}");
        None
    })
    .await;
    let took = started.elapsed();
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(12), "CHL-6: {took:?}");
    assert_eq!(failed["error"]["type"], "urn:ietf:params:acme:error:connection");
    let detail = failed["error"]["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("127.0.0.9:{}", world.http_port)), "CHL-9: {detail}");
    assert_eq!(order.read(&account).await["status"], "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn chl_6_a_file_that_comes_late_is_found() {
    let world = World::shared().await;
    let account = world.account().await;
    let (order, challenge) = begun(&world, &account, "late.localhost").await;
    // Nothing listens there: as when the server itself starts late.
    world.responder.set(&challenge.token, Reply::Redirect("http://127.0.0.9/".to_owned()));
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    tests::wait::until_true("the first look", 10, async || world.responder.asked(&challenge.token) == 1).await;
    world.answer(&account, &order.authorizations()[0]).await;
    assert_eq!(challenge.decided(&account).await["status"], "valid", "CHL-6");
}

#[tokio::test(flavor = "multi_thread")]
async fn val_2_and_4_redirects() {
    let world = World::shared().await;
    let account = world.account().await;
    let (http, tls) = (world.http_port, world.tls_port);
    world.responder.set_path("/loop", Reply::Redirect("/loop".to_owned()));
    for (what, to, problem) in [
        ("a path", "/elsewhere".to_owned(), ""),
        ("another name", format!("http://other.localhost:{http}/elsewhere"), ""),
        ("https, whatever its certificate", format!("https://other.localhost:{tls}/elsewhere"), ""),
        ("https by address", format!("https://127.0.0.1:{tls}/elsewhere"), ""),
        ("in a circle", "/loop".to_owned(), "connection"),
        ("a user name", format!("http://a:b@127.0.0.1:{http}/elsewhere"), "connection"),
        ("another scheme", format!("ftp://127.0.0.1:{http}/elsewhere"), "connection"),
        ("another port", "http://127.0.0.1:22/elsewhere".to_owned(), "connection"),
        ("http to the port of https", format!("http://127.0.0.1:{tls}/elsewhere"), "connection"),
        ("cloud metadata", "http://169.254.169.254/latest".to_owned(), "connection"),
        ("metadata, mapped", "http://[::ffff:169.254.169.254]/latest".to_owned(), "connection"),
        ("link-local", format!("http://[fe80::1]:{http}/"), "connection"),
        ("multicast", "http://224.0.0.1/".to_owned(), "connection"),
        ("unspecified", format!("http://0.0.0.0:{http}/elsewhere"), "connection"),
        ("nothing", "http://".to_owned(), "connection"),
    ] {
        let (_, challenge) = begun(&world, &account, &fresh_name()).await;
        world.responder.set(&challenge.token, Reply::Redirect(to.clone()));
        let right = format!("{}.{}", challenge.token, account.key.thumbprint());
        world.responder.set_path("/elsewhere", Reply::Body(right));
        let seen = decision(&account, &challenge).await;
        let kind = seen["error"]["type"].as_str().unwrap_or_default();
        assert_eq!(kind.trim_start_matches("urn:ietf:params:acme:error:"), problem, "VAL-2: {what}: {seen:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn val_4_names_that_are_not_looked_at() {
    let world = World::shared().await;
    let account = world.account().await;
    for (address, reason) in [("169.254.169.254", "metadata"), ("169.254.3.4", "link-local")] {
        let (_, challenge) = begun(&world, &account, address).await;
        let seen = decision(&account, &challenge).await;
        assert_eq!(seen["error"]["type"], "urn:ietf:params:acme:error:connection", "VAL-4: {seen:#}");
        assert!(seen["error"]["detail"].as_str().unwrap().contains(reason), "VAL-4: {seen:#}");
    }
    let (_, challenge) = begun(&world, &account, "no-such-name.site.test").await;
    let seen = decision(&account, &challenge).await;
    assert_eq!(seen["error"]["type"], "urn:ietf:params:acme:error:dns", "CHL-9: {seen:#}");
}

/// The CA loses its power between the response and the look, and while it looks; nobody asks it to look again.
#[tokio::test(flavor = "multi_thread")]
async fn chl_4_validation_goes_on_after_a_crash_by_itself() {
    let mut world = World::start(&["--open-acme"]).await;
    let (mut account, name) = (world.account().await, fresh_name());
    let mut ready = None;
    for point in ["ca.challenge.after_commit", "ca.validate.before_settle", "ca.validate.after_settle"] {
        world.ca.stop().await;
        world.ca.serve_with_failpoint(point).await;
        account.client = Client::of(&world.ca).await;
        let order = world.order(&account, &[&fresh_name()]).await;
        let challenge = world.answer(&account, &order.authorizations()[0]).await;
        let (url, jws) = (challenge.url.clone(), account.jws(&challenge.url, "{}").await.sign(&account.key));
        let client = account.client.clone();
        // This request is answered or not, as it happens.
        let asked = tokio::spawn(async move { client.post(&url, &jws).await.status });
        world.ca.wait_killed().await;
        let _ = asked.await;

        world.ca.serve().await;
        account.client = Client::of(&world.ca).await;
        let started = Instant::now();
        assert_eq!(order.settled(&account).await["status"], "ready", "CHL-4: {point}");
        assert!(started.elapsed() < Duration::from_secs(10), "CHL-4: {point}: leases of the dead are not waited for");
        ready = Some(order);
    }
    assert!(ready.is_some());
    let (order, key) = (world.ready(&account, &[&name]).await, rcgen::KeyPair::generate().unwrap());
    let done = order.finalize(&account, &csr(&[&name], &key)).await.expect("FIN-1", 200, "").json();
    must_verify(&world.ca, account.get(done["certificate"].as_str().unwrap()).await.text());
}

/// ORD-9 and AUZ-1, a day later.
#[tokio::test(flavor = "multi_thread")]
async fn ord_9_and_auz_1_what_has_expired_reads_as_invalid() {
    let mut world = World::start(&["--open-acme"]).await;
    let (mut account, name) = (world.account().await, fresh_name());
    let (pending, ready) = (world.order(&account, &[&fresh_name()]).await, world.ready(&account, &[&name]).await);
    let issued = world.issue(&account, &[&fresh_name()]).await;
    world.ca.stop().await;
    world.ca.serve_at("+25h").await;
    account.client = Client::of(&world.ca).await;
    for order in [&pending, &ready] {
        let read = order.read(&account).await;
        assert_eq!((&read["status"], read.get("error").is_some()), (&json!("invalid"), true), "ORD-9: {read:#}");
        let authorization = account.get(&order.authorizations()[0]).await.expect("AUZ-1", 200, "").json();
        assert_eq!(authorization["status"], "invalid", "AUZ-1");
        order.finalize(&account, &csr(&[&name], &issued.key)).await.expect("FIN-2", 403, "orderNotReady");
    }
    let challenge = Challenge::of(&account, &pending.authorizations()[0]).await;
    account.post(&challenge.url, &json!({})).await.expect("CHL-3", 200, "");
    assert_eq!(world.responder.asked(&challenge.token), 0, "CHL-3");
    assert_eq!(issued.order.read(&account).await["status"], "valid", "ORD-9: what was issued stays");
    let listed = account.get(&format!("{}/orders", account.url)).await.json();
    assert_eq!(listed, json!({ "orders": [issued.order.url] }), "ACC-12");
    assert_eq!(
        world.order(&account, &[&name]).await.object["status"],
        "pending",
        "ORD-7: expired proofs are worth nothing"
    );
}
