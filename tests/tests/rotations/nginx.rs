//! The main job: a real nginx goes on serving while the agent renews a certificate that lives for a minute.

use tests::agent::Agent;
use tests::ca::Ca;
use tests::https::Clients;
use tests::nginx::Nginx;
use tests::wait;
use tests::world::{MINUTE, must_be_consistent};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_rotations_without_a_failed_handshake_or_a_dropped_request() {
    let ca = Ca::start(&[MINUTE]).await;
    let token = ca.device_add("gw-1", "minute", &["localhost"]).await;
    let mut agent = Agent::new();
    let mut nginx = Nginx::prepare(&agent.live("identity"));
    agent.configure(&format!("[[certificate]]\nname = \"identity\"\n\n{}", nginx.agent_sections()));
    agent.enroll(&token).await.success();
    // nginx is not there yet: the certificate is, and its reload is owed.
    assert_eq!(agent.certificate_status("identity").await["condition"], "reload-owed");
    nginx.run().await;
    let clients = Clients::start(&nginx.address(), &ca.roots());
    agent.run();
    wait::until_true("the debt to be paid", 60, async || {
        agent.certificate_status("identity").await["condition"] == "ok"
    })
    .await;

    for rotation in 1..=6 {
        wait::until_true(&format!("rotation {rotation} on the wire"), 70, async || {
            agent.must_run();
            clients.tally().leaves.len() > rotation
        })
        .await;
        agent.pair_must_match("identity");
    }
    let tally = clients.finish().await;
    tally.must_be_flawless();
    for (old, new) in tally.leaves.iter().zip(&tally.leaves[1..]) {
        assert_ne!(old.public_key, new.public_key, "every renewal has a new key");
        assert_eq!(new.not_after - new.not_before, 60, "{new:?}");
        assert!(new.not_before < old.not_after, "renewed before the old one ended");
    }
    agent.stop().await;
    nginx.stop().await;
    must_be_consistent(&ca, &agent, "identity").await;
    println!(
        "{} handshakes, {} requests, {} repeated on a connection that nginx had closed",
        tally.handshakes, tally.requests, tally.repeated
    );
}
