//! The only holder of CA keys.
//!
//! [`Signer`] is the door: bytes in, signature out. Everything behind it re-reads what it is asked to sign and
//! holds it against an [`Envelope`] of its own, so that a mistake elsewhere cannot become a CA certificate.
//! Nothing here knows of databases, HTTP or policy; a signer could live in another process.
//!
//! Reading order: [`Signer`], [`FileSigner`] (keys in encrypted files), [`Envelope`] (what is refused),
//! [`ResponderKey`] (signs OCSP answers, lives in memory only), [`generate`](mod@generate), [`SiteKey`] (secrets that the database keeps only sealed).

pub mod durable;
mod envelope;
mod error;
mod file;
mod file_signer;
pub mod generate;
mod key_pair;
mod passphrase;
mod responder_key;
mod site_key;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use pki_core::ids::BadId;
use pki_core::x509::key::SignatureAlgorithm;

pub use envelope::{Envelope, PermittedNames};
pub use error::{KeyFileError, SignError};
pub use file_signer::FileSigner;
pub use generate::generate_key;
pub use passphrase::{Passphrase, PassphraseError};
pub use responder_key::ResponderKey;
pub use site_key::{SealError, SiteKey};

/// A boxed future, so that [`Signer`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Signs with one of the CA's keys.
pub trait Signer: Send + Sync + fmt::Debug {
    /// Signs `tbs` (DER of a TBSCertificate or TBSCertList, or the text of a checkpoint) with the key `key`.
    ///
    /// The answer is the content of the signature's BIT STRING: for ECDSA a DER `ECDSA-Sig-Value`.
    /// Anything outside the signer's [`Envelope`] is refused with [`SignError::NeedsPerson`].
    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        purpose: Purpose,
        algorithm: SignatureAlgorithm,
        tbs: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, SignError>>;

    /// [`Signer::sign`] of bytes that are too many to be copied: a long CRL. They are let go before the answer is there.
    fn sign_long<'a>(
        &'a self,
        key: &'a KeyId,
        purpose: Purpose,
        algorithm: SignatureAlgorithm,
        tbs: LongBytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        Box::pin(async move { self.sign(key, purpose, algorithm, (*tbs).as_ref()).await })
    }

    /// Whether the key is open.
    fn holds(&self, key: &KeyId) -> bool;
}

/// Bytes that are shared instead of copied.
pub type LongBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// What a signature is for; the signer checks that the bytes are of that kind and of no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A TBSCertificate of an end entity.
    Certificate,
    /// A TBSCertificate of a CA; only in a ceremony.
    CaCertificate,
    /// A TBSCertList.
    Crl,
    /// A TBSCertificate of an OCSP responder.
    OcspResponder,
    /// The ResponseData of an OCSP answer.
    Ocsp,
    /// A checkpoint of the audit log (C2SP tlog-checkpoint): text, never DER.
    AuditCheckpoint,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "a certificate",
            Self::CaCertificate => "a CA certificate",
            Self::Crl => "a CRL",
            Self::OcspResponder => "an OCSP responder's certificate",
            Self::Ocsp => "an OCSP answer",
            Self::AuditCheckpoint => "an audit checkpoint",
        })
    }
}

/// The name of a key: `root`, `intermediate`. Its file is `NAME.key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The root's key.
    pub fn root() -> Self {
        Self("root".to_owned())
    }

    /// The key of the first issuing CA.
    pub fn intermediate() -> Self {
        Self("intermediate".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its file within a key folder.
    pub fn file_name(&self) -> String {
        format!("{}.key", self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        // the name becomes a file name: nothing that a path could be made of
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=63).contains(&text.len()) && text.chars().all(fits) && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            let text = text.chars().take(64).collect();
            Err(BadId { text, expected: "a key name (lower-case letters, digits and '-', 63 at most)" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_name_is_never_a_path() {
        assert_eq!("issuing-2".parse::<KeyId>().unwrap().file_name(), "issuing-2.key");
        for bad in ["", "../root", "a/b", ".", "Root", "-x", "a b", "a\0"] {
            assert!(bad.parse::<KeyId>().is_err(), "{bad:?}");
        }
    }
}
