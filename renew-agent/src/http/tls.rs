//! Whom the client believes: the pinned roots, judged by the agent's own clock.

use std::io;
use std::sync::Arc;

use pki_core::time::Clock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Why no TLS configuration could be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the pinned roots for TLS: {0}; enrol again with a fresh token")]
pub struct TlsError(String);

fn failed<T>(result: Result<T, rustls::Error>) -> Result<T, TlsError> {
    result.map_err(|error| TlsError(error.to_string()))
}

#[derive(Debug)]
struct AgentTime(Arc<dyn Clock>);

impl TimeProvider for AgentTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

fn builder(clock: Arc<dyn Clock>) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    failed(
        ClientConfig::builder_with_details(provider, Arc::new(AgentTime(clock))).with_safe_default_protocol_versions(),
    )
}

/// TLS that trusts exactly these roots (DER) and judges validity by `clock`.
pub fn pinned(roots: &[Vec<u8>], clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        failed(store.add(CertificateDer::from(root.clone())))?;
    }
    Ok(Arc::new(builder(clock)?.with_root_certificates(store).with_no_client_auth()))
}

/// TLS that believes anybody: only for fetching certificates that are compared with pins afterwards.
pub fn unverified(clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, TlsError> {
    let verifier = Arc::new(Anybody(Arc::new(rustls::crypto::ring::default_provider())));
    Ok(Arc::new(builder(clock)?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a failed handshake means for the person who reads it.
pub(super) fn explain(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(reason)) = inner else {
        return format!("the TLS handshake failed: {error}");
    };
    match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate does not come from the pinned root: another CA answers there, or its root was replaced; \
             enrol again with a token of the CA that stands there now"
                .to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet by this node's clock; set the clock (`timedatectl`)".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired by this node's clock; check the clock here, then the CA".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate does not carry that name; give the CA this name, or use another address".to_owned()
        }
        other => format!("its certificate is refused: {other}"),
    }
}
