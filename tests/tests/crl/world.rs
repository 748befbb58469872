//! A CA whose lists are looked at, by curl and by the CA's own reader.

use std::path::{Path, PathBuf};
use std::process::Command;

use pki_core::x509::certificate::Certificate;
use pki_core::x509::crl::{Crl, CrlScope};
use serde_json::Value;
use tests::ca::{Ca, Profile, plain_get};
use tests::certificate::hex;
use tests::folders::{Folder, write};
use tests::gateway::{Gateway, Issued};
use tests::http::curl;
use tests::process::{Ran, run};
use tests::wait;

/// Seconds within which whatever is to be published is: the machine may be busy.
pub(crate) const SOON: u64 = 20;

/// A CA, a device with an account, and a folder.
pub(crate) struct World {
    pub(crate) ca: Ca,
    pub(crate) gateway: Gateway,
    pub(crate) folder: Folder,
}

impl World {
    /// A CA with these values in `[crl]`.
    pub(crate) async fn start(values: &[(&str, toml::Value)]) -> Self {
        Self::with(&[], values).await
    }

    pub(crate) async fn with(profiles: &[Profile], values: &[(&str, toml::Value)]) -> Self {
        let mut ca = Ca::init(profiles).await;
        configure(&ca, values);
        ca.serve().await;
        Self::of(ca).await
    }

    pub(crate) async fn of(ca: Ca) -> Self {
        published(&ca).await;
        let gateway = Gateway::of(&ca).await;
        Self { ca, gateway, folder: Folder::new() }
    }

    /// `PATH` of the complete list of the issuing CA, below `/crl/`.
    pub(crate) fn complete(&self) -> String {
        format!("{}.crl", self.ca.issuer_id())
    }

    pub(crate) fn shard(&self, number: u32) -> String {
        format!("{}/{number}.crl", self.ca.issuer_id())
    }

    /// The delta to a list.
    pub(crate) fn delta(list: &str) -> String {
        list.replace(".crl", "-delta.crl")
    }

    /// The root's list.
    pub(crate) fn of_root(&self) -> String {
        format!("{}.crl", self.ca.config()["ca"]["root"]["id"].as_str().unwrap())
    }

    pub(crate) fn url(&self, list: &str) -> String {
        url(&self.ca, list)
    }

    pub(crate) async fn list(&self, list: &str) -> Crl {
        list_of(&self.ca, list).await
    }

    pub(crate) async fn revoke(&self, serial: &str, reason: &str) {
        self.ca.command(&["cert", "revoke", serial, "--reason", reason]).await.success();
    }

    /// A certificate that is revoked for a reason, as the complete list tells.
    pub(crate) async fn revoked(&self, reason: &str) -> Issued {
        let leaf = self.gateway.issue().await;
        self.revoke(&leaf.serial, reason).await;
        self.named(&self.complete(), &leaf.serial).await;
        leaf
    }

    /// Waits until a list names a certificate.
    pub(crate) async fn named(&self, list: &str, serial: &str) -> Crl {
        named(&self.ca, list, serial).await
    }

    pub(crate) fn save(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        write(&path, bytes, 0o644);
        path
    }

    /// A list in a file, in PEM.
    pub(crate) async fn pem(&self, list: &str) -> PathBuf {
        let address = self.url(&list.replace(".crl", ".pem"));
        self.save(&list.replace('/', "-").replace(".crl", ".pem"), curl(&[&address]).await.body)
    }

    /// `openssl verify` of a leaf with these arguments besides; what was said.
    pub(crate) async fn verify(&self, leaf: &Issued, arguments: &[&str]) -> Ran {
        let file = self.save("leaf.pem", &leaf.pem);
        let mut command = Command::new("openssl");
        command.arg("verify").args(arguments).arg("-CAfile").arg(self.ca.roots());
        command.arg("-untrusted").arg(self.ca.issuer()).arg(file);
        run(&mut command).await
    }
}

/// Writes values into `[crl]`.
pub(crate) fn configure(ca: &Ca, values: &[(&str, toml::Value)]) {
    ca.configure(|config| {
        let section = config.entry("crl").or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
        section.extend(values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    });
}

/// Writes the addresses of lists.
pub(crate) fn set_addresses(ca: &Ca, bases: &[String]) {
    ca.configure(|config| {
        let issuing = config["ca"]["issuing"].as_table_mut().unwrap();
        let section = issuing.entry("publication").or_insert_with(|| toml::Table::new().into());
        section.as_table_mut().unwrap().insert("crl_urls".to_owned(), bases.to_vec().into());
    });
}

pub(crate) fn url(ca: &Ca, list: &str) -> String {
    format!("http://{}/crl/{list}", ca.public_address())
}

pub(crate) async fn list_of(ca: &Ca, list: &str) -> Crl {
    let answer = curl(&[&url(ca, list)]).await;
    assert_eq!(answer.status, 200, "{list}: {}", answer.head);
    Crl::parse(&answer.body).unwrap()
}

/// Waits until there is a list of everything.
pub(crate) async fn published(ca: &Ca) {
    served(ca, &format!("{}.crl", ca.issuer_id())).await;
}

/// Waits until a list is there.
pub(crate) async fn served(ca: &Ca, list: &str) -> Crl {
    let address = url(ca, list);
    let is_there = async || Some(curl(&[&address]).await).filter(|answer| answer.status == 200);
    let answer = wait::until(&format!("the list {list}"), SOON, is_there).await;
    Crl::parse(&answer.body).unwrap()
}

/// Waits until a list names a certificate.
pub(crate) async fn named(ca: &Ca, list: &str, serial: &str) -> Crl {
    let is_named = async || Some(list_of(ca, list).await).filter(|list| names(list, serial));
    wait::until(&format!("the list {list} to name {serial}"), SOON, is_named).await
}

pub(crate) fn names(list: &Crl, serial: &str) -> bool {
    list.raw_entries().unwrap().any(|entry| hex(entry.unwrap().serial).trim_start_matches('0') == bare(serial))
}

/// The reason code at which a list names a certificate.
pub(crate) fn code(list: &Crl, serial: &str) -> Option<u8> {
    let mut entries = list.raw_entries().unwrap().map(|entry| entry.unwrap());
    entries.find(|entry| hex(entry.serial).trim_start_matches('0') == bare(serial)).and_then(|entry| entry.code)
}

fn bare(serial: &str) -> &str {
    serial.trim_start_matches('0')
}

/// The addresses that the list of a shard is about.
pub(crate) fn scope_urls(list: &Crl) -> Vec<String> {
    match list.scope() {
        CrlScope::Shard { urls } => urls.clone(),
        other => panic!("{other:?} is no shard"),
    }
}

/// The addresses of lists in a leaf.
pub(crate) fn leaf_urls(leaf: &Issued) -> Vec<String> {
    Certificate::parse(&leaf.der).unwrap().crl_urls().to_vec()
}

/// The value of a metric; zero while there is none.
pub(crate) async fn metric_or_zero(ca: &Ca, name: &str) -> f64 {
    ca.metric(name).await.unwrap_or(0.0)
}

/// Waits until readiness and metrics tell of a trouble, and the log has told of it; the CA goes on.
pub(crate) async fn alarm(ca: &Ca, part: &str, words: &str) {
    wait::until_true(&format!("the alarm of `{part}`"), SOON, async || {
        let ready = plain_get(&ca.operations_address(), "/readyz").await.unwrap_or_default();
        assert!(ready.is_empty() || ready.starts_with("HTTP/1.1 200"), "{ready}");
        ready.lines().any(|line| line.starts_with("crl: ") && line.contains(words)) && failing(ca, part).await
    })
    .await;
    assert!(ca.log().contains(words), "{}", ca.log());
}

/// Waits until all is well again.
pub(crate) async fn all_clear(ca: &Ca, part: &str) {
    wait::until_true(&format!("the end of the alarm of `{part}`"), 60, async || !failing(ca, part).await).await;
}

async fn failing(ca: &Ca, part: &str) -> bool {
    metric_or_zero(ca, &format!("pilotlight_crl_publication_failing{{part=\"{part}\"}}")).await > 0.5
}

/// What the audit log tells of publications, in their order.
pub(crate) async fn publications(ca: &Ca) -> Vec<Value> {
    let all = ca.json(&["audit", "list", "--limit", "10000"]).await;
    let all = all.as_array().unwrap().iter();
    let mut told: Vec<Value> = all.filter(|event| event["action"] == "crl.publish").cloned().collect();
    told.sort_by_key(|event| event["id"].as_str().unwrap().to_owned());
    told
}

/// No issuer has this id.
pub(crate) const NOBODY: &str = "00000000000000000000000000000000";

/// Gives all revocations in the database to another issuer.
pub(crate) async fn move_revocations(ca: &Ca, issuer: &str) {
    ca.query(&format!("UPDATE revocation SET issuer_id = '{issuer}'")).await;
}

pub(crate) fn copy_of(dir: &Path, list: &str) -> PathBuf {
    dir.join("crl").join(list)
}
