//! One certificate and one revocation list of every kind that a CA makes.

use std::path::Path;

use serde_json::{Value, json};
use tests::acme_raw::{Account, Key, new_account};
use tests::external_account::External;
use tests::folders::{Folder, write};
use tests::wait;
use tests::world::enrolled;

use crate::finalize::{P256, by_openssl};
use crate::world::{Order, World, fresh_name, identifiers, leaf, openssl};

/// A certificate: what it is a sample of, its DER, and the DER of the one that issued it.
pub(crate) struct Sample {
    pub(crate) kind: String,
    pub(crate) der: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
}

/// Everything that one CA makes.
pub(crate) struct Samples {
    pub(crate) root: Sample,
    pub(crate) intermediate: Sample,
    /// Ordered by clients; the request's public key beside it, where a client of ours made it.
    pub(crate) leaves: Vec<(Sample, Option<Vec<u8>>)>,
    pub(crate) own: Sample,
    /// What it is, whether of CA certificates, DER.
    pub(crate) lists: Vec<(String, bool, Vec<u8>)>,
}

impl Samples {
    /// Makes a CA with keys of this type and all of its samples.
    pub(crate) async fn make(key_type: &str) -> Self {
        let world = World::start(&["--key-type", key_type, "--network", "fd00::/8"]).await;
        let (root, intermediate) = (pem_file(&world.ca.roots()), pem_file(&world.ca.issuer()));
        let sample = |kind: &str, der: Vec<u8>| Sample { kind: kind.to_owned(), der, issuer: intermediate.clone() };
        let leaves = leaves(&world).await;
        let leaves: Vec<_> = leaves.into_iter().map(|(kind, der, key)| (sample(&kind, der), key)).collect();
        let own = sample("own TLS certificate", presented(&world.ca.main_address()));
        let lists = lists(&world, &leaves).await;
        let root = Sample { kind: "root".to_owned(), der: root.clone(), issuer: root };
        let intermediate = Sample { kind: "intermediate".to_owned(), der: intermediate, issuer: root.der.clone() };
        Self { root, intermediate, leaves, own, lists }
    }

    /// All certificates.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Sample> {
        self.end_entities().chain([&self.root, &self.intermediate])
    }

    /// All certificates that are no CA's.
    pub(crate) fn end_entities(&self) -> impl Iterator<Item = &Sample> {
        self.leaves.iter().map(|(sample, _)| sample).chain([&self.own])
    }
}

/// Kind, DER, and the DER of the public key that was asked for.
type Made = (String, Vec<u8>, Option<Vec<u8>>);

async fn leaves(world: &World) -> Vec<Made> {
    let account = bound(world).await;
    let (name, second) = (fresh_name(), fresh_name());
    let mut made = Vec::new();
    for (kind, key) in [
        ("P-256", &P256[..]),
        ("P-384", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("P-521", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        ("RSA", &["-newkey", "rsa:2048"]),
        ("Ed25519", &["-newkey", "ed25519"]),
    ] {
        made.push(issue(world, &account, &format!("server, {kind}"), "server", &[&name], key).await);
    }
    for (kind, profile, names) in [
        ("two names and an address", "server", &[name.as_str(), &second, "127.0.0.1"][..]),
        ("IPv4", "server", &["127.0.0.1"]),
        ("empty subject", "wild", &[&name]),
        ("rabbitmq-broker", "rabbitmq-broker", &[&name]),
    ] {
        made.push(issue(world, &account, kind, profile, names, &P256).await);
    }
    let agent = enrolled(&world.ca, "gw-1", "gateway", &["gw-1.site.test"]).await;
    let chain = std::fs::read_to_string(agent.live("identity").join("current/cert.pem")).unwrap();
    made.push(("gateway".to_owned(), leaf(&chain), None));
    made
}

/// An account that may have certificates of all profiles but those of devices.
async fn bound(world: &World) -> Account {
    let (key, url) = (Key::new(), world.client.url("newAccount"));
    let binding = External::create(&world.ca).await.bind(&url, &key.jwk(), |_| ());
    let url = new_account(&world.client, &key, &binding).await.expect("ACC-10", 201, "").location();
    Account { client: world.client.clone(), key, url }
}

async fn issue(world: &World, account: &Account, kind: &str, profile: &str, names: &[&str], key: &[&str]) -> Made {
    let order = Order::new(account, &json!({ "identifiers": identifiers(names), "profile": profile })).await;
    world.prove(account, &order).await;
    let san: Vec<String> = identifiers(names).iter().map(alternative).collect();
    let san = format!("subjectAltName={}", san.join(","));
    let subject = if profile == "wild" { "/".to_owned() } else { format!("/CN={}", names[0]) };
    let request = by_openssl(key, &["-subj", &subject, "-addext", &san]);
    let done = order.finalize(account, &request).await.expect(kind, 200, "").json();
    let chain = account.get(done["certificate"].as_str().unwrap()).await.expect(kind, 200, "");
    (kind.to_owned(), leaf(chain.text()), Some(key_of(&request)))
}

fn alternative(identifier: &Value) -> String {
    let kind = if identifier["type"] == "ip" { "IP" } else { "DNS" };
    format!("{kind}:{}", identifier["value"].as_str().unwrap())
}

fn key_of(request: &[u8]) -> Vec<u8> {
    use x509_parser::prelude::{FromDer, X509CertificationRequest};
    let (_, request) = X509CertificationRequest::from_der(request).unwrap();
    request.certification_request_info.subject_pki.raw.to_vec()
}

/// The first certificate of a PEM file.
fn pem_file(file: &Path) -> Vec<u8> {
    leaf(&std::fs::read_to_string(file).unwrap())
}

/// The certificate that a TLS server shows.
fn presented(address: &str) -> Vec<u8> {
    let folder = Folder::new();
    let shown = openssl(folder.path(), &["s_client", "-connect", address, "-servername", "localhost"]);
    let shown = String::from_utf8(shown).unwrap();
    leaf(&shown[shown.find("-----BEGIN CERTIFICATE-----").unwrap()..])
}

/// The root's list, and an empty and a filled one of leaves: in whole, and of the shard that the leaf names.
async fn lists(world: &World, leaves: &[(Sample, Option<Vec<u8>>)]) -> Vec<(String, bool, Vec<u8>)> {
    let revoked = &leaves[0].0.der;
    let (shard, complete) = addresses(revoked);
    let mut lists = vec![("root's".to_owned(), true, list_file(&world.ca.dir().join("ca/root.crl")))];
    lists.push(("complete, empty".to_owned(), false, fetch(&complete)));
    lists.push(("shard, empty".to_owned(), false, fetch(&shard)));
    for (at, reason) in ["unspecified", "superseded"].into_iter().enumerate() {
        let serial = tests::certificate::Leaf::from_der(&leaves[at].0.der).serial;
        world.ca.command(&["cert", "revoke", &serial, "--reason", reason]).await.success();
    }
    for (kind, url) in [("complete", &complete), ("shard", &shard)] {
        let empty = fetch(url).len();
        let filled = wait::until("the list to name what was revoked", 90, async || {
            let list = fetch(url);
            (entries(&list) >= if kind == "complete" { 2 } else { 1 }).then_some(list)
        });
        lists.push((format!("{kind}, filled"), false, filled.await));
        assert!(lists.last().is_some_and(|(_, _, list)| list.len() >= empty));
    }
    lists
}

fn entries(list: &[u8]) -> usize {
    use x509_parser::prelude::{CertificateRevocationList, FromDer};
    CertificateRevocationList::from_der(list).unwrap().1.iter_revoked_certificates().count()
}

/// Where a leaf says its list is, and where the complete one of the same CA is.
fn addresses(der: &[u8]) -> (String, String) {
    let folder = Folder::new();
    write(&folder.path().join("leaf"), der, 0o644);
    let text =
        openssl(folder.path(), &["x509", "-inform", "DER", "-in", "leaf", "-noout", "-ext", "crlDistributionPoints"]);
    let text = String::from_utf8(text).unwrap();
    let shard = text.split("URI:").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let complete = format!("{}.crl", shard.rsplit_once('/').unwrap().0);
    (shard, complete)
}

fn fetch(url: &str) -> Vec<u8> {
    let output = std::process::Command::new("curl").args(["-sSf", "--max-time", "20", url]).output().unwrap();
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// DER or PEM.
fn list_file(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).unwrap();
    if bytes.starts_with(b"-----") { leaf(&String::from_utf8(bytes).unwrap()) } else { bytes }
}
