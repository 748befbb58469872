//! The CA is away for longer than half of a certificate's life, and then for longer than all of it.

use tests::ca::{Ca, Profile};
use tests::wait;
use tests::world::{enrolled, must_be_consistent};

const HALF_A_MINUTE: Profile = Profile { name: "half-a-minute", seconds: 30 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_keeps_trying_says_so_and_recovers_even_after_the_end_of_its_certificate() {
    let mut ca = Ca::start(&[HALF_A_MINUTE]).await;
    let mut agent = enrolled(&ca, "gw-1", HALF_A_MINUTE.name, &["gw-1.site.test"]).await;
    let leaf = agent.leaf("identity");
    ca.stop().await;
    agent.run();

    // Renewal is due at half of its life; from then on attempts fail, one after another, at a growing distance.
    wait::until_true("failed attempts", 40, async || {
        agent.must_run();
        agent.certificate_status("identity").await["failed_attempts"].as_u64() >= Some(3)
    })
    .await;
    let status = agent.status().await;
    let certificate = &status["certificates"][0];
    assert!(status["ca"]["unreachable_since"].is_string(), "{status:#}");
    assert!(status["ca"]["last_error"].as_str().is_some_and(|error| error.contains("localhost")), "{status:#}");
    assert!(certificate["next_renewal"].is_string(), "it will try again: {status:#}");
    assert_eq!(agent.leaf("identity"), leaf, "the old one stays in service");

    wait::until_true("the end of the certificate", 60, async || {
        agent.certificate_status("identity").await["condition"] == "expired"
    })
    .await;
    let expired = agent.command(&["status"]).await;
    assert_eq!(expired.code, 1, "{expired}");
    assert!(expired.stdout.contains("EXPIRED"), "{expired}");

    ca.serve().await;
    wait::until_true("the recovery", 60, async || {
        agent.must_run();
        agent.certificate_status("identity").await["condition"] == "ok"
    })
    .await;
    assert_ne!(agent.leaf("identity"), leaf);
    let status = agent.status().await;
    assert!(status["ca"]["unreachable_since"].is_null(), "{status:#}");
    assert_eq!(status["certificates"][0]["failed_attempts"], 0, "{status:#}");
    agent.stop().await;
    must_be_consistent(&ca, &agent, "identity").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_that_comes_back_in_time_is_used_in_time() {
    let mut ca = Ca::start(&[HALF_A_MINUTE]).await;
    let mut agent = enrolled(&ca, "gw-1", HALF_A_MINUTE.name, &["gw-1.site.test"]).await;
    let leaf = agent.leaf("identity");
    ca.kill();
    agent.run();
    wait::until_true("a failed attempt", 40, async || {
        agent.certificate_status("identity").await["failed_attempts"].as_u64() >= Some(1)
    })
    .await;
    ca.serve().await;
    wait::until_true("the renewal", 30, async || agent.leaf("identity") != leaf).await;
    assert!(agent.leaf("identity").not_before < leaf.not_after, "the node was never without a valid certificate");
    agent.stop().await;
}
