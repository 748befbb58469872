//! TLS to servers whose certificate is not verified in the handshake: one of tls-alpn-01 is judged afterwards, and where a
//! redirect of http-01 leads it does not count, since a server that redirects everything to https often waits for this very
//! certificate.

use std::net::IpAddr;
use std::sync::Arc;

use pki_core::acme::tls_alpn;
use pki_core::x509::name::Identifier;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use webpki::RawPublicKeyEntity;

/// Shakes hands with whoever answers and has the key of the certificate shown, offering these protocols.
pub(super) async fn connect(
    name: ServerName<'static>,
    protocols: &[&[u8]],
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(HolderOfKey(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())
}

/// The name by which a host is asked for.
pub(super) fn server_name(host: &Identifier) -> Result<ServerName<'static>, String> {
    match host {
        Identifier::Ip(IpAddr::V4(address)) => Ok(ServerName::from(*address)),
        Identifier::Ip(IpAddr::V6(address)) => Ok(ServerName::from(*address)),
        Identifier::Dns(name) => ServerName::try_from(name.to_string()).map_err(|error| error.to_string()),
        other => Err(format!("{other} is no host")),
    }
}

/// Takes every certificate whose key signs the handshake. The stock verifier reads the whole certificate for that, and refuses
/// the critical extension that one of tls-alpn-01 must have.
#[derive(Debug)]
struct HolderOfKey(Arc<CryptoProvider>);

impl ServerCertVerifier for HolderOfKey {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(cert)?;
        let entity = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let supported = self.0.signature_verification_algorithms.mapping;
        let (_, algorithms) = supported
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let is_valid = |algorithm: &&dyn rustls_pki_types::SignatureVerificationAlgorithm| {
            entity.verify_signature(*algorithm, message, signed.signature()).is_ok()
        };
        match algorithms.iter().any(is_valid) {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(cert)?;
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn public_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, CertificateError> {
    tls_alpn::public_key(certificate).map(SubjectPublicKeyInfoDer::from).ok_or(CertificateError::BadEncoding)
}
