//! A device that is in wrong hands: one command, and nothing of it is good any more.

use tests::acme_raw::{Client, Key, new_account};
use tests::ca::Ca;
use tests::external_account::External;
use tests::gateway::Gateway;
use tests::wait;

use crate::world::{count, shown, with_many};

/// Fails when anything of a device that was taken out is good for something afterwards, when another device loses anything, or
/// when saying it again changes what was told: dates, the audit log, the worse of two ends.
#[tokio::test(flavor = "multi_thread")]
async fn one_command_takes_a_device_out_with_everything_it_has() {
    let ca = Ca::start(&[]).await;
    let client = Client::of(&ca).await;
    let gateway = Gateway::enrol(&ca, &client, "gw-1").await;
    let other = Gateway::enrol(&ca, &client, "gw-2").await;
    let kept = other.issue().await.serial;
    let mut issued = Vec::new();
    for _ in 0..10 {
        issued.push(gateway.issue().await.serial);
    }
    ca.json(&["cert", "revoke", &issued[0], "--reason", "superseded"]).await;
    let held = ca.json(&["cert", "revoke", &issued[1], "--reason", "certificateHold"]).await;
    let open = gateway.order().await.expect("ORD-1", 201, "");
    let token = ca.command(&["device", "token", "gw-1"]).await.success();

    let hold = ca.command(&["device", "revoke", "gw-1", "--reason", "certificateHold"]).await;
    assert!(hold.code == 1 && hold.stderr.contains("a device is not put on hold"), "{hold}");
    let out = ca.json(&["device", "revoke", "gw-1", "--comment", "stolen"]).await;
    for (member, value) in [("certificates", 10), ("accounts", 1), ("orders", 1)] {
        assert_eq!(out[member], value, "{out:#}");
    }
    assert_eq!((&out["changed"], &out["state"]), (&true.into(), &"compromised".into()), "{out:#}");
    for serial in &issued {
        let row = shown(&ca, serial).await;
        assert_eq!((&row["state"], &row["reason"]), (&"revoked".into(), &"keyCompromise".into()), "{row:#}");
    }
    assert_eq!(shown(&ca, &issued[1]).await["revokedAt"], held["revokedAt"], "CRL-7");
    assert_eq!(shown(&ca, &kept).await["state"], "issued");

    gateway.order().await.expect("refused at once", 401, "unauthorized");
    gateway.account.get(&open.location()).await.expect("refused at once", 401, "unauthorized");
    gateway.finalize(&open.json()).await.expect("refused at once", 401, "unauthorized");
    let (key, url) = (Key::new(), client.url("newAccount"));
    new_account(&client, &key, &External::of_token(token.trim()).bind(&url, &key.jwk(), |_| ())).await.expect(
        "its token",
        403,
        "unauthorized",
    );
    other.issue().await;

    let again = ca.command(&["device", "revoke", "gw-1"]).await;
    assert!(again.code == 0 && again.stderr.contains("nothing was changed: gw-1 is compromised since"), "{again}");
    let retired = ca.command(&["device", "retire", "gw-1"]).await;
    assert!(retired.code == 1 && retired.stderr.contains("as compromised since"), "{retired}");
    let events = ca.json(&["audit", "list"]).await;
    let told = events.as_array().unwrap().iter().filter(|event| event["action"] == "device.revoke");
    assert_eq!(told.count(), 1, "doing it again is no event");
    let list = ca.json(&["revocation", "list", "--where", "device=gw-1"]).await;
    assert!(list.as_array().unwrap().iter().all(|row| row["comment"] == "stolen"), "{list:#}");

    let out = ca.json(&["device", "revoke", "gw-2", "--state", "retired"]).await;
    assert_eq!(out["state"], "retired", "{out:#}");
    assert_eq!(shown(&ca, &kept).await["reason"], "cessationOfOperation");
    let worse = ca.json(&["device", "revoke", "gw-2"]).await;
    assert_eq!(worse["state"], "compromised", "what was retired may turn out to be stolen");
    assert_eq!(shown(&ca, &kept).await["reason"], "keyCompromise");
}

/// Fails when certificates beyond the first transaction are left in force, or left to a job, although there was time for them;
/// or when those that have ended are counted among them.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_more_certificates_than_a_transaction_takes_is_out_whole_when_it_is_answered() {
    let (ca, _) = with_many(&[("home", "gateway", 1200, 86_400), ("home", "gateway", 50, -86_400)]).await;
    let out = ca.json(&["device", "revoke", "gw-1"]).await;
    assert_eq!((&out["certificates"], &out["goesOn"]), (&1201.into(), &false.into()), "{out:#}");
    assert_eq!(count(&ca, "state = 'issued'  AND device_id IS NOT NULL").await, 50, "those that have expired");
    wait::until_true("no job is left", 20, async || jobs(&ca).await == 0).await;
}

/// Jobs that revoke what is left of a device.
pub(crate) async fn jobs(ca: &Ca) -> u64 {
    ca.query("SELECT COUNT(*) FROM job WHERE kind = 'revoke-device'").await.trim().parse().unwrap()
}

/// Fails when the account that a new token replaces is not known to be denied before the device is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_account_is_denied_before_the_new_one_is_answered() {
    let ca = Ca::start(&[]).await;
    let client = Client::of(&ca).await;
    let mut gateway = Gateway::enrol(&ca, &client, "gw-1").await;
    // several times: a look that happens to come in between would hide it once
    for replaced in 1..=8 {
        let token = ca.command(&["device", "token", "gw-1"]).await.success();
        let account = External::of_token(&token).account(&client).await;
        assert_eq!(ca.metric("pilotlight_denied_entries{kind=\"account\"}").await, Some(f64::from(replaced)));
        gateway.account.get(&gateway.account.url).await.expect("it is replaced", 401, "unauthorized");
        gateway.account = account;
    }
}
