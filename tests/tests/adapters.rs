//! The agent's typed adapters and its probe against the real services, without a CA: what a rotation and a roll-back do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::time::Duration;

use renew_agent::probe::{Probe, Verdict};
use renew_agent::services::{Service, Settle};
use serde_json::Value;
use tests::amqp::{self, Gateway};
use tests::certificate::Leaf;
use tests::folders::Folder;
use tests::https;
use tests::nginx::Nginx;
use tests::rabbitmq::RabbitMq;
use tests::site::Site;
use tests::wait;

/// The adapter and the probe that the sections of a certificate describe.
fn sections(text: &str) -> (Service, Probe) {
    let sections: toml::Table = toml::from_str(&text.replace("certificate.", "")).unwrap();
    let probe = sections["probe"].as_array().unwrap().first().unwrap().clone();
    (sections["service"].clone().try_into().unwrap(), probe.try_into().unwrap())
}

fn leaf(site: &Site, name: &str, generation: u32) -> [u8; 32] {
    Leaf::from_file(&site.live(name).join(format!("g-{generation}/cert.pem"))).sha256
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_takes_up_new_generations_and_old_ones_without_a_flaw() {
    let folder = Folder::new();
    let site = Site::new(folder.path());
    site.install("web", 1);
    let mut nginx = Nginx::start(&site.live("web")).await;
    let (service, probe) = sections(&nginx.agent_sections());
    let findings = service.preflight(&site.live("web")).await;
    assert!(findings.len() >= 3 && findings.iter().all(|finding| finding.ok), "{findings:#?}");

    let clients = https::Clients::start(&nginx.address(), &site.roots());
    for generation in 2..=6 {
        site.install("web", generation);
        service.reload(&site.live("web")).await.unwrap();
        assert_eq!(probe.wait_for(&leaf(&site, "web", generation), service.settle()).await, Verdict::New);
        wait::until_true("the clients to see it", 10, async || {
            clients.tally().leaves.iter().any(|seen| seen.sha256 == leaf(&site, "web", generation))
        })
        .await;
    }
    // The roll-back: the old generation is current again.
    site.activate("web", 5);
    service.reload(&site.live("web")).await.unwrap();
    assert_eq!(probe.wait_for(&leaf(&site, "web", 5), service.settle()).await, Verdict::New);

    let tally = clients.finish().await;
    tally.must_be_flawless();
    assert_eq!(tally.leaves.len(), 6);
    nginx.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_serves_on_when_the_pair_is_torn_and_the_adapter_says_why() {
    let folder = Folder::new();
    let site = Site::new(folder.path());
    site.install("web", 1);
    let mut nginx = Nginx::start(&site.live("web")).await;
    let (service, probe) = sections(&nginx.agent_sections());
    site.write("web", 2);
    let torn = site.live("web").join("g-2/key.pem");
    std::fs::copy(site.live("web").join("g-1/key.pem"), &torn).unwrap();
    site.activate("web", 2);

    let error = service.reload(&site.live("web")).await.unwrap_err();
    assert!(error.needs_person(), "{error}");
    assert!(error.to_string().contains("key values mismatch"), "nginx's own words: {error}");
    let seen = probe.presented().await;
    assert!(seen.leaves.keys().all(|seen| *seen == leaf(&site, "web", 1)), "{seen:?}");

    site.activate("web", 1);
    service.reload(&site.live("web")).await.unwrap();
    nginx.kill();
    let error = service.reload(&site.live("web")).await.unwrap_err();
    assert!(!error.needs_person() && error.to_string().contains("nginx.pid"), "{error}");
    let short = Settle { deadline: Duration::from_secs(20), silence: Duration::from_millis(300) };
    let verdict = probe.wait_for(&leaf(&site, "web", 1), short).await;
    assert!(matches!(&verdict, Verdict::Silent { reason } if reason.contains("connecting failed")), "{verdict:?}");
    nginx.run().await;
    assert_eq!(probe.wait_for(&leaf(&site, "web", 1), service.settle()).await, Verdict::New);
}

/// The clients of the other tests are worth something only if they notice a service that is away for a moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_notice_a_restart() {
    let folder = Folder::new();
    let site = Site::new(folder.path());
    site.install("web", 1);
    let mut nginx = Nginx::start(&site.live("web")).await;
    let clients = https::Clients::start(&nginx.address(), &site.roots());
    wait::until_true("requests", 10, async || clients.tally().requests > 20).await;
    nginx.kill();
    nginx.run().await;
    let before = clients.tally().requests;
    wait::until_true("requests again", 10, async || clients.tally().requests > before + 20).await;
    let tally = clients.finish().await;
    assert!(!tally.failed_handshakes.is_empty() || !tally.dropped.is_empty(), "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_takes_up_new_generations_when_its_cache_is_cleared() {
    let folder = Folder::new();
    let site = Site::new(folder.path());
    site.install("broker", 1);
    site.install("gateway", 1);
    let mut broker = RabbitMq::start(&site.live("broker"), &site.roots()).await;
    let (service, probe) = sections(&broker.agent_sections(true));
    let findings = service.preflight(&site.live("broker")).await;
    assert!(findings.iter().any(|finding| finding.id == "rabbitmqctl" && finding.ok), "{findings:#?}");
    assert_eq!(probe.wait_for(&leaf(&site, "broker", 1), service.settle()).await, Verdict::New);

    let gateway = Gateway { address: broker.address(), roots: site.roots(), live: site.live("gateway") };
    let clients = amqp::Clients::start(&gateway);
    for generation in 2..=4 {
        site.install("gateway", generation);
        site.install("broker", generation);
        // Before the adapter has spoken the broker serves what it has cached.
        assert!(matches!(probe.presented().await.verdict(&leaf(&site, "broker", generation)), Verdict::Old { .. }));
        service.reload(&site.live("broker")).await.unwrap();
        assert_eq!(probe.wait_for(&leaf(&site, "broker", generation), service.settle()).await, Verdict::New);
        let delivered = clients.tally().delivered;
        wait::until_true("messages over a new connection", 20, async || {
            let tally = clients.tally();
            tally.delivered > delivered
                && tally.used.iter().any(|used| used.sha256 == leaf(&site, "gateway", generation))
        })
        .await;
    }
    let tally = clients.finish().await;
    tally.must_be_flawless();

    let connections = broker.ctl(&["list_connections", "peer_cert_subject", "--formatter", "json"]).await.success();
    let connections: Value = serde_json::from_str(&connections).unwrap();
    assert_eq!(connections.as_array().map(Vec::len), Some(0), "{connections}");
    broker.stop().await;
}

/// Erlang's cache sweeps every two minutes and keeps files whose modification time lies before its last sweep: a
/// roll-back to an older generation is never seen unless the adapter renews that time.
#[cfg(feature = "long")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_takes_up_even_an_old_generation_when_its_cache_is_waited_out() {
    let folder = Folder::new();
    let site = Site::new(folder.path());
    for generation in [1, 2] {
        site.install("broker", generation);
    }
    let mut broker = RabbitMq::start(&site.live("broker"), &site.roots()).await;
    let (service, probe) = sections(&broker.agent_sections(false));
    assert_eq!(probe.wait_for(&leaf(&site, "broker", 2), service.settle()).await, Verdict::New);
    for (generation, round) in [(1, "first"), (2, "second")] {
        site.activate("broker", generation);
        service.reload(&site.live("broker")).await.unwrap();
        assert_eq!(probe.wait_for(&leaf(&site, "broker", generation), service.settle()).await, Verdict::New, "{round}");
    }
    broker.stop().await;
}
