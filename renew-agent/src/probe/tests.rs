use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::*;

/// What a server shows now, and that it has shown something.
struct Shown {
    config: Mutex<Option<Arc<ServerConfig>>>,
    once: Notify,
}

type Shared = Arc<Shown>;

fn shown(config: Option<Arc<ServerConfig>>) -> Shared {
    Arc::new(Shown { config: Mutex::new(config), once: Notify::new() })
}

struct Site {
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Site {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { ca: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// A server configuration with a fresh certificate for localhost, and its fingerprint.
    fn leaf(
        &self,
        client_auth: bool,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> (Arc<ServerConfig>, Fingerprint) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
        let builder = if client_auth {
            let mut roots = RootCertStore::empty();
            roots.add(self.ca.der().clone()).unwrap();
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            )
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        (Arc::new(config), fingerprint(certificate.der()))
    }
}

/// A server that shakes hands with whatever configuration stands in `shared`, and hangs up when there is none.
async fn serve(shared: Shared) -> (tokio::task::JoinSet<()>, Probe) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let config = shared.config.lock().unwrap().clone();
            if let Some(config) = config {
                let _ = TlsAcceptor::from(config).accept(tcp).await;
                shared.once.notify_one();
            }
        }
    });
    (tasks, Probe::new(&address.to_string(), Some("localhost"), 3).unwrap())
}

fn settle(deadline: u64, silence: u64) -> Settle {
    Settle { deadline: Duration::from_millis(deadline), silence: Duration::from_millis(silence) }
}

#[tokio::test]
async fn the_leaf_is_seen_even_where_client_certificates_are_demanded() {
    let site = Site::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for client_auth in [false, true] {
            let (config, leaf) = site.leaf(client_auth, version);
            let (_tasks, probe) = serve(shown(Some(config))).await;
            let seen = probe.presented().await;
            assert_eq!(seen.leaves, BTreeMap::from([(leaf, 3)]), "{version:?} {client_auth}: {seen:?}");
            assert_eq!(seen.verdict(&leaf), Verdict::New);
        }
    }
}

#[tokio::test]
async fn waiting_ends_as_soon_as_the_new_leaf_is_there() {
    let site = Site::new();
    let (old, _) = site.leaf(true, &rustls::version::TLS13);
    let (new, leaf) = site.leaf(true, &rustls::version::TLS13);
    let shared = shown(Some(old));
    let (_tasks, probe) = serve(shared.clone()).await;
    let swap = async {
        shared.once.notified().await;
        *shared.config.lock().unwrap() = Some(new);
    };
    let started = Instant::now();
    let (verdict, ()) = tokio::join!(probe.wait_for(&leaf, settle(60_000, 60_000)), swap);
    assert_eq!(verdict, Verdict::New);
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn the_old_leaf_is_no_silence() {
    let site = Site::new();
    let (old, presented) = site.leaf(false, &rustls::version::TLS13);
    let (_tasks, probe) = serve(shown(Some(old))).await;
    let verdict = probe.wait_for(&[7; 32], settle(300, 1)).await;
    assert_eq!(verdict, Verdict::Old { presented: BTreeSet::from([presented]) });
}

#[tokio::test]
async fn a_service_that_hangs_up_or_is_gone_is_silent_before_the_deadline() {
    let (tasks, probe) = serve(shown(None)).await;
    let started = Instant::now();
    let Verdict::Silent { reason } = probe.wait_for(&[7; 32], settle(60_000, 200)).await else { panic!("silent") };
    assert!(reason.contains("TLS handshake failed"), "{reason}");
    drop(tasks);
    let Verdict::Silent { reason } = probe.wait_for(&[7; 32], settle(60_000, 200)).await else { panic!("silent") };
    assert!(reason.contains("connecting failed"), "{reason}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_leaf_without_its_key_does_not_count() {
    let site = Site::new();
    let (leaf, _) = site.leaf(false, &rustls::version::TLS13);
    let (other, _) = site.leaf(false, &rustls::version::TLS13);
    // The certificate of one with the key of the other: what a torn pair on disk would be.
    let provider = rustls::crypto::ring::default_provider();
    let torn = {
        struct Torn(Arc<rustls::sign::CertifiedKey>);
        impl std::fmt::Debug for Torn {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("Torn")
            }
        }
        impl rustls::server::ResolvesServerCert for Torn {
            fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
                Some(self.0.clone())
            }
        }
        let key = PrivateKeyDer::try_from(KeyPair::generate().unwrap().serialize_der()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .signed_by(&KeyPair::generate().unwrap(), &site.ca)
            .unwrap();
        let resolver = Torn(Arc::new(rustls::sign::CertifiedKey::new(vec![certificate.der().clone()], key)));
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = leaf.alpn_protocols.clone();
        Arc::new(config)
    };
    drop(other);
    let (_tasks, probe) = serve(shown(Some(torn))).await;
    let seen = probe.presented().await;
    assert!(seen.leaves.is_empty(), "{seen:?}");
    assert!(!seen.failures.is_empty());
}

#[tokio::test]
async fn the_presented_chain_is_judged_against_the_roots() {
    let (site, stranger) = (Site::new(), Site::new());
    let (config, _) = site.leaf(false, &rustls::version::TLS13);
    let (_tasks, probe) = serve(shown(Some(config))).await;
    let seen = probe.presented().await;
    let chain = seen.chains.first().unwrap();
    let now = Timestamp::parse_rfc3339("2026-06-01T00:00:00Z").unwrap();
    assert_eq!(verify_chain(chain, &[site.ca.der().to_vec()], "localhost", now), Ok(()));
    assert!(verify_chain(chain, &[site.ca.der().to_vec()], "other.test", now).is_err());
    assert!(verify_chain(chain, &[stranger.ca.der().to_vec()], "localhost", now).is_err());
    assert!(verify_chain(&[], &[site.ca.der().to_vec()], "localhost", now).is_err());
}

#[test]
fn impossible_sections_are_refused() {
    for (address, name, connections, wanted) in [
        ("localhost", None, 3, "host:port"),
        ("localhost:https", None, 3, "host:port"),
        ("localhost:443", Some("a b"), 3, "server_name"),
        ("localhost:443", None, 0, "between 1 and 64"),
    ] {
        let error = Probe::new(address, name, connections).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
    assert!(Probe::new("[::1]:443", None, 3).is_ok());
    let unknown: Result<Probe, _> = toml::from_str("address = 'localhost:443'\nserver = 'x'");
    assert!(unknown.unwrap_err().to_string().contains("server"));
}
