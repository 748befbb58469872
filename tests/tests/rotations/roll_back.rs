//! A service that goes down with its new certificate gets the old one back, and the node says so.

use std::sync::Arc;
use std::time::Duration;

use tests::ca::Ca;
use tests::https::{handshake, trusting};
use tests::nginx::Nginx;
use tests::process::run_for;
use tests::world::{enrolled, must_be_consistent, stubborn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_goes_silent_is_up_again_with_its_old_certificate() {
    let ca = Ca::start(&[]).await;
    let agent = enrolled(&ca, "gw-1", "gateway", &["localhost"]).await;
    let old = agent.leaf("identity");
    let mut nginx = Nginx::start(&agent.live("identity")).await;
    agent.configure(&stubborn(&agent, &nginx));

    let ran = run_for(&mut agent.program(&["renew", "identity"]), Duration::from_secs(150)).await;
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("going back to the old one"), "{ran}");
    assert_eq!(agent.leaf("identity"), old);
    let config = Arc::new(trusting(&ca.roots()));
    assert_eq!(handshake(&nginx.address(), config).await.unwrap().1, old);
    let status = agent.certificate_status("identity").await;
    assert_eq!(status["condition"], "rolled-back", "{status:#}");
    assert!(status["last_error"].as_str().is_some_and(|error| error.contains("handshake")), "{status:#}");
    assert_eq!(agent.command(&["status"]).await.code, 1);

    // The service is mended: the refused certificate is in use after all.
    agent.configure(&format!("[[certificate]]\nname = \"identity\"\n\n{}", nginx.agent_sections()));
    agent.command(&["renew", "identity"]).await.success();
    assert_eq!(agent.certificate_status("identity").await["condition"], "ok");
    must_be_consistent(&ca, &agent, "identity").await;
    nginx.stop().await;
}
