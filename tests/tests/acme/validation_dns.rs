//! VAL-5, VAL-6, DNS-1 and DNS-2: what the CA reads in the DNS, from a real server.

use std::sync::{Arc, Weak};

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tests::acme_raw::{Account, b64};
use tests::dns::Dns;
use tests::folders::write;
use tests::wait;

use crate::world::{Challenge, Order, World, csr, identifiers, must_verify};

/// All challenges of the DNS, wildcards among the names.
const DNS_ONLY: &str = "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata:\n  name: dns\n  description: Proven in the DNS\n\
    spec:\n  identifiers:\n    dns: [{ suffix: clients.test }, { suffix: inside.test }]\n    wildcards: true\n\
    \x20 usage: { extendedKeyUsage: [serverAuth] }\n  commonName: false\n  lifetime: 1d\n  backdate: 0s\n\
    \x20 renewal: { at: 0.5, grace: 1d }\n  requires: { binding: none, challenges: [dns-01, dns-account-01, dns-persist-01] }\n";

/// A CA with two DNS servers, each of which knows its own zone only.
struct Lab {
    world: World,
    outside: Dns,
    inside: Dns,
}

impl Lab {
    async fn shared() -> Arc<Self> {
        static SHARED: tokio::sync::Mutex<Weak<Lab>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(lab) = shared.upgrade() {
            return lab;
        }
        let (outside, inside) = tokio::join!(Dns::start(&["clients.test"]), Dns::start(&["inside.test"]));
        let (one, two) = (outside.address(), inside.address());
        let world = world(|validation| {
            validation.insert("resolvers".into(), vec![one].into());
            let zones = [("inside.test".to_owned(), toml::Value::from(vec![two]))];
            validation.insert("zone_resolvers".into(), toml::Table::from_iter(zones).into());
        })
        .await;
        let lab = Arc::new(Self { world, outside, inside });
        *shared = Arc::downgrade(&lab);
        lab
    }
}

async fn world(change: impl FnOnce(&mut toml::Table)) -> World {
    let world = World::start_configured(&["--open-acme", "--domain", "clients.test"], |config| {
        let validation = config["validation"].as_table_mut().unwrap();
        validation.insert("dns_account".into(), true.into());
        validation.insert("dns_persist".into(), true.into());
        validation.insert("dns_persist_issuers".into(), vec!["ca.clients.test"].into());
        change(validation);
    })
    .await;
    write(&world.ca.dir().join("policies/dns.yaml"), DNS_ONLY, 0o644);
    world.ca.signal(nix::sys::signal::Signal::SIGHUP);
    wait::until_true("the profile `dns`", 20, async || {
        let directory = world.client.request("GET", "/acme/directory", &[], b"").await.json();
        directory["meta"]["profiles"]["dns"].is_string()
    })
    .await;
    world
}

async fn order(account: &Account, names: &[&str]) -> Order {
    Order::new(account, &json!({ "identifiers": identifiers(names), "profile": "dns" })).await
}

/// The text of the record for a challenge.
fn record(account: &Account, challenge: &Challenge) -> String {
    let key_authorization = format!("{}.{}", challenge.token, account.key.thumbprint());
    b64(digest(&SHA256, key_authorization.as_bytes()))
}

async fn decision(account: &Account, challenge: &Challenge) -> Value {
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    challenge.decided(account).await
}

fn problem(challenge: &Value) -> &str {
    challenge["error"]["type"].as_str().unwrap_or_default().trim_start_matches("urn:ietf:params:acme:error:")
}

/// An order of one name and its dns-01 challenge.
async fn begun(account: &Account, name: &str) -> (Order, Challenge) {
    let order = order(account, &[name]).await;
    let challenge = Challenge::of_kind(account, &order.authorizations()[0], "dns-01").await;
    (order, challenge)
}

#[tokio::test(flavor = "multi_thread")]
async fn val_5_a_name_and_its_wildcard_are_proven_at_one_place() {
    let lab = Lab::shared().await;
    let account = lab.world.account().await;
    let names = ["both.clients.test", "*.both.clients.test"];
    let order = order(&account, &names).await;
    let mut challenges = Vec::new();
    lab.outside.add("_acme-challenge.both.clients.test", "TXT", "of somebody else");
    for url in order.authorizations() {
        let challenge = Challenge::of_kind(&account, &url, "dns-01").await;
        // Long records come in several strings.
        let text = record(&account, &challenge);
        let (one, two) = text.split_at(20);
        lab.outside.add("_acme-challenge.both.clients.test", "TXT", &format!("\"{one}\" \"{two}\""));
        challenges.push(challenge);
    }
    for challenge in &challenges {
        let seen = decision(&account, challenge).await;
        assert_eq!(seen["status"], "valid", "VAL-5: {seen:#}");
    }
    assert_eq!(order.settled(&account).await["status"], "ready", "VAL-5");
    let key = rcgen::KeyPair::generate().unwrap();
    let done = order.finalize(&account, &csr(&names, &key)).await.expect("FIN-1", 200, "").json();
    must_verify(&lab.world.ca, account.get(done["certificate"].as_str().unwrap()).await.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn val_5_aliases_are_followed_eight_times() {
    let lab = Lab::shared().await;
    let account = lab.world.account().await;
    for (name, hops, expected) in [("eight", 8, "valid"), ("nine", 9, "invalid")] {
        let (_, challenge) = begun(&account, &format!("{name}.clients.test")).await;
        let mut place = format!("_acme-challenge.{name}.clients.test");
        for hop in 1..=hops {
            let next = format!("{name}-{hop}.clients.test");
            lab.outside.add(&place, "CNAME", &format!("{next}."));
            place = next;
        }
        lab.outside.add(&place, "TXT", &record(&account, &challenge));
        let seen = decision(&account, &challenge).await;
        assert_eq!(seen["status"], expected, "VAL-5: {name}: {seen:#}");
    }
    let (_, challenge) = begun(&account, "circle.clients.test").await;
    lab.outside.add("_acme-challenge.circle.clients.test", "CNAME", "circle-2.clients.test.");
    lab.outside.add("circle-2.clients.test", "CNAME", "_acme-challenge.circle.clients.test.");
    assert_eq!(problem(&decision(&account, &challenge).await), "dns", "VAL-5: a circle ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn val_6_each_zone_is_asked_for_at_its_own_servers() {
    let lab = Lab::shared().await;
    let account = lab.world.account().await;
    // Straight, and by an alias out of a zone of another server.
    let (_, direct) = begun(&account, "direct.inside.test").await;
    lab.inside.add("_acme-challenge.direct.inside.test", "TXT", &record(&account, &direct));
    let (_, alias) = begun(&account, "alias.clients.test").await;
    lab.outside.add("_acme-challenge.alias.clients.test", "CNAME", "answers.inside.test.");
    lab.inside.add("answers.inside.test", "TXT", &record(&account, &alias));
    for challenge in [direct, alias] {
        let seen = decision(&account, &challenge).await;
        assert_eq!(seen["status"], "valid", "VAL-6: {seen:#}");
    }
    assert_eq!(lab.outside.asked("_acme-challenge.direct.inside.test", "TXT"), 0, "VAL-6: nobody else is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn val_6_answers_too_large_for_udp_are_fetched_by_tcp() {
    let lab = Lab::shared().await;
    let account = lab.world.account().await;
    let (_, challenge) = begun(&account, "large.clients.test").await;
    let place = "_acme-challenge.large.clients.test";
    let others: Vec<String> = (0..80).map(|n| format!("add {place} 0 TXT \"{n:0>43}\"")).collect();
    lab.outside.update(&others.iter().map(String::as_str).collect::<Vec<_>>());
    lab.outside.add(place, "TXT", &record(&account, &challenge));
    let seen = decision(&account, &challenge).await;
    assert_eq!(seen["status"], "valid", "VAL-6: {seen:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn val_6_and_chl_6_an_absence_is_not_remembered() {
    let lab = Lab::shared().await;
    let account = lab.world.account().await;
    let (_, challenge) = begun(&account, "late.clients.test").await;
    let place = "_acme-challenge.late.clients.test";
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    wait::until_true("the first look", 10, async || lab.outside.asked(place, "TXT") > 0).await;
    let seen = account.get(&challenge.url).await.json();
    assert_eq!((&seen["status"], seen.get("error")), (&json!("processing"), None), "CHL-6");
    // The zone itself says that an absence may be remembered for a day.
    lab.outside.add(place, "TXT", &record(&account, &challenge));
    assert_eq!(challenge.decided(&account).await["status"], "valid", "VAL-6, CHL-6");
}

#[tokio::test(flavor = "multi_thread")]
async fn chl_9_what_the_dns_says_instead_is_told_apart_and_not_repeated() {
    let lab = Lab::shared().await;
    let account = lab.world.account().await;
    lab.outside.add("_acme-challenge.wrong.clients.test", "TXT", "a secret of the zone");
    lab.outside.add("_acme-challenge.other.clients.test", "CAA", "0 issue \"ca.test\"");
    // The wildcard of the zone does not cover what is below a name with records.
    lab.outside.add("absent.clients.test", "A", "127.0.0.1");
    let rows = [
        ("wrong.clients.test", "incorrectResponse"),
        ("other.clients.test", "unauthorized"),
        ("nothing.inside.test", "unauthorized"),
        ("absent.clients.test", "dns"),
    ];
    let looks = rows.map(|(name, expected)| {
        let account = &account;
        async move {
            let (_, challenge) = begun(account, name).await;
            let seen = decision(account, &challenge).await;
            assert_eq!((&seen["status"], problem(&seen)), (&json!("invalid"), expected), "CHL-9: {name}: {seen:#}");
            let detail = seen["error"]["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(&format!("_acme-challenge.{name}")) && !detail.contains("secret"), "{detail}");
        }
    });
    futures_util::future::join_all(looks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_1_dns_account_01_has_a_place_of_the_accounts_own() {
    let lab = Lab::shared().await;
    let account = lab.world.account().await;
    let kind = "dns-account-01";
    let order = order(&account, &["account.clients.test"]).await;
    let challenge = Challenge::of_kind(&account, &order.authorizations()[0], kind).await;
    let hash = digest(&SHA256, account.url.as_bytes());
    let label = base32(&hash.as_ref()[..10]);
    lab.outside.add(&format!("_{label}._acme-challenge.account.clients.test"), "TXT", &record(&account, &challenge));
    let seen = decision(&account, &challenge).await;
    assert_eq!((&seen["type"], &seen["status"]), (&json!(kind), &json!("valid")), "DNS-1: {seen:#}");

    // The place of dns-01, and that of another account, prove nothing.
    let other = lab.world.account().await;
    let order = self::order(&other, &["account.clients.test"]).await;
    let challenge = Challenge::of_kind(&other, &order.authorizations()[0], kind).await;
    lab.outside.add("_acme-challenge.account.clients.test", "TXT", &record(&other, &challenge));
    lab.outside.add(&format!("_{label}._acme-challenge.account.clients.test"), "TXT", &record(&other, &challenge));
    assert_eq!(decision(&other, &challenge).await["status"], "invalid", "DNS-1");
}

/// RFC 4648 section 6, lower case.
fn base32(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let letter = |five: &[u8]| {
        let index = usize::from_str_radix(std::str::from_utf8(five).unwrap(), 2).unwrap();
        char::from(b"abcdefghijklmnopqrstuvwxyz234567"[index])
    };
    bits.as_bytes().chunks(5).map(letter).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_2_dns_persist_01_rests_on_a_record_that_stays() {
    let lab = Lab::shared().await;
    let (account, kind) = (lab.world.account().await, "dns-persist-01");
    let ours = format!("ca.clients.test; accounturi={}", account.url);
    let rows = [
        ("good", ours.clone(), false, ""),
        ("wild", format!("{ours}; policy=wildcard"), true, ""),
        ("until", format!("{ours}; persistUntil=4102444800"), false, ""),
        ("not-wild", ours.clone(), true, "unauthorized"),
        ("over", format!("{ours}; persistUntil=1000000000"), false, "unauthorized"),
        ("foreign", format!("other.test; accounturi={}", account.url), false, "unauthorized"),
        ("stranger", format!("{ours}0"), false, "unauthorized"),
        ("twice", format!("{ours}; policy=a; policy=b"), false, "malformed"),
    ];
    let looks = rows.iter().map(async |(name, text, is_wildcard, expected)| {
        let base = format!("{name}.clients.test");
        lab.outside.add(&format!("_validation-persist.{base}"), "TXT", text);
        let asked = if *is_wildcard { format!("*.{base}") } else { base };
        let order = order(&account, &[&asked]).await;
        let authorization = account.get(&order.authorizations()[0]).await.json();
        let challenge = authorization["challenges"].as_array().unwrap().iter().find(|one| one["type"] == kind).unwrap();
        let expected_object = json!({
            "type": kind, "url": challenge["url"], "status": "pending",
            "issuer-domain-names": ["ca.clients.test"], "accounturi": account.url,
        });
        assert_eq!(*challenge, expected_object, "DNS-2, CHL-7");
        let challenge = Challenge { url: challenge["url"].as_str().unwrap().to_owned(), token: String::new() };
        let seen = decision(&account, &challenge).await;
        assert_eq!(problem(&seen), *expected, "DNS-2: {name}: {seen:#}");
        assert_eq!(seen["status"], if expected.is_empty() { "valid" } else { "invalid" }, "DNS-2: {name}");
        // The time to live is zero, so the proof counts for minutes and not for a day.
        let after = account.get(&order.authorizations()[0]).await.json();
        let is_shorter = after["expires"].as_str().unwrap() < authorization["expires"].as_str().unwrap();
        assert_eq!(is_shorter, expected.is_empty(), "DNS-2: {name}: {after:#}");
    });
    futures_util::future::join_all(looks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn val_6_every_authoritative_server_that_answers_must_have_the_record() {
    let main = Dns::start(&["clients.test"]).await;
    let Some(twin) = main.twin(&["clients.test"]).await else { panic!("[::1]:{} is taken", main.port()) };
    for dns in [&main, &twin] {
        dns.update(&["add clients.test 0 NS ns2.clients.test.", "add ns2.clients.test 0 AAAA ::1"]);
    }
    let (address, port) = (main.address(), i64::from(main.port()));
    let world = world(|validation| {
        validation.insert("resolvers".into(), vec![address].into());
        validation.insert("ask_authoritative_servers".into(), true.into());
        validation.insert("dns_port".into(), port.into());
    })
    .await;
    let account = world.account().await;
    let (_, challenge) = begun(&account, "lag.clients.test").await;
    let place = "_acme-challenge.lag.clients.test";
    main.add(place, "TXT", &record(&account, &challenge));
    twin.add(place, "TXT", "yesterday's");
    account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
    wait::until_true("the first look", 10, async || twin.asked(place, "TXT") > 0).await;
    assert_eq!(account.get(&challenge.url).await.json()["status"], "processing", "VAL-6: one server lags");
    twin.add(place, "TXT", &record(&account, &challenge));
    assert_eq!(challenge.decided(&account).await["status"], "valid", "VAL-6");

    // One that is silent is left out.
    drop(twin);
    let (_, challenge) = begun(&account, "alone.clients.test").await;
    main.add("_acme-challenge.alone.clients.test", "TXT", &record(&account, &challenge));
    let seen = decision(&account, &challenge).await;
    assert_eq!(seen["status"], "valid", "VAL-6: {seen:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chl_9_a_resolver_that_is_away_is_told_as_such() {
    let nobody = tests::ports::Port::take();
    let world = world(|validation| {
        validation.insert("resolvers".into(), vec![nobody.address()].into());
    })
    .await;
    let account = world.account().await;
    let (order, challenge) = begun(&account, "any.clients.test").await;
    let begun = std::time::Instant::now();
    let seen = decision(&account, &challenge).await;
    assert_eq!(problem(&seen), "dns", "CHL-9: {seen:#}");
    assert!(begun.elapsed().as_secs() < 20, "CHL-6: {:?}", begun.elapsed());
    assert_eq!(order.settled(&account).await["status"], "invalid");
}
