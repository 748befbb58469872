//! Certificates as clients see them.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What tests ask about a certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// Start of its validity, Unix seconds.
    pub not_before: i64,
    /// End of its validity, Unix seconds.
    pub not_after: i64,
    /// Serial number, lower case hex.
    pub serial: String,
    /// SHA-256 of the whole certificate.
    pub sha256: [u8; 32],
    /// The DER of its public key.
    pub public_key: Vec<u8>,
}

impl Leaf {
    /// Reads a certificate.
    pub fn from_der(der: &[u8]) -> Self {
        let (rest, certificate) = X509Certificate::from_der(der).unwrap();
        assert!(rest.is_empty(), "bytes after the certificate");
        Self {
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            serial: hex(certificate.raw_serial()),
            sha256: sha256(der),
            public_key: certificate.public_key().raw.to_vec(),
        }
    }

    /// The first certificate of a PEM file.
    pub fn from_file(path: &Path) -> Self {
        Self::from_der(&chain(path)[0])
    }
}

/// Lower case hexadecimal.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().try_into().unwrap()
}

/// All certificates of a PEM file.
pub fn chain(path: &Path) -> Vec<CertificateDer<'static>> {
    let all: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).collect();
    let all = all.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(!all.is_empty(), "{} holds no certificate", path.display());
    all
}

/// Whether key and certificate of a generation belong together, read through `current` in a loop that sees one swap.
pub fn pair_matches(current: &Path) -> bool {
    // Resolved first: both files are then of the same generation even when a rotation happens in between.
    let generation = std::fs::canonicalize(current).unwrap();
    let key = std::fs::read_to_string(generation.join("key.pem")).unwrap();
    let key = rcgen::KeyPair::from_pem(&key).unwrap();
    Leaf::from_file(&generation.join("cert.pem")).public_key == rcgen::PublicKeyData::subject_public_key_info(&key)
}
