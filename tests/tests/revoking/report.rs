//! What is revoked, since when, by whom, why, and on which list first; and how far everything that is published has come.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tests::acme_raw::{Client, b64};
use tests::ca::{Ca, plain_get};
use tests::folders::{Folder, write};
use tests::http::curl;
use tests::process::run;
use tests::wait;

use crate::denied::{metric, number};
use crate::world::{Gateway, shown};

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

/// Fails when the number told is not that of the first list with the certificate, or when who, why and when are others.
#[tokio::test(flavor = "multi_thread")]
async fn each_revocation_is_reported_with_the_list_on_which_it_first_stood() {
    let ca = Ca::start(&[]).await;
    let gateway = Gateway::enrol(&ca, &Client::of(&ca).await, "gw-1").await;
    let (files, uid) = (Folder::new(), format!("uid:{}", nix::unistd::getuid()));
    let mut issued = Vec::new();
    for _ in 0..4 {
        issued.push(gateway.issue().await);
    }
    let account = format!("account:{}", gateway.account.url.rsplit('/').next().unwrap());
    let mut numbers = Vec::new();
    for (place, (by, reason, comment)) in [
        (&uid, "superseded", Some("replaced")),
        (&account, "cessationOfOperation", None),
        (&uid, "keyCompromise", Some("stolen")),
    ]
    .into_iter()
    .enumerate()
    {
        let serial = &issued[place].serial;
        let (before, path) = fetch(&ca, &files).await;
        assert!(!stands_on(&path, serial).await);
        match (comment, reason) {
            (None, _) => {
                let url = gateway.account.client.url("revokeCert");
                let body = json!({ "certificate": b64(&issued[place].der), "reason": 5 });
                gateway.account.post(&url, &body).await.expect("REV-3", 200, "");
            }
            (Some(comment), "keyCompromise") => {
                let set =
                    format!("name=gw-1.site.test key={}", shown(&ca, serial).await["spkiSha256"].as_str().unwrap());
                ca.json(&["cert", "revoke", "--where", &set, "--yes", "--reason", reason, "--comment", comment]).await;
            }
            (Some(comment), _) => {
                ca.json(&["cert", "revoke", serial, "--reason", reason, "--comment", comment]).await;
            }
        }
        let row = reported(&ca, serial).await;
        let (after, path) = fetch(&ca, &files).await;
        assert!(stands_on(&path, serial).await && after > before, "{before} {after}");
        assert_eq!(row["firstCrl"], after, "nothing else was published meanwhile: {row:#}");
        assert_eq!((&row["by"], &row["reason"]), (&by.as_str().into(), &reason.into()), "{row:#}");
        assert_eq!(row["comment"], comment.map_or(Value::Null, Value::from), "{row:#}");
        assert_eq!(row["with"].is_string(), reason == "keyCompromise", "{row:#}");
        assert_eq!((&row["device"], &row["names"][0]), (&"gw-1".into(), &"gw-1.site.test".into()), "{row:#}");
        let one = shown(&ca, serial).await;
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
        numbers.push((serial.clone(), after));
    }
    // later lists change nothing of that
    ca.command(&["crl", "publish"]).await.success();
    for (serial, number) in &numbers {
        assert_eq!(reported(&ca, serial).await["firstCrl"], *number);
    }
    let page = ca.command(&["revocation", "list"]).await.success();
    let lines: Vec<&str> = page.lines().collect();
    assert!(lines[0].starts_with("NUMBER  SERIAL"), "{page}");
    for (line, (serial, number)) in lines[1..].iter().zip(&numbers) {
        assert!(line.contains(serial) && line.ends_with(&number.to_string()), "{page}");
    }
    let sheet = ca.command(&["cert", "show", &numbers[0].0]).await.success();
    assert!(sheet.contains(&format!("first CRL      number {}", numbers[0].1)), "{sheet}");

    // a hold that was undone and comes back is another one
    let serial = &issued[3].serial;
    ca.json(&["cert", "revoke", serial, "--reason", "certificateHold"]).await;
    let first = reported(&ca, serial).await["firstCrl"].as_u64().unwrap();
    let released = ca.json(&["cert", "release", serial]).await;
    assert_eq!((&released["firstCrl"], &released["revokedBy"]), (&Value::Null, &Value::Null), "{released:#}");
    wait::until_true("a list without it", 20, async || !stands_on(&fetch(&ca, &files).await.1, serial).await).await;
    ca.json(&["cert", "revoke", serial, "--reason", "certificateHold", "--comment", "again"]).await;
    let row = reported(&ca, serial).await;
    assert!(row["firstCrl"].as_u64().unwrap() > first, "{row:#}");
    assert_eq!(row["comment"], "again", "{row:#}");
    let device = ca.json(&["device", "show", "gw-1"]).await;
    assert_eq!(device["certificateUntil"], Value::Null, "what is revoked certifies nobody: {device:#}");
}

/// Fails when something published does not tell how far it has come, or tells something else than the rest.
#[tokio::test(flavor = "multi_thread")]
async fn everything_published_tells_up_to_which_change_it_is() {
    let ca = Ca::start(&[]).await;
    let gateway = Gateway::enrol(&ca, &Client::of(&ca).await, "gw-1").await;
    let serial = gateway.issue().await.serial;
    ca.json(&["cert", "revoke", &serial]).await;
    let row = reported(&ca, &serial).await;
    let told = row["number"].as_u64().unwrap();
    assert_eq!(number(&ca).await, told, "readiness");
    assert_eq!(metric(&ca, "pilotlight_denied_number ").await, told as f64);
    let lists = ca.json(&["crl", "show"]).await;
    let issuer = lists[1]["issuer"].as_str().unwrap().to_owned();
    for list in &lists.as_array().unwrap()[1..] {
        assert_eq!(list["covers"], told, "{list:#}");
        let scope = list["shard"].as_u64().map_or_else(|| "complete".to_owned(), |shard| shard.to_string());
        let name = format!("pilotlight_crl_covers{{issuer=\"{issuer}\",scope=\"{scope}\"}}");
        assert_eq!(metric(&ca, &name).await, told as f64);
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
