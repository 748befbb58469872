//! tls-alpn-01 (RFC 8737, RFC 8738 section 6): a TLS server that shows a certificate made for this challenge and speaks
//! nothing else. What the certificate must carry is decided in `pki_core::acme::tls_alpn`.

use std::net::SocketAddr;
use std::sync::Arc;

use pki_core::acme::problem::ProblemKind;
use pki_core::acme::tls_alpn;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use webpki::RawPublicKeyEntity;

use super::{Expectation, Failure, Validator, connect};

pub(super) async fn validate(validator: &Validator, expectation: Expectation<'_>) -> Result<(), Failure> {
    let identifier = expectation.identifier;
    let (stream, socket) = connect::to(validator, identifier, validator.tls_port).await?;
    let failed = |why: &dyn std::fmt::Display| {
        let detail = format!("the TLS handshake with {socket} for {identifier} by acme-tls/1 failed: {why}");
        Failure::transient(ProblemKind::Tls, detail)
    };
    let stream = shake_hands(&tls_alpn::server_name(identifier), stream).await.map_err(|why| failed(&why))?;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(tls_alpn::PROTOCOL) {
        return Err(failed(&"the server did not choose that protocol"));
    }
    let certificate = session.peer_certificates().and_then(<[_]>::first).map(|certificate| certificate.as_ref());
    judge(certificate.unwrap_or_default(), socket, expectation)
}

fn judge(certificate: &[u8], socket: SocketAddr, expectation: Expectation<'_>) -> Result<(), Failure> {
    let verdict = tls_alpn::check(certificate, expectation.identifier, expectation.key_authorizations);
    verdict.map_err(|why| {
        let detail = format!("the certificate of {socket} for {} {why}", expectation.identifier);
        Failure::permanent(ProblemKind::IncorrectResponse, detail)
    })
}

async fn shake_hands(name: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(HolderOfKey(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![tls_alpn::PROTOCOL.to_vec()];
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())
}

/// Takes every certificate whose key signs the handshake. The certificate is judged afterwards: the stock verifier refuses
/// the critical extension that it must have.
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
