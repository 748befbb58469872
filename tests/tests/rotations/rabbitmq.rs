//! A real RabbitMQ 3.10 with the agent's certificate, and mutual TLS with a gateway's, across rotations of both.

use tests::agent::Agent;
use tests::amqp::{Clients, Gateway};
use tests::ca::{Ca, Profile};
use tests::certificate::Leaf;
#[cfg(feature = "long")]
use tests::process::run_for;
use tests::rabbitmq::RabbitMq;
use tests::wait;
use tests::world::{MINUTE, must_be_consistent};

/// A broker and a gateway with their agents; both certificates are there, the broker runs, the agents do not yet.
struct Scene {
    ca: Ca,
    broker_agent: Agent,
    gateway_agent: Agent,
    broker: RabbitMq,
}

impl Scene {
    async fn new(profile: Profile, clear_pem_cache: bool) -> Self {
        let ca = Ca::start(&[profile]).await;
        let broker_agent = Agent::new();
        let mut broker = RabbitMq::prepare(&broker_agent.live("identity"), &ca.roots());
        let sections = broker.agent_sections(clear_pem_cache);
        broker_agent.configure(&format!("[[certificate]]\nname = \"identity\"\n\n{sections}"));
        let token = ca.device_add("broker-1", profile.name, &["localhost"]).await;
        broker_agent.enroll(&token).await.success();
        broker.run().await;
        let gateway_agent = tests::world::enrolled(&ca, "gw-1", profile.name, &["gw-1.site.test"]).await;
        Self { ca, broker_agent, gateway_agent, broker }
    }

    fn gateway(&self) -> Gateway {
        Gateway { address: self.broker.address(), roots: self.ca.roots(), live: self.gateway_agent.live("identity") }
    }

    /// What the broker presents on the wire.
    async fn presented(&self) -> Option<Leaf> {
        let config = std::sync::Arc::new(tests::https::trusting(&self.ca.roots()));
        tests::https::handshake(&self.broker.address(), config).await.ok().map(|(_, leaf)| leaf)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_flow_across_three_rotations_when_the_cache_is_cleared() {
    let mut scene = Scene::new(MINUTE, true).await;
    let clients = Clients::start(&scene.gateway());
    scene.broker_agent.run();
    scene.gateway_agent.run();
    let mut seen = vec![scene.presented().await.unwrap()];
    while seen.len() < 4 {
        let rotation = seen.len();
        let what = format!("rotation {rotation} on the wire");
        let next = wait::until(&what, 70, async || {
            scene.broker_agent.must_run();
            scene.gateway_agent.must_run();
            let leaf = scene.presented().await?;
            (!seen.contains(&leaf)).then_some(leaf)
        });
        let next = next.await;
        seen.push(next);
    }
    // The gateway rotates at its own pace; it connected with each of its certificates.
    wait::until_true("connections with four certificates of the gateway", 70, async || clients.tally().used.len() >= 4)
        .await;
    wait::until_true("the debt to be paid", 60, async || {
        scene.broker_agent.certificate_status("identity").await["condition"] == "ok"
    })
    .await;
    let tally = clients.finish().await;
    tally.must_be_flawless();
    scene.broker_agent.stop().await;
    scene.gateway_agent.stop().await;
    scene.broker.stop().await;
    must_be_consistent(&scene.ca, &scene.broker_agent, "identity").await;
    must_be_consistent(&scene.ca, &scene.gateway_agent, "identity").await;
    println!("{} messages, {} connections", tally.delivered, tally.reconnected);
}

/// The same without the Erlang cookie: the broker's own two-minute sweep takes the new files up.
#[cfg(feature = "long")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_flow_across_three_rotations_when_the_cache_is_waited_out() {
    const EIGHT_MINUTES: Profile = Profile { name: "eight-minutes", seconds: 480 };
    let mut scene = Scene::new(EIGHT_MINUTES, false).await;
    let clients = Clients::start(&scene.gateway());
    scene.broker_agent.run();
    let mut seen = vec![scene.presented().await.unwrap()];
    while seen.len() < 4 {
        let rotation = seen.len();
        scene.broker_agent.must_run();
        // It ends when the new certificate was seen on the wire, which takes the broker up to two minutes.
        let limit = std::time::Duration::from_secs(320);
        let asked = run_for(&mut scene.broker_agent.program(&["renew", "identity"]), limit).await;
        assert_eq!(asked.code, 0, "{asked}");
        let leaf = scene.presented().await.unwrap();
        assert!(!seen.contains(&leaf), "rotation {rotation}: the agent said that it was seen");
        seen.push(leaf);
    }
    clients.finish().await.must_be_flawless();
    scene.broker_agent.stop().await;
    scene.broker.stop().await;
}
