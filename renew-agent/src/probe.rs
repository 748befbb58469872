//! Looks at the wire: which certificate a service really presents.
//!
//! Owns fresh handshakes, their deadlines and the judgement of what was seen. Must not know how services reload
//! ([`crate::services`]) nor what follows from a verdict. A probe works against listeners that demand client
//! certificates: the server shows its certificate, and proves its key, before it asks for the client's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pki_core::time::Timestamp;
use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::services::Settle;

/// SHA-256 over a certificate's DER.
pub type Fingerprint = [u8; 32];

/// A handshake that takes longer counts as none.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The first pause between two looks; each further one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where to look, and how often: a `[[certificate.probe]]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawProbe")]
pub struct Probe {
    address: String,
    server_name: ServerName<'static>,
    connections: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProbe {
    address: String,
    server_name: Option<String>,
    #[serde(default = "default_connections")]
    connections: u32,
}

/// Several, since a reload leaves old workers beside new ones for a moment.
fn default_connections() -> u32 {
    4
}

impl TryFrom<RawProbe> for Probe {
    type Error = String;

    fn try_from(raw: RawProbe) -> Result<Self, String> {
        Probe::new(&raw.address, raw.server_name.as_deref(), raw.connections)
    }
}

/// What one look at the service saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Leaf certificates that were presented, with the server's proof that it holds the key; how often each.
    pub leaves: BTreeMap<Fingerprint, u32>,
    /// The chains behind them, leaf first, DER.
    pub chains: BTreeSet<Vec<Vec<u8>>>,
    /// Why connections showed no leaf.
    pub failures: BTreeSet<String>,
}

/// How waiting for a new leaf ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every connection presented the new leaf.
    New,
    /// The service shakes hands, but with another leaf at least once: it did not reload, or not everywhere.
    Old {
        /// What it presented last.
        presented: BTreeSet<Fingerprint>,
    },
    /// No handshake came about any more: the service is down, and going back to the old certificate may help.
    Silent {
        /// Why the last connections showed nothing.
        reason: String,
    },
}

impl Probe {
    /// A probe of `address` (`host:port`); the name asked for is `server_name`, else the host.
    pub fn new(address: &str, server_name: Option<&str>, connections: u32) -> Result<Self, String> {
        let host = address.rsplit_once(':').and_then(|(host, port)| port.parse::<u16>().ok().map(|_| host));
        let host =
            host.ok_or_else(|| format!("the probe address {address:?} is not host:port, such as 127.0.0.1:443"))?;
        let name = server_name.unwrap_or_else(|| host.trim_start_matches('[').trim_end_matches(']'));
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("the probe's server_name {name:?} is neither a DNS name nor an IP address"))?;
        if !(1..=64).contains(&connections) {
            return Err(format!("the probe makes {connections} connections; give a number between 1 and 64"));
        }
        Ok(Self { address: address.to_owned(), server_name, connections })
    }

    /// The address as configured, for messages.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Makes the configured number of fresh handshakes, never resumed, to each address of the host.
    pub async fn presented(&self) -> Seen {
        let mut seen = Seen::default();
        match timeout(HANDSHAKE_TIMEOUT, tokio::net::lookup_host(&self.address)).await {
            Ok(Ok(addresses)) => {
                for address in addresses {
                    self.look_at(address, &mut seen).await;
                }
            }
            Ok(Err(error)) => seen.fail(format!("resolving {} failed: {error}", self.address)),
            Err(_) => seen.fail(format!("resolving {} took too long", self.address)),
        }
        seen
    }

    async fn look_at(&self, address: SocketAddr, seen: &mut Seen) {
        for _ in 0..self.connections {
            match handshake(address, self.server_name.clone()).await {
                Ok(chain) => seen.add(chain),
                Err(reason) => {
                    // One host, two families, one listener: an address nobody listens on says nothing about the others.
                    seen.fail(format!("{address}: {reason}"));
                    return;
                }
            }
        }
    }

    /// Looks again and again, until every connection presents `leaf` or `settle` says that it is enough.
    pub async fn wait_for(&self, leaf: &Fingerprint, settle: Settle) -> Verdict {
        let deadline = Instant::now() + settle.deadline;
        let mut silent_since = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let seen = self.presented().await;
            let verdict = seen.verdict(leaf);
            let now = Instant::now();
            let over = match &verdict {
                Verdict::New => true,
                Verdict::Old { .. } => {
                    silent_since = now;
                    now >= deadline
                }
                Verdict::Silent { .. } => now >= deadline || now >= silent_since + settle.silence,
            };
            if over {
                return verdict;
            }
            tokio::time::sleep(pause.min(deadline.saturating_duration_since(now))).await;
            pause = (pause + pause / 2).min(LONGEST_PAUSE);
        }
    }
}

impl Seen {
    fn add(&mut self, chain: Vec<Vec<u8>>) {
        let Some(leaf) = chain.first() else { return };
        *self.leaves.entry(fingerprint(leaf)).or_default() += 1;
        self.chains.insert(chain);
    }

    fn fail(&mut self, reason: String) {
        self.failures.insert(reason);
    }

    /// What this look means for somebody who wants to see `leaf`.
    pub fn verdict(&self, leaf: &Fingerprint) -> Verdict {
        if self.leaves.is_empty() {
            let reasons: Vec<&str> = self.failures.iter().map(String::as_str).collect();
            return Verdict::Silent { reason: reasons.join("; ") };
        }
        if self.leaves.keys().all(|presented| presented == leaf) {
            return Verdict::New;
        }
        Verdict::Old { presented: self.leaves.keys().copied().collect() }
    }
}

fn fingerprint(der: &[u8]) -> Fingerprint {
    let mut sum = [0; 32];
    sum.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
    sum
}

/// One handshake; the chain that the server presented and proved to hold the key of.
async fn handshake(address: SocketAddr, name: ServerName<'static>) -> Result<Vec<Vec<u8>>, String> {
    let recorder = Arc::new(Recorder::new());
    let connector = TlsConnector::from(Arc::new(recorder.config()?));
    let whole = async {
        let tcp = TcpStream::connect(address).await.map_err(|error| format!("connecting failed: {error}"))?;
        connector.connect(name, tcp).await.map_err(|error| format!("the TLS handshake failed: {error}"))
    };
    let ended = match timeout(HANDSHAKE_TIMEOUT, whole).await {
        Ok(Ok(_stream)) => Ok(()),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err(format!("no handshake within {} s", HANDSHAKE_TIMEOUT.as_secs())),
    };
    // A listener that demands a client certificate breaks off after it has shown its own: that is seen all the same.
    match (recorder.proven(), ended) {
        (Some(chain), _) => Ok(chain),
        (None, Err(reason)) => Err(reason),
        (None, Ok(())) => Err("the server proved no certificate".to_owned()),
    }
}

/// Accepts every chain and remembers it; the proof that the server holds the leaf's key is still checked.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    chain: Vec<Vec<u8>>,
    proven: bool,
}

impl Recorder {
    fn new() -> Self {
        Self { provider: Arc::new(rustls::crypto::ring::default_provider()), record: Mutex::default() }
    }

    fn config(self: &Arc<Self>) -> Result<ClientConfig, String> {
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be configured: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn proven(&self) -> Option<Vec<Vec<u8>>> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.proven.then(|| record.chain.clone())
    }

    fn checked(
        &self,
        result: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).proven = result.is_ok();
        result
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|der| der.as_ref().to_vec()).collect();
        self.record.lock().unwrap_or_else(PoisonError::into_inner).chain = chain;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.checked(rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.checked(rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether clients that trust `roots` (DER) would accept this presented chain for `name` at `now`; the reason if not.
///
/// Apart from the probe itself, so that a service with an incomplete chain is told from one that did not reload.
pub fn verify_chain(chain: &[Vec<u8>], roots: &[Vec<u8>], name: &str, now: Timestamp) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.as_slice())).map_err(|error| format!("a root cannot be used: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|error| format!("the roots cannot be used: {error}"))?;
    let name = ServerName::try_from(name).map_err(|_| format!("{name:?} is neither a DNS name nor an IP address"))?;
    let seconds = u64::try_from(now.unix_seconds()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let certificates: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let (leaf, rest) = certificates.split_first().ok_or("the service presented no certificate")?;
    verifier.verify_server_cert(leaf, rest, &name, &[], now).map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
