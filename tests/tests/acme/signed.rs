//! JWS: the form of requests, and who may sign what.

use serde_json::{Map, Value, json};
use tests::acme_raw::{Account, Jws, Key, b64, new_account, sign_text};

use crate::world::{World, fresh_name, identifiers};

type Header = Map<String, Value>;
type HeaderRow<'a> = (&'a str, Box<dyn FnOnce(&mut Header)>, u16, &'a str);
type BodyRow<'a> = (&'a str, Box<dyn FnOnce(&mut Value)>);

/// A newOrder request of this account, with a header that was changed before it was signed.
async fn changed(account: &Account, name: &str, change: impl FnOnce(&mut Header)) -> Value {
    let payload = json!({ "identifiers": identifiers(&[name]) }).to_string();
    let mut jws = account.jws(&account.client.url("newOrder"), &payload).await;
    change(&mut jws.protected);
    jws.sign(&account.key)
}

#[tokio::test(flavor = "multi_thread")]
async fn jws_3_to_5_and_8_to_10_headers_that_are_signed_and_wrong() {
    let world = World::shared().await;
    let (account, other, name) = (world.account().await, world.account().await, fresh_name());
    let (jwk, base, url) = (account.key.jwk(), world.client.base(), world.client.url("newOrder"));
    let set = |name: &'static str, value: Value| -> Box<dyn FnOnce(&mut Header)> {
        Box::new(move |header| drop(header.insert(name.to_owned(), value)))
    };
    let without =
        |name: &'static str| -> Box<dyn FnOnce(&mut Header)> { Box::new(move |header| drop(header.remove(name))) };
    let by_key = |key: Value| -> Box<dyn FnOnce(&mut Header)> {
        Box::new(move |header| {
            header.remove("kid");
            header.insert("jwk".into(), key);
        })
    };
    let unknown = format!("{base}/acme/account/{}", "0".repeat(32));
    let rows: Vec<HeaderRow<'_>> = vec![
        ("JWS-3: as it should be", Box::new(|_| ()), 201, ""),
        ("JWS-3: unknown members", set("typ", "JWT".into()), 201, ""),
        ("JWS-3: no alg", without("alg"), 400, "malformed"),
        ("JWS-3: no nonce", without("nonce"), 400, "malformed"),
        ("JWS-3: no url", without("url"), 400, "malformed"),
        ("JWS-3: neither kid nor jwk", without("kid"), 400, "malformed"),
        ("JWS-3: both", set("jwk", jwk.clone()), 400, "malformed"),
        ("JWS-3: crit", set("crit", json!(["exp"])), 400, "malformed"),
        ("JWS-3: b64", set("b64", json!(false)), 400, "malformed"),
        ("JWS-3: alg is no text", set("alg", json!(1)), 400, "malformed"),
        ("JWS-3: kid is no text", set("kid", json!({})), 400, "malformed"),
        ("JWS-4: none", set("alg", "none".into()), 400, "badSignatureAlgorithm"),
        ("JWS-4: HS256", set("alg", "HS256".into()), 400, "badSignatureAlgorithm"),
        ("JWS-4: RS1", set("alg", "RS1".into()), 400, "badSignatureAlgorithm"),
        ("JWS-4: ES256K", set("alg", "ES256K".into()), 400, "badSignatureAlgorithm"),
        ("JWS-5: ES384 by P-256", set("alg", "ES384".into()), 400, "badPublicKey"),
        ("JWS-5: RS256 by P-256", set("alg", "RS256".into()), 400, "badPublicKey"),
        ("JWS-8: jwk where kid belongs", by_key(jwk), 400, "malformed"),
        ("JWS-9: no such account", set("kid", unknown.into()), 400, "accountDoesNotExist"),
        (
            "JWS-9: another CA",
            set("kid", account.url.replace("localhost", "other.test").into()),
            400,
            "accountDoesNotExist",
        ),
        ("JWS-9: a path only", set("kid", account.url.replace(&base, "").into()), 400, "accountDoesNotExist"),
        ("JWS-9: with a slash", set("kid", format!("{}/", account.url).into()), 400, "accountDoesNotExist"),
        ("JWS-11: another's kid", set("kid", other.url.clone().into()), 400, "malformed"),
        ("JWS-10: another resource", set("url", world.client.url("newAccount").into()), 403, "unauthorized"),
        ("JWS-10: another scheme", set("url", url.replace("https:", "http:").into()), 403, "unauthorized"),
        ("JWS-10: another host", set("url", url.replace("localhost", "other.test").into()), 403, "unauthorized"),
        ("JWS-10: a query", set("url", format!("{url}?x=1").into()), 403, "unauthorized"),
        ("JWS-10: upper case", set("url", url.to_uppercase().into()), 403, "unauthorized"),
    ];
    for (what, change, status, problem) in rows {
        let body = changed(&account, &name, change).await;
        let answer = world.client.post(&url, &body).await.expect(what, status, problem);
        if problem == "badSignatureAlgorithm" {
            let algorithms = answer.json()["algorithms"].as_array().unwrap().clone();
            assert!(algorithms.contains(&json!("ES256")), "{what}: {algorithms:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jws_1_2_6_and_11_bodies_that_were_changed_after_signing() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let url = world.client.url("newOrder");
    let set = |name: &'static str, value: Value| move |body: &mut Value| body[name] = value;
    let text = |name: &'static str, change: fn(&str) -> String| {
        move |body: &mut Value| body[name] = change(body[name].as_str().unwrap()).into()
    };
    let rows: Vec<BodyRow<'_>> = vec![
        ("JWS-1: no signature", Box::new(|body| drop(body.as_object_mut().unwrap().remove("signature")))),
        ("JWS-1: no payload", Box::new(|body| drop(body.as_object_mut().unwrap().remove("payload")))),
        ("JWS-1: no protected", Box::new(|body| drop(body.as_object_mut().unwrap().remove("protected")))),
        ("JWS-1: unprotected header", Box::new(set("header", json!({ "kid": "x" })))),
        ("JWS-1: signatures", Box::new(set("signatures", json!([])))),
        ("JWS-1: payload is an object", Box::new(set("payload", json!({})))),
        ("JWS-1: signature is null", Box::new(set("signature", Value::Null))),
        ("JWS-1: an array", Box::new(|body| *body = json!([body.clone()]))),
        ("JWS-2: padded", Box::new(text("signature", |text| format!("{text}==")))),
        ("JWS-2: white space", Box::new(text("protected", |text| format!("{text}\n")))),
        ("JWS-2: the other alphabet", Box::new(text("signature", |text| format!("+/{}", &text[2..])))),
        ("JWS-2: bits at the end", Box::new(text("signature", |text| format!("{}B", &text[..text.len() - 1])))),
        ("JWS-6: cut", Box::new(text("signature", |text| text[..84].to_owned()))),
        ("JWS-6: longer", Box::new(text("signature", |text| format!("{text}AA")))),
        ("JWS-6: empty", Box::new(text("signature", |_| String::new()))),
        ("JWS-6: zero", Box::new(text("signature", |_| b64([0; 64])))),
        (
            "JWS-11: flipped",
            Box::new(text("signature", |text| {
                format!("{}{}", if text.starts_with('A') { "B" } else { "A" }, &text[1..])
            })),
        ),
        ("JWS-11: another payload", Box::new(text("payload", |_| b64(r#"{"identifiers":[]}"#)))),
    ];
    for (what, change) in rows {
        let mut body = changed(&account, &name, |_| ()).await;
        change(&mut body);
        world.client.post(&url, &body).await.expect(what, 400, "malformed");
    }
    let mut body = changed(&account, &name, |_| ()).await;
    body["unknown"] = 1.into();
    world.client.post(&url, &body).await.expect("JWS-1: unknown members", 201, "");

    let header = Value::Object(account.jws(&url, "").await.protected).to_string();
    for (what, protected) in [
        ("JWS-2: a member twice", header.replace(r#"{"alg""#, r#"{"alg":"ES256","alg""#)),
        ("JWS-2: no object", "[]".to_owned()),
        ("JWS-2: no JSON", "x".to_owned()),
        ("JWS-2: two values", format!("{header}{header}")),
        ("JWS-2: deep", format!("{}{}", "[".repeat(5000), "]".repeat(5000))),
    ] {
        world.client.post(&url, &sign_text(&protected, "", &account.key)).await.expect(what, 400, "malformed");
    }
    for body in ["", "x", "{", "\u{feff}{}", "{}{}"] {
        world.client.post_bytes(&url, body.as_bytes()).await.expect("JWS-1: no JSON", 400, "malformed");
    }
    world.client.post_bytes(&url, b"\xff\xfe").await.expect("JWS-1: no text", 400, "malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn jws_5_7_and_8_keys_that_no_account_gets() {
    let world = World::shared().await;
    let (client, url) = (&world.client, world.client.url("newAccount"));
    let (key, other) = (Key::new(), Key::new());
    let with = |name: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk[name] = value;
        jwk
    };
    let rsa = |bits: usize, e: &str| json!({ "kty": "RSA", "n": b64(vec![0xc5; bits / 8]), "e": e });
    for (what, jwk, problem) in [
        ("JWS-5: alg of another kind", with("alg", "ES384".into()), "badPublicKey"),
        ("JWS-5: for encryption", with("use", "enc".into()), "badPublicKey"),
        ("JWS-7: private member", with("d", b64([1; 32]).into()), "badPublicKey"),
        ("JWS-7: not on the curve", with("y", other.jwk()["y"].clone()), "badPublicKey"),
        ("JWS-7: short coordinate", with("x", b64([1; 31]).into()), "malformed"),
        ("JWS-7: another curve", with("crv", "secp256k1".into()), "badPublicKey"),
        ("JWS-7: symmetric", json!({ "kty": "oct", "k": b64([1; 32]) }), "badPublicKey"),
        ("JWS-7: no kty", json!({}), "malformed"),
        ("JWS-7: no object", json!("key"), "malformed"),
        ("JWS-7: short RSA", rsa(1024, "AQAB"), "badPublicKey"),
        ("JWS-7: exponent 1", rsa(2048, "AQ"), "badPublicKey"),
        ("JWS-7: long RSA", rsa(16384, "AQAB"), "badPublicKey"),
    ] {
        let mut jws = Jws::new(("jwk", jwk.clone()), &client.nonce().await, &url, "{}");
        if jwk["kty"] == "RSA" {
            jws.protected.insert("alg".into(), "RS256".into());
        }
        client.post(&url, &jws.sign(&key)).await.expect(what, 400, problem);
    }
    let agreeing = Jws::new(("jwk", with("alg", "ES256".into())), &client.nonce().await, &url, "{}");
    client.post(&url, &agreeing.sign(&key)).await.expect("JWS-5: instant-acme sends alg", 201, "");
    let account = world.account().await;
    account.post(&url, &json!({})).await.expect("JWS-8: kid where jwk belongs", 400, "malformed");
    let foreign = Jws::new(("jwk", other.jwk()), &client.nonce().await, &url, "{}");
    client.post(&url, &foreign.sign(&key)).await.expect("JWS-11: another key signed", 400, "malformed");
    let none = new_account(client, &other, &json!({ "onlyReturnExisting": true })).await;
    none.expect("ACC-3: and made no account", 400, "accountDoesNotExist");
}

/// JWS-13: what is only read takes no payload, and where it is told to do something it takes an object.
#[tokio::test(flavor = "multi_thread")]
async fn jws_13_payloads() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let issued = world.issue(&account, &[&name]).await;
    for url in [&issued.order.url, &issued.url, &format!("{}/orders", account.url), &world.client.url("newNonce")] {
        account.post(url, &json!({})).await.expect(&format!("JWS-13: {url}"), 400, "malformed");
    }
    account.post(&account.url, &json!({})).await.expect("JWS-13: dehydrated reads its account so", 200, "");
    account.get(&account.url).await.expect("JWS-13", 200, "");
    let finalize = issued.order.object["finalize"].as_str().unwrap();
    let authorization = &issued.order.authorizations()[0];
    for resource in ["newOrder", "revokeCert", "keyChange"] {
        let url = world.client.url(resource);
        for payload in ["", "[]", "[[]]", "null", "1", "\"x\"", "{", "{}x", "\u{0}"] {
            account.post_text(&url, payload).await.expect(&format!("JWS-13: {resource} {payload}"), 400, "malformed");
        }
    }
    for (url, payload) in [(finalize, "[]"), (authorization, "[]"), (&account.url, "[]"), (&account.url, "[null]")] {
        account.post_text(url, payload).await.expect(&format!("JWS-13: {url} {payload}"), 400, "malformed");
    }
    let key = Key::new();
    for payload in ["[]", "", "null"] {
        let url = world.client.url("newAccount");
        let jws = Jws::new(("jwk", key.jwk()), &world.client.nonce().await, &url, payload);
        world.client.post(&url, &jws.sign(&key)).await.expect(
            &format!("JWS-13: newAccount {payload}"),
            400,
            "malformed",
        );
    }
}

/// JWS-14: what belongs to another account looks like what does not exist.
#[tokio::test(flavor = "multi_thread")]
async fn jws_14_only_the_owner_reaches_a_resource() {
    let world = World::shared().await;
    let (owner, other, name) = (world.account().await, world.account().await, fresh_name());
    let issued = world.issue(&owner, &[&name]).await;
    let authorization = issued.order.authorizations()[0].clone();
    let challenge = crate::world::Challenge::of(&owner, &authorization).await.url;
    let csr = json!({ "csr": b64(crate::world::csr(&[&name], &issued.key)) });
    let deactivate = json!({ "status": "deactivated" });
    let finalize = issued.order.object["finalize"].as_str().unwrap().to_owned();
    for (url, payload) in [
        (&issued.order.url, None),
        (&authorization, None),
        (&authorization, Some(&deactivate)),
        (&challenge, None),
        (&challenge, Some(&json!({}))),
        (&issued.url, None),
        (&finalize, Some(&csr)),
        (&owner.url, None),
        (&owner.url, Some(&deactivate)),
        (&format!("{}/orders", owner.url), None),
    ] {
        let id = url.trim_start_matches(&world.client.base()).split('/').nth(3).unwrap();
        let unknown = url.replace(id, &"0".repeat(32));
        let mut answers = Vec::new();
        for url in [url, &unknown] {
            let answer = match payload {
                None => other.get(url).await,
                Some(payload) => other.post(url, payload).await,
            };
            let mut problem = answer.expect(&format!("JWS-14: {url}"), 404, "malformed").json();
            problem["requestId"] = Value::Null;
            answers.push(problem);
        }
        assert_eq!(answers[0], answers[1], "HTP-8: {url}");
    }
    assert_eq!(owner.get(&authorization).await.json()["status"], "valid");
}
