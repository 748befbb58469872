//! What is revoked, since when, by whom, why, and on which list first; and how far everything that is published has come.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tests::acme_raw::b64;
use tests::ca::{Ca, plain_get};
use tests::folders::{Folder, write};
use tests::gateway::{Gateway, Issued};
use tests::http::curl;
use tests::process::run;
use tests::wait;

use crate::denied::{metric, number};
use crate::world::shown;

/// The complete list of the issuing CA as anybody gets it: its number, and its file.
pub(crate) async fn fetch(ca: &Ca, files: &Folder) -> (u64, PathBuf) {
    let lists = ca.json(&["crl", "show"]).await;
    // the root's list is the first
    let url = lists[1]["url"].as_str().unwrap().to_owned();
    let path = files.path().join("list.crl");
    let answer = curl(&[&url]).await;
    assert_eq!(answer.status, 200, "{url}");
    write(&path, answer.body, 0o644);
    let mut command = Command::new("openssl");
    command.args(["crl", "-inform", "DER", "-noout", "-crlnumber", "-in"]).arg(&path);
    let told = run(&mut command).await.success();
    let hexadecimal = told.trim().trim_start_matches("crlNumber=").trim_start_matches("0x");
    (u64::from_str_radix(hexadecimal, 16).unwrap_or_else(|_| panic!("{told}")), path)
}

/// Whether openssl finds a serial number in a list.
async fn stands_on(path: &PathBuf, serial: &str) -> bool {
    let mut command = Command::new("openssl");
    command.args(["crl", "-inform", "DER", "-noout", "-text", "-in"]).arg(path);
    run(&mut command).await.success().to_lowercase().contains(&format!("serial number: {serial}"))
}

/// The row of a certificate once its list is published.
async fn reported(ca: &Ca, serial: &str) -> Value {
    wait::until("the list that names it", 20, async || {
        let list = ca.json(&["revocation", "list"]).await;
        let row = list.as_array().unwrap().iter().find(|row| row["serial"] == serial).cloned();
        row.filter(|row| row["firstCrl"].is_u64())
    })
    .await
}

/// How a certificate is revoked, and what the report has to say of it.
struct Case {
    by: By,
    reason: &'static str,
    comment: Option<&'static str>,
}

enum By {
    /// An administrator, by its serial number.
    Serial,
    /// Its holder, over ACME.
    Holder,
    /// An administrator, as the only one of a set.
    Set,
}

const CASES: [Case; 3] = [
    Case { by: By::Serial, reason: "superseded", comment: Some("replaced") },
    Case { by: By::Holder, reason: "cessationOfOperation", comment: None },
    Case { by: By::Set, reason: "keyCompromise", comment: Some("stolen") },
];

impl Case {
    async fn revoke(&self, ca: &Ca, gateway: &Gateway, issued: &Issued) {
        let said = ["--reason", self.reason, "--comment", self.comment.unwrap_or_default()];
        match self.by {
            By::Serial => {
                ca.json(&[&["cert", "revoke", &issued.serial], &said[..]].concat()).await;
            }
            By::Holder => {
                let url = gateway.account.client.url("revokeCert");
                let body = json!({ "certificate": b64(&issued.der), "reason": 5 });
                gateway.account.post(&url, &body).await.expect("REV-3", 200, "");
            }
            By::Set => {
                let key = shown(ca, &issued.serial).await["spkiSha256"].as_str().unwrap().to_owned();
                let set = format!("name={} key={key}", gateway.dns);
                ca.json(&[&["cert", "revoke", "--where", &set, "--yes"], &said[..]].concat()).await;
            }
        }
    }

    /// Who did it, as the report names them.
    fn actor(&self, gateway: &Gateway) -> String {
        match self.by {
            By::Holder => format!("account:{}", gateway.account.url.rsplit('/').next().unwrap()),
            By::Serial | By::Set => format!("uid:{}", nix::unistd::getuid()),
        }
    }

    /// The row of the report, and the same in what is shown of the certificate.
    async fn is_told(&self, ca: &Ca, gateway: &Gateway, row: &Value) {
        assert_eq!((&row["by"], &row["reason"]), (&self.actor(gateway).into(), &self.reason.into()), "{row:#}");
        assert_eq!(row["comment"], self.comment.map_or(Value::Null, Value::from), "{row:#}");
        assert_eq!(row["with"].is_string(), matches!(self.by, By::Set), "{row:#}");
        assert_eq!((&row["device"], &row["names"][0]), (&"gw-1".into(), &"gw-1.site.test".into()), "{row:#}");
        let one = shown(ca, row["serial"].as_str().unwrap()).await;
        for (member, other) in [
            ("revokedBy", "by"),
            ("comment", "comment"),
            ("revokedWith", "with"),
            ("firstCrl", "firstCrl"),
            ("firstCrlAt", "firstCrlAt"),
            ("revokedAt", "revokedAt"),
        ] {
            assert_eq!(one[member], row[other], "{member}: {one:#}");
        }
    }
}

/// Fails when the number told is not that of the first list with the certificate, or when who, why and when are others.
#[tokio::test(flavor = "multi_thread")]
async fn each_revocation_is_reported_with_the_list_on_which_it_first_stood() {
    let ca = Ca::start(&[]).await;
    let gateway = Gateway::of(&ca).await;
    let (files, mut numbers) = (Folder::new(), Vec::new());
    // with it the set is not everything, which would be asked about
    let last = gateway.issue().await.serial;
    for case in &CASES {
        let issued = gateway.issue().await;
        let (before, path) = fetch(&ca, &files).await;
        assert!(!stands_on(&path, &issued.serial).await);
        case.revoke(&ca, &gateway, &issued).await;
        let row = reported(&ca, &issued.serial).await;
        let (after, path) = fetch(&ca, &files).await;
        assert!(stands_on(&path, &issued.serial).await && after > before, "{before} {after}");
        assert_eq!(row["firstCrl"], after, "nothing else was published meanwhile: {row:#}");
        case.is_told(&ca, &gateway, &row).await;
        numbers.push((issued.serial, after));
    }
    stays_told(&ca, &numbers).await;
    a_second_hold_is_another_one(&ca, &files, &last).await;
    let device = ca.json(&["device", "show", "gw-1"]).await;
    assert_eq!(device["certificateUntil"], Value::Null, "what is revoked certifies nobody: {device:#}");
}

/// Later lists change nothing of what was told; people read the same.
async fn stays_told(ca: &Ca, numbers: &[(String, u64)]) {
    ca.command(&["crl", "publish"]).await.success();
    for (serial, number) in numbers {
        assert_eq!(reported(ca, serial).await["firstCrl"], *number);
    }
    let page = ca.command(&["revocation", "list"]).await.success();
    let lines: Vec<&str> = page.lines().collect();
    assert!(lines[0].starts_with("NUMBER  SERIAL"), "{page}");
    for (line, (serial, number)) in lines[1..].iter().zip(numbers) {
        assert!(line.contains(serial) && line.ends_with(&number.to_string()), "{page}");
    }
    let sheet = ca.command(&["cert", "show", &numbers[0].0]).await.success();
    assert!(sheet.contains(&format!("first CRL      number {}", numbers[0].1)), "{sheet}");
}

/// A hold that was undone and comes back is told with its own list and words.
async fn a_second_hold_is_another_one(ca: &Ca, files: &Folder, serial: &str) {
    ca.json(&["cert", "revoke", serial, "--reason", "certificateHold"]).await;
    let first = reported(ca, serial).await["firstCrl"].as_u64().unwrap();
    let released = ca.json(&["cert", "release", serial]).await;
    assert_eq!((&released["firstCrl"], &released["revokedBy"]), (&Value::Null, &Value::Null), "{released:#}");
    wait::until_true("a list without it", 20, async || !stands_on(&fetch(ca, files).await.1, serial).await).await;
    ca.json(&["cert", "revoke", serial, "--reason", "certificateHold", "--comment", "again"]).await;
    let row = reported(ca, serial).await;
    assert!(row["firstCrl"].as_u64().unwrap() > first, "{row:#}");
    assert_eq!(row["comment"], "again", "{row:#}");
}

/// Fails when something published does not tell how far it has come, or tells something else than the rest.
#[tokio::test(flavor = "multi_thread")]
async fn everything_published_tells_up_to_which_change_it_is() {
    let ca = Ca::start(&[]).await;
    let gateway = Gateway::of(&ca).await;
    let serial = gateway.issue().await.serial;
    ca.json(&["cert", "revoke", &serial]).await;
    let row = reported(&ca, &serial).await;
    let told = row["number"].as_u64().unwrap();
    assert_eq!(number(&ca).await, told, "readiness");
    assert_eq!(metric(&ca, "pilotlight_denied_number").await, told as f64);
    let lists = ca.json(&["crl", "show"]).await;
    let issuer = lists[1]["issuer"].as_str().unwrap().to_owned();
    for list in &lists.as_array().unwrap()[1..] {
        assert_eq!(list["covers"], told, "{list:#}");
        let scope = list["shard"].as_u64().map_or_else(|| "complete".to_owned(), |shard| shard.to_string());
        let name = format!("pilotlight_crl_covers{{issuer=\"{issuer}\",scope=\"{scope}\"}}");
        assert_eq!(metric(&ca, &name).await, told as f64);
        let served = curl(&[list["url"].as_str().unwrap()]).await;
        assert_eq!(served.header("pilotlight-covers"), Some(told.to_string().as_str()), "{}", served.head);
    }
    let ready = plain_get(&ca.operations_address(), "/readyz").await.unwrap();
    let line = format!("list {} of issuer {issuer}: covers revocations up to number {told}\n", lists[1]["number"]);
    assert!(ready.contains(&line), "{line}{ready}");
    let feed = ca.command(&["revocation", "list"]).await.success();
    assert!(feed.lines().nth(1).unwrap().starts_with(&told.to_string()), "{feed}");
    let copies = std::fs::read_dir(ca.dir().join("crl")).unwrap().map(|entry| entry.unwrap().path());
    let index = copies.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let texts: Vec<String> = index.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(texts.iter().any(|text| text.contains(&format!("\"covers\": {told}"))), "{texts:?}");
    // a device has a number and stands on no list
    ca.command(&["device", "add", "gw-2", "--profile", "gateway", "--dns", "gw-2.site.test"]).await.success();
    ca.json(&["device", "revoke", "gw-2"]).await;
    assert_eq!(number(&ca).await, told + 1);
    assert_eq!(ca.json(&["crl", "show"]).await[1]["covers"], told);
}
