//! ACC-10 and ACC-11, external account binding, on a CA that wants it; and the guard, on a CA that is asked to look at
//! itself.

use serde_json::{Value, json};
use tests::acme_raw::{Key, new_account};
use tests::external_account::External;

use crate::world::{Challenge, World};

#[tokio::test(flavor = "multi_thread")]
async fn acc_10_and_11_external_account_binding() {
    let world = World::start(&[]).await;
    let (client, ca, url) = (&world.client, &world.ca, world.client.url("newAccount"));
    assert_eq!(client.directory["meta"]["externalAccountRequired"], true, "DIR-2");
    new_account(client, &Key::new(), &json!({})).await.expect("ACC-10: none", 403, "externalAccountRequired");

    let (external, key, other) = (External::create(ca).await, Key::new(), Key::new());
    let jwk = key.jwk();
    let no_change = |_: &mut Value| ();
    let stranger = External { kid: "0".repeat(32), secret: external.secret.clone() };
    let guessed = External { kid: external.kid.clone(), secret: vec![7; 32] };
    let mut cut = external.bind(&url, &jwk, no_change);
    cut["externalAccountBinding"].as_object_mut().unwrap().remove("signature");
    for (what, sent, status, problem) in [
        ("no object", json!({ "externalAccountBinding": "x" }), 400, "malformed"),
        ("no signature", cut, 400, "malformed"),
        ("a nonce", external.bind(&url, &jwk, |header| header["nonce"] = "AAAA".into()), 400, "malformed"),
        ("another URL", external.bind(&client.url("newOrder"), &jwk, no_change), 400, "malformed"),
        ("no URL", external.bind(&url, &jwk, |header| header["url"] = Value::Null), 400, "malformed"),
        ("another key", external.bind(&url, &other.jwk(), no_change), 400, "malformed"),
        ("ES256", external.bind(&url, &jwk, |header| header["alg"] = "ES256".into()), 400, "malformed"),
        ("none", external.bind(&url, &jwk, |header| header["alg"] = "none".into()), 400, "malformed"),
        ("HS1", external.bind(&url, &jwk, |header| header["alg"] = "HS1".into()), 400, "malformed"),
        ("a wrong MAC", guessed.bind(&url, &jwk, no_change), 403, "unauthorized"),
        ("an unknown kid", stranger.bind(&url, &jwk, no_change), 403, "unauthorized"),
        (
            "a kid that is none",
            External { kid: "x/../y".into(), ..stranger }.bind(&url, &jwk, no_change),
            403,
            "unauthorized",
        ),
    ] {
        new_account(client, &key, &sent).await.expect(&format!("ACC-10: {what}"), status, problem);
    }

    let sent = external.bind(&url, &jwk, no_change);
    let made = new_account(client, &key, &sent).await.expect("ACC-10", 201, "");
    assert_eq!(made.json()["externalAccountBinding"], sent["externalAccountBinding"], "ACC-10: reflected");
    let again = new_account(client, &key, &sent).await.expect("ACC-10: the same again", 200, "");
    assert_eq!(again.location(), made.location());
    new_account(client, &key, &json!({})).await.expect("ACC-2", 200, "");
    let second = External::create(ca).await;
    let sent = second.bind(&url, &jwk, no_change);
    new_account(client, &key, &sent).await.expect("ACC-10: bound otherwise", 403, "unauthorized");

    let stolen = external.bind(&url, &other.jwk(), no_change);
    new_account(client, &other, &stolen).await.expect("ACC-10: a used key", 403, "unauthorized");
    let events = ca.json(&["audit", "list", "--limit", "1000"]).await;
    assert!(
        events.as_array().unwrap().iter().any(|event| event["action"] == "enrolment.conflict"),
        "ACC-10: {events:#}"
    );

    ca.command(&["eab", "revoke", &second.kid]).await.success();
    let sent = second.bind(&url, &other.jwk(), no_change);
    new_account(client, &other, &sent).await.expect("ACC-10: withdrawn", 403, "unauthorized");
    for algorithm in ["HS384", "HS512"] {
        let (external, key) = (External::create(ca).await, Key::new());
        let sent = external.bind(&url, &key.jwk(), |header| header["alg"] = algorithm.into());
        new_account(client, &key, &sent).await.expect(&format!("ACC-10: {algorithm}"), 201, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acc_10_of_many_keys_with_one_binding_one_is_bound() {
    let world = World::start(&[]).await;
    let (url, external) = (world.client.url("newAccount"), External::create(&world.ca).await);
    let register = async |_: usize| {
        let key = Key::new();
        new_account(&world.client, &key, &external.bind(&url, &key.jwk(), |_| ())).await
    };
    let all = futures_util::future::join_all((0..6).map(register)).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1, "ACC-10");
    // Whoever came between look and commit is told to come again, and then learns that it is used up.
    let refused = all.iter().filter(|answer| answer.status == 403 || answer.status == 503).count();
    assert_eq!(refused, 5, "ACC-10: {all:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn acc_10_an_unbound_account_is_not_bound_later() {
    let world = World::shared().await;
    let (account, external) = (world.account().await, External::create(&world.ca).await);
    let sent = external.bind(&world.client.url("newAccount"), &account.key.jwk(), |_| ());
    new_account(&world.client, &account.key, &sent).await.expect("ACC-10", 403, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn val_4_the_ca_is_not_made_to_look_at_itself() {
    let world = World::start_configured(&["--open-acme"], |config| {
        let public = config["listen"]["public"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        config["listen"]["public"] = format!("0.0.0.0:{public}").into();
        config["validation"]["http_port"] = public.parse::<i64>().unwrap().into();
    })
    .await;
    let account = world.account().await;
    for name in ["127.0.0.1", "127.1.2.3", "self.localhost"] {
        let order = world.order(&account, &[name]).await;
        let challenge = Challenge::of(&account, &order.authorizations()[0]).await;
        account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
        let error = challenge.decided(&account).await["error"].clone();
        assert!(error["type"].as_str().unwrap().ends_with(":connection"), "VAL-4: {error:#}");
        assert!(error["detail"].as_str().unwrap().contains("own listeners"), "VAL-4: {error:#}");
    }
}
