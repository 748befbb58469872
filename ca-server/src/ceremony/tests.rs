//! Ceremonies from beginning to end, on real files and a real database, checked by openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pki_core::random::SystemEntropy;
use pki_core::time::{Clock, SystemClock, TestClock, Timestamp};
use pki_core::x509::key::{KeyAlgorithm, SignatureAlgorithm};
use pki_core::x509::name::Identifier;
use signer::{FileSigner, KeyId, Passphrase, Purpose, SignError, Signer};
use store::{OpenOptions, Store, StoreError, audit, issuers, meta};

use super::material::RootCrlState;
use super::*;
use crate::config::{Config, passphrase};

const DAY: Duration = Duration::from_secs(86_400);

fn request(dir: &Path) -> InitRequest {
    InitRequest {
        dns_names: vec!["ca.site.test".parse().unwrap()],
        domains: vec!["site.test".parse().unwrap()],
        ..InitRequest::new(dir, "Plant 7")
    }
}

fn given(text: &str) -> PassphraseChoice {
    PassphraseChoice::Given(Passphrase::from_first_line(text).unwrap())
}

async fn made(request: &InitRequest) -> Result<Initialised, CeremonyError> {
    init(request, given("correct horse"), &SystemClock, &SystemEntropy::new()).await
}

async fn refusal(request: &InitRequest) -> String {
    made(request).await.unwrap_err().to_string()
}

/// Every path below a folder, to see that nothing was left or changed.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        paths.extend(tree(&path));
        paths.push(path);
    }
    paths.sort();
    paths
}

fn openssl(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").current_dir(dir).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "openssl {arguments:?}: {text}");
    text
}

#[tokio::test]
async fn a_new_ca_is_complete_and_openssl_agrees() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("ca");
    let done = made(&request(&dir)).await.unwrap();
    assert_eq!(done.directory_url, "https://ca.site.test:8443/acme/directory");
    assert!(done.notes.is_empty(), "{:?}", done.notes);
    let names: Vec<_> = tree(&dir).iter().map(|path| path.strip_prefix(&dir).unwrap().display().to_string()).collect();
    for expected in [
        "ca-server.toml",
        "ca/intermediate.crt",
        "ca/root.crl",
        "ca/root.crt",
        "keys/intermediate.key",
        "keys/root.key",
        "keys/site.key",
        "pilotlight.db",
        "policies/gateway.yaml",
        "roots.pem",
    ] {
        assert!(names.contains(&expected.to_owned()), "{expected} in {names:?}");
    }
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1, "nothing beside the folder");
    let text = openssl(&dir, &["x509", "-in", "ca/intermediate.crt", "-noout", "-text"]);
    for expected in [
        "CN = Plant 7 Root CA",
        "CN = Plant 7 Issuing CA 1",
        "pathlen:0",
        "DNS:site.test",
        "IP:10.0.0.0/255.0.0.0",
        "URI:http://ca.site.test:8080/ca/",
        "URI:http://ca.site.test:8080/crl/",
        "X509v3 Name Constraints: critical",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    openssl(&dir, &["verify", "-x509_strict", "-CAfile", "roots.pem", "ca/intermediate.crt"]);
    openssl(&dir, &["crl", "-inform", "DER", "-in", "ca/root.crl", "-out", "root.pem"]);
    openssl(
        &dir,
        &[
            "verify",
            "-x509_strict",
            "-crl_check",
            "-CRLfile",
            "root.pem",
            "-CAfile",
            "roots.pem",
            "ca/intermediate.crt",
        ],
    );
}

#[tokio::test]
async fn the_configuration_loads_and_the_keys_sign() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("ca");
    let done = made(&request(&dir)).await.unwrap();
    let config = Config::load(&dir).unwrap();
    assert!(config.acme.external_account_required);
    let material = CaMaterial::load(&config, SystemClock.now()).unwrap();
    assert_eq!(material.root.certificate, done.root);
    assert_eq!(material.issuing.certificate, done.intermediate);
    assert_eq!(material.issuing.chain.len(), 2);
    assert_eq!(material.root.crl().entry_count(), 0);
    let life = material.root.crl().next_update().since(material.root.crl().this_update());
    assert_eq!(life, 395 * DAY, "thirteen months");
    let constraints = done.intermediate.name_constraints().unwrap();
    assert!(constraints.allows(&Identifier::parse("dns", "gw.site.test").unwrap()).is_ok());
    assert!(constraints.allows(&Identifier::parse("dns", "gw.evil.test").unwrap()).is_err());
    let passphrase = Passphrase::from_first_line("correct horse").unwrap();
    let keys = std::slice::from_ref(&config.ca.issuing.key);
    let signer = FileSigner::open(&config.keys.folder, &passphrase, keys, material.envelope()).unwrap();
    material.check_key(&config, &signer).unwrap();
    // the serving process cannot make another intermediate
    let ca = done.intermediate.tbs_der();
    let refused =
        signer.sign(&config.ca.issuing.key, Purpose::CaCertificate, SignatureAlgorithm::EcdsaSha256, ca).await;
    assert!(matches!(refused, Err(SignError::NeedsPerson { .. })));
    // the wrong key under the right name is noticed
    fs::copy(dir.join("keys/root.key"), dir.join("keys/intermediate.key")).unwrap();
    let other = FileSigner::open(&config.keys.folder, &passphrase, keys, material.envelope()).unwrap();
    let told = material.check_key(&config, &other).unwrap_err().to_string();
    assert!(told.contains("is not the one of the certificate"), "{told}");
}

#[tokio::test]
async fn the_database_begins_with_the_genesis_event() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("ca");
    made(&request(&dir)).await.unwrap();
    let config = Config::load(&dir).unwrap();
    let store = Store::open(OpenOptions::new(config.database.url.expose(), &dir)).await.unwrap();
    assert!(store.pending_migrations().await.unwrap().is_empty());
    let (root, issuing) = (config.ca.root.id, config.ca.issuing.id);
    let (keys, chain, epoch, events) = store
        .read(async move |tx| {
            let keys = issuers::list(tx).await?;
            let chain = issuers::list_certificates(tx, issuing).await?;
            let epoch = meta::get(tx, "epoch").await?;
            let events = audit::list(tx, &audit::Filter::default(), None, 10).await?;
            Ok::<_, StoreError>((keys, chain, epoch, events))
        })
        .await
        .unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(chain[0].parent, Some(root));
    assert_eq!(epoch.as_deref(), Some("1"));
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].action, "ca.init");
    store.close().await;
}

#[tokio::test]
async fn every_kind_of_key_makes_a_ca() {
    for key in [KeyAlgorithm::EcdsaP384, KeyAlgorithm::Ed25519, KeyAlgorithm::Rsa { bits: 3072 }] {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("ca");
        let done = made(&InitRequest { key, ..request(&dir) }).await.unwrap();
        assert_eq!(done.root.public_key().algorithm(), key);
        openssl(&dir, &["verify", "-x509_strict", "-CAfile", "roots.pem", "ca/intermediate.crt"]);
        CaMaterial::load(&Config::load(&dir).unwrap(), SystemClock.now()).unwrap();
    }
}

#[tokio::test]
async fn of_an_offline_root_nothing_stays() {
    let parent = tempfile::tempdir().unwrap();
    let (dir, out) = (parent.path().join("ca"), parent.path().join("stick/root.key"));
    fs::create_dir(out.parent().unwrap()).unwrap();
    let offline = InitRequest { root: RootCustody::Offline { out: Some(out.clone()) }, ..request(&dir) };
    assert_eq!(made(&offline).await.unwrap().root_key.as_deref(), Some(out.as_path()));
    let names = tree(&dir);
    assert!(!names.iter().any(|path| path.ends_with("root.key")), "{names:?}");
    let root = fs::read(&out).unwrap();
    for path in names.iter().filter(|path| path.is_file()) {
        assert_ne!(fs::read(path).unwrap(), root, "{}", path.display());
    }
    // never over an existing file, and then nothing else happens either
    let again = InitRequest { dir: parent.path().join("other"), ..request(&dir) };
    let told = refusal(&InitRequest { root: RootCustody::Offline { out: Some(out.clone()) }, ..again }).await;
    assert!(told.contains("exists already"), "{told}");
    assert_eq!(fs::read(&out).unwrap(), root);
    assert!(!parent.path().join("other").exists());
    let inside = RootCustody::Offline { out: Some(parent.path().join("third/root.key")) };
    let told = refusal(&InitRequest { root: inside, ..request(&parent.path().join("third")) }).await;
    assert!(told.contains("carried away"), "{told}");
}

#[tokio::test]
async fn root_sign_renews_the_crl_and_the_number_only_rises() {
    let parent = tempfile::tempdir().unwrap();
    let (dir, out) = (parent.path().join("ca"), parent.path().join("root.key"));
    let offline = InitRequest { root: RootCustody::Offline { out: Some(out.clone()) }, ..request(&dir) };
    made(&offline).await.unwrap();
    let config = Config::load(&dir).unwrap();
    let passphrase = Passphrase::from_first_line("correct horse").unwrap();
    let before = CaMaterial::read(&config).unwrap().root.crl();
    let sign = async |root_key: Option<PathBuf>, now| {
        sign_root_crl(RootSignRequest { config: &config, root_key, passphrase: &passphrase, now }).await
    };
    // twice within one second: the number rises all the same (CRL-2)
    let first = sign(Some(out.clone()), before.this_update()).await.unwrap();
    assert_eq!(first.number, before.number() + 1);
    let later = before.this_update() + 300 * DAY;
    let second = sign(Some(out.clone()), later).await.unwrap();
    assert_eq!(second.number, u64::try_from(later.unix_seconds()).unwrap());
    assert_eq!(second.next_update, later + 395 * DAY);
    assert_eq!(CaMaterial::read(&config).unwrap().root.crl().number(), second.number);
    let told = sign(None, later).await.unwrap_err().to_string();
    assert!(told.contains("it was made offline, so give its file with --root-key"), "{told}");
    let told = sign(Some(dir.join("keys/intermediate.key")), later).await.unwrap_err().to_string();
    assert!(told.contains("is not the one of the certificate"), "{told}");
    let wrong = Passphrase::from_first_line("wrong").unwrap();
    let told =
        sign_root_crl(RootSignRequest { config: &config, root_key: Some(out), passphrase: &wrong, now: later }).await;
    assert!(told.unwrap_err().to_string().contains("the passphrase does not open the key"));
}

#[tokio::test]
async fn the_alarm_comes_at_half_of_the_root_crls_life() {
    let parent = tempfile::tempdir().unwrap();
    made(&request(&parent.path().join("ca"))).await.unwrap();
    let crl = CaMaterial::read(&Config::load(&parent.path().join("ca")).unwrap()).unwrap().root.crl();
    let at = |days: u32| RootCrlState::of(&crl, crl.this_update() + days * DAY);
    assert_eq!(
        [at(0), at(197), at(198), at(394), at(395)],
        [RootCrlState::Fresh, RootCrlState::Fresh, RootCrlState::Due, RootCrlState::Due, RootCrlState::Over]
    );
}

#[tokio::test]
async fn a_clock_before_the_ca_is_refused_with_the_remedy() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("ca");
    let clock = TestClock::at(Timestamp::from_unix_seconds(1_800_000_000));
    init(&request(&dir), given("x"), &clock, &SystemEntropy::new()).await.unwrap();
    let config = Config::load(&dir).unwrap();
    CaMaterial::load(&config, clock.now() - Duration::from_secs(3600)).unwrap();
    let told = CaMaterial::load(&config, Timestamp::from_unix_seconds(0)).unwrap_err().to_string();
    assert!(told.contains("1970-01-01T00:00:00Z") && told.contains("the clock is wrong; set it"), "{told}");
}

#[tokio::test]
async fn names_of_the_ca_outside_the_domains_are_added_and_said() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("ca");
    let (dns_names, ips) = (vec!["pki.other.test".parse().unwrap()], vec!["203.0.113.5".parse().unwrap()]);
    let done = made(&InitRequest { dns_names, ips, ..request(&dir) }).await.unwrap();
    assert_eq!(done.notes.len(), 2);
    assert!(done.notes[0].starts_with("pki.other.test lies outside of --domain"), "{:?}", done.notes);
    let constraints = done.intermediate.name_constraints().unwrap();
    assert!(constraints.allows(&Identifier::parse("ip", "203.0.113.5").unwrap()).is_ok());
    assert!(constraints.allows(&Identifier::parse("ip", "203.0.113.6").unwrap()).is_err());
    let free = InitRequest { name_constraints: false, domains: vec![], ..request(&parent.path().join("free")) };
    assert!(made(&free).await.unwrap().intermediate.name_constraints().is_none());
}

#[tokio::test]
async fn bad_requests_say_what_to_do_and_leave_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("ca");
    let good = || request(&dir);
    let cases = [
        (InitRequest { name: " x".into(), ..good() }, "is not a name for a CA"),
        (InitRequest { name: "x".repeat(49), ..good() }, "1 to 48 characters"),
        (InitRequest { dns_names: vec![], ..good() }, "give --dns-name"),
        (InitRequest { dns_names: vec!["*.site.test".parse().unwrap()], ..good() }, "is a wildcard"),
        (InitRequest { domains: vec![], ..good() }, "--no-name-constraints"),
        (InitRequest { domains: vec!["*.site.test".parse().unwrap()], ..good() }, "write --domain site.test"),
        (InitRequest { key: KeyAlgorithm::Rsa { bits: 2048 }, ..good() }, "3072 or 4096"),
        (InitRequest { database: "sqlite:/nonexistent/folder/x.db".parse().unwrap(), ..good() }, "/nonexistent/folder"),
        (InitRequest { listen: ["[::]:1".into(), "[::]:1".into(), "[::]:2".into()], ..good() }, "`listen.public`"),
    ];
    for (bad, expected) in cases {
        let told = refusal(&bad).await;
        assert!(told.contains(expected), "{expected}: {told}");
        assert_eq!(tree(parent.path()), Vec::<PathBuf>::new(), "{expected}");
    }
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("mine"), "x").unwrap();
    assert!(refusal(&good()).await.contains("is not empty; choose another folder"));
    assert_eq!(fs::read(dir.join("mine")).unwrap(), b"x");
    let file = InitRequest::new(dir.join("mine"), "Plant 7");
    assert!(refusal(&InitRequest { dir: file.dir, ..good() }).await.contains("mine"));
}

#[tokio::test]
async fn a_database_of_another_ca_is_not_taken_over() {
    let parent = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", parent.path().join("shared.db").display());
    let with = |name: &str| InitRequest { database: url.parse().unwrap(), ..request(&parent.path().join(name)) };
    made(&with("one")).await.unwrap();
    let told = refusal(&with("two")).await;
    assert!(told.contains("belongs to another CA already"), "{told}");
    assert!(!parent.path().join("two").exists());
}

#[tokio::test]
async fn a_passphrase_that_is_made_is_found_again() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("ca");
    init(&request(&dir), PassphraseChoice::Made, &SystemClock, &SystemEntropy::new()).await.unwrap();
    let config = Config::load(&dir).unwrap();
    let found = passphrase::find(None, &config.keys.passphrase_file, passphrase::Prompt::Existing).unwrap();
    FileSigner::open(&config.keys.folder, &found, &[KeyId::intermediate()], signer::Envelope::serving()).unwrap();
}
