//! `ca-server policy diff`: what a change of policies means, and whom it strands.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

/// The inventory that measurements are made with, too.
#[path = "../../crates/store/examples/seed/inventory.rs"]
mod inventory;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pki_core::ids::IssuerId;
use pki_core::issuance::record::CertificateRecord;
use pki_core::random::SystemEntropy;
use pki_core::time::{Clock, SystemClock};
use pki_core::x509::pem::parse_pem_bundle;
use serde_json::Value;
use store::{OpenOptions, Store, certificates, devices};

/// Exit code, standard output, standard error.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ca-server"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).env_remove("PILOTLIGHT_DIR");
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The default profiles in `name`, with one change.
fn policies(place: &Path, name: &str, change: (&str, &str, &str)) {
    let source = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../policies"));
    fs::create_dir(place.join(name)).unwrap();
    for entry in fs::read_dir(source).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            let text = fs::read_to_string(entry.path()).unwrap();
            let (file, from, to) = change;
            let changed = if entry.file_name() == file { text.replace(from, to) } else { text.clone() };
            assert!(entry.file_name() != file || from == to || changed != text, "{from}");
            fs::write(place.join(name).join(entry.file_name()), changed).unwrap();
        }
    }
}

#[test]
fn changes_are_told_in_meaning() {
    let place = tempfile::tempdir().unwrap();
    policies(place.path(), "old", ("", "", ""));
    policies(place.path(), "narrow", ("gateway.yaml", "suffix: \"site.test\"", "suffix: \"plant.site.test\""));
    policies(
        place.path(),
        "same",
        ("gateway.yaml", "- suffix: \"site.test\"", "# words\n      - { suffix: SITE.test }"),
    );
    let (code, told, error) = run(place.path(), &["policy", "diff", "old", "same"]);
    assert_eq!((code, told.as_str(), error.as_str()), (0, "nothing changes: both mean the same\n", ""));
    let (code, told, _) = run(place.path(), &["policy", "diff", "old", "narrow"]);
    let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((code, lines.len()), (0, 2), "{told}");
    assert!(lines[0].starts_with(&["PROFILE", "IS", "WHAT", "EFFECT", "OLD", "NEW"]));
    assert!(told.contains("suffix site.test, except suffix plant.site.test"), "{told}");
    let (code, told, _) = run(place.path(), &["policy", "diff", "old", "narrow", "--output", "json"]);
    let report: Value = serde_json::from_str(&told).unwrap();
    let profile = &report["profiles"][0];
    assert_eq!((code, &profile["profile"], &profile["is"]), (0, &"gateway".into(), &"changed".into()));
    assert_eq!(profile["changes"][0]["effect"], "impossible");
    assert!(report["live"].is_null() && report["oldRevision"] != report["newRevision"], "{report:#}");

    let (code, _, error) = run(place.path(), &["policy", "diff", "old", "absent"]);
    assert!(code == 1 && error.contains("cannot read the policy folder absent"), "{error}");
    let (code, _, error) = run(place.path(), &["policy", "diff", "old", "narrow", "--live"]);
    assert!(code == 2 && error.contains("name its folder with `--dir`"), "{error}");
    assert_eq!(run(place.path(), &["policy", "diff", "old"]).0, 2);
}

/// Devices with a certificate each; one that has ended, of a name that no policy allows, is never asked about.
async fn seed(dir: &Path, count: usize) {
    let config = ca_server::config::Config::load(dir).unwrap();
    let store = Store::open(OpenOptions::new(config.database.url.expose(), dir)).await.unwrap();
    store.migrate().await.unwrap();
    let text = fs::read_to_string(dir.join("ca/root.crt")).unwrap();
    let der = parse_pem_bundle(&text).unwrap().remove(0).der().to_vec();
    inventory::fill(&store, count, &der, |_, _| ()).await;
    let now = SystemClock.now();
    let (device, over) = inventory::holder(count, IssuerId::random(&SystemEntropy::new()), now, &der);
    let over = CertificateRecord { not_before: now - inventory::LIFE, not_after: now - Duration::from_secs(1), ..over };
    let written = store.write(async move |tx| {
        devices::insert(tx, &device).await?;
        certificates::insert(tx, &over).await
    });
    written.await.unwrap();
    store.close().await;
}

/// Fails when a certificate that a change strands is not told, one that it does not is, or a page is left out.
#[tokio::test]
async fn those_who_could_not_renew_are_told_by_device() {
    let count = std::env::var("PILOTLIGHT_DIFF_CERTIFICATES").ok().and_then(|text| text.parse().ok()).unwrap_or(4200);
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("pass"), "correct horse\n").unwrap();
    let init = ["init", "--dir", "ca", "--name", "Plant", "--dns-name", "ca.site.test", "--domain", "site.test"];
    let (code, _, error) = run(place.path(), &[&init[..], &["--passphrase-file", "pass"]].concat());
    assert_eq!(code, 0, "{error}");
    policies(place.path(), "old", ("", "", ""));
    policies(place.path(), "narrow", ("gateway.yaml", "suffix: \"site.test\"", "suffix: \"plant.site.test\""));
    let labelled = "template: \"{device.name}.{device.labels.zone}.site.test\"";
    policies(place.path(), "labelled", ("gateway.yaml", "suffix: \"site.test\"", labelled));
    policies(place.path(), "off", ("gateway.yaml", "spec:\n", "spec:\n  enabled: false\n"));
    policies(place.path(), "rsa", ("gateway.yaml", "ecdsa: true", "ecdsa: false"));
    seed(&place.path().join("ca"), count).await;
    let live = |new: &str, further: &[&str]| {
        let arguments = ["policy", "diff", "old", new, "--live", "--dir", "ca", "--output", "json"];
        let (code, told, error) = run(place.path(), &[&arguments[..], further].concat());
        assert_eq!(code, 0, "{error}");
        let report: Value = serde_json::from_str(&told).unwrap();
        report["live"].clone()
    };
    let (all, stranded) = (count as u64, (count - count.div_ceil(10)) as u64);
    let found = live("narrow", &["--limit", "20"]);
    assert_eq!((&found["certificates"], &found["unrenewable"]), (&all.into(), &stranded.into()));
    assert_eq!(found["deniedAlready"], 0);
    assert_eq!(found["byRule"][0]["rule"], "identifiers.allowed");
    assert_eq!((found["holders"].as_array().unwrap().len(), &found["moreHolders"]), (20, &true.into()));
    assert_eq!((&found["holders"][0]["device"], &found["holders"][0]["certificates"]), (&"gw-1".into(), &1.into()));
    let found = live("labelled", &[]);
    assert_eq!((&found["unrenewable"], &found["byRule"][0]["rule"]), (&stranded.into(), &"identifiers.allowed".into()));
    assert!(found["holders"].to_string().contains("ca-server device label gw-1 zone=VALUE"), "{}", found["holders"][0]);
    assert_eq!(live("old", &[])["unrenewable"], 0);
    let found = live("rsa", &[]);
    assert_eq!((&found["unrenewable"], &found["byRule"][0]["rule"]), (&all.into(), &"keys.allowed".into()));
    let found = live("off", &["--limit", "1000000"]);
    assert_eq!((&found["unrenewable"], &found["byRule"][0]["rule"]), (&all.into(), &"profile.enabled".into()));
    assert_eq!(found["holders"].as_array().unwrap().len(), count);
    let (code, told, error) = run(place.path(), &["policy", "diff", "old", "narrow", "--live", "--dir", "ca"]);
    assert!(code == 0 && error.is_empty(), "no progress where nobody watches: {error}");
    assert!(told.contains("there are more holders") && told.contains("gw-1.site.test"), "{}", &told[..400]);
}
