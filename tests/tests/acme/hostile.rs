//! Malformed and hostile requests: each gets its problem and its status, soon, and nothing of it is stored.

use std::time::{Duration, Instant};

use rcgen::KeyPair;
use serde_json::{Map, Value, json};
use tests::acme_raw::{Account, Answer, Jws, Key, b64, sign_text};
use tests::rows::Rows;

use crate::finalize::{P256, by_openssl};
use crate::world::{Challenge, Issued, Order, World, csr, fresh_name, identifiers};

/// What an ACME request may change.
pub(crate) const STORED: [&str; 7] =
    ["account", "acme_order", "acme_authorization", "certificate", "certificate_name", "eab_key", "job"];

/// No refusal takes longer, on a machine that does other things as well.
const SOON: Duration = Duration::from_secs(3);

/// A CA with everything on it that a request can name.
struct Scene {
    world: World,
    account: Account,
    other: Account,
    ready: Order,
    pending: Order,
    challenge: Challenge,
    issued: Issued,
    name: String,
}

impl Scene {
    async fn set() -> Self {
        let world = World::start(&["--open-acme"]).await;
        let (account, other, name) = (world.account().await, world.account().await, fresh_name());
        let ready = world.ready(&account, &[&name]).await;
        let pending = world.order(&account, &[&fresh_name()]).await;
        let challenge = Challenge::of(&account, &pending.authorizations()[0]).await;
        let issued = world.issue(&account, &[&fresh_name()]).await;
        Self { world, account, other, ready, pending, challenge, issued, name }
    }

    fn url(&self, resource: &str) -> String {
        self.world.client.url(resource)
    }

    fn finalize_url(&self) -> String {
        self.ready.object["finalize"].as_str().unwrap().to_owned()
    }

    /// A newOrder as it should be, with another header.
    async fn order_with(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Answer {
        let payload = json!({ "identifiers": identifiers(&[&self.name]) }).to_string();
        let mut jws = self.account.jws(&self.url("newOrder"), &payload).await;
        change(&mut jws.protected);
        self.world.client.post(&self.url("newOrder"), &jws.sign(&self.account.key)).await
    }

    /// newAccount by a key that says this of itself.
    async fn account_with(&self, algorithm: &str, jwk: Value) -> Answer {
        let url = self.url("newAccount");
        let mut jws = Jws::new(("jwk", jwk), &self.world.client.nonce().await, &url, "{}");
        jws.protected.insert("alg".into(), algorithm.into());
        self.world.client.post(&url, &jws.sign(&Key::new())).await
    }
}

/// Sees that a request is refused as it should be, and soon.
struct Refusals {
    seen: usize,
    since: Instant,
}

impl Refusals {
    fn begin() -> Self {
        Self { seen: 0, since: Instant::now() }
    }

    #[track_caller]
    fn row(&mut self, what: &str, answer: Answer, status: u16, problem: &str) {
        let took = self.since.elapsed();
        answer.expect(what, status, problem);
        assert!(took < SOON, "{what}: {took:?}");
        self.seen += 1;
        self.since = Instant::now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jws_1_to_14_and_p3_2_hostile_requests_are_refused_soon_and_leave_nothing() {
    let scene = Scene::set().await;
    let mut rows = Rows::of(&scene.world.ca.dir());
    let before = rows.look(&STORED);
    let mut refusals = Refusals::begin();
    headers(&scene, &mut refusals).await;
    bodies(&scene, &mut refusals).await;
    keys(&scene, &mut refusals).await;
    payloads(&scene, &mut refusals).await;
    orders(&scene, &mut refusals).await;
    foreign(&scene, &mut refusals).await;
    requests(&scene, &mut refusals).await;
    assert!(refusals.seen > 90, "{}", refusals.seen);
    assert_eq!(rows.look(&STORED), before, "a refused request was stored");
    assert!(!scene.world.ca.log().contains("panicked"));
    // And all that was there still works.
    let good = csr(&[&scene.name], &KeyPair::generate().unwrap());
    scene.ready.finalize(&scene.account, &good).await.expect("a good request after all these", 200, "");
    assert_ne!(rows.look(&STORED), before, "the reader sees what is stored");
}

async fn headers(scene: &Scene, refusals: &mut Refusals) {
    for algorithm in ["none", "None", "HS256", "HS512", "RS1", "ES256K", "es256", "PS512", "dir"] {
        let answer = scene.order_with(|header| drop(header.insert("alg".into(), algorithm.into()))).await;
        refusals.row(&format!("JWS-4: {algorithm}"), answer, 400, "badSignatureAlgorithm");
    }
    for algorithm in ["ES384", "ES512", "RS256", "EdDSA"] {
        let answer = scene.order_with(|header| drop(header.insert("alg".into(), algorithm.into()))).await;
        refusals.row(&format!("JWS-5: {algorithm}"), answer, 400, "badPublicKey");
    }
    let jwk = scene.account.key.jwk();
    let answer = scene.order_with(|header| {
        header.remove("kid");
        header.insert("jwk".into(), jwk);
    });
    refusals.row("JWS-8: a key for newOrder", answer.await, 400, "malformed");
    let answer = scene.account.post(&scene.url("newAccount"), &json!({})).await;
    refusals.row("JWS-8: an account for newAccount", answer, 400, "malformed");

    let spent = scene.account.jws(&scene.account.url, "").await;
    let body = spent.sign(&scene.account.key);
    scene.world.client.post(&scene.account.url, &body).await.expect("the first use", 200, "");
    refusals.since = Instant::now();
    refusals.row("NON-5: replayed", scene.world.client.post(&scene.account.url, &body).await, 400, "badNonce");
    let nonce = spent.protected["nonce"].clone();
    let answer = scene.order_with(|header| drop(header.insert("nonce".into(), nonce))).await;
    refusals.row("NON-5: replayed elsewhere", answer, 400, "badNonce");
    for (nonce, problem) in
        [(b64([0; 32]), "badNonce"), ("%%%".to_owned(), "malformed"), ("A".repeat(4000), "malformed")]
    {
        let answer = scene.order_with(|header| drop(header.insert("nonce".into(), nonce.into()))).await;
        refusals.row("NON-3", answer, 400, problem);
    }
    let url = scene.url("newOrder");
    for wrong in [
        scene.url("revokeCert"),
        format!("{url}/"),
        url.replace("https", "http"),
        "https://".to_owned(),
        "x".repeat(9000),
    ] {
        let answer = scene.order_with(|header| drop(header.insert("url".into(), wrong.clone().into()))).await;
        refusals.row(&format!("JWS-10: {wrong:.60}"), answer, 403, "unauthorized");
    }
    for (member, value) in [("crit", json!(["url"])), ("crit", json!([])), ("b64", json!(true)), ("kid", json!([]))] {
        let answer = scene.order_with(|header| drop(header.insert(member.into(), value))).await;
        refusals.row(&format!("JWS-3: {member}"), answer, 400, "malformed");
    }
}

async fn bodies(scene: &Scene, refusals: &mut Refusals) {
    let (client, url) = (&scene.world.client, scene.url("newOrder"));
    for size in [50 * 1024 + 1, 300 * 1024] {
        refusals.row("HTP-4: a huge body", client.post_bytes(&url, &vec![b'{'; size]).await, 413, "malformed");
    }
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(5000), "}".repeat(5000));
    for body in [deep(20_000), objects.clone(), "[".repeat(40_000), "\"".repeat(30_000), "\0".repeat(1000)] {
        refusals.row("JWS-1: deep", client.post_bytes(&url, body.as_bytes()).await, 400, "malformed");
    }
    let payload = format!(r#"{{"identifiers":{}}}"#, deep(10_000));
    for payload in [payload, format!(r#"{{"x":{objects}}}"#), format!(r#"{{"identifiers":[],"x":{}}}"#, deep(10_000))] {
        refusals.row("JWS-13: deep", scene.account.post_text(&url, &payload).await, 400, "malformed");
    }
    let good = scene.account.jws(&url, r#"{"identifiers":[{"type":"dns","value":"x.localhost"}]}"#).await;
    let good = good.sign(&scene.account.key);
    for part in ["protected", "payload", "signature"] {
        let text = good[part].as_str().unwrap();
        for spoiled in
            [format!("{text}="), format!("{text} "), format!("+/{text}"), format!("{text}\u{fc}"), "A".into()]
        {
            let mut body = good.clone();
            body[part] = spoiled.into();
            refusals.row(&format!("JWS-2: {part}"), client.post(&url, &body).await, 400, "malformed");
        }
        for value in [Value::Null, json!(1), json!([text]), json!({}), json!("")] {
            let mut body = good.clone();
            body[part] = value;
            refusals.row(&format!("JWS-1: {part}"), client.post(&url, &body).await, 400, "malformed");
        }
    }
    let twice = format!(r#"{{"payload":"e30",{}"#, &good.to_string()[1..]);
    refusals.row("JWS-2: a member twice", client.post_bytes(&url, twice.as_bytes()).await, 400, "malformed");
    let general = json!({ "payload": good["payload"], "signatures": [good] });
    refusals.row("JWS-1: the general serialisation", client.post(&url, &general).await, 400, "malformed");
    let compact = format!("{}.{}.{}", good["protected"], good["payload"], good["signature"]);
    refusals.row("JWS-1: the compact one", client.post_bytes(&url, compact.as_bytes()).await, 400, "malformed");
    let answer = client.post(&url, &sign_text(&deep(5000), "{}", &scene.account.key)).await;
    refusals.row("JWS-3: a deep header", answer, 400, "malformed");
}

async fn keys(scene: &Scene, refusals: &mut Refusals) {
    let modulus = || {
        let mut modulus = [0xc5; 256];
        modulus[255] |= 1;
        modulus
    };
    let rsa = |exponent: &[u8]| json!({ "kty": "RSA", "n": b64(modulus()), "e": b64(exponent) });
    let huge = [&[0xff; 255][..], &[1]].concat();
    for (what, exponent) in [
        ("1", &[1][..]),
        ("2", &[2]),
        ("3", &[3]),
        ("even", &[1, 0, 0]),
        ("2048 bits", &huge),
        ("as the modulus", &modulus()),
    ] {
        let answer = scene.account_with("RS256", rsa(exponent)).await;
        refusals.row(&format!("JWS-7: exponent {what}"), answer, 400, "badPublicKey");
    }
    for (what, n) in
        [("small", vec![0xc5; 128]), ("even", vec![0xc4; 256]), ("zero", vec![0; 256]), ("long", vec![0xc5; 4096])]
    {
        let answer = scene.account_with("RS256", json!({ "kty": "RSA", "n": b64(n), "e": "AQAB" })).await;
        assert!(["badPublicKey", "malformed"].contains(&answer.problem().as_str()), "JWS-7: {what}: {answer}");
        let problem = answer.problem();
        refusals.row(&format!("JWS-7: modulus {what}"), answer, 400, &problem);
    }
    let key = Key::new().jwk();
    for (what, member, value) in [
        ("off the curve", "y", json!(b64([1; 32]))),
        ("another curve", "crv", json!("P-224")),
        ("a private member", "d", json!(b64([1; 32]))),
        ("of a MAC", "kty", json!("oct")),
    ] {
        let mut jwk = key.clone();
        jwk[member] = value;
        refusals.row(&format!("JWS-7: {what}"), scene.account_with("ES256", jwk).await, 400, "badPublicKey");
    }
}

async fn payloads(scene: &Scene, refusals: &mut Refusals) {
    let account = &scene.account;
    for text in
        ["", "{", "[]", "null", "\"x\"", "{\"identifiers\":[}", "{}{}", "\u{feff}{}", r#"{"a":"\ud800"}"#, "1e999"]
    {
        for resource in ["newOrder", "revokeCert", "keyChange"] {
            let answer = account.post_text(&scene.url(resource), text).await;
            refusals.row(&format!("JWS-13: {resource} {text}"), answer, 400, "malformed");
        }
        if !text.is_empty() && text != r#"{"a":"\ud800"}"# {
            refusals.row(
                &format!("CHL-5: {text}"),
                account.post_text(&scene.challenge.url, text).await,
                400,
                "malformed",
            );
        }
    }
    for url in [&scene.issued.order.url, &scene.issued.url] {
        for text in ["{}", "[]", "x"] {
            refusals.row(&format!("JWS-13: {text}"), account.post_text(url, text).await, 400, "malformed");
        }
    }
    let der = b64(scene.issued.leaf());
    for reason in [json!(-1), json!(2), json!(6), json!(7), json!(99), json!(i64::MAX)] {
        let answer = account.post(&scene.url("revokeCert"), &json!({ "certificate": der, "reason": reason })).await;
        refusals.row(&format!("REV-4: {reason}"), answer, 400, "badRevocationReason");
    }
    for reason in [json!("1"), json!(1.5), json!([1]), json!(1e300)] {
        let answer = account.post(&scene.url("revokeCert"), &json!({ "certificate": der, "reason": reason })).await;
        refusals.row(&format!("REV-4: {reason}"), answer, 400, "malformed");
    }
    for inner in [json!({}), json!({ "protected": "e30", "payload": "e30", "signature": "" }), json!({ "payload": 1 })]
    {
        let answer = account.post(&scene.url("keyChange"), &inner).await;
        refusals.row(&format!("ACC-9: {inner}"), answer, 400, "malformed");
    }
}

async fn orders(scene: &Scene, refusals: &mut Refusals) {
    let (account, url) = (&scene.account, scene.url("newOrder"));
    let many: Vec<Value> = (0..1000).map(|number| json!({ "type": "dns", "value": format!("{number}") })).collect();
    refusals.row("ORD-4: 1,000 names", account.post(&url, &json!({ "identifiers": many })).await, 400, "malformed");
    let same: Vec<Value> = (0..1000).map(|_| json!({ "type": "dns", "value": "a" })).collect();
    let answer = account.post(&url, &json!({ "identifiers": same })).await;
    let problem = answer.problem();
    assert!(["malformed", "rejectedIdentifier"].contains(&problem.as_str()), "ORD-4: {answer}");
    refusals.row("ORD-4: one name 1,000 times", answer, 400, &problem);
    let long = "a.".repeat(10_000);
    for value in ["a\u{0}.localhost", "a\r\nX: y.localhost", "../../etc", "<script>", "a b", "💥.localhost", &long, ""]
    {
        let answer = account.post(&url, &json!({ "identifiers": [{ "type": "dns", "value": value }] })).await;
        refusals.row(&format!("ORD-5: {value:.30}"), answer, 400, "malformed");
    }
    for identifiers in
        [json!({}), json!([1]), json!([[]]), json!([{ "type": "dns" }]), json!([{ "value": "a" }]), json!("a")]
    {
        let answer = account.post(&url, &json!({ "identifiers": identifiers })).await;
        refusals.row(&format!("ORD-4: {identifiers}"), answer, 400, "malformed");
    }
    let unknown = json!({ "identifiers": [{ "type": "permanent-identifier", "value": "1" }] });
    refusals.row("ORD-4", account.post(&url, &unknown).await, 400, "unsupportedIdentifier");
    for (member, value) in [
        ("notAfter", json!("9999-12-31T23:59:59Z")),
        ("notBefore", json!("0000-01-01T00:00:00Z")),
        ("notAfter", json!("-1")),
        ("notAfter", json!(1e300)),
        ("profile", json!({})),
    ] {
        let mut sent = json!({ "identifiers": identifiers(&[&scene.name]) });
        sent[member] = value.clone();
        refusals.row(&format!("ORD-6: {member} {value}"), account.post(&url, &sent).await, 400, "malformed");
    }
}

/// Everything of one account, asked for by another.
async fn foreign(scene: &Scene, refusals: &mut Refusals) {
    let other = &scene.other;
    let request = json!({ "csr": b64(csr(&[&scene.name], &KeyPair::generate().unwrap())) });
    for (what, url, payload) in [
        ("order", &scene.ready.url, None),
        ("finalize", &scene.finalize_url(), Some(&request)),
        ("authorization", &scene.ready.authorizations()[0], None),
        ("deactivation", &scene.ready.authorizations()[0], Some(&json!({ "status": "deactivated" }))),
        ("challenge", &scene.challenge.url, Some(&json!({}))),
        ("certificate", &scene.issued.url, None),
        ("account", &scene.account.url, Some(&json!({ "status": "deactivated" }))),
        ("list", &format!("{}/orders", scene.account.url), None),
    ] {
        let answer = match payload {
            Some(payload) => other.post(url, payload).await,
            None => other.get(url).await,
        };
        refusals.row(&format!("JWS-14: a foreign {what}"), answer, 404, "malformed");
    }
    let stolen = json!({ "certificate": b64(scene.issued.leaf()) });
    refusals.row("REV-1", other.post(&scene.url("revokeCert"), &stolen).await, 403, "unauthorized");
    let pretended =
        Jws::new(("kid", scene.account.url.clone().into()), &scene.world.client.nonce().await, &scene.ready.url, "");
    let answer = scene.world.client.post(&scene.ready.url, &pretended.sign(&other.key)).await;
    refusals.row("JWS-11: another's kid", answer, 400, "malformed");
}

/// Certificate requests.
async fn requests(scene: &Scene, refusals: &mut Refusals) {
    let (name, order) = (&scene.name, &scene.ready);
    let san = format!("subjectAltName=DNS:{name}");
    let bare = ["-subj", "/", "-addext", san.as_str()];
    let exponent = |exponent: &str| {
        let exponent = format!("rsa_keygen_pubexp:{exponent}");
        by_openssl(&["-newkey", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", &exponent], &bare)
    };
    let of_account = |account: &Account| csr(&[name], &KeyPair::try_from(account.key.pkcs8.as_slice()).unwrap());
    let mut flipped = csr(&[name], &KeyPair::generate().unwrap());
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    for (what, request) in [
        ("FIN-7: the account's key", of_account(&scene.account)),
        ("FIN-7: another account's key", of_account(&scene.other)),
        ("FIN-6: SHA-1", by_openssl(&P256, &[&["-sha1"], &bare[..]].concat())),
        ("FIN-6: MD5", by_openssl(&["-newkey", "rsa:2048"], &[&["-md5"], &bare[..]].concat())),
        ("FIN-8: exponent 3", exponent("3")),
        ("FIN-8: exponent 2^32 + 1", exponent("4294967297")),
        ("FIN-8: RSA 1024", by_openssl(&["-newkey", "rsa:1024"], &bare)),
        ("FIN-4: other names", csr(&["x.localhost"], &KeyPair::generate().unwrap())),
        ("FIN-10: changed", flipped),
        ("FIN-10: nested", [0x30, 0x80].repeat(8000)),
        ("FIN-10: a length of 4 GB", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30]),
        ("FIN-10: 20 kB", vec![0x30; 20_000]),
        ("FIN-10: nothing", Vec::new()),
    ] {
        refusals.since = Instant::now();
        refusals.row(what, order.finalize(&scene.account, &request).await, 400, "badCSR");
    }
    let pending = scene.pending.finalize(&scene.account, &csr(&[name], &KeyPair::generate().unwrap())).await;
    refusals.row("FIN-2: not ready", pending, 403, "orderNotReady");
    for sent in [json!({}), json!({ "csr": null }), json!({ "csr": [1] })] {
        refusals.row("FIN-1", scene.account.post(&scene.finalize_url(), &sent).await, 400, "malformed");
    }
    assert_eq!(order.read(&scene.account).await["status"], "ready");
}
