//! The same on PostgreSQL, where several servers share one database.

use serde_json::json;
use tests::acme_raw::{Client, new_account};
use tests::ca::Ca;

use crate::world::{Challenge, World, csr, fresh_name, must_verify};

#[path = "../../../crates/store/tests/support/postgres.rs"]
mod server;

/// The URL of a new database.
pub(crate) async fn new_database() -> String {
    tokio::task::spawn_blocking(|| server::Postgres::shared().new_database()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn non_5_and_6_two_servers_on_one_database_are_one_ca() {
    let database = new_database().await;
    let world = World::start(&["--open-acme", "--database", &database]).await;
    let (mut account, name) = (world.account().await, fresh_name());
    must_verify(&world.ca, &world.issue(&account, &[&name]).await.chain);

    let second = Ca::start_replica_of(&world.ca).await;
    let (one, two) = (Client::of(&world.ca).await, Client::of(&second).await);
    assert_eq!(one.directory, two.directory, "one external address");

    // A nonce of one is spent at the other, once.
    let nonce = one.nonce().await;
    account.client = one.clone();
    let mut jws = account.jws(&account.url, "").await;
    jws.protected.insert("nonce".into(), nonce.into());
    let body = jws.sign(&account.key);
    two.post(&account.url, &body).await.expect("NON-6", 200, "");
    one.post(&account.url, &body).await.expect("NON-5", 400, "badNonce");
    two.post(&account.url, &body).await.expect("NON-5", 400, "badNonce");

    // The order of one is proven, finalized and downloaded at the other.
    let name = fresh_name();
    let order = world.order(&account, &[&name]).await;
    account.client = two.clone();
    let challenge = world.answer(&account, &order.authorizations()[0]).await;
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    account.client = one.clone();
    assert_eq!(order.settled(&account).await["status"], "ready");
    let key = rcgen::KeyPair::generate().unwrap();
    let done = order.finalize(&account, &csr(&[&name], &key)).await.expect("FIN-1", 200, "").json();
    account.client = two.clone();
    let chain = account.get(done["certificate"].as_str().unwrap()).await.expect("CRT-1", 200, "");
    must_verify(&second, chain.text());

    // Both at once: one account for one key, one certificate for one order.
    let fresh = tests::acme_raw::Key::new();
    let payload = json!({});
    let (a, b) = tokio::join!(new_account(&one, &fresh, &payload), new_account(&two, &fresh, &payload));
    assert_eq!(a.status + b.status, 401, "ACC-2: 201 and 200: {a} {b}");
    assert_eq!(a.location(), b.location(), "ACC-2");
    account.client = one.clone();
    let order = world.ready(&account, &[&name]).await;
    let finalize = order.object["finalize"].as_str().unwrap();
    let requests = [&one, &two].map(|client| {
        let csr = csr(&[&name], &rcgen::KeyPair::generate().unwrap());
        let payload = json!({ "csr": tests::acme_raw::b64(csr) }).to_string();
        (client, payload)
    });
    let mut sent = Vec::new();
    for (client, payload) in &requests {
        account.client = (*client).clone();
        sent.push((*client, account.jws(finalize, payload).await.sign(&account.key)));
    }
    let answers = futures_util::future::join_all(sent.iter().map(|(client, body)| client.post(finalize, body))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403], "ORD-10: {answers:#?}");
    let challenge = Challenge::of(&account, &order.authorizations()[0]).await;
    assert_eq!(challenge.decided(&account).await["status"], "valid");
}

/// What one server remembers of an account is not believed when another server changed it.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_at_one_server_is_seen_by_the_next_request_at_the_other() {
    let database = new_database().await;
    let world = World::start(&["--open-acme", "--database", &database]).await;
    let second = Ca::start_replica_of(&world.ca).await;
    let (one, two) = (Client::of(&world.ca).await, Client::of(&second).await);
    let mut account = world.account().await;
    for client in [&one, &two, &one, &two] {
        account.client = client.clone();
        account.get(&account.url).await.expect("both know it", 200, "");
    }
    account.client = one.clone();
    account.post(&account.url, &json!({"status": "deactivated"})).await.expect("ACC-8", 200, "");
    account.client = two.clone();
    account.get(&account.url).await.expect("ACC-8", 401, "unauthorized");

    // One nonce, many requests at both: whoever comes together with others shares their way, not their right.
    let mut account = world.account().await;
    account.client = one.clone();
    let body = account.jws(&account.url, "").await.sign(&account.key);
    let asked =
        (0..16).map(|turn| if turn % 2 == 0 { one.post(&account.url, &body) } else { two.post(&account.url, &body) });
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "NON-5");
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.problem() == "badNonce"), "NON-5");
}
