//! Releasing a set: what is on hold comes back, and nothing else.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tests::acme_raw::Client;
use tests::ca::Ca;
use tests::folders::Folder;
use tests::gateway::Gateway;
use tests::process::run;
use tests::wait;

use crate::cuts::cut_off;
use crate::report::fetch;
use crate::world::{count, shown, with_many};

/// How many stand on a list, by openssl.
async fn standing(path: &PathBuf) -> usize {
    let mut command = Command::new("openssl");
    command.args(["crl", "-inform", "DER", "-noout", "-text", "-in"]).arg(path);
    run(&mut command).await.success().matches("Serial Number:").count()
}

async fn wait_for_list_of(ca: &Ca, files: &Folder, expected: usize) {
    wait::until_true("the list", 60, async || standing(&fetch(ca, files).await.1).await == expected).await;
}

/// CRL-7 for many: fails when a certificate of a released set stays on the list, or one that was revoked for good leaves it.
#[tokio::test(flavor = "multi_thread")]
async fn crl_7_a_set_on_hold_is_released_and_what_is_revoked_for_good_stays() {
    let many = [("line-3", "gateway", 1200, 86_400), ("line-4", "gateway", 40, 86_400), ("line-3", "gateway", 5, -60)];
    let (ca, own) = with_many(&many).await;
    let files = Folder::new();
    ca.json(&["cert", "revoke", "--where", "site=line-3", "--yes", "--reason", "certificateHold"]).await;
    ca.json(&["cert", "revoke", "--where", "site=line-4", "--yes", "--reason", "superseded"]).await;
    wait_for_list_of(&ca, &files, 1240).await;

    let release = |rest: &[&'static str]| [&["cert", "release", "--where"], rest].concat();
    let plan = ca.json(&release(&["all", "--plan"])).await;
    for (member, expected) in [("affected", 1200), ("already", 1), ("kept", 40), ("expired", 5), ("underWay", 0)] {
        assert_eq!(plan[member], expected, "{member}: {plan:#}");
    }
    assert_eq!(plan["everything"], false, "nothing goes out of force by a release");
    for (arguments, told) in [
        (release(&["all"]), "give --yes or --count"),
        (release(&["all", "--count", "1199"]), "it is 1200 certificates, not 1199"),
        (release(&["all", "--yes", "--reason", "superseded"]), "--reason"),
        (vec!["cert", "release", "0f1e", "--yes"], "--where"),
    ] {
        let refused = ca.command(&arguments).await;
        assert!(refused.code != 0 && refused.stderr.contains(told), "{arguments:?}: {refused}");
    }
    assert_eq!(count(&ca, "state = 'revoked'").await, 1240);

    let sheet = ca.command(&release(&["all", "--count", "1200", "--comment", "found again"])).await;
    let told = "1200 certificates to be released (besides: 40 revoked for good, 1 not on hold, 5 expired)";
    assert!(sheet.code == 0 && sheet.stderr.contains(told), "{sheet}");
    assert_eq!(count(&ca, "state = 'revoked' AND revocation_reason = 4").await, 40);
    assert_eq!(count(&ca, "state = 'revoked'").await, 40);
    assert_eq!(shown(&ca, &own.serial).await["state"], "issued");
    wait_for_list_of(&ca, &files, 40).await;

    let log = ca.json(&["audit", "list", "--limit", "20000"]).await;
    let events = |action: &str| -> Vec<&Value> {
        log.as_array().unwrap().iter().filter(|event| event["action"] == action).collect()
    };
    let (begun, released) = (events("set.release"), events("certificate.release"));
    assert_eq!((begun.len(), released.len()), (1, 1200));
    assert_eq!(begun[0]["details"]["certificates"], "1200", "{:#}", begun[0]);
    let with = format!("set:{}", begun[0]["id"].as_str().unwrap());
    let is_told = |event: &&&Value| event["details"]["with"] == *with && event["details"]["comment"] == "found again";
    assert_eq!(released.iter().filter(is_told).count(), 1200, "{:#}", released[0]);
    let nothing = ca.command(&release(&["all", "--yes"])).await;
    assert!(nothing.code == 0 && nothing.stderr.contains("nothing is left to be released"), "{nothing}");
}

/// Fails when a release that was cut off can not be finished by its number, or gives a device something back that is out of
/// service since.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_on_after_a_cut_but_not_for_a_device_that_is_out() {
    let mut ca = Ca::start(&[]).await;
    let gateway = Gateway::enrol(&ca, &Client::of(&ca).await, "gw-1").await;
    gateway.issue().await;
    ca.stop().await;
    ca.multiply(&[("line-3", "gateway", 1100, 86_400)]).await;
    ca.serve().await;
    let hold = ["cert", "revoke", "--where", "site=line-3", "--yes", "--reason", "certificateHold"];
    ca.json(&hold).await;
    ca.stop().await;
    let release = ["cert", "release", "--where", "site=line-3", "--count", "1100"];
    cut_off(&mut ca, &release).await;
    assert_eq!(count(&ca, "state = 'revoked'").await, 600);
    let done = ca.json(&release).await;
    assert_eq!((&done["released"], &done["revoked"]), (&600.into(), &0.into()), "{done:#}");
    assert_eq!(count(&ca, "state = 'revoked'").await, 0);

    ca.json(&hold).await;
    ca.json(&["device", "retire", "gw-1"]).await;
    let out = ca.json(&["cert", "release", "--where", "all", "--yes"]).await;
    assert_eq!((&out["released"], &out["plan"]["kept"]), (&0.into(), &1101.into()), "{out:#}");
    assert_eq!(count(&ca, "state = 'revoked' AND revocation_reason = 5").await, 1101);
}
