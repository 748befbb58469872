//! tls-alpn-01 (RFC 8737, RFC 8738 section 6): a TLS server that shows a certificate made for this challenge and speaks
//! nothing else. What the certificate must carry is decided in `pki_core::acme::tls_alpn`.

use std::net::SocketAddr;

use pki_core::acme::problem::ProblemKind;
use pki_core::acme::tls_alpn;
use rustls_pki_types::ServerName;

use super::{Expectation, Failure, Validator, connect, unverified};

pub(super) async fn validate(validator: &Validator, expectation: Expectation<'_>) -> Result<(), Failure> {
    let identifier = expectation.identifier;
    let (stream, socket) = connect::to(validator, identifier, validator.tls_port).await?;
    let failed = |why: &dyn std::fmt::Display| {
        let detail = format!("the TLS handshake with {socket} for {identifier} by acme-tls/1 failed: {why}");
        Failure::transient(ProblemKind::Tls, detail)
    };
    let name = ServerName::try_from(tls_alpn::server_name(identifier)).map_err(|why| failed(&why))?;
    let stream = unverified::connect(name, &[tls_alpn::PROTOCOL], stream).await.map_err(|why| failed(&why))?;
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
