//! Power cuts in the middle of a revocation: what was begun is finished, by the CA itself or by the same command again.

use tests::acme_raw::Client;
use tests::ca::Ca;
use tests::gateway::Gateway;
use tests::wait;

use crate::device::jobs;
use crate::world::{count, shown};

/// Fails when a revocation whose answer was lost is lost itself, or is stored again with another date.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_was_stored_survives_a_cut() {
    let mut ca = Ca::start(&[]).await;
    let gateway = Gateway::of(&ca).await;
    let serial = gateway.issue().await.serial;
    ca.stop().await;
    ca.serve_with_failpoint("ca.revoke.after_commit").await;
    let cut = ca.command(&["cert", "revoke", &serial, "--comment", "lost"]).await;
    assert_eq!(cut.code, 1, "{cut}");
    ca.wait_killed().await;
    ca.serve().await;
    let row = shown(&ca, &serial).await;
    assert_eq!(row["state"], "revoked");
    let again = ca.json(&["cert", "revoke", &serial]).await;
    assert_eq!((&again["changed"], &again["revokedAt"]), (&false.into(), &row["revokedAt"]));
    let list = ca.json(&["revocation", "list"]).await;
    assert_eq!(list[0]["comment"], "lost", "{list:#}");
}

/// Fails when a device that was cut off between two transactions is let in again, when certificates of it stay in force until
/// somebody asks again, or when what is done later lacks the comment.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_out_after_a_cut_and_the_rest_follows_by_itself() {
    let mut ca = Ca::start(&[]).await;
    let client = Client::of(&ca).await;
    for (number, point) in ["ca.device.out", "ca.device.batch"].into_iter().enumerate() {
        let gateway = Gateway::enrol(&ca, &client, &format!("gw-{number}")).await;
        gateway.issue().await;
        ca.stop().await;
        ca.multiply(&[("home", "gateway", 1600, 86_400)]).await;
        ca.serve_with_failpoint(point).await;
        let cut = ca.command(&["device", "revoke", &gateway.name, "--comment", "stolen"]).await;
        assert_eq!(cut.code, 1, "{point}: {cut}");
        ca.wait_killed().await;
        let left = "state = 'issued' AND device_id IS NOT NULL";
        assert!(count(&ca, left).await > 0, "{point}: it was cut before the end");
        ca.serve().await;
        assert_eq!(ca.json(&["device", "show", &gateway.name]).await["state"], "compromised", "{point}");
        gateway.order().await.expect(point, 401, "unauthorized");
        wait::until_true("the job to revoke the rest", 120, async || {
            count(&ca, left).await == 0 && jobs(&ca).await == 0
        })
        .await;
        let list = ca.json(&["revocation", "list", "--where", &format!("device={}", gateway.name)]).await;
        assert_eq!(list.as_array().unwrap().len(), 1601, "{point}");
        assert!(list.as_array().unwrap().iter().all(|row| row["comment"] == "stolen"), "{point}");
    }
}

/// Fails when batches that were stored are lost or counted again, or when the same command leaves some of the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_was_cut_off_goes_on_when_it_is_asked_for_again() {
    let mut ca = Ca::start(&[]).await;
    let gateway = Gateway::of(&ca).await;
    gateway.issue().await;
    ca.stop().await;
    ca.multiply(&[("line-3", "gateway", 1600, 86_400)]).await;
    ca.serve_with_failpoint("ca.revoke.batch:2").await;
    let revoke = ["cert", "revoke", "--where", "site=line-3", "--yes"];
    let cut = ca.command(&revoke).await;
    assert!(cut.code == 1 && cut.stderr.contains("the same command goes on"), "{cut}");
    ca.wait_killed().await;
    let revoked = count(&ca, "state = 'revoked'").await;
    assert_eq!(revoked, 1000, "two batches are stored");
    ca.serve().await;
    let done = ca.json(&revoke).await;
    assert_eq!((&done["revoked"], &done["plan"]["already"]), (&600.into(), &1000.into()), "{done:#}");
    assert_eq!(count(&ca, "state = 'revoked'").await, 1600);
}

/// Fails when a script that was cut off with `--count` can never finish, or takes what was issued since into its number.
#[tokio::test(flavor = "multi_thread")]
async fn a_counted_set_that_was_cut_off_goes_on_with_the_same_number() {
    let mut ca = Ca::start(&[]).await;
    let gateway = Gateway::of(&ca).await;
    gateway.issue().await;
    ca.stop().await;
    ca.multiply(&[("line-3", "gateway", 700, 86_400)]).await;
    let all = |count| ["cert", "revoke", "--where", "all", "--count", count];
    cut_off(&mut ca, &all("701")).await;
    assert_eq!(count(&ca, "state = 'revoked'").await, 500);
    let later = gateway.issue().await.serial;

    let other = ca.command(&all("700")).await;
    assert!(other.code == 1 && other.stderr.contains("it is 202 certificates, not 700"), "{other}");
    let done = ca.json(&all("701")).await;
    assert_eq!((&done["revoked"], &done["plan"]["already"]), (&201.into(), &500.into()), "{done:#}");
    assert_eq!(count(&ca, "state = 'revoked'").await, 701);
    assert_eq!(shown(&ca, &later).await["state"], "issued", "nobody has counted it");
    let again = ca.command(&all("701")).await;
    assert!(again.code == 0 && again.stderr.contains("nothing is left to be revoked of the set"), "{again}");
    assert_eq!(ca.json(&all("1")).await["revoked"], 1, "a number that fits begins another set");
}

/// Fails when it goes on only as long as what is revoked still fits the conditions.
#[tokio::test(flavor = "multi_thread")]
async fn a_counted_set_goes_on_although_its_condition_ends_with_it() {
    let mut ca = Ca::start(&[]).await;
    Gateway::of(&ca).await.issue().await;
    ca.stop().await;
    ca.multiply(&[("line-3", "gateway", 600, 86_400)]).await;
    ca.serve().await;
    ca.json(&["cert", "revoke", "--where", "site=line-3", "--yes", "--reason", "certificateHold"]).await;
    ca.stop().await;
    let for_good = ["cert", "revoke", "--where", "reason=certificateHold", "--count", "600", "--reason", "superseded"];
    cut_off(&mut ca, &for_good).await;
    assert_eq!(count(&ca, "revocation_reason = 4").await, 500);
    assert_eq!(ca.json(&for_good).await["revoked"], 100);
    assert_eq!(count(&ca, "revocation_reason = 4").await, 600);
}

/// A stopped CA serves, is cut off after the first batch of a set, and serves again.
pub(crate) async fn cut_off(ca: &mut Ca, set: &[&str]) {
    ca.serve_with_failpoint("ca.revoke.batch").await;
    let cut = ca.command(set).await;
    assert!(cut.code == 1 && cut.stderr.contains("the same command goes on"), "{cut}");
    ca.wait_killed().await;
    ca.serve().await;
}
