//! VAL-7, VAL-8 and IPI-2: tls-alpn-01 against a TLS server that does it rightly, and in every wrong way.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use tests::acme_raw::Account;
use tests::ports::Port;
use tests::tls_alpn::{Shown, TlsAlpn, identifier};

use crate::world::{Challenge, World, csr, fresh_name, must_verify};

struct Lab {
    world: World,
    server: TlsAlpn,
    _port: Port,
}

impl Lab {
    async fn shared() -> Arc<Self> {
        static SHARED: tokio::sync::Mutex<Weak<Lab>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(lab) = shared.upgrade() {
            return lab;
        }
        let port = Port::take();
        let world = World::start_configured(&["--open-acme", "--network", "::1/128"], |config| {
            config["validation"]["tls_port"] = i64::from(port.number()).into();
        })
        .await;
        let server = TlsAlpn::start(&[port.address(), format!("[::1]:{}", port.number())]);
        let lab = Arc::new(Self { world, server, _port: port });
        *shared = Arc::downgrade(&lab);
        lab
    }

    /// Orders a name, shows what `fault` makes of the right answer, and returns the decided challenge.
    async fn look(&self, account: &Account, name: &str, fault: impl FnOnce(&mut Shown)) -> Value {
        let order = self.world.order(account, &[name]).await;
        let challenge = Challenge::of_kind(account, &order.authorizations()[0], "tls-alpn-01").await;
        let mut shown = Shown::right(name, &format!("{}.{}", challenge.token, account.key.thumbprint()));
        fault(&mut shown);
        self.server.set(&server_name(name), &shown);
        account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
        challenge.decided(account).await
    }
}

/// RFC 8738 section 6, written down for the two addresses of these tests.
fn server_name(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => {
            let mut parts: Vec<&str> = name.split('.').collect();
            parts.reverse();
            format!("{}.in-addr.arpa", parts.join("."))
        }
        Ok(IpAddr::V6(_)) => format!("1.{}ip6.arpa", "0.".repeat(31)),
        Err(_) => name.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn val_7_right_certificates_of_every_kind_are_taken() {
    let lab = Lab::shared().await;
    let account = lab.world.account().await;
    type Variant = fn(&mut Shown);
    let variants: [(&str, Variant); 6] = [
        ("P-256", |_| ()),
        ("P-384 over TLS 1.2", |shown| (shown.key, shown.version) = (&rcgen::PKCS_ECDSA_P384_SHA384, Some(&TLS12))),
        ("P-256 over TLS 1.2", |shown| shown.version = Some(&TLS12)),
        ("Ed25519 over TLS 1.3", |shown| (shown.key, shown.version) = (&rcgen::PKCS_ED25519, Some(&TLS13))),
        ("among other protocols", |shown| shown.protocols = vec!["h2", "acme-tls/1"]),
        ("a name in other letters", |shown| shown.names = vec![shown.names[0].to_uppercase()]),
    ];
    for (what, variant) in variants {
        let seen = lab.look(&account, &fresh_name(), variant).await;
        assert_eq!(seen["status"], "valid", "VAL-7: {what}: {seen:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn val_7_and_8_wrong_ones_are_told_apart() {
    let lab = Lab::shared().await;
    let account = lab.world.account().await;
    type Fault = fn(&mut Shown);
    let faults: [(&str, Fault, &str); 15] = [
        ("no extension", |shown| shown.identifiers.clear(), "incorrectResponse"),
        ("not critical", |shown| shown.identifiers[0].1 = false, "incorrectResponse"),
        ("twice", |shown| shown.identifiers.push(shown.identifiers[0].clone()), "incorrectResponse"),
        ("another challenge's", |shown| shown.identifiers[0].0 = identifier("other"), "incorrectResponse"),
        ("without its octet string", |shown| drop(shown.identifiers[0].0.drain(..2)), "incorrectResponse"),
        ("one octet more", |shown| shown.identifiers[0].0.push(0), "incorrectResponse"),
        ("two names", |shown| shown.names.push("second.localhost".to_owned()), "incorrectResponse"),
        ("another name", |shown| shown.names = vec!["other.localhost".to_owned()], "incorrectResponse"),
        ("a wildcard", |shown| shown.names = vec!["*.localhost".to_owned()], "incorrectResponse"),
        ("no name", |shown| shown.names.clear(), "incorrectResponse"),
        ("an address", |shown| shown.names = vec!["127.0.0.1".to_owned()], "incorrectResponse"),
        ("signed by another", |shown| shown.is_signed_by_another = true, "incorrectResponse"),
        ("no protocol", |shown| shown.protocols.clear(), "tls"),
        ("the key of another, TLS 1.3", |shown| (shown.is_of_another, shown.version) = (true, Some(&TLS13)), "tls"),
        ("the key of another, TLS 1.2", |shown| (shown.is_of_another, shown.version) = (true, Some(&TLS12)), "tls"),
    ];
    let looks = faults.map(async |(what, fault, expected)| {
        let seen = lab.look(&account, &fresh_name(), fault).await;
        let kind = seen["error"]["type"].as_str().unwrap_or_default();
        assert_eq!(kind.trim_start_matches("urn:ietf:params:acme:error:"), expected, "VAL-7, VAL-8: {what}: {seen:#}");
    });
    futures_util::future::join_all(looks).await;
    let seen = lab.look(&account, &fresh_name(), |shown| shown.protocols = vec!["h2"]).await;
    assert_eq!(seen["error"]["type"], "urn:ietf:params:acme:error:tls", "VAL-7: another protocol: {seen:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ipi_2_addresses_are_proven_by_their_reverse_names() {
    let lab = Lab::shared().await;
    let account = lab.world.account().await;
    for address in ["127.0.0.1", "::1"] {
        let order = lab.world.order(&account, &[address]).await;
        let challenge = Challenge::of_kind(&account, &order.authorizations()[0], "tls-alpn-01").await;
        let right = Shown::right(address, &format!("{}.{}", challenge.token, account.key.thumbprint()));
        lab.server.set(&server_name(address), &right);
        account.post(&challenge.url, &json!({})).await.expect("CHL-2", 200, "");
        assert_eq!(order.settled(&account).await["status"], "ready", "IPI-2: {address}");
        let key = rcgen::KeyPair::generate().unwrap();
        let done = order.finalize(&account, &csr(&[address], &key)).await.expect("FIN-1", 200, "").json();
        must_verify(&lab.world.ca, account.get(done["certificate"].as_str().unwrap()).await.text());
    }
    let fault = |shown: &mut Shown| shown.names = vec!["1.0.0.127.in-addr.arpa".to_owned()];
    let other = lab.world.account().await;
    let seen = lab.look(&other, "127.0.0.1", fault).await;
    assert_eq!(seen["error"]["type"], "urn:ietf:params:acme:error:incorrectResponse", "IPI-2: {seen:#}");
}
