//! Writes the inputs of `fuzz/corpus` that need our own code to make, and damaged twins of all that is there.
//! `fuzz/make-corpus.sh` runs it.

use std::fs;
use std::path::{Path, PathBuf};

use api::token::{EnrolmentToken, Secret};
use ca_server::config::{Template, render};
use data_encoding::BASE64URL_NOPAD;
use fuzz_targets::{EAB_URL, TARGETS, eab_account_key};
use pki_core::acme::eab;
use pki_core::acme::jwk::Jwk;
use pki_core::acme::jws::{JwsAlgorithm, KeyRef, flatten, protected_header, signing_input};
use pki_core::x509::key::PublicKey;
use pki_core::x509::name::Identifier;
use ring::rand::SecureRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};

const KEY_ID: &str = "0123456789abcdef0123456789abcdef";

/// A valid input larger than this has no damaged twins: the corpus stays small.
const MAX_DAMAGED: usize = 3_000;

fn main() {
    requests();
    tokens();
    names();
    problems();
    configuration();
    for (target, _) in TARGETS {
        damage(&corpus(target));
    }
}

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

fn write(target: &str, name: &str, content: impl AsRef<[u8]>) {
    fs::write(corpus(target).join(name), content).expect("the corpus can be written");
}

fn testdata(path: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pki-core/testdata");
    fs::read(folder.join(path)).expect("the test vectors of pki-core are there")
}

/// From bytes to a signature as a JWS has it.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// An account key of the test vectors.
struct Signing {
    jwk: Jwk,
    algorithm: JwsAlgorithm,
    sign: Sign,
}

fn p256(random: &'static dyn SecureRandom) -> Signing {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &testdata("keys/p256.pk8"), random);
    let pair = pair.expect("a P-256 key");
    let sign = move |bytes: &[u8]| pair.sign(random, bytes).expect("ring signs").as_ref().to_vec();
    Signing { jwk: jwk("keys/p256.spki"), algorithm: JwsAlgorithm::Es256, sign: Box::new(sign) }
}

fn ed25519() -> Signing {
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&testdata("keys/ed25519.pk8")).expect("an Ed25519 key");
    let sign = move |bytes: &[u8]| pair.sign(bytes).as_ref().to_vec();
    Signing { jwk: jwk("keys/ed25519.spki"), algorithm: JwsAlgorithm::EdDsa, sign: Box::new(sign) }
}

fn jwk(spki: &str) -> Jwk {
    let key = PublicKey::from_spki_der(&testdata(spki)).expect("a public key");
    Jwk::from_public_key(&key).expect("a key that accounts may have")
}

impl Signing {
    fn request(&self, key: &KeyRef, nonce: Option<&str>, url: &str, payload: &[u8]) -> String {
        let header = protected_header(self.algorithm, key, nonce, url);
        let signature = (self.sign)(signing_input(&header, payload).as_bytes());
        flatten(&header, payload, &signature).to_string()
    }
}

#[expect(clippy::disallowed_methods, reason = "signatures need randomness, and nothing guards these keys")]
fn requests() {
    let random: &'static dyn SecureRandom = Box::leak(Box::new(ring::rand::SystemRandom::new()));
    let nonce = Some("bm9uY2Utbm9uY2Utbm9uY2U");
    let binding = eab::create(KEY_ID, b"a secret of thirty-two octets...", EAB_URL, &eab_account_key());
    write("jws", "binding", binding.to_string());
    for (name, by) in [("p256", p256(random)), ("ed25519", ed25519())] {
        let own = KeyRef::Jwk(by.jwk.clone());
        let kid = KeyRef::Kid("https://ca.test/acme/account/1".into());
        let account = serde_json::json!({ "termsOfServiceAgreed": true, "externalAccountBinding": binding });
        write("jws", &format!("new-account-{name}"), by.request(&own, nonce, EAB_URL, account.to_string().as_bytes()));
        let order = br#"{"identifiers":[{"type":"dns","value":"gw-1.site.test"}]}"#;
        write("jws", &format!("new-order-{name}"), by.request(&kid, nonce, "https://ca.test/acme/new-order", order));
        write("jws", &format!("read-{name}"), by.request(&kid, nonce, "https://ca.test/acme/order/1", b""));
        write("jws", &format!("inner-{name}"), by.request(&own, None, "https://ca.test/acme/key-change", b"{}"));
        write("jws", &format!("key-{name}"), by.jwk.canonical_json());
    }
    write("jws", "key-rsa", jwk("keys/rsa.spki").canonical_json());
    write("jws", "key-p521", jwk("keys/p521.spki").canonical_json());
    write("jws", "key-private", r#"{"kty":"oct","k":"AAAA"}"#);
    write("jws", "general", r#"{"payload":"","signatures":[{"protected":"e30","signature":"AA"}]}"#);
    write("jws", "twice", r#"{"protected":"e30","protected":"e30","payload":"","signature":"AA"}"#);
}

fn tokens() {
    let token = |ca: &[&str], pins: usize| EnrolmentToken {
        ca: ca.iter().map(|address| (*address).to_owned()).collect(),
        root_sha256: vec!["5a".repeat(32); pins],
        kid: KEY_ID.to_owned(),
        secret: Secret::new(BASE64URL_NOPAD.encode(&[7; 32])),
    };
    let one = token(&["https://ca.site.test:8443"], 1).to_line();
    write("token", "one", one.as_bytes());
    write("token", "several", token(&["https://ca.site.test:8443", "https://[fd00::1]:8443"], 3).to_line().as_bytes());
    let wrapped: Vec<&str> = one.split_inclusive('.').collect();
    write("token", "wrapped", wrapped.join("\r\n  "));
    write("token", "without-address", token(&[], 1).to_line().as_bytes());
    write("token", "without-pin", token(&["https://ca.site.test"], 0).to_line().as_bytes());
    write("token", "plain-http", token(&["http://ca.site.test"], 1).to_line().as_bytes());
    write("token", "other-version", "plt2.4.00000000.AAAA");
    write("token", "endless", "plt1.99999999999999999999.0.A");
}

fn names() {
    let texts = [
        "gw-1.site.test",
        "*.Site.Test",
        "localhost",
        "xn--bcher-kva.test",
        "xn--zzzz-9999999.test",
        "a..b",
        "a.b.",
        "-a.b",
        "*.*.b",
        "1.2.3.4",
        "192.0.2.1",
        "2001:0DB8::0:1",
        "::ffff:192.0.2.1",
        "fe80::1%eth0",
        "10.0.0.0/8",
        "dns *.xn--bcher-kva.test",
        "ip 2001:db8::",
        "email a@b.test",
        "00:0A:ff",
        "0",
        "7f00000000000000",
        "0123456789abcdef0123456789abcdef",
        "gateway",
        "gw_1.site",
        "2026-01-02T03:04:05.678+01:00",
        "1969-12-31T23:59:59.999Z",
        "9999-12-31T23:59:59-23:59",
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        "b\u{fc}cher.test",
        "a\u{0}b.test",
        "xn--.test",
        "XN--BCHER-KVA.TEST",
    ];
    for (index, text) in texts.iter().enumerate() {
        write("names", &format!("{index:02}"), text);
    }
    write(
        "names",
        "longest",
        [["a"; 63].concat(), ["b"; 63].concat(), ["c"; 63].concat(), ["d"; 61].concat()].join("."),
    );
}

fn problems() {
    const URN: &str = "urn:ietf:params:acme:error:";
    let sub =
        format!(r#"{{"type":"{URN}rejectedIdentifier","detail":"no","identifier":{{"type":"dns","value":"a.test"}}}}"#);
    for (name, content) in [
        ("plain", format!(r#"{{"type":"{URN}malformed","detail":"what was sent","status":400,"requestId":"0a1b"}}"#)),
        ("bare", format!(r#"{{"type":"{URN}badNonce"}}"#)),
        ("subproblems", format!(r#"{{"type":"{URN}compound","detail":"several","subproblems":[{sub},{sub}]}}"#)),
        ("nested", format!(r#"{{"type":"","subproblems":[{{"type":"","subproblems":[{sub}]}}]}}"#)),
        (
            "algorithms",
            format!(r#"{{"type":"{URN}badSignatureAlgorithm","algorithms":["ES256","EdDSA"],"status":400}}"#),
        ),
        (
            "foreign",
            r#"{"type":"about:blank","title":"Bad","status":599,"instance":"/x","detail":"\ud83d\ude00"}"#.to_owned(),
        ),
        ("deep", format!("{}{}", r#"{"type":"","subproblems":["#.repeat(140), "]}".repeat(140))),
        ("stored", r#"{"kind":"connection","detail":"refused"}"#.to_owned()),
        (
            "stored-whole",
            concat!(
                r#"{"kind":"badCSR","detail":"x","status":503,"retry_after":{"secs":5,"nanos":1},"subproblems":"#,
                r#"[{"kind":"dns","detail":"y","identifier_type":"ip","identifier_value":"::1"}]}"#
            )
            .to_owned(),
        ),
    ] {
        write("problem", name, content);
    }
}

fn configuration() {
    let names = [Identifier::parse("dns", "ca.site.test"), Identifier::parse("ip", "192.0.2.10")]
        .map(|name| name.expect("a good name"));
    let ids = ("00000000000000000000000000000001".parse(), "00000000000000000000000000000002".parse());
    let ids = (ids.0.expect("an id"), ids.1.expect("an id"));
    let template = Template::new("Site CA", "https://ca.site.test:8443", "http://ca.site.test:8080", &names, ids);
    let commented = render(&template);
    // comments are of no use to a fuzzer and slow it down
    let bare: String = commented
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line).trim_end())
        .filter(|line| !line.is_empty())
        .flat_map(|line| [line, "\n"])
        .collect();
    for (name, from, to) in [
        ("bare", "", ""),
        ("postgres", "sqlite:pilotlight.db", "postgres://pilot:secret@db.site.test/pilot?password=x"),
        ("unknown-key", "http_port", "htpp_port"),
        ("wrong-type", "http_port = 80", "http_port = \"80\""),
        ("elsewhere", "folder = \"keys\"", "folder = \"/etc/keys/../keys/.\""),
        ("networks", "deny_networks = []", "deny_networks = [\"10.0.0.0/8\", \"fc00::/7\"]"),
        ("resolvers", "resolvers = []", "resolvers = [\"192.0.2.53\", \"[fd00::53]:5353\"]"),
        ("levels", "level = \"info\"", "level = \"info,store=debug\""),
        ("cut", "[keys]", "[keys"),
    ] {
        write("config", name, bare.replacen(from, to, 1));
    }
}

/// Twins: cut in the middle, one bit turned, a piece doubled.
fn damage(folder: &Path) {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the corpus can be read")
        .map(|entry| entry.expect("the corpus can be read").path())
        .filter(|path| {
            path.extension().is_none_or(|extension| !["cut", "bit", "doubled"].iter().any(|e| extension == *e))
        })
        .collect();
    files.sort();
    for (index, file) in files.iter().enumerate() {
        let input = fs::read(file).expect("the corpus can be read");
        if input.len() < 8 || input.len() > MAX_DAMAGED {
            continue;
        }
        // a different place in every file
        let place = 1 + (index * 7919) % (input.len() - 2);
        let (before, after) = input.split_at(place);
        let (extension, damaged) = match index % 3 {
            0 => ("cut", before.to_vec()),
            1 => (
                "bit",
                [
                    before,
                    &after.iter().take(1).map(|byte| byte ^ 0x04).collect::<Vec<_>>(),
                    after.get(1..).unwrap_or_default(),
                ]
                .concat(),
            ),
            _ => ("doubled", [before, before.get(place / 2..).unwrap_or_default(), after].concat()),
        };
        let mut name = file.file_name().expect("a file has a name").to_owned();
        name.push(format!(".{extension}"));
        fs::write(folder.join(name), damaged).expect("the corpus can be written");
    }
}
