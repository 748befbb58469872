//! The first boot of a gateway: one token, one certificate, however often it is tried.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::process::Command;

use renew_agent::probe::Probe;
use tests::agent::Agent;
use tests::ca::{Ca, Profile};
use tests::certificate::Leaf;
use tests::process::run;
use tests::world::{MINUTE, enrolled, must_be_consistent};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_enrols_and_openssl_believes_its_certificate() {
    let ca = Ca::start(&[]).await;
    let agent = enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]).await;
    must_be_consistent(&ca, &agent, "identity").await;

    let current = agent.live("identity").join("current");
    let mut verify = Command::new("openssl");
    verify.args(["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "gw-1.site.test"]);
    verify.arg("-CAfile").arg(ca.roots()).arg("-untrusted").arg(current.join("chain.pem"));
    let output = run(verify.arg(current.join("cert.pem"))).await.success();
    assert!(output.trim_end().ends_with(": OK"), "{output}");
    // What the agent trusts is what the token pinned, and nothing else.
    assert_eq!(std::fs::read(current.join("roots.pem")).unwrap(), std::fs::read(ca.roots()).unwrap());

    let status = agent.status().await;
    assert_eq!((&status["ok"], &status["device"]), (&true.into(), &"gw-1".into()), "{status:#}");
    assert_eq!(status["certificates"][0]["condition"], "ok");
    assert!(status["days_of_autonomy"].as_u64().unwrap() >= 88, "{status:#}");
    let device = ca.json(&["device", "show", "gw-1"]).await;
    assert_eq!(device["profile"], "gateway");
    assert!(device["lastSeenAt"].is_string(), "{device:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_token_on_the_same_node_is_the_same_enrolment_and_on_another_it_is_refused_and_shown() {
    let ca = Ca::start(&[]).await;
    let token = ca.device_add("gw-1", "gateway", &["gw-1.site.test"]).await;
    let agent = Agent::new();
    agent.configure("[[certificate]]\nname = \"identity\"\n");
    let first = agent.enroll(&token).await.success();
    let leaf = agent.leaf("identity");
    let again = agent.enroll(&token).await.success();
    assert_eq!(first.lines().next(), again.lines().next(), "the account is the same one");
    assert_eq!(agent.leaf("identity"), leaf, "and so is its certificate");
    assert_eq!(ca.certificates().await.len(), 1);

    let thief = Agent::new();
    thief.configure("[[certificate]]\nname = \"identity\"\n");
    let refused = thief.enroll(&token).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("ca-server device"), "it says what to do: {refused}");
    assert!(!thief.live("identity").join("current").exists());
    let device = ca.json(&["device", "show", "gw-1"]).await;
    assert_eq!(device["conflicts"].as_array().map(Vec::len), Some(1), "{device:#}");
    // The rightful owner is not touched by the attempt.
    agent.command(&["renew", "identity"]).await.success();
    must_be_consistent(&ca, &agent, "identity").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_account_gets_no_name_outside_its_record() {
    let ca = Ca::start(&[MINUTE]).await;
    let token = ca.device_add("gw-1", "minute", &["gw-1.site.test"]).await;
    let agent = Agent::new();
    agent.configure(
        "[[certificate]]\nname = \"identity\"\n\n[[certificate]]\nname = \"other\"\ndns = [\"gw-2.site.test\"]\n",
    );
    agent.enroll(&token).await.success();
    let once = agent.once().await;
    assert_eq!(once.code, 1, "{once}");
    let status = agent.certificate_status("other").await;
    assert_eq!(status["condition"], "missing");
    let error = status["last_error"].as_str().unwrap();
    assert!(error.contains("gw-2.site.test"), "{error}");
    assert_eq!(agent.certificate_status("identity").await["condition"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_taken_out_of_service_gets_nothing_more_and_others_do() {
    let ca = Ca::start(&[]).await;
    let (lost, kept) = tokio::join!(
        enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]),
        enrolled(&ca, "gw-2", "gateway", &["gw-2.site.test"])
    );
    ca.command(&["device", "revoke", "gw-1"]).await.success();
    let leaf = lost.leaf("identity");
    let refused = lost.command(&["renew", "identity"]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert_eq!(lost.leaf("identity"), leaf);
    kept.command(&["renew", "identity"]).await.success();
    let state = async |name: &str| {
        let known = ca.certificates().await;
        known.iter().filter(|row| row["device"] == name).map(|row| row["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(state("gw-1").await, ["revoked"]);
    assert_eq!(state("gw-2").await, ["issued", "issued"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policies_are_read_again_while_it_runs() {
    let ca = Ca::start(&[]).await;
    let refused = ca.command(&["device", "add", "gw-1", "--profile", "late", "--dns", "gw-1.site.test"]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("late"), "{refused}");
    Profile { name: "late", seconds: 3600 }.write_into(&ca);
    ca.signal(nix::sys::signal::Signal::SIGHUP);
    tests::wait::until_true("the profile", 10, async || ca.command(&["profile", "show", "late"]).await.code == 0).await;
    enrolled(&ca, "gw-1", "late", &["gw-1.site.test"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_cas_own_certificate_unless_it_has_ended() {
    let mut ca = Ca::start(&[]).await;
    let agent = enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]).await;
    let probe = Probe::new(&ca.main_address(), Some("localhost"), 1).unwrap();
    let own = async || Leaf::from_der(&probe.presented().await.chains.pop_first().unwrap()[0]);
    let first = own().await;
    ca.restart().await;
    assert_eq!(own().await, first, "young certificates are not issued anew at every start");
    must_be_consistent(&ca, &agent, "identity").await;
    agent.command(&["renew", "identity"]).await.success();

    ca.stop().await;
    ca.serve_at("+300d").await;
    let late = own().await;
    assert!(late.not_before > first.not_after, "{late:?} was not issued after the end of {first:?}");
    assert_eq!(probe.presented().await.failures.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_the_same_on_postgresql() {
    let mut ca = Ca::start_on_postgres().await;
    let token = ca.device_add("gw-1", "gateway", &["gw-1.site.test"]).await;
    ca.stop().await;
    ca.serve_with_failpoint("ca.issue.after_sign").await;
    let agent = Agent::new();
    agent.configure("[[certificate]]\nname = \"identity\"\n");
    assert_eq!(agent.enroll(&token).await.code, 1);
    ca.wait_killed().await;
    ca.serve().await;
    agent.enroll(&token).await.success();
    must_be_consistent(&ca, &agent, "identity").await;
    assert_eq!(ca.certificates().await.len(), 1);
    agent.command(&["renew", "identity"]).await.success();
    must_be_consistent(&ca, &agent, "identity").await;
    ca.restart().await;
    assert_eq!(ca.certificates().await.len(), 2);
}
