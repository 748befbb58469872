//! Power cuts: the CA and the agent are killed at every point of issuing and installing, and started again.
//!
//! What must hold afterwards: nothing that was acknowledged is missing, no signed certificate is without its row, key
//! and certificate on disk belong together, the service is up, and the token is still good for its device.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use renew_agent::acme::AcmeError;
use tests::acme::{Account, good_request};
use tests::agent::Agent;
use tests::ca::Ca;
use tests::https::{handshake, trusting};
use tests::nginx::Nginx;
use tests::process::run;
use tests::world::{enrolled, must_be_consistent, stubborn};

/// Points of the CA on the way of a device's first certificate.
const CA_POINTS: [&str; 6] = [
    "ca.account.after_commit",
    "ca.finalize.decided",
    "ca.issue.before_record",
    "ca.issue.after_record",
    "ca.issue.after_sign",
    "ca.issue.after_release",
];

/// Points of the CA on the way of a name that is proven by http-01.
const CHALLENGE_POINTS: [&str; 3] =
    ["ca.challenge.after_commit", "ca.validate.before_settle", "ca.validate.after_settle"];

/// Points of the agent between the token and its account.
const ENROLMENT_POINTS: [&str; 6] = [
    "agent.enroll.key_made",
    "agent.enroll.roots_fetched",
    "agent.enroll.roots_stored",
    "agent.enroll.account_made",
    "agent.enroll.account_stored",
    "agent.enroll.config_stored",
];

/// Points of the agent between the wish for a certificate and its service presenting it.
const RENEWAL_POINTS: [&str; 15] = [
    "agent.order.key_stored",
    "agent.order.created",
    "agent.order.stored",
    "agent.order.finalized",
    "agent.order.downloaded",
    "agent.install.dir_made",
    "agent.install.file_written",
    "agent.install.before_journal",
    "agent.install.before_swap",
    "agent.install.swapped",
    "agent.reload.before",
    "agent.reload.done",
    "agent.reload.seen",
    "agent.reload.cleared",
    "agent.report.sent",
];

/// Points of the CA between a revocation and its answer.
const REVOCATION_POINTS: [&str; 4] = ["ca.revoke.after_commit", "ca.revoke.batch", "ca.device.out", "ca.device.batch"];

/// Points of a publication (tests/tests/crl/cuts.rs).
const CRL_POINTS: [&str; 2] = ["ca.crl.before_commit", "ca.crl.after_commit"];

/// Points with a test of their own.
const OTHER_POINTS: [&str; 2] = ["ca.init.before_publish", "agent.rollback.before_swap"];

#[test]
fn every_point_in_the_programs_is_cut_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    let mut open: Vec<_> = ["ca-server/src", "renew-agent/src"].map(|folder| root.join(folder)).into();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let points = text.split("failpoint!(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
            found.extend(points);
        }
    }
    let of_the_ca: [&[&str]; 5] = [&CA_POINTS, &CHALLENGE_POINTS, &ENROLMENT_POINTS, &REVOCATION_POINTS, &CRL_POINTS];
    let further: [&[&str]; 2] = [&RENEWAL_POINTS, &OTHER_POINTS];
    let tested: BTreeSet<String> =
        [of_the_ca.concat(), further.concat()].concat().into_iter().map(str::to_owned).collect();
    assert_eq!(found, tested);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fin_12_the_ca_is_cut_at_every_point_of_a_first_certificate() {
    let mut ca = Ca::start(&[]).await;
    let mut acknowledged = Vec::new();
    for (number, point) in CA_POINTS.iter().enumerate() {
        let name = format!("gw-{number}");
        let token = ca.device_add(&name, "gateway", &[&format!("{name}.site.test")]).await;
        let agent = Agent::new();
        agent.configure("[[certificate]]\nname = \"identity\"\n");
        ca.stop().await;
        ca.serve_with_failpoint(point).await;
        let cut = agent.enroll(&token).await;
        // its sockets are closed before it has ended
        ca.wait_killed().await;
        assert_eq!(cut.code, 1, "{point}: {cut}");
        assert_eq!(cut.stderr.lines().filter(|line| line.starts_with("renew-agent: ")).count(), 1, "{point}: {cut}");
        ca.serve().await;

        let again = agent.enroll(&token).await;
        assert_eq!(again.code, 0, "{point}: {again}");
        must_be_consistent(&ca, &agent, "identity").await;
        let known = ca.certificates().await;
        let own = known.iter().filter(|row| row["device"] == name).count();
        assert_eq!(own, 1, "{point}: what was recorded before the cut is what is released after it: {known:#?}");
        acknowledged.push((agent, *point));
    }
    for (agent, point) in &acknowledged {
        println!("still there after all later cuts: {point}");
        must_be_consistent(&ca, agent, "identity").await;
        agent.command(&["renew", "identity"]).await.success();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chl_4_the_ca_is_cut_at_every_point_of_a_proof_of_control() {
    let mut ca = Ca::init(&[]).await;
    let port = Account::answer_at(&ca);
    ca.serve().await;
    for (number, point) in CHALLENGE_POINTS.iter().enumerate() {
        // An account that has proven the name before would not be asked again.
        let account = Account::register(&ca, &port).await;
        let request = good_request();
        let order = account.order().await.unwrap();
        ca.stop().await;
        ca.serve_with_failpoint(point).await;
        // Validation happens beside the request, so the client sees the cut at one of its next steps.
        let cut = account.complete(&order, &request).await;
        assert!(cut.as_ref().is_err_and(AcmeError::is_unreachable), "{point}: {cut:?}");
        ca.wait_killed().await;
        ca.serve().await;

        let chain = account.complete(&order, &request).await.unwrap_or_else(|error| panic!("{point}: {error}"));
        assert!(chain.starts_with("-----BEGIN CERTIFICATE-----"), "{point}");
        assert_eq!(ca.certificates().await.len(), number + 1, "{point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_is_cut_at_every_point_of_enrolment() {
    let ca = Ca::start(&[]).await;
    for (number, point) in ENROLMENT_POINTS.iter().chain(&RENEWAL_POINTS[..10]).enumerate() {
        let name = format!("gw-{number}");
        let token = ca.device_add(&name, "gateway", &[&format!("{name}.site.test")]).await;
        let agent = Agent::new();
        agent.configure("[[certificate]]\nname = \"identity\"\n");
        let cut = agent.enroll_with_failpoint(&token, point).await;
        assert!(cut.was_killed(), "{point} was not reached: {cut}");
        agent.pair_must_match("identity");

        let again = agent.enroll(&token).await;
        assert_eq!(again.code, 0, "{point}: {again}");
        must_be_consistent(&ca, &agent, "identity").await;
        assert_eq!(agent.status().await["ok"], true, "{point}");
        let device = ca.json(&["device", "show", &name]).await;
        assert_eq!(device["conflicts"].as_array().map_or(0, Vec::len), 0, "{point}: {device:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_is_cut_at_every_point_of_a_renewal_and_its_service_comes_back() {
    let ca = Ca::start(&[]).await;
    let agent = enrolled(&ca, "gw-1", "gateway", &["localhost"]).await;
    let mut nginx = Nginx::start(&agent.live("identity")).await;
    agent.configure(&format!("[[certificate]]\nname = \"identity\"\n\n{}", nginx.agent_sections()));
    agent.once().await.success();
    let files = std::fs::read_dir(agent.live("identity").join("current")).unwrap().count();
    let passages = (2..=files).map(|passage| format!("agent.install.file_written:{passage}"));
    let points: Vec<String> = RENEWAL_POINTS.iter().map(|&point| point.to_owned()).chain(passages).collect();
    let mut missed = Vec::new();
    for point in &points {
        let before = agent.leaf("identity");
        let cut = agent.command_with_failpoint(&["renew", "identity"], point).await;
        if !cut.was_killed() {
            missed.push((point, cut));
            continue;
        }
        // The node lost power, so its service did too; both come back as they find the disk.
        nginx.kill();
        agent.pair_must_match("identity");
        nginx.run().await;
        let config = std::sync::Arc::new(trusting(&ca.roots()));
        let (_, served) = handshake(&nginx.address(), config.clone()).await.unwrap_or_else(|e| panic!("{point}: {e}"));
        assert_eq!(served, agent.leaf("identity"), "{point}");

        let once = agent.once().await;
        assert_eq!(once.code, 0, "{point}: {once}");
        let status = agent.certificate_status("identity").await;
        assert_eq!(status["condition"], "ok", "{point}: {status:#}");
        agent.command(&["renew", "identity"]).await.success();
        let (_, served) = handshake(&nginx.address(), config).await.unwrap();
        assert_eq!(served, agent.leaf("identity"), "{point}");
        assert_ne!(served, before, "{point}");
        must_be_consistent(&ca, &agent, "identity").await;
    }
    // Not every file is written through the point, so its later passages may not exist; everything else must.
    let missed: Vec<_> = missed.iter().filter(|(point, _)| !point.contains(':')).collect();
    assert!(missed.is_empty(), "not reached: {missed:#?}");
    nginx.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_refuses_its_new_certificate_gets_the_old_one_back_even_across_a_cut() {
    let ca = Ca::start(&[]).await;
    let agent = enrolled(&ca, "gw-1", "gateway", &["localhost"]).await;
    let old = agent.leaf("identity");
    let mut nginx = Nginx::start(&agent.live("identity")).await;
    agent.configure(&stubborn(&agent, &nginx));
    let limit = std::time::Duration::from_secs(150);
    let mut renew = agent.program(&["renew", "identity"]);
    renew.env("PILOTLIGHT_FAILPOINT", "agent.rollback.before_swap");
    let cut = tests::process::run_for(&mut renew, limit).await;
    assert!(cut.was_killed(), "{cut}");
    agent.pair_must_match("identity");
    assert_ne!(agent.leaf("identity"), old, "the cut came before the way back");

    // Power returns: the way back that was decided is gone to its end, and the service comes up with the old one.
    nginx.kill();
    nginx.run().await;
    agent.configure(&format!("[[certificate]]\nname = \"identity\"\n\n{}", nginx.agent_sections()));
    agent.once().await.success();
    assert_eq!(agent.leaf("identity"), old);
    assert_eq!(agent.certificate_status("identity").await["condition"], "rolled-back");
    let config = std::sync::Arc::new(trusting(&ca.roots()));
    assert_eq!(handshake(&nginx.address(), config.clone()).await.unwrap().1, old);

    // The service is mended; a person asks for another certificate, and nothing is held against the service.
    agent.command(&["renew", "identity"]).await.success();
    assert_eq!(agent.certificate_status("identity").await["condition"], "ok");
    assert_ne!(handshake(&nginx.address(), config).await.unwrap().1, old);
    must_be_consistent(&ca, &agent, "identity").await;
    nginx.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_is_done_wholly_or_not_at_all() {
    let mut ca = Ca::init(&[]).await;
    std::fs::remove_dir_all(ca.dir()).unwrap();
    let cut = run(ca.init_command().env("PILOTLIGHT_FAILPOINT", "ca.init.before_publish")).await;
    assert!(cut.was_killed(), "{cut}");
    assert!(!ca.dir().join("ca-server.toml").exists(), "half a CA");
    run(&mut ca.init_command()).await.success();
    ca.set_own_addresses();
    ca.serve().await;
    enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]).await;
}
