//! Requests, certificates, CRLs and their textual form. Where x509-parser reads the same bytes, it has to see the same.

use pki_core::x509::certificate::Certificate;
use pki_core::x509::crl::Crl;
use pki_core::x509::csr::Csr;
use pki_core::x509::key::PublicKey;
use pki_core::x509::name::Identifier;
use pki_core::x509::pem as textual;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate, X509CertificationRequest};

use crate::text;

/// A request in DER.
pub fn csr(input: &[u8]) {
    let Ok(request) = Csr::parse(input) else { return };
    key_reads_back(request.public_key());
    identifiers_are_canonical(request.identifiers());
    assert_eq!(Csr::parse(input).as_ref(), Ok(&request));
    if let Ok((rest, theirs)) = X509CertificationRequest::from_der(input) {
        assert!(rest.is_empty(), "bytes after the request");
        let spki = theirs.certification_request_info.subject_pki.raw;
        assert_eq!(spki, request.public_key().spki_der(), "two parsers see two keys");
    }
}

/// A certificate in DER.
pub fn certificate(input: &[u8]) {
    let Ok(certificate) = Certificate::parse(input) else { return };
    assert_eq!(certificate.der(), input);
    key_reads_back(certificate.public_key());
    identifiers_are_canonical(certificate.identifiers());
    assert_eq!(certificate.serial().to_string().parse(), Ok(certificate.serial()));
    let _ = (certificate.name_constraints(), certificate.may_sign(), format!("{certificate:?}"));
    // whoever issued it, nothing may panic on the way to a refusal
    let _ = certificate.verify_signed_by(certificate.public_key());
    assert_eq!(textual::parse_pem_bundle(&textual::to_pem(&certificate)), Ok(vec![certificate.clone()]));
    let Ok((rest, theirs)) = X509Certificate::from_der(input) else { return };
    assert!(rest.is_empty(), "bytes after the certificate");
    assert_eq!(theirs.tbs_certificate.as_ref(), certificate.tbs_der());
    assert_eq!(theirs.issuer().as_raw(), certificate.issuer_der());
    assert_eq!(theirs.subject().as_raw(), certificate.subject_der());
    assert_eq!(theirs.public_key().raw, certificate.public_key().spki_der());
    assert_eq!(theirs.serial.to_bytes_be(), certificate.serial().octets());
    assert_eq!(theirs.validity().not_after.timestamp(), certificate.not_after().unix_seconds());
    assert_eq!(theirs.is_ca(), certificate.is_ca(), "one parser sees a CA");
}

/// A CRL in DER.
pub fn crl(input: &[u8]) {
    let Ok(list) = Crl::parse(input) else { return };
    assert_eq!(list.der(), input);
    let entries = list.entries();
    assert!(entries.as_ref().map_or(true, |entries| entries.len() == list.entry_count()));
    let (Ok((rest, theirs)), Ok(entries)) = (CertificateRevocationList::from_der(input), entries) else { return };
    assert!(rest.is_empty(), "bytes after the CRL");
    assert_eq!(theirs.issuer().as_raw(), list.issuer_der());
    let serials = theirs.iter_revoked_certificates().map(|entry| entry.serial().to_bytes_be());
    assert!(serials.eq(entries.iter().map(|entry| entry.serial.octets().to_vec())), "two parsers see two lists");
}

/// PEM texts.
pub fn pem(input: &[u8]) {
    let Some(text) = text(input) else { return };
    for label in [textual::CERTIFICATE, textual::CERTIFICATE_REQUEST, textual::CRL, textual::PUBLIC_KEY] {
        let Ok(blocks) = textual::decode_all(label, text) else { continue };
        assert!(!blocks.is_empty() && blocks.iter().all(|block| !block.is_empty()));
        let written: String = blocks.iter().map(|block| textual::encode(label, block)).collect();
        assert_eq!(textual::decode_all(label, &written).as_ref(), Ok(&blocks));
        let same: String = text.lines().filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect();
        assert_eq!(written, same, "two texts for the same bytes");
    }
    if let Ok(certificates) = textual::parse_pem_bundle(text) {
        assert_eq!(textual::parse_pem_bundle(&textual::bundle_to_pem(&certificates)), Ok(certificates));
    }
}

fn key_reads_back(key: &PublicKey) {
    assert_eq!(PublicKey::from_spki_der(key.spki_der()).as_ref(), Ok(key));
}

fn identifiers_are_canonical(identifiers: &[Identifier]) {
    assert!(identifiers.is_sorted_by(|one, other| one < other), "not sorted, or one stands there twice");
    for identifier in identifiers {
        assert_eq!(Identifier::parse(identifier.kind(), &identifier.value()).as_ref(), Ok(identifier));
    }
}
