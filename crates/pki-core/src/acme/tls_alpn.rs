//! The certificate of tls-alpn-01 (RFC 8737 section 3, RFC 8738 section 6): what it must carry, and what proves that its
//! sender holds its key.

use std::net::IpAddr;

use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

use crate::x509::name::{DnsName, Identifier};

/// The application protocol (RFC 8737 section 6.2).
pub const PROTOCOL: &[u8] = b"acme-tls/1";

/// id-pe-acmeIdentifier (RFC 8737 section 6.1).
const ACME_IDENTIFIER: &str = "1.3.6.1.5.5.7.1.31";

/// A certificate for one name needs a few hundred octets.
const MAX_LEN: usize = 16 * 1024;

/// The name a client asks for in its ClientHello: an address is asked for by its name in the reverse DNS (RFC 8738
/// section 6).
pub fn server_name(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Dns(name) => name.base().to_owned(),
        Identifier::Ip(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Identifier::Ip(IpAddr::V6(address)) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
        other => other.value(),
    }
}

/// SubjectPublicKeyInfo of a certificate, DER: what the signature of the handshake is verified with.
pub fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    parse(certificate).ok().map(|certificate| certificate.tbs_certificate.subject_pki.raw.to_vec())
}

/// Whether a certificate answers the challenge for `identifier` with one of these key authorizations; why not otherwise,
/// as the end of a sentence that begins with the certificate. Nothing of it is repeated.
pub fn check(certificate: &[u8], identifier: &Identifier, key_authorizations: &[String]) -> Result<(), &'static str> {
    let certificate = parse(certificate)?;
    let issuer_is_subject = certificate.tbs_certificate.issuer.as_raw() == certificate.tbs_certificate.subject.as_raw();
    if !issuer_is_subject || certificate.verify_signature(None).is_err() {
        return Err("is not self-signed");
    }
    let extensions = certificate.extensions();
    for (at, one) in extensions.iter().enumerate() {
        if extensions.iter().skip(at + 1).any(|other| other.oid == one.oid) {
            return Err("has an extension twice");
        }
    }
    check_names(&certificate, identifier)?;
    let proof = extensions.iter().find(|extension| extension.oid.to_id_string() == ACME_IDENTIFIER);
    let proof = proof.ok_or("has no acmeIdentifier extension")?;
    if !proof.critical {
        return Err("has an acmeIdentifier extension that is not critical");
    }
    // An OCTET STRING of 32 octets within the extension's own.
    let [0x04, 0x20, digest @ ..] = proof.value else { return Err("has an acmeIdentifier extension of another form") };
    if digest.len() != 32 {
        return Err("has an acmeIdentifier extension of another form");
    }
    let is_right = key_authorizations.iter().any(|expected| digest == Sha256::digest(expected).as_slice());
    if is_right { Ok(()) } else { Err("is for another challenge, or for the key of another account") }
}

fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, &'static str> {
    if certificate.len() > MAX_LEN {
        return Err("is larger than 16 kB");
    }
    match X509Certificate::from_der(certificate) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err("cannot be read"),
    }
}

/// Exactly one name, which is the one asked for.
fn check_names(certificate: &X509Certificate<'_>, identifier: &Identifier) -> Result<(), &'static str> {
    let names = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.as_slice()),
        _ => None,
    });
    let [only] = names.ok_or("has no subject alternative name")? else {
        return Err("has not exactly one subject alternative name");
    };
    let is_asked_for = match (only, identifier) {
        (GeneralName::DNSName(name), Identifier::Dns(asked)) => {
            name.parse::<DnsName>().is_ok_and(|name| name == *asked && !name.is_wildcard())
        }
        (GeneralName::IPAddress(octets), Identifier::Ip(IpAddr::V4(asked))) => *octets == asked.octets(),
        (GeneralName::IPAddress(octets), Identifier::Ip(IpAddr::V6(asked))) => *octets == asked.octets(),
        _ => false,
    };
    if is_asked_for { Ok(()) } else { Err("is for another name") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipi_2_addresses_are_asked_for_by_their_reverse_names() {
        for (kind, value, expected) in [
            ("dns", "a.test", "a.test"),
            ("ip", "192.0.2.1", "1.2.0.192.in-addr.arpa"),
            ("ip", "2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
        ] {
            assert_eq!(server_name(&Identifier::parse(kind, value).unwrap()), expected);
        }
    }

    proptest::proptest! {
        /// The other side sends what it likes.
        #[test]
        fn any_bytes_are_refused(bytes: Vec<u8>) {
            let name = Identifier::parse("dns", "a.test").unwrap();
            proptest::prop_assert!(check(&bytes, &name, &["a.b".to_owned()]).is_err());
            proptest::prop_assert!(public_key(&bytes).is_none());
        }
    }

    #[test]
    fn what_is_no_certificate_is_told_apart() {
        let name = Identifier::parse("dns", "a.test").unwrap();
        assert_eq!(check(b"", &name, &[]), Err("cannot be read"));
        assert_eq!(check(&[0x30; 20_000], &name, &[]), Err("is larger than 16 kB"));
        assert_eq!(public_key(b"\x30\x03\x02\x01\x01"), None);
    }
}
