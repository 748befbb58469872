//! Rate limits: each is hit, said and counted; who it does not concern goes on. And what is deleted when it is long over.

use serde_json::{Value, json};
use tests::acme_raw::{Account, Answer, Client, Jws, Key, b64};
use tests::ca::{Ca, plain_get};
use tests::external_account::External;
use tests::wait;

use crate::responder::Reply;
use crate::world::{Challenge, World, fresh_name, identifiers, leaf};

/// A CA with these limits.
async fn limited(options: &[&str], rates: &[(&str, &str)]) -> World {
    World::start_configured(options, |config| {
        let table = config["limits"]["rates"].as_table_mut().unwrap();
        for (key, rate) in rates {
            assert!(table.insert((*key).to_owned(), (*rate).into()).is_some(), "{key} stands in the template");
        }
    })
    .await
}

/// `127.0.0.1:PORT` of the listener for monitoring.
pub(crate) fn operations(ca: &Ca) -> String {
    let addresses = std::fs::read(ca.dir().join("run/addresses.json")).unwrap();
    let addresses: Value = serde_json::from_slice(&addresses).unwrap();
    addresses["operations"].as_str().unwrap().to_owned()
}

/// What monitoring reads.
pub(crate) async fn metrics(ca: &Ca) -> String {
    plain_get(&operations(ca), "/metrics").await.unwrap()
}

/// The value of a metric; zero when it is not there.
pub(crate) fn metric(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

async fn new_order(account: &Account, more: &Value) -> Answer {
    let mut payload = json!({ "identifiers": identifiers(&[&fresh_name()]) });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    account.post(&account.client.url("newOrder"), &payload).await
}

/// Fails unless the answer is a refusal by that limit; that it has a nonce and its link is checked for all answers.
#[track_caller]
fn must_be_limited(answer: Answer, limit: &str, rate: &str) {
    let answer = answer.expect(limit, 429, "rateLimited");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(&format!("limits.rates.{limit} ")) && detail.contains(rate), "{detail}");
    let seconds: u64 = answer.header("retry-after").expect("HTP-10").parse().unwrap();
    assert!((1..=600).contains(&seconds), "HTP-10: {seconds}");
    assert!(
        answer.all("link").iter().any(|link| link.ends_with("/rate-limits>;rel=\"help\"")),
        "RFC 8555 6.6: {answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn err_4_and_htp_10_a_new_order_too_many_is_told_which_limit_it_hit() {
    const RATE: &str = "2/hour burst 3";
    let world = limited(&["--open-acme"], &[("new_orders_per_account", RATE)]).await;
    let account = world.account().await;
    for _ in 0..3 {
        new_order(&account, &json!({})).await.expect("within the limit", 201, "");
    }
    must_be_limited(new_order(&account, &json!({})).await, "new_orders_per_account", RATE);
    new_order(&world.account().await, &json!({})).await.expect("another account", 201, "");
    account.get(&account.url).await.expect("only orders are limited", 200, "");
    let help = world.client.request("GET", "/rate-limits", &[], b"").await;
    assert!(help.text().contains("limits.rates.new_orders_per_account = \"2/hour burst 3\"\n"), "{help}");
    let metrics = metrics(&world.ca).await;
    assert_eq!(metric(&metrics, "pilotlight_rate_limited_total{limit=\"new_orders_per_account\"}"), 1, "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ari_5_orders_that_replace_a_certificate_are_not_limited() {
    let world = limited(&["--open-acme"], &[("new_orders_per_account", "1/hour")]).await;
    let (account, name) = (world.account().await, fresh_name());
    let issued = world.issue(&account, &[&name]).await;
    must_be_limited(new_order(&account, &json!({})).await, "new_orders_per_account", "1/hour");
    let replacing = json!({ "identifiers": identifiers(&[&name]), "replaces": certificate_id(&issued.chain) });
    let order = account.post(&account.client.url("newOrder"), &replacing).await;
    order.expect("ARI-5", 201, "");
    must_be_limited(new_order(&account, &json!({})).await, "new_orders_per_account", "1/hour");
}

/// RFC 9773 section 4.1.
fn certificate_id(chain: &str) -> String {
    let der = leaf(chain);
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    let issuer = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.clone(),
        _ => None,
    });
    format!("{}.{}", b64(issuer.unwrap().0), b64(certificate.raw_serial()))
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_are_told_apart_and_proxies_believed() {
    let world = World::start_configured(&["--open-acme"], |config| {
        config["limits"]["rates"]["new_accounts_per_network"] = "2/hour".into();
        config["listen"]["trusted_proxies"] = vec!["127.0.0.1/32"].into();
    })
    .await;
    let (client, url) = (&world.client, world.client.url("newAccount"));
    let register = async |key: &Key, from: &str| {
        let jws = Jws::new(("jwk", key.jwk()), &client.nonce().await, &url, "{}").sign(key).to_string();
        let headers = [("Content-Type", "application/jose+json"), ("X-Forwarded-For", from)];
        client.request("POST", &url, &headers, jws.as_bytes()).await
    };
    let known = Key::new();
    register(&known, "203.0.113.1").await.expect("the first", 201, "");
    register(&Key::new(), "198.51.100.1, 203.0.113.2").await.expect("the second of the network", 201, "");
    must_be_limited(register(&Key::new(), "203.0.113.3").await, "new_accounts_per_network", "2/hour");
    register(&Key::new(), "198.51.100.1").await.expect("another network", 201, "");
    register(&Key::new(), "2001:db8::1").await.expect("another network", 201, "");
    register(&known, "203.0.113.3").await.expect("an account that exists is found", 200, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_validations_stop_orders_and_challenges() {
    let world = limited(&["--open-acme"], &[("failed_validations_per_network", "2/hour")]).await;
    let account = world.account().await;
    let waiting = world.order(&account, &[&fresh_name()]).await;
    for _ in 0..2 {
        let order = world.order(&account, &[&fresh_name()]).await;
        let challenge = Challenge::of(&account, &order.authorizations()[0]).await;
        world.responder.set(&challenge.token, Reply::Status(404));
        account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
        assert_eq!(challenge.decided(&account).await["status"], "invalid");
    }
    let other = world.account().await;
    must_be_limited(new_order(&other, &json!({})).await, "failed_validations_per_network", "2/hour");
    let challenge = world.answer(&account, &waiting.authorizations()[0]).await;
    let answer = account.post(&challenge.url, &json!({})).await;
    must_be_limited(answer, "failed_validations_per_network", "2/hour");
    assert_eq!(world.responder.asked(&challenge.token), 0);
    account.get(&challenge.url).await.expect("reading goes on", 200, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_count_whatever_comes_of_them() {
    let world =
        limited(&["--open-acme"], &[("requests_per_account", "5/hour"), ("requests_per_network", "20/hour")]).await;
    let account = world.account().await;
    for _ in 0..5 {
        account.get(&account.url).await.expect("within the limit", 200, "");
    }
    must_be_limited(account.get(&account.url).await, "requests_per_account", "5/hour");
    let forger = Account { client: world.client.clone(), key: Key::new(), url: account.url.clone() };
    let refused = wait::until("the network's limit", 20, async || {
        let answer = forger.get(&account.url).await;
        (answer.status == 429).then_some(answer)
    });
    must_be_limited(refused.await, "requests_per_network", "20/hour");
    for (method, path) in [("GET", "/acme/directory"), ("HEAD", "/acme/new-nonce"), ("GET", "/roots.pem")] {
        assert!(world.client.request(method, path, &[], b"").await.status < 300, "{path} is for everybody");
    }
}

/// Behind a cluster's address translation all devices share an address, and strangers may share it too.
#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_use_up_devices_do_not_need() {
    let rates = [
        ("new_orders_per_network", "1/hour"),
        ("new_orders_total", "1/hour"),
        ("new_accounts_total", "1/hour"),
        ("new_orders_per_device", "2/hour"),
    ];
    let world = limited(&[], &rates).await;
    let (client, ca) = (&world.client, &world.ca);
    let stranger = External::create(ca).await.account(client).await;
    new_order(&stranger, &json!({})).await.expect("the only one", 201, "");
    must_be_limited(new_order(&stranger, &json!({})).await, "new_orders_total", "1/hour");
    for name in ["gw-1", "gw-2"] {
        let dns = format!("{name}.site.test");
        let token = ca.device_add(name, "gateway", &[&dns]).await;
        let account = External::of_token(&token).account(client).await;
        let payload = json!({ "identifiers": identifiers(&[&dns]) });
        for _ in 0..2 {
            account.post(&client.url("newOrder"), &payload).await.expect("a device", 201, "");
        }
        must_be_limited(account.post(&client.url("newOrder"), &payload).await, "new_orders_per_device", "2/hour");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_can_be_switched_off() {
    let world = World::start_configured(&["--open-acme"], |config| {
        config["limits"]["rates"]["new_orders_per_account"] = "1/day".into();
        config["limits"]["rates"]["enabled"] = false.into();
    })
    .await;
    let account = world.account().await;
    for _ in 0..5 {
        new_order(&account, &json!({})).await.expect("no limit", 201, "");
    }
}

/// ORD-9 and CRT-6: two days later orders are gone, what was issued is not. That an order stays until then is shown by the
/// test of a day later.
#[tokio::test(flavor = "multi_thread")]
async fn ord_9_and_crt_6_ended_orders_are_deleted_and_certificates_are_not() {
    let mut world = World::start_configured(&["--open-acme"], |config| {
        config["retention"]["orders_days"] = 1.into();
    })
    .await;
    let mut account = world.account().await;
    let pending = world.order(&account, &[&fresh_name()]).await;
    let issued = world.issue(&account, &[&fresh_name()]).await;
    world.ca.stop().await;
    world.ca.serve_at("+49h").await;
    account.client = Client::of(&world.ca).await;
    let young = world.order(&account, &[&fresh_name()]).await;
    wait::until_true("the orders to be deleted", 30, async || {
        metric(&metrics(&world.ca).await, "pilotlight_pruned_total{what=\"authorization\"}") >= 2
    })
    .await;
    for order in [&pending, &issued.order] {
        account.get(&order.url).await.expect("long over", 404, "malformed");
        account.get(&order.authorizations()[0]).await.expect("long over", 404, "malformed");
    }
    let chain = account.get(&issued.url).await.expect("CRT-6", 200, "").text().to_owned();
    assert_eq!(chain, issued.chain, "CRT-6");
    assert_eq!(young.read(&account).await["status"], "pending");
    let metrics = metrics(&world.ca).await;
    assert_eq!(metric(&metrics, "pilotlight_pruned_total{what=\"expired_order\"}"), 1, "{metrics}");
    assert_eq!(metric(&metrics, "pilotlight_pruned_total{what=\"order\"}"), 2, "{metrics}");
}
