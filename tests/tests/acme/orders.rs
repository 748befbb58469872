//! ORD, AUZ, CHL: from newOrder to ready.

use pki_core::time::Timestamp;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tests::acme_raw::Account;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::responder::Reply;
use crate::world::{Challenge, Order, World, csr, fresh_name, identifiers, leaf};

/// HTP-10: RFC 3339, UTC, `Z`, whole seconds.
#[track_caller]
fn must_be_a_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("HTP-10: {value}"));
    assert!(text.len() == 20 && text.ends_with('Z') && Timestamp::parse_rfc3339(text).is_some(), "HTP-10: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ord_1_to_3_an_order_as_clients_read_it() {
    let world = World::shared().await;
    let account = world.account().await;
    let (mixed, address) = (fresh_name().to_uppercase(), "127.0.1.7");
    let names = [mixed.as_str(), address, &mixed.to_lowercase()];
    let order = world.order(&account, &names).await;
    let members: Vec<&str> = order.object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["authorizations", "expires", "finalize", "identifiers", "profile", "status"], "ORD-1");
    assert_eq!(order.object["status"], "pending");
    assert_eq!(order.object["identifiers"], json!(identifiers(&names[..2])), "ORD-2: as sent, twins once");
    assert_eq!(order.authorizations().len(), 2, "ORD-3");
    must_be_a_time(&order.object["expires"]);
    assert_eq!(order.read(&account).await, order.object, "ORD-3: nothing moves");

    let authorization = account.get(&order.authorizations()[0]).await.expect("AUZ", 200, "");
    assert!(authorization.header("location").is_none(), "AUZ-4");
    let authorization = authorization.json();
    let members: Vec<&str> = authorization.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["challenges", "expires", "identifier", "status"], "AUZ-2");
    assert_eq!(authorization["identifier"], json!({ "type": "dns", "value": mixed.to_lowercase() }), "AUZ-2");
    must_be_a_time(&authorization["expires"]);
    assert!(order.object.get("error").is_none() && order.object.get("certificate").is_none(), "ORD-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn ord_2_names_in_upper_case_are_issued_in_lower_case() {
    let world = World::shared().await;
    let (account, mixed) = (world.account().await, fresh_name().to_uppercase());
    let order = world.ready(&account, &[&mixed]).await;
    let request = csr(&[&mixed.to_lowercase()], &KeyPair::generate().unwrap());
    let done = order.finalize(&account, &request).await.expect("ORD-2", 200, "").json();
    assert_eq!((&done["status"], &done["identifiers"]), (&json!("valid"), &json!(identifiers(&[&mixed]))), "ORD-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn ord_4_and_5_identifiers_that_are_refused() {
    let world = World::shared().await;
    let (account, url) = (world.account().await, world.client.url("newOrder"));
    let (long_label, long_name) = ("a".repeat(64), format!("{}localhost", "a.".repeat(130)));
    let wrong =
        ["", ".", "a..localhost", "a.localhost.", "-a.localhost", "a-.localhost", "a b.localhost", "ä.localhost"];
    let worse =
        ["xn--\u{e4}.localhost", "xn--0.localhost", "a.*.localhost", "*.*.localhost", "a*.localhost", "127.0.0.1"];
    let long = [format!("{long_label}.localhost"), long_name];
    for name in wrong.into_iter().chain(worse).chain(long.iter().map(String::as_str)) {
        let sent = json!({ "identifiers": [{ "type": "dns", "value": name }] });
        let problem = account.post(&url, &sent).await.expect(&format!("ORD-5: {name}"), 400, "malformed").json();
        assert_eq!(problem["subproblems"][0]["identifier"]["type"], "dns", "ORD-4: {name}");
        assert!(problem.get("identifier").is_none(), "ORD-4: {name}");
    }
    let addresses =
        ["127.1", "127.0.0.1.", "127.0.0.01", "127.0.0.1/32", "::ffff:127.0.0.1", "fe80::1%eth0", "[::1]", "a"];
    for address in addresses {
        let sent = json!({ "identifiers": [{ "type": "ip", "value": address }] });
        account.post(&url, &sent).await.expect(&format!("IPI-1: {address}"), 400, "malformed");
    }
    let many: Vec<Value> =
        (0..101).map(|number| json!({ "type": "dns", "value": format!("m{number}.localhost") })).collect();
    for (what, identifiers, problem) in [
        ("none", json!([]), "malformed"),
        ("too many", json!(many), "malformed"),
        ("no list", json!({ "type": "dns", "value": "a.localhost" }), "malformed"),
        ("no type", json!([{ "value": "a.localhost" }]), "malformed"),
        ("another type", json!([{ "type": "email", "value": "a@localhost" }]), "unsupportedIdentifier"),
        ("outside policy", json!(identifiers(&["a.example"])), "rejectedIdentifier"),
        ("outside policy", json!(identifiers(&["203.0.113.7"])), "rejectedIdentifier"),
        ("no wildcards here", json!(identifiers(&["*.localhost"])), "rejectedIdentifier"),
    ] {
        let answer = account.post(&url, &json!({ "identifiers": identifiers })).await;
        answer.expect(&format!("ORD-4: {what}"), 400, problem);
    }
    let mixed = json!({ "identifiers": [
        { "type": "dns", "value": "good.localhost" },
        { "type": "dns", "value": "bad..localhost" },
        { "type": "email", "value": "a@localhost" },
    ]});
    let problem = account.post(&url, &mixed).await.expect("ORD-4: several", 400, "compound").json();
    let at_fault: Vec<&Value> =
        problem["subproblems"].as_array().unwrap().iter().map(|sub| &sub["identifier"]["value"]).collect();
    assert_eq!(at_fault, ["bad..localhost", "a@localhost"], "ORD-4");
    for (profile, status, problem) in
        [("nothing", 400, "invalidProfile"), ("gateway", 400, "invalidProfile"), ("", 201, "")]
    {
        let sent = json!({ "identifiers": identifiers(&[&fresh_name()]), "profile": profile });
        account.post(&url, &sent).await.expect(&format!("PRO-1: {profile}"), status, problem);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ord_6_and_7_a_life_that_is_asked_for_is_given_or_refused() {
    const DAY: i64 = 86_400;
    let world = World::shared().await;
    let (account, url, name) = (world.account().await, world.client.url("newOrder"), fresh_name());
    world.ready(&account, &[&name]).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let text = |seconds: i64| Timestamp::from_unix_seconds(seconds).rfc3339();
    let order = |before: Option<String>, after: Option<String>| {
        let mut sent = json!({ "identifiers": identifiers(&[&name]) });
        before.into_iter().for_each(|before| sent["notBefore"] = before.into());
        after.into_iter().for_each(|after| sent["notAfter"] = after.into());
        sent
    };
    for (what, sent) in [
        ("an end in the past", order(None, Some(text(now - DAY)))),
        ("an end beyond the profile", order(None, Some(text(now + 31 * DAY)))),
        ("a beginning long ago", order(Some(text(now - DAY)), None)),
        ("a beginning too late", order(Some(text(now + 31 * DAY)), None)),
        ("an end before the beginning", order(Some(text(now + 2 * DAY)), Some(text(now + DAY)))),
        ("no time", order(None, Some("tomorrow".to_owned()))),
        ("no date", order(Some("2026-13-40T00:00:00Z".to_owned()), None)),
    ] {
        account.post(&url, &sent).await.expect(&format!("ORD-6: {what}"), 400, "malformed");
    }
    // what cert-manager asks for: now and the whole life, by a clock a little ahead
    for ahead in [0, 20] {
        let end = now + 30 * DAY + ahead;
        let whole = Order::new(&account, &order(None, Some(text(end)))).await;
        let request = csr(&[&name], &KeyPair::generate().unwrap());
        let done = whole.finalize(&account, &request).await.expect("ORD-6: the whole life", 200, "");
        let chain = account.get(done.json()["certificate"].as_str().unwrap()).await;
        let der = leaf(chain.text());
        let life = X509Certificate::from_der(&der).unwrap().1.validity().clone();
        assert_eq!((life.not_before.timestamp(), life.not_after.timestamp()), (end - 30 * DAY, end), "ORD-6");
    }
    let asked = order(Some(text(now + DAY)), Some(text(now + 2 * DAY)));
    let order = Order::new(&account, &asked).await;
    assert_eq!(
        (&order.object["notBefore"], &order.object["notAfter"]),
        (&asked["notBefore"], &asked["notAfter"]),
        "ORD-1"
    );
    assert_eq!(order.object["status"], "ready", "ORD-7: what was proven is used again");
    let done = order.finalize(&account, &csr(&[&name], &KeyPair::generate().unwrap())).await.expect("ORD-6", 200, "");
    let chain = account.get(done.json()["certificate"].as_str().unwrap()).await;
    let der = leaf(chain.text());
    let life = X509Certificate::from_der(&der).unwrap().1.validity().clone();
    assert_eq!((life.not_before.timestamp(), life.not_after.timestamp()), (now + DAY, now + 2 * DAY), "ORD-6");
}

#[tokio::test(flavor = "multi_thread")]
async fn auz_2_and_chl_7_and_8_wildcards_and_addresses() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let wild = json!({ "identifiers": identifiers(&[&format!("*.{name}"), &name]), "profile": "wild" });
    let order = Order::new(&account, &wild).await;
    assert_eq!(order.object["identifiers"], wild["identifiers"], "ORD-2");
    let mut seen = Vec::new();
    for url in order.authorizations() {
        let object = account.get(&url).await.json();
        assert_eq!(object["identifier"]["value"], name, "AUZ-2");
        let kinds: Vec<String> = object["challenges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["type"].as_str().unwrap().to_owned())
            .collect();
        seen.push((object.get("wildcard").cloned(), kinds.join(" ")));
    }
    let expected = [(Some(json!(true)), "dns-01".to_owned()), (None, "http-01 dns-01".to_owned())];
    assert_eq!(seen, expected, "AUZ-2, CHL-8");
    let order = world.order(&account, &["127.0.1.8"]).await;
    let object = account.get(&order.authorizations()[0]).await.json();
    assert_eq!(
        (&object["identifier"]["type"], &object["challenges"][0]["type"]),
        (&json!("ip"), &json!("http-01")),
        "CHL-8"
    );
    let kinds: Vec<&str> =
        object["challenges"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["http-01", "tls-alpn-01"], "CHL-8");
    let tokens: std::collections::BTreeSet<&str> =
        object["challenges"].as_array().unwrap().iter().map(|one| one["token"].as_str().unwrap()).collect();
    assert_eq!(tokens.len(), 2, "CHL-7: each has its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn auz_5_a_permission_is_given_up() {
    let world = World::shared().await;
    let (account, name, deactivated) = (world.account().await, fresh_name(), json!({ "status": "deactivated" }));
    let order = world.order(&account, &[&name, &fresh_name()]).await;
    let url = &order.authorizations()[1];
    for ignored in [json!({ "status": "valid" }), json!({ "expires": "x" }), json!({})] {
        assert_eq!(account.post(url, &ignored).await.expect("AUZ-5", 200, "").json()["status"], "pending", "AUZ-5");
    }
    for _ in 0..2 {
        let answer = account.post(url, &deactivated).await.expect("AUZ-5", 200, "");
        assert_eq!(answer.json()["status"], "deactivated", "AUZ-5");
    }
    let dead = order.read(&account).await;
    assert_eq!((&dead["status"], dead.get("error").is_some()), (&json!("invalid"), true), "AUZ-5: {dead:#}");
    let challenge = Challenge::of(&account, url).await;
    let answer = account.post(&challenge.url, &json!({})).await.expect("CHL-3: over", 200, "");
    assert_eq!(answer.json()["status"], "pending", "CHL-3: nobody looks at it any more");

    let order = world.ready(&account, &[&name]).await;
    account.post(&order.authorizations()[0], &deactivated).await.expect("AUZ-5", 200, "");
    let request = csr(&[&name], &KeyPair::generate().unwrap());
    let refused = order.finalize(&account, &request).await;
    assert!(refused.status == 403 && refused.problem() == "unauthorized", "AUZ-5: {refused}");
    assert_eq!(world.order(&account, &[&name]).await.object["status"], "pending", "AUZ-5: and it is not used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn chl_1_to_5_and_auz_3_and_4_a_challenge_from_pending_to_valid() {
    let world = World::shared().await;
    let account = world.account().await;
    let order = world.order(&account, &[&fresh_name()]).await;
    let authorization = &order.authorizations()[0];
    let challenge = Challenge::of(&account, authorization).await;
    assert!(challenge.token.len() >= 22, "CHL-7");
    world.responder.set(&challenge.token, Reply::Hold);
    let pending = account.get(&challenge.url).await.expect("CHL-2", 200, "");
    in_order(pending.text(), &["type", "url", "status", "token"]);
    for payload in ["[]", "1", "\"x\"", "null", "{", "x"] {
        account.post_text(&challenge.url, payload).await.expect(&format!("CHL-5: {payload}"), 400, "malformed");
    }
    assert_eq!(account.get(&challenge.url).await.json()["status"], "pending", "CHL-5: unchanged");
    assert!(account.get(authorization).await.header("retry-after").is_none(), "AUZ-4");

    for payload in [json!({}), json!({}), json!({ "keyAuthorization": "x", "resource": "challenge" })] {
        let answer = account.post(&challenge.url, &payload).await.expect("CHL-2", 200, "");
        assert_eq!(
            answer.json(),
            json!({
                "type": "http-01", "url": challenge.url, "status": "processing", "token": challenge.token,
            }),
            "CHL-2, CHL-3, CHL-6"
        );
        let up = format!("<{authorization}>;rel=\"up\"");
        assert!(answer.all("link").contains(&up.as_str()), "CHL-2: {answer}");
        assert!(answer.header("retry-after").is_some(), "CHL-2");
    }
    let running = account.get(authorization).await.expect("AUZ-4", 200, "");
    assert_eq!(
        (running.json()["status"].clone(), running.header("retry-after").is_some()),
        ("pending".into(), true),
        "AUZ-4"
    );
    let twins = (0..6).map(|_| async { account.post(&challenge.url, &json!({})).await });
    assert!(futures_util::future::join_all(twins).await.iter().all(|answer| answer.status == 200), "CHL-3");

    world
        .responder
        .set(&challenge.token, Reply::Body(format!("{}.{}\r\n \t", challenge.token, account.key.thumbprint())));
    let valid = challenge.decided(&account).await;
    assert_eq!(valid["status"], "valid", "CHL: {valid:#}");
    must_be_a_time(&valid["validated"]);
    let text = account.get(authorization).await;
    assert_eq!((&text.json()["status"], &text.json()["challenges"]), (&json!("valid"), &json!([valid])), "AUZ-3");
    assert!(!text.text().contains("pending") && !text.text().contains("error"), "AUZ-3: {text}");
    in_order(account.get(&challenge.url).await.text(), &["type", "url", "status", "token", "validated"]);
    assert_eq!(order.read(&account).await["status"], "ready", "0.4: at the same time");

    let again = account.post(&challenge.url, &json!({})).await.expect("CHL-3: final", 200, "");
    assert_eq!(again.json(), valid, "CHL-3: final");
    assert_eq!(world.responder.asked(&challenge.token), 1, "CHL-3: no second validation");
}

/// CHL-1: the order in which regular expressions expect members.
#[track_caller]
pub(crate) fn in_order(text: &str, names: &[&str]) {
    let places: Vec<usize> = names
        .iter()
        .map(|name| text.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("CHL-1: {name}: {text}")))
        .collect();
    assert!(places.is_sorted(), "CHL-1: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chl_3_many_responses_at_once_are_one_validation() {
    let world = World::shared().await;
    let account = world.account().await;
    let order = world.order(&account, &[&fresh_name()]).await;
    let challenge = world.answer(&account, &order.authorizations()[0]).await;
    let respond = async |account: &Account| account.post(&challenge.url, &json!({})).await;
    let all = futures_util::future::join_all((0..8).map(|_| respond(&account))).await;
    assert!(all.iter().all(|answer| answer.status == 200), "CHL-3: {all:#?}");
    assert_eq!(order.settled(&account).await["status"], "ready");
    assert_eq!(world.responder.asked(&challenge.token), 1, "CHL-3");
}

/// Two orders of one name: what was proven for one is used by the other, what is pending is never shared.
#[tokio::test(flavor = "multi_thread")]
async fn ord_7_valid_permissions_are_used_again_and_pending_ones_never() {
    let world = World::shared().await;
    let (account, other, name) = (world.account().await, world.account().await, fresh_name());
    let (one, two) = (world.order(&account, &[&name]).await, world.order(&account, &[&name]).await);
    assert_ne!(one.authorizations(), two.authorizations(), "ORD-7");
    account.post(&one.authorizations()[0], &json!({ "status": "deactivated" })).await.expect("AUZ-5", 200, "");
    assert_eq!(one.read(&account).await["status"], "invalid", "AUZ-5");
    assert_eq!(two.read(&account).await["status"], "pending", "ORD-7: the failure of one is not the other's");
    world.prove(&account, &two).await;
    let three = world.order(&account, &[&name]).await;
    assert_eq!((&three.object["status"], three.authorizations()), (&json!("ready"), two.authorizations()), "ORD-7");
    assert_eq!(world.order(&other, &[&name]).await.object["status"], "pending", "ORD-7: of the same account only");
    let wild = json!({ "identifiers": identifiers(&[&format!("*.{name}")]), "profile": "wild" });
    assert_eq!(
        Order::new(&account, &wild).await.object["status"],
        "pending",
        "ORD-7: wildcards are names of their own"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ord_11_and_acc_12_many_orders_at_once_are_all_listed_page_by_page() {
    let world = World::shared().await;
    let account = world.account().await;
    let names: Vec<String> = (0..105).map(|_| fresh_name()).collect();
    let mut made = Vec::new();
    for some in names.chunks(15) {
        let orders = some.iter().map(|name| async { world.order(&account, &[name]).await.url });
        made.extend(futures_util::future::join_all(orders).await);
    }
    let (mut listed, mut page) = (Vec::new(), Some(format!("{}/orders", account.url)));
    let mut pages = 0;
    while let Some(url) = page {
        let answer = account.get(&url).await.expect("ACC-12", 200, "");
        let urls = answer.json()["orders"].as_array().unwrap().clone();
        listed.extend(urls.iter().map(|url| url.as_str().unwrap().to_owned()));
        let next = answer.all("link").into_iter().find_map(|link| link.strip_suffix(">;rel=\"next\""));
        page = next.map(|link| link.trim_start_matches('<').to_owned());
        pages += 1;
    }
    assert_eq!(pages, 2, "ACC-12");
    made.sort();
    listed.sort();
    assert_eq!(listed, made, "ORD-11, ACC-12: each of them once");
}

/// HTP-12: some clients read an answer into one buffer of 16 kB.
#[tokio::test(flavor = "multi_thread")]
async fn htp_12_an_order_of_a_hundred_names_fits_into_16_kb() {
    let world = World::shared().await;
    let account = world.account().await;
    let names: Vec<String> = (0..100).map(|number| format!("{number}-{}", fresh_name())).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let answer = account.post(&world.client.url("newOrder"), &json!({ "identifiers": identifiers(&names) })).await;
    let answer = answer.expect("ORD-1", 201, "");
    assert!(answer.body.len() < 16 * 1024, "HTP-12: {}", answer.body.len());
}
