//! Which issuing key a question is about.

use ring::digest;

use crate::x509::certificate::Certificate;
use crate::x509::ocsp::{CertId, HashAlgorithm};

/// SHA-1 as OCSP names things by it, issuers and responders; it protects nothing here.
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut hash = [0; 20];
    let found = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    hash.iter_mut().zip(found.as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

/// Every issuing key that is answered for, by what clients call it: computed once (OCS-4).
#[derive(Debug, Clone)]
pub struct Issuers<T> {
    known: Vec<Known<T>>,
}

#[derive(Debug, Clone)]
struct Known<T> {
    issuer: T,
    algorithm: HashAlgorithm,
    name_hash: digest::Digest,
    key_hash: digest::Digest,
}

impl<T: Clone> Issuers<T> {
    /// Of these CA certificates; several of one key, such as cross-signed ones, may stand there with the same value.
    pub fn new<'a>(issuers: impl IntoIterator<Item = (T, &'a Certificate)>) -> Self {
        let mut known = Vec::new();
        for (issuer, certificate) in issuers {
            known.extend(HashAlgorithm::ALL.map(|algorithm| Known {
                issuer: issuer.clone(),
                algorithm,
                name_hash: digest::digest(ring_name(algorithm), certificate.subject_der()),
                key_hash: digest::digest(ring_name(algorithm), certificate.public_key().bits()),
            }));
        }
        Self { known }
    }

    /// Whose certificate is asked for; none for a foreign issuer, or one named by a hash that is not known.
    pub fn find(&self, id: &CertId<'_>) -> Option<&T> {
        let algorithm = id.algorithm()?;
        let same = |known: &&Known<T>| {
            known.algorithm == algorithm
                && known.key_hash.as_ref() == id.key_hash()
                && known.name_hash.as_ref() == id.name_hash()
        };
        self.known.iter().find(same).map(|known| &known.issuer)
    }
}

fn ring_name(algorithm: HashAlgorithm) -> &'static digest::Algorithm {
    match algorithm {
        HashAlgorithm::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        HashAlgorithm::Sha256 => &digest::SHA256,
        HashAlgorithm::Sha384 => &digest::SHA384,
        HashAlgorithm::Sha512 => &digest::SHA512,
    }
}
