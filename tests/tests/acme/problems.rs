//! ERR-0: each type of problem, provoked, with its status and its further members.

use serde_json::{Value, json};
use tests::acme_raw::{Account, Key, b64, new_account};

use crate::world::{Challenge, World, csr, fresh_name, identifiers};

/// What each type is answered with (RFC 8555 section 6.7 and the registry it begins).
const TABLE: [(&str, u16); 15] = [
    ("accountDoesNotExist", 400),
    ("alreadyRevoked", 400),
    ("badCSR", 400),
    ("badNonce", 400),
    ("badPublicKey", 400),
    ("badRevocationReason", 400),
    ("badSignatureAlgorithm", 400),
    ("compound", 400),
    ("invalidContact", 400),
    ("invalidProfile", 400),
    ("malformed", 400),
    ("orderNotReady", 403),
    ("rejectedIdentifier", 400),
    ("unsupportedContact", 400),
    ("unsupportedIdentifier", 400),
];

#[tokio::test(flavor = "multi_thread")]
async fn err_0_each_type_of_problem_has_its_status_and_members() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let issued = world.issue(&account, &[&name]).await;
    let ready = world.ready(&account, &[&name]).await;
    let url = |resource| world.client.url(resource);
    let order = async |identifiers: Value| account.post(&url("newOrder"), &json!({ "identifiers": identifiers })).await;
    let revoke = async |reason: Value| {
        let sent = json!({ "certificate": b64(issued.leaf()), "reason": reason });
        account.post(&url("revokeCert"), &sent).await
    };
    let contact = async |contact: &str| account.post(&account.url, &json!({ "contact": [contact] })).await;
    let header = async |member: &str, value: Value| {
        let mut jws = account.jws(&account.url, "").await;
        jws.protected.insert(member.to_owned(), value);
        world.client.post(&account.url, &jws.sign(&account.key)).await
    };
    let bad = json!({ "type": "dns", "value": "a..localhost" });
    let foreign = json!({ "type": "dns", "value": "a.example" });
    let other = json!({ "type": "email", "value": "a@localhost" });
    let pending = world.order(&account, &[&fresh_name()]).await;
    let bad_reason = revoke(json!(7)).await;
    revoke(json!(4)).await.expect("REV-3", 200, "");
    let stranger = json!({ "onlyReturnExisting": true });
    let profile = json!({ "identifiers": identifiers(&[&name]), "profile": "nothing" });
    let provoked = [
        ("accountDoesNotExist", new_account(&world.client, &Key::new(), &stranger).await),
        ("alreadyRevoked", revoke(json!(4)).await),
        ("badCSR", ready.finalize(&account, b"x").await),
        ("badNonce", header("nonce", b64([1; 36]).into()).await),
        ("badPublicKey", header("alg", "RS256".into()).await),
        ("badRevocationReason", bad_reason),
        ("badSignatureAlgorithm", header("alg", "HS256".into()).await),
        ("compound", order(json!([bad, other])).await),
        ("invalidContact", contact("mailto:").await),
        ("invalidProfile", account.post(&url("newOrder"), &profile).await),
        ("malformed", order(json!([])).await),
        ("orderNotReady", pending.finalize(&account, &csr(&[&name], &issued.key)).await),
        ("rejectedIdentifier", order(json!([foreign])).await),
        ("unsupportedContact", contact("tel:+1").await),
        ("unsupportedIdentifier", order(json!([other])).await),
    ];
    for ((kind, answer), (expected, status)) in provoked.into_iter().zip(TABLE) {
        assert_eq!(kind, expected);
        let problem = answer.expect(&format!("ERR-0: {kind}"), status, kind).json();
        assert_eq!(problem.get("algorithms").is_some(), kind == "badSignatureAlgorithm", "ERR-0: {problem:#}");
        let several = ["compound", "rejectedIdentifier", "unsupportedIdentifier"].contains(&kind);
        assert_eq!(problem.get("subproblems").is_some(), several, "ERR-0: {problem:#}");
        let known = ["algorithms", "detail", "requestId", "status", "subproblems", "type"];
        let members = problem.as_object().unwrap();
        assert!(members.keys().all(|member| known.contains(&member.as_str())), "ERR-0: {problem:#}");
    }
    refused_accounts(&world, account).await;
}

/// 403 for who may not, 401 for an account that is over, 403 where an account needs a key of this CA.
async fn refused_accounts(world: &World, account: Account) {
    let sent = json!({ "identifiers": identifiers(&[&fresh_name()]) });
    let mut jws = account.jws(&world.client.url("newOrder"), &sent.to_string()).await;
    jws.protected.insert("url".into(), world.client.url("revokeCert").into());
    let answer = world.client.post(&world.client.url("newOrder"), &jws.sign(&account.key)).await;
    answer.expect("ERR-0: unauthorized", 403, "unauthorized");
    account.post(&account.url, &json!({ "status": "deactivated" })).await.expect("ACC-7", 200, "");
    account.get(&account.url).await.expect("ERR-0: a deactivated account", 401, "unauthorized");
    let closed = World::start(&[]).await;
    let answer = new_account(&closed.client, &Key::new(), &json!({})).await;
    answer.expect("ERR-0: externalAccountRequired", 403, "externalAccountRequired");
}

/// Types that stand in challenges: they are no answers of their own, and their detail says what was found where.
#[tokio::test(flavor = "multi_thread")]
async fn err_0_and_chl_9_problems_of_challenges_say_what_was_found() {
    let world = World::shared().await;
    let account = world.account().await;
    let name = fresh_name();
    let order = world.order(&account, &[&name]).await;
    let challenge = Challenge::of(&account, &order.authorizations()[0]).await;
    world.responder.set(&challenge.token, crate::responder::Reply::Body("<b>something else</b>".repeat(40)));
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    let error = challenge.decided(&account).await["error"].clone();
    let kind = error["type"].as_str().unwrap().rsplit(':').next().unwrap();
    assert!(["incorrectResponse", "unauthorized"].contains(&kind), "ERR-0: {error:#}");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains(&name) && detail.contains("127.0.0.1"), "CHL-9: {detail}");
    assert!(detail.len() < 600 && detail.matches("something else").count() <= 10, "CHL-9: no full echo: {detail}");
    assert!(!detail.contains(char::is_control), "CHL-9: {detail}");
    let order = order.settled(&account).await;
    assert_eq!(order["status"], "invalid");
    assert_eq!(order["error"]["type"].as_str().map(|kind| kind.starts_with("urn:ietf:params:acme:error:")), Some(true));
}
