//! One certificate, by whatever name people give it.

use std::process::Command;

use tests::acme_raw::Client;
use tests::ca::Ca;
use tests::certificate::{hex, sha256};
use tests::folders::{Folder, write};
use tests::gateway::Gateway;
use tests::process::run;
use tests::programs::Programs;

use crate::world::shown;

/// Fails when a certificate is not found by a name that people have for it, when another one is revoked in its place, when it
/// happens twice, or when a refusal does not say what was wrong with the name.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_revoked_by_serial_fingerprint_and_file() {
    let ca = Ca::start(&[]).await;
    let gateway = Gateway::of(&ca).await;
    let (files, mut issued) = (Folder::new(), Vec::new());
    for _ in 0..7 {
        issued.push(gateway.issue().await);
    }
    let colons = |hex: &str| -> String {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap().to_uppercase())
            .collect::<Vec<_>>()
            .join(":")
    };
    let sha256 = hex(&sha256(&issued[3].der));
    // as `openssl x509 -text` and `cert show` write it
    write(&files.path().join("one.pem"), format!("Certificate:\n    Data:\n{}", issued[4].pem), 0o644);
    write(&files.path().join("one.der"), &issued[5].der, 0o644);
    // a text whose first octet is that of DER
    write(&files.path().join("zero.pem"), format!("0 s:CN = gw-1\n{}", issued[6].pem), 0o644);
    let file = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let names = [
        issued[0].serial.clone(),
        colons(&issued[1].serial),
        u128::from_str_radix(&issued[2].serial, 16).unwrap().to_string(),
        colons(&sha256),
        file("one.pem"),
        file("one.der"),
        file("zero.pem"),
    ];
    for (name, certificate) in names.iter().zip(&issued) {
        let done = ca.json(&["cert", "revoke", name, "--reason", "superseded", "--comment", "replaced"]).await;
        assert_eq!((&done["changed"], &done["serial"]), (&true.into(), &certificate.serial.clone().into()), "{name}");
        let row = shown(&ca, &certificate.serial).await;
        assert_eq!((&row["state"], &row["reason"]), (&"revoked".into(), &"superseded".into()), "{name}");
        let again = ca.command(&["cert", "revoke", name, "--reason", "superseded"]).await;
        assert_eq!(again.code, 0, "{again}");
        assert!(again.stderr.contains("nothing was changed: it is revoked since"), "{again}");
        assert_eq!(shown(&ca, &certificate.serial).await["revokedAt"], row["revokedAt"], "{name}");
    }

    for (name, code, told) in [
        ("4a0f", 1, "has issued no certificate with the serial number 4a0f;"),
        ("12345", 1, "has issued no certificate with the serial number 012345 or 3039;"),
        (&"ab".repeat(32), 1, "has issued no certificate with the SHA-256 abab"),
        ("gw-1", 2, "neither a serial number"),
        (ca.roots().to_str().unwrap(), 1, "has issued no certificate with the serial number"),
    ] {
        let refused = ca.command(&["cert", "revoke", name]).await;
        assert_eq!(refused.code, code, "{name}: {refused}");
        assert!(refused.stderr.contains(told), "{name}: {refused}");
    }
    let reason = ca.command(&["cert", "revoke", &issued[0].serial, "--reason", "because"]).await;
    assert!(reason.code == 1 && reason.stderr.contains("is not a reason of RFC 5280"), "{reason}");

    let list = ca.json(&["revocation", "list", "--where", "device=gw-1 reason=superseded"]).await;
    let rows = list.as_array().unwrap();
    assert_eq!(rows.len(), 7, "{list:#}");
    for (row, certificate) in rows.iter().zip(&issued) {
        assert_eq!(row["serial"], certificate.serial, "in the order they were revoked");
        assert_eq!((&row["comment"], &row["device"]), (&"replaced".into(), &"gw-1".into()), "{row:#}");
        assert!(row["by"].as_str().unwrap().starts_with("uid:"), "{row:#}");
    }
    assert_eq!(ca.json(&["revocation", "list", "--where", "profile!=gateway"]).await, serde_json::json!([]));
    assert_eq!(ca.json(&["revocation", "list", "--since", "2100-01-01"]).await, serde_json::json!([]));
}

/// Fails when what a shell puts in the place of a file is not read, or read without end.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_comes_through_a_pipe_as_well() {
    let ca = Ca::start(&[]).await;
    let gateway = Gateway::of(&ca).await;
    let files = Folder::new();
    for script in [r#""$0" cert revoke <(cat "$1") --dir "$2""#, r#"cat "$1" | "$0" cert revoke /dev/stdin --dir "$2""#]
    {
        let issued = gateway.issue().await;
        let file = files.path().join(&issued.serial);
        write(&file, &issued.pem, 0o644);
        let mut command = Command::new("bash");
        command.args(["-c", script]).arg(&Programs::get().ca_server).arg(file).arg(ca.dir());
        run(&mut command).await.success();
        assert_eq!(shown(&ca, &issued.serial).await["state"], "revoked", "{script}");
    }
    let endless = ca.command(&["cert", "revoke", "/dev/zero"]).await;
    assert!(endless.code == 1 && endless.stderr.contains("octets are no certificate"), "{endless}");
    let folder = ca.command(&["cert", "revoke", files.path().to_str().unwrap()]).await;
    assert!(folder.code == 2 && folder.stderr.contains("neither a serial number"), "{folder}");
}

/// CRL-7: fails when a hold cannot be undone or anything else can, when what becomes permanent loses the date of its hold, or
/// when a device that is out of service gets something back.
#[tokio::test(flavor = "multi_thread")]
async fn crl_7_a_hold_is_released_or_becomes_permanent_and_nothing_else_comes_back() {
    let ca = Ca::start(&[]).await;
    let gateway = Gateway::of(&ca).await;
    let serial = gateway.issue().await.serial;
    let hold = ["cert", "revoke", &serial, "--reason", "certificateHold"];
    let release = ["cert", "release", &serial];

    let idle = ca.command(&release).await;
    assert!(idle.code == 0 && idle.stderr.contains("it is in force and not on hold"), "{idle}");
    assert_eq!(ca.json(&hold).await["reason"], "certificateHold");
    assert_eq!(ca.json(&hold).await["changed"], false);
    let released = ca.json(&release).await;
    assert_eq!((&released["changed"], &released["state"]), (&true.into(), &"issued".into()), "{released:#}");
    assert_eq!(ca.json(&release).await["changed"], false);

    let held = ca.json(&hold).await;
    let gone = ca.json(&["cert", "revoke", &serial, "--reason", "cessationOfOperation"]).await;
    assert_eq!((&gone["changed"], &gone["reason"]), (&true.into(), &"cessationOfOperation".into()));
    assert_eq!(gone["revokedAt"], held["revokedAt"], "CRL-7: the date of the hold");
    for (arguments, told) in [(&release[..], "only a hold can be undone"), (&hold[..], "can not be put on hold")] {
        let refused = ca.command(arguments).await;
        assert!(refused.code == 1 && refused.stderr.contains(told), "{refused}");
    }

    // A device that is out of service gets nothing back.
    let second = gateway.issue().await.serial;
    ca.json(&["cert", "revoke", &second, "--reason", "certificateHold"]).await;
    ca.json(&["device", "retire", "gw-1"]).await;
    assert_eq!(shown(&ca, &second).await["reason"], "cessationOfOperation", "a hold ends with its device");
    let refused = ca.command(&["cert", "release", &second]).await;
    assert_eq!(refused.code, 1, "{refused}");
}

/// Fails when a certificate that has ended is revoked for any other reason than the loss of its key, or not for that.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_only_revoked_for_its_key() {
    let mut ca = Ca::start(&[]).await;
    let gateway = Gateway::of(&ca).await;
    let serial = gateway.issue().await.serial;
    ca.stop().await;
    ca.serve_at("+400d").await;
    let refused = ca.command(&["cert", "revoke", &serial, "--reason", "superseded"]).await;
    assert!(refused.code == 1 && refused.stderr.contains("the certificate expired at"), "{refused}");
    let done = ca.json(&["cert", "revoke", &serial, "--reason", "keyCompromise"]).await;
    assert_eq!(done["state"], "revoked");
}

/// REV-6: fails when a key that is in wrong hands has certificates that nobody is told of.
#[tokio::test(flavor = "multi_thread")]
async fn rev_6_whoever_revokes_for_a_key_is_told_of_its_other_certificates() {
    let ca = Ca::start(&[]).await;
    let client = Client::of(&ca).await;
    let (one, other) = (Gateway::enrol(&ca, &client, "gw-1").await, Gateway::enrol(&ca, &client, "gw-2").await);
    let key = rcgen::KeyPair::generate().unwrap();
    let (first, second, third) =
        (one.issue_with(&key).await.serial, one.issue_with(&key).await.serial, other.issue_with(&key).await.serial);
    let kept = one.issue().await.serial;

    let done = ca.command(&["cert", "revoke", &first, "--reason", "superseded"]).await;
    assert!(done.code == 0 && !done.stderr.contains("same key"), "only the key's own loss concerns the others: {done}");
    let done = ca.command(&["cert", "revoke", &first, "--reason", "keyCompromise"]).await;
    assert!(done.stderr.contains("2 other certificates in force have the same key"), "{done}");
    assert!(done.stderr.contains(&second) && done.stderr.contains(&third), "{done}");
    let again = ca.json(&["cert", "revoke", &first, "--reason", "keyCompromise"]).await;
    assert_eq!((&again["changed"], &again["sameKey"]["count"]), (&false.into(), &2.into()), "{again:#}");
    let command = done.stderr.split("ca-server cert revoke ").nth(1).unwrap().split('`').next().unwrap();
    let command: Vec<&str> = ["cert", "revoke"].into_iter().chain(command.split(' ')).chain(["--yes"]).collect();
    assert_eq!(ca.json(&command).await["revoked"], 2, "the command as it is told");
    for serial in [&second, &third] {
        assert_eq!(shown(&ca, serial).await["reason"], "keyCompromise");
    }
    assert_eq!(shown(&ca, &kept).await["state"], "issued");
    let done = ca.json(&["cert", "revoke", &first, "--reason", "keyCompromise"]).await;
    assert_eq!(done["sameKey"], serde_json::Value::Null, "{done:#}");
    let order = one.order().await.expect("ORD-1", 201, "").json();
    one.finalize_with(&order, &key).await.expect("REV-6", 400, "badCSR");
}
