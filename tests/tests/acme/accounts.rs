//! ACC: accounts and their keys.

use serde_json::{Value, json};
use tests::acme_raw::{Account, Jws, Key, new_account};

use crate::world::{World, fresh_name, identifiers};

#[tokio::test(flavor = "multi_thread")]
async fn acc_1_to_4_registration_is_idempotent() {
    let world = World::shared().await;
    let (client, key) = (&world.client, Key::new());
    let only = json!({ "onlyReturnExisting": true });
    new_account(client, &key, &only).await.expect("ACC-3", 400, "accountDoesNotExist");

    let sent = json!({
        "contact": ["mailto:ops@site.test"], "termsOfServiceAgreed": true,
        "orders": "https://elsewhere.test/", "status": "revoked", "unknown": 1,
    });
    let created = new_account(client, &key, &sent).await.expect("ACC-1", 201, "");
    let (url, object) = (created.location(), created.json());
    let expected = json!({ "status": "valid", "contact": ["mailto:ops@site.test"], "orders": format!("{url}/orders") });
    assert_eq!(object, expected, "ACC-1, ACC-4");

    for again in [json!({ "contact": ["tel:+1"] }), json!({}), only] {
        let known = new_account(client, &key, &again).await.expect("ACC-2", 200, "");
        assert_eq!((known.location(), known.json()), (url.clone(), object.clone()), "ACC-2: {again}");
    }

    let key = Key::new();
    let all =
        futures_util::future::join_all((0..8).map(|_| async { new_account(client, &key, &json!({})).await })).await;
    let made = all.iter().filter(|answer| answer.status == 201).count();
    assert_eq!((made, all.iter().filter(|answer| answer.status == 200).count()), (1, 7), "ACC-2: many at once");
    assert!(all.iter().all(|answer| answer.location() == all[0].location()), "ACC-2: many at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn acc_5_and_7_contacts() {
    let world = World::shared().await;
    let account = world.account().await;
    let many: Vec<String> = (0..11).map(|number| format!("mailto:a{number}@site.test")).collect();
    for (contacts, problem) in [
        (json!(["tel:+4912345"]), "unsupportedContact"),
        (json!(["https://site.test/"]), "unsupportedContact"),
        (json!(["ops@site.test"]), "invalidContact"),
        (json!(["mailto:"]), "invalidContact"),
        (json!(["mailto:a@site.test,b@site.test"]), "invalidContact"),
        (json!(["mailto:a@site.test?subject=x"]), "invalidContact"),
        (json!(["mailto:a@site.test\r\nBcc: b@site.test"]), "invalidContact"),
        (json!([format!("mailto:{}@site.test", "a".repeat(400))]), "invalidContact"),
        (json!(many), "invalidContact"),
        (json!("mailto:a@site.test"), "malformed"),
        (json!([1]), "malformed"),
    ] {
        let sent = json!({ "contact": contacts });
        account.post(&account.url, &sent).await.expect(&format!("ACC-5: {contacts}"), 400, problem);
        new_account(&world.client, &Key::new(), &sent).await.expect(&format!("ACC-5: {contacts}"), 400, problem);
    }
    for (sent, expected) in [
        (json!({ "contact": ["mailto:a@site.test"] }), json!(["mailto:a@site.test"])),
        (json!({ "status": "revoked", "key": 1, "orders": "x" }), json!(["mailto:a@site.test"])),
        (json!({ "contact": [] }), Value::Null),
    ] {
        let answer = account.post(&account.url, &sent).await.expect("ACC-7", 200, "");
        assert_eq!(
            (&answer.json()["contact"], &answer.json()["status"]),
            (&expected, &json!("valid")),
            "ACC-7: {sent}"
        );
        assert_eq!(account.get(&account.url).await.json(), answer.json(), "ACC-7: {sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acc_8_and_jws_9_a_deactivated_account_is_over() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let order = world.ready(&account, &[&name]).await;
    let answer = account.post(&account.url, &json!({ "status": "deactivated" })).await.expect("ACC-8", 200, "");
    assert_eq!(answer.json()["status"], "deactivated", "ACC-7");
    for (what, answer) in [
        ("read", account.get(&account.url).await),
        ("order", account.post(&world.client.url("newOrder"), &json!({ "identifiers": identifiers(&[&name]) })).await),
        (
            "finalize",
            order.finalize(&account, &crate::world::csr(&[&name], &rcgen::KeyPair::generate().unwrap())).await,
        ),
        ("come back", account.post(&account.url, &json!({ "status": "valid" })).await),
        ("newAccount", new_account(&world.client, &account.key, &json!({})).await),
        ("find", new_account(&world.client, &account.key, &json!({ "onlyReturnExisting": true })).await),
    ] {
        answer.expect(&format!("JWS-9: {what}"), 401, "unauthorized");
    }
}

/// The inner JWS of keyChange.
struct Change<'a> {
    by: (&'a str, Value),
    nonce: Option<&'a str>,
    url: String,
    payload: Value,
    signer: &'a Key,
}

impl Change<'_> {
    fn sign(&self) -> Value {
        let mut jws = Jws::new(self.by.clone(), self.nonce.unwrap_or_default(), &self.url, &self.payload.to_string());
        if self.nonce.is_none() {
            jws.protected.remove("nonce");
        }
        jws.sign(self.signer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acc_9_key_change_takes_nine_checks() {
    let world = World::shared().await;
    let (mut account, other, name) = (world.account().await, world.account().await, fresh_name());
    let order = world.ready(&account, &[&name]).await;
    let (url, new) = (world.client.url("keyChange"), Key::new());
    let good = || Change {
        by: ("jwk", new.jwk()),
        nonce: None,
        url: url.clone(),
        payload: json!({ "account": account.url, "oldKey": account.key.jwk() }),
        signer: &new,
    };
    let payload = |account: &str, key: &Key| json!({ "account": account, "oldKey": key.jwk() });
    let weak = json!({ "kty": "RSA", "n": b64_of(0xc5, 128), "e": "AQAB" });
    for (what, change, status, problem) in [
        ("kid inside", Change { by: ("kid", account.url.clone().into()), ..good() }, 400, "malformed"),
        ("a nonce inside", Change { nonce: Some("AAAA"), ..good() }, 400, "malformed"),
        ("another URL inside", Change { url: world.client.url("newAccount"), ..good() }, 400, "malformed"),
        ("another signer", Change { signer: &account.key, ..good() }, 400, "malformed"),
        ("another account", Change { payload: payload(&other.url, &account.key), ..good() }, 400, "malformed"),
        ("another old key", Change { payload: payload(&account.url, &other.key), ..good() }, 400, "malformed"),
        ("no old key", Change { payload: json!({ "account": account.url }), ..good() }, 400, "malformed"),
        ("no object", Change { payload: json!([account.url, account.key.jwk()]), ..good() }, 400, "malformed"),
        ("a weak key", Change { by: ("jwk", weak), ..good() }, 400, "badPublicKey"),
    ] {
        account.post(&url, &change.sign()).await.expect(&format!("ACC-9: {what}"), status, problem);
    }
    for (what, key, holder) in [("another's", &other.key, &other.url), ("its own", &account.key, &account.url)] {
        let taken = Change { by: ("jwk", key.jwk()), signer: key, ..good() };
        let answer = account.post(&url, &taken.sign()).await.expect(&format!("ACC-9: {what} key"), 409, "malformed");
        assert_eq!(answer.location(), *holder, "ACC-9: {what} key");
    }
    account.get(&account.url).await.expect("ACC-9: nothing has changed", 200, "");

    let change = good().sign();
    account.post(&url, &change).await.expect("ACC-9", 200, "");
    account.get(&account.url).await.expect("ACC-9: the old key is dead", 400, "malformed");
    account.key = new;
    account.get(&account.url).await.expect("ACC-9: the URL stays", 200, "");
    assert_eq!(order.read(&account).await["status"], "ready", "ACC-9: orders stay");
}

fn b64_of(byte: u8, count: usize) -> String {
    tests::acme_raw::b64(vec![byte; count])
}

#[tokio::test(flavor = "multi_thread")]
async fn acc_9_of_many_key_changes_to_one_key_one_wins() {
    let world = World::shared().await;
    let (url, new) = (world.client.url("keyChange"), Key::new());
    let accounts = futures_util::future::join_all((0..4).map(|_| world.account())).await;
    let change = async |account: &Account| {
        let payload = json!({ "account": account.url, "oldKey": account.key.jwk() });
        let inner = Change { by: ("jwk", new.jwk()), nonce: None, url: url.clone(), payload, signer: &new };
        account.post(&url, &inner.sign()).await
    };
    let all = futures_util::future::join_all(accounts.iter().map(change)).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1, "ACC-9");
    assert_eq!(all.iter().filter(|answer| answer.status == 409).count(), 3, "ACC-9");
}

#[tokio::test(flavor = "multi_thread")]
async fn acc_12_the_list_of_orders_leaves_out_what_is_invalid() {
    let world = World::shared().await;
    let (account, other) = (world.account().await, world.account().await);
    let list = format!("{}/orders", account.url);
    assert_eq!(account.get(&list).await.expect("ACC-12", 200, "").json(), json!({ "orders": [] }));
    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.push(world.order(&account, &[&fresh_name()]).await);
    }
    world.order(&other, &[&fresh_name()]).await;
    let dead = expected.remove(1);
    account.post(&dead.authorizations()[0], &json!({ "status": "deactivated" })).await.expect("AUZ-5", 200, "");
    let expected: Vec<String> = expected.into_iter().map(|order| order.url).collect();
    let answer = account.get(&list).await;
    assert_eq!(answer.json(), json!({ "orders": expected }), "ACC-12");
    assert!(!answer.all("link").iter().any(|link| link.contains("next")), "ACC-12");
    let base = world.client.base();
    let id = expected[0].rsplit('/').next().unwrap();
    let rest = account.get(&format!("{base}{}?cursor={id}", list.trim_start_matches(&base))).await;
    assert_eq!(rest.expect("ACC-12: a page", 200, "").json(), json!({ "orders": expected[1..] }));
    for query in ["?cursor=x", "?cursor=a&cursor=b", "?cursor=%ff"] {
        account.get(&format!("{list}{query}")).await.expect(&format!("ACC-12: {query}"), 404, "malformed");
    }
}
