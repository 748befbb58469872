//! DIR, NON, HTP, ERR: what does not depend on who asks.

use serde_json::{Value, json};
use tests::acme_raw::{Jws, b64};

use crate::world::{World, fresh_name, identifiers};

#[tokio::test(flavor = "multi_thread")]
async fn dir_1_to_3_the_directory_names_what_there_is_and_nothing_else() {
    let world = World::shared().await;
    let (client, base) = (&world.client, world.client.base());
    let directory = &client.directory;
    let mut names: Vec<&String> = directory.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        ["keyChange", "meta", "newAccount", "newNonce", "newOrder", "renewalInfo", "revokeCert"],
        "DIR-1"
    );
    for (name, url) in directory.as_object().unwrap().iter().filter(|(name, _)| *name != "meta") {
        assert!(url.as_str().is_some_and(|url| url.starts_with(&format!("{base}/acme/"))), "HTP-1: {name}: {url}");
    }
    let meta = directory["meta"].as_object().unwrap();
    assert_eq!(meta.keys().collect::<Vec<_>>(), ["profiles"], "DIR-2");
    assert!(meta["profiles"].as_object().unwrap().values().all(Value::is_string), "DIR-2");

    let fixed = client.request("GET", "/acme/p/server/directory", &[], b"").await.json();
    assert_eq!(fixed["newOrder"], format!("{base}/acme/p/server/new-order"), "DIR-3");
    assert_eq!(fixed["newAccount"], directory["newAccount"], "DIR-3: accounts live once");
    let account = world.account().await;
    for url in ["/acme/directory", "/acme/p/server/directory"] {
        account.get(&format!("{base}{url}")).await.expect("HTP-5: POST-as-GET", 200, "");
    }
    let name = fresh_name();
    let order = json!({ "identifiers": identifiers(&[&name]), "profile": "wild" });
    let url = fixed["newOrder"].as_str().unwrap();
    account.post(url, &order).await.expect("DIR-3: another profile", 400, "invalidProfile");
    let order = json!({ "identifiers": identifiers(&[&name]) });
    assert_eq!(account.post(url, &order).await.expect("DIR-3", 201, "").json()["profile"], "server");
}

#[tokio::test(flavor = "multi_thread")]
async fn non_1_to_5_and_jws_12_nonces_are_everywhere_and_work_once() {
    let world = World::shared().await;
    let (client, account) = (&world.client, world.account().await);
    let url = client.url("newNonce");
    for (method, status) in [("HEAD", 200), ("GET", 204)] {
        let answer = client.request(method, &url, &[], b"").await.expect("NON-1", status, "");
        assert!(answer.body.is_empty(), "NON-1");
    }
    account.get(&url).await.expect("HTP-5", 204, "");

    let first = account.jws(&account.url, "").await.sign(&account.key);
    client.post(&account.url, &first).await.expect("NON-5: first use", 200, "");
    // not by `post`, which would hand the fresh nonce to whoever else shares this client
    let (jose, first) = ([("Content-Type", "application/jose+json")], first.to_string());
    let again = client.request("POST", &account.url, &jose, first.as_bytes()).await;
    let again = again.expect("NON-5: second use", 400, "badNonce");
    let text = again.json()["detail"].as_str().unwrap().to_owned();
    assert!(text.contains("JWS has an invalid anti-replay nonce"), "NON-4: {text}");
    let fresh = again.header("replay-nonce").unwrap();
    let retry = Jws::new(("kid", account.url.clone().into()), fresh, &account.url, "");
    client.post(&account.url, &retry.sign(&account.key)).await.expect("NON-3: the nonce of a badNonce", 200, "");

    let spent = account.jws(&client.url("newOrder"), "not JSON").await.sign(&account.key);
    client.post(&client.url("newOrder"), &spent).await.expect("NON-5: fails later", 400, "malformed");
    client.post(&client.url("newOrder"), &spent).await.expect("NON-5: and stays spent", 400, "badNonce");

    let (mut forged, long) = (client.nonce().await, "A".repeat(600));
    forged.replace_range(20..21, if &forged[20..21] == "A" { "B" } else { "A" });
    for (nonce, problem) in [
        ("AAAA", "badNonce"),
        (&b64([7; 36]), "badNonce"),
        (forged.as_str(), "badNonce"),
        ("not base64", "malformed"),
        ("AAA=", "malformed"),
        ("+/+/", "malformed"),
        ("", "malformed"),
        (long.as_str(), "malformed"),
    ] {
        let jws = Jws::new(("kid", account.url.clone().into()), nonce, &account.url, "");
        client.post(&account.url, &jws.sign(&account.key)).await.expect(&format!("NON-3: {nonce}"), 400, problem);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn non_5_a_nonce_is_spent_once_by_many_at_the_same_time() {
    let world = World::shared().await;
    let account = world.account().await;
    let body = account.jws(&account.url, "").await.sign(&account.key);
    let all = futures_util::future::join_all((0..16).map(|_| world.client.post(&account.url, &body))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(all.iter().all(|answer| answer.status == 200 || answer.problem() == "badNonce"));
}

/// HTP-4, HTP-5 and ERR-4; that each of these answers has its nonce, its link and its problem document is checked for
/// all answers.
#[tokio::test(flavor = "multi_thread")]
async fn htp_4_5_and_err_4_requests_that_no_handler_sees() {
    const JOSE: &str = "application/jose+json";
    let world = World::shared().await;
    let (client, account) = (&world.client, world.account().await);
    let large = vec![b'x'; 60 * 1024];
    let no_such = format!("/acme/order/{}", "0".repeat(32));
    for (method, path, content_type, body, status) in [
        ("POST", "/acme/new-order", "application/json", &b"{}"[..], 415),
        ("POST", "/acme/new-order", "", b"{}", 415),
        ("POST", "/acme/new-order", "application/jose+json; charset=utf-8", b"{}", 415),
        ("POST", "/acme/new-order", "Application/JOSE+json", b"{}", 400),
        ("POST", "/acme/new-order", JOSE, &large, 413),
        ("POST", "/acme/new-order", JOSE, b"", 400),
        ("POST", "/acme/nothing/here", JOSE, b"{}", 404),
        ("POST", "/acme/", JOSE, b"{}", 404),
        ("POST", "/acme/order/%ff", JOSE, b"{}", 404),
        ("POST", "/acme/p/%ff/new-order", JOSE, b"{}", 404),
        ("POST", &no_such, JOSE, b"{}", 400),
        ("GET", "/acme/nothing", "", b"", 404),
        ("GET", "/acme/p/nothing/directory", "", b"", 404),
        ("GET", "/acme/new-account", "", b"", 405),
        ("GET", "/acme/new-order", "", b"", 405),
        ("GET", "/acme/revoke-cert", "", b"", 405),
        ("GET", "/acme/key-change", "", b"", 405),
        ("GET", &no_such, "", b"", 405),
        ("HEAD", "/acme/new-order", "", b"", 405),
        ("PUT", "/acme/new-order", JOSE, b"{}", 405),
        ("DELETE", "/acme/directory", "", b"", 405),
        ("PATCH", "/acme/new-nonce", "", b"", 405),
    ] {
        let headers = if content_type.is_empty() { vec![] } else { vec![("Content-Type", content_type)] };
        let answer = client.request(method, path, &headers, body).await;
        assert_eq!(answer.status, status, "{method} {path} {content_type}: {answer}");
        if method != "HEAD" {
            assert_eq!(answer.problem(), "malformed", "{method} {path}");
        }
        assert_eq!(answer.header("allow").is_some(), status == 405, "RFC 9110 15.5.6: {method} {path}: {answer}");
    }
    for resource in [account.url.clone(), format!("{}/orders", account.url)] {
        client.request("GET", &resource, &[], b"").await.expect("HTP-5", 405, "malformed");
        client.request("GET", &resource, &[("Content-Type", JOSE)], b"").await.expect("HTP-5", 405, "malformed");
    }
    let acme_tiny = [("Content-Type", JOSE), ("User-Agent", "acme-tiny")];
    client.request("GET", "/acme/directory", &acme_tiny, b"").await.expect("HTP-4: acme-tiny", 200, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn err_1_a_problem_is_found_again_in_the_log() {
    let world = World::shared().await;
    let account = world.account().await;
    let answer = account.post(&world.client.url("newOrder"), &json!({ "identifiers": [] })).await;
    let problem = answer.expect("ORD-4", 400, "malformed").json();
    let id = problem["requestId"].as_str().unwrap().to_owned();
    assert!(world.ca.log().contains(&id), "ERR-1");
    let odd = json!({ "identifiers": [{ "type": "dns", "value": "a\nb\u{7}\u{1b}[31m" }] });
    account.post(&world.client.url("newOrder"), &odd).await.expect("ERR-1: one line", 400, "malformed");
}

/// That an answer keeps HTP-2, HTP-3, HTP-6, HTP-10, HTP-11, NON-2 and ERR-1 is checked by the client for each one; here it
/// gets one of every kind.
#[tokio::test(flavor = "multi_thread")]
async fn htp_2_3_6_and_9_to_11_every_kind_of_answer_keeps_the_rules() {
    let world = World::shared().await;
    let (client, account, name) = (&world.client, world.account().await, fresh_name());
    let bare = client.request("GET", "/acme/directory", &[("User-Agent", "")], b"").await;
    bare.expect("HTP-9: without User-Agent", 200, "");
    let issued = world.issue(&account, &[&name]).await;
    let order = world.order(&account, &[&fresh_name()]).await;
    let authorization = account.get(&order.authorizations()[0]).await.expect("AUZ", 200, "").json();
    let challenge = authorization["challenges"][0]["url"].as_str().unwrap().to_owned();
    let orders = format!("{}/orders", account.url);
    for url in [&account.url, &orders, &order.url, &order.authorizations()[0], &challenge, &issued.url] {
        account.get(url).await.expect("HTP-3", 200, "");
        let wrong = account.post(url, &json!([])).await;
        assert!(wrong.status == 400, "HTP-11: {wrong}");
    }
    for resource in ["newAccount", "newOrder", "revokeCert", "keyChange"] {
        let refused = account.post(&client.url(resource), &json!([])).await;
        assert!(refused.status == 400, "HTP-11: {resource}: {refused}");
    }
}

/// HTP-8: what is somebody else's reads like what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn htp_8_foreign_and_absent_resources_look_alike() {
    let world = World::shared().await;
    let (owner, stranger) = (world.account().await, world.account().await);
    let issued = world.issue(&owner, &[&fresh_name()]).await;
    let authorization = issued.order.authorizations()[0].clone();
    let challenge = crate::world::Challenge::of(&owner, &authorization).await.url;
    for url in [&issued.order.url, &authorization, &challenge, &issued.url, &owner.url] {
        let (kind, _) = url.rsplit_once('/').unwrap();
        let absent = stranger.get(&format!("{kind}/{}", "0".repeat(32))).await;
        let foreign = stranger.get(url).await;
        let story = |answer: &tests::acme_raw::Answer| {
            let mut problem = answer.json();
            problem.as_object_mut().unwrap().remove("requestId");
            (answer.status, problem)
        };
        assert_eq!(story(&foreign), story(&absent), "HTP-8: {url}");
        assert_eq!(foreign.status, 404, "HTP-8, JWS-14: {url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn non_7_nonces_that_nobody_uses_cost_nothing() {
    let world = World::shared().await;
    let (client, account) = (&world.client, world.account().await);
    let first = client.nonce().await;
    for _ in 0..2000 {
        client.request("HEAD", &client.url("newNonce"), &[], b"").await.expect("NON-1", 200, "");
    }
    let jws = Jws::new(("kid", account.url.clone().into()), &first, &account.url, "");
    client.post(&account.url, &jws.sign(&account.key)).await.expect("NON-7: the first still works", 200, "");
}

/// ERR-2 and ERR-3: 409 says "look there", so it comes with a place or as `alreadyReplaced`, and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn err_3_a_conflict_names_its_place() {
    let world = World::shared().await;
    let (account, other) = (world.account().await, world.account().await);
    let url = world.client.url("keyChange");
    let payload = json!({ "account": account.url, "oldKey": account.key.jwk() });
    let mut inner = Jws::new(("jwk", other.key.jwk()), "", &url, &payload.to_string());
    inner.protected.remove("nonce");
    let taken = account.post(&url, &inner.sign(&other.key)).await.expect("ACC-9", 409, "malformed");
    assert_eq!(taken.location(), other.url, "ERR-3");
}
