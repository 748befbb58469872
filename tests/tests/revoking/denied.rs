//! The denied set of a running server: what others write into the database is in force within a second.

use serde_json::{Value, json};
use tests::acme_raw::{Account, Answer, Client, Jws, Key, new_account};
use tests::ca::{Ca, plain_get};
use tests::gateway::Gateway;
use tests::wait;

/// The number up to which a server has read.
pub(crate) async fn number(ca: &Ca) -> u64 {
    let answer = plain_get(&ca.operations_address(), "/readyz").await.unwrap_or_default();
    let told = answer.lines().find_map(|line| line.strip_prefix("revocations: read up to number "));
    told.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

/// The value of a metric that has to be told.
pub(crate) async fn metric(ca: &Ca, name: &str) -> f64 {
    ca.metric(name).await.unwrap_or_else(|| panic!("no {name}"))
}

/// Fails when a denial that another server wrote, or its end, is not in force at this one without a restart, or only until one;
/// of an account, of all devices of a site, and of who may use the administration.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_denied_in_the_database_is_refused_by_a_server_that_runs() {
    const PROGRAM: &str = r#"
import sqlite3, sys
kind, subject, denied = sys.argv[2].split()
database = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
database.execute("BEGIN IMMEDIATE")
number, = database.execute("UPDATE revocation_head SET number = number + 1 RETURNING number").fetchone()
database.execute("INSERT OR REPLACE INTO denial VALUES (?, ?, ?, ?, 0)", (kind, subject, number, int(denied)))
database.execute("COMMIT")
print(number)
"#;
    let mut ca = Ca::start(&[]).await;
    let gateway = Gateway::of(&ca).await;
    gateway.issue().await;
    let account = gateway.account.url.rsplit('/').next().unwrap().to_owned();
    let device = ca.json(&["device", "show", "gw-1"]).await["id"].as_str().unwrap().to_owned();
    for (kind, subject) in [("site", "home"), ("account", account.as_str()), ("device", device.as_str())] {
        let told: u64 = ca.python(PROGRAM, &format!("{kind} {subject} 1")).await.trim().parse().unwrap();
        wait::until_true("the denial to be known", 20, async || number(&ca).await >= told).await;
        gateway.order().await.expect(kind, 401, "unauthorized");
        registers(&gateway.account, kind, 401).await;
        assert_eq!(metric(&ca, &format!("pilotlight_denied_entries{{kind=\"{kind}\"}}")).await, 1.0);
        // it is known after the next start too
        ca.restart().await;
        gateway.order().await.expect(kind, 401, "unauthorized");
        let told: u64 = ca.python(PROGRAM, &format!("{kind} {subject} 0")).await.trim().parse().unwrap();
        wait::until_true("the end of the denial", 20, async || number(&ca).await >= told).await;
        gateway.order().await.expect(kind, 201, "");
        registers(&gateway.account, kind, 200).await;
    }
    assert!(metric(&ca, "pilotlight_denied_lag_seconds").await < 60.0);

    // what nobody here understands keeps from nobody what comes after it, at a start neither
    for (kind, subject, unreadable) in [("vendor", "x", 1.0), ("site", "Home", 2.0)] {
        ca.python(PROGRAM, &format!("{kind} {subject} 1")).await;
        let told: u64 = ca.python(PROGRAM, "site home 1").await.trim().parse().unwrap();
        wait::until_true("the denial to be known", 20, async || number(&ca).await >= told).await;
        ca.restart().await;
        gateway.order().await.expect(kind, 401, "unauthorized");
        assert_eq!(metric(&ca, "pilotlight_denied_unreadable").await, unreadable);
    }
    let told: u64 = ca.python(PROGRAM, "site home 0").await.trim().parse().unwrap();
    wait::until_true("the end of the denial", 20, async || number(&ca).await >= told).await;

    let uid = nix::unistd::getuid();
    let told: u64 = ca.python(PROGRAM, &format!("session uid:{uid} 1")).await.trim().parse().unwrap();
    wait::until_true("the denial to be known", 20, async || number(&ca).await >= told).await;
    let refused = ca.command(&["cert", "list"]).await;
    assert!(refused.code == 1 && refused.stderr.contains("access was withdrawn"), "{refused}");
}

/// What comes of registering the key of an account once more (RFC 8555 section 7.3.1).
async fn registers(known: &Account, what: &str, status: u16) {
    for payload in [json!({}), json!({ "onlyReturnExisting": true })] {
        let answer = new_account(&known.client, &known.key, &payload).await;
        answer.expect(what, status, if status == 200 { "" } else { "unauthorized" });
    }
}

/// Fails when a stolen device goes on spending nonces, which are rows where several servers share a database, or when people
/// without the key of an account learn from the answer that it is denied.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_spends_no_nonce_and_tells_strangers_nothing() {
    let ca = Ca::start(&[]).await;
    let client = Client::of(&ca).await;
    let (stolen, other) =
        (Gateway::enrol(&ca, &client, "gw-1").await.account, Gateway::enrol(&ca, &client, "gw-2").await.account);
    ca.json(&["device", "revoke", "gw-1"]).await;

    let orders = format!("{}/orders", stolen.url);
    let refused = stolen.jws(&orders, "").await;
    client.post(&orders, &refused.sign(&stolen.key)).await.expect("it is out", 401, "unauthorized");
    let registers = client.url("newAccount");
    let by = ("jwk", stolen.key.jwk());
    let unspent = Jws::new(by, refused.protected["nonce"].as_str().unwrap(), &registers, "{}");
    client.post(&registers, &unspent.sign(&stolen.key)).await.expect("and so is its key", 401, "unauthorized");
    let nonce = refused.protected["nonce"].as_str().unwrap();
    let again = Jws::new(("kid", other.url.clone().into()), nonce, &other.url, "");
    client.post(&other.url, &again.sign(&other.key)).await.expect("the nonce is as good as before", 200, "");
    client.post(&other.url, &again.sign(&other.key)).await.expect("and is spent now", 400, "badNonce");

    let mut told = Vec::new();
    for account in [&stolen, &other] {
        let jws = account.jws(&account.url, "").await;
        told.push(client.post(&account.url, &jws.sign(&Key::new())).await.expect("a stranger", 400, "malformed"));
    }
    let words = |answer: &Answer| answer.json()["detail"].clone();
    assert!(words(&told[0]) != Value::Null && words(&told[0]) == words(&told[1]), "{:#}", words(&told[0]));
}
