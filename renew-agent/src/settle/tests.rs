use std::sync::{Arc, Mutex};

use pki_core::time::TestClock;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::clock::FlooredClock;
use crate::config::Config;
use crate::install::recover::publish;
use crate::keys::AccountKey;
use crate::probe::Probe;
use crate::state::{self, AccountRecord, CaRecord, Home};
use crate::testing::{NOW, TestCa, names};

/// What the service in front of the probe does.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// Presents what `current` points at.
    Reads,
    /// Presents the first generation for ever.
    Sticks,
    /// Shakes hands with the first generation only.
    Refuses,
}

struct Node {
    _dir: tempfile::TempDir,
    agent: Agent,
    config: CertificateConfig,
    ca: TestCa,
    _service: tokio::task::JoinSet<()>,
}

impl Node {
    /// A node whose first generation is in service, seen and settled.
    async fn new(mood: Mood) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        home.prepare().unwrap();
        let ca = TestCa::new();
        std::fs::write(home.roots(), ca.roots().to_pem()).unwrap();
        AccountKey::load_or_make(&home.account_key()).unwrap();
        let addresses = vec!["https://ca.invalid".to_owned()];
        state::save(&home.ca(), &CaRecord { addresses, root_sha256: Vec::new(), kid: "k".to_owned() }).unwrap();
        let account =
            AccountRecord { url: "https://ca.invalid/a".to_owned(), directory: "https://ca.invalid/d".to_owned() };
        state::save(&home.account(), &account).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let probe = Probe::new(&listener.local_addr().unwrap().to_string(), Some("gw-1.site.test"), 2).unwrap();
        let config = CertificateConfig {
            name: "web".to_owned(),
            identifiers: names(&["gw-1.site.test"]),
            probes: vec![probe],
            ..CertificateConfig::identity()
        };
        let clock = Arc::new(FlooredClock::new(Arc::new(TestClock::at(NOW))));
        let all = Config { certificates: vec![config.clone()], ..Config::default() };
        let agent = Agent::open(home, all, clock).unwrap();
        let service = serve(listener, agent.live(&config).dir().to_owned(), mood);
        let node = Self { _dir: dir, agent, config, ca, _service: service };
        node.install(None);
        assert_eq!(node.agent.settle(&node.config).await.unwrap(), Settled::Cleared);
        node
    }

    fn install(&self, served_before: Option<bool>) -> Generation {
        let live = self.agent.live(&self.config);
        let generation = live.write(&self.ca.verified(NOW, 30), NOW).unwrap();
        let mut state = self.state();
        publish(&self.agent.home, &live, &mut state, &generation, served_before, NOW).unwrap();
        generation
    }

    fn state(&self) -> CertificateState {
        self.agent.state("web").unwrap()
    }
}

fn serve(listener: TcpListener, live: std::path::PathBuf, mood: Mood) -> tokio::task::JoinSet<()> {
    let mut task = tokio::task::JoinSet::new();
    let first = Arc::new(Mutex::new(None));
    task.spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let target = std::fs::read_link(live.join("current")).unwrap();
            let target = match mood {
                Mood::Sticks => first.lock().unwrap().get_or_insert(target).clone(),
                Mood::Refuses if target != std::path::Path::new("g-1") => continue,
                _ => target,
            };
            let _ = TlsAcceptor::from(Arc::new(presenting(&live.join(target)))).accept(tcp).await;
        }
    });
    task
}

fn presenting(generation: &std::path::Path) -> rustls::ServerConfig {
    use rustls_pki_types::pem::PemObject;
    let chain = std::fs::read(generation.join("fullchain.pem")).unwrap();
    let chain = rustls_pki_types::CertificateDer::pem_slice_iter(&chain).map(Result::unwrap).collect();
    let key = rustls_pki_types::PrivateKeyDer::from_pem_file(generation.join("key.pem")).unwrap();
    rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

#[tokio::test]
async fn a_debt_is_cleared_only_when_the_leaf_was_seen() {
    let node = Node::new(Mood::Reads).await;
    let second = node.install(Some(true));
    assert!(node.state().debt.is_some());
    assert_eq!(node.agent.settle(&node.config).await.unwrap(), Settled::Cleared);
    let state = node.state();
    assert_eq!((state.debt, state.unreported), (None, Some(second.leaf_sha256())));
    assert!(state.last_probe.unwrap().seen);
    assert_eq!(node.agent.settle(&node.config).await.unwrap(), Settled::NothingOwed);
}

#[tokio::test]
async fn a_service_that_keeps_the_old_certificate_stays_in_debt_and_is_not_rolled_back() {
    let node = Node::new(Mood::Sticks).await;
    node.install(Some(true));
    let outcome = node.agent.settle(&node.config).await.unwrap();
    assert!(matches!(&outcome, Settled::Owed { reason } if reason.contains("still presents")), "{outcome:?}");
    let failure = node.state().debt.unwrap().failure.unwrap();
    assert!(failure.attempts == 1 && failure.next_attempt > NOW);
    assert_eq!(node.agent.live(&node.config).current_number(), Some(2));
}

#[tokio::test]
async fn a_service_that_stops_shaking_hands_gets_its_old_certificate_back() {
    let node = Node::new(Mood::Refuses).await;
    node.install(Some(true));
    let outcome = node.agent.settle(&node.config).await.unwrap();
    assert!(matches!(outcome, Settled::RolledBack { recovered: true, .. }), "{outcome:?}");
    assert_eq!(node.agent.live(&node.config).current_number(), Some(1));
    let state = node.state();
    assert_eq!(state.held.as_ref().map(|held| (held.generation, held.refusals)), Some((2, 1)));
    assert!(state.debt.is_none() && state.failure.unwrap().next_attempt > NOW, "it stays scheduled");
}

#[tokio::test]
async fn a_service_that_was_down_before_is_not_rolled_back() {
    let node = Node::new(Mood::Refuses).await;
    node.install(Some(false));
    let outcome = node.agent.settle(&node.config).await.unwrap();
    assert!(matches!(outcome, Settled::Owed { .. }), "{outcome:?}");
    assert_eq!(node.agent.live(&node.config).current_number(), Some(2));
}
