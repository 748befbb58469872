//! Certificate revocation lists (RFC 5280 section 5): planned, sealed, read back.
//!
//! [`CrlHead::begin`] takes entries one by one and gives the bytes to be signed, [`CrlHead::tbs`] does so for a few;
//! [`seal`] puts the signature to them and checks the result with two parsers, as with certificates; `read` is the reader.

mod read;
mod seal;
mod write;

use crate::ids::Serial;
use crate::revocation::Reason;
use crate::time::Timestamp;
use crate::x509::key::KeyError;

pub use read::{Crl, RawEntries, RawEntry};
pub use seal::seal;
pub use write::{CrlHead, CrlTbs, CrlWriter, Mark};

/// More octets than a list of five million certificates has.
pub const MAX_CRL: usize = 255 * 1024 * 1024;

/// Which certificates a list is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrlScope {
    /// All of the CA.
    Complete,
    /// Leaves that carry one of these addresses, byte for byte (CRL-3).
    Shard {
        /// The addresses in the leaves: the one that they get now, and those that they got before it changed.
        urls: Vec<String>,
    },
    /// CA certificates (CRL-4).
    CaOnly,
}

/// Whether a list tells everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrlKind {
    /// All that is revoked.
    Full {
        /// Where there is a delta to it, if there is one (RFC 5280 section 5.2.6).
        freshest: Vec<String>,
    },
    /// What changed since a full list (RFC 5280 section 5.2.4).
    Delta {
        /// The number of that list.
        base: u64,
    },
}

/// One revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlEntry {
    /// Its serial number.
    pub serial: Serial,
    /// Since when.
    pub at: Timestamp,
    /// Why; none when nobody said.
    pub reason: Option<Reason>,
}

/// Why there is no such list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Longer than anything that is read.
    #[error("the CRL is longer than 255 MiB")]
    TooLong,
    /// Not DER, or not a CRL of the kind made here.
    #[error("the CRL cannot be read: {0} is not as RFC 5280 has it")]
    Malformed(&'static str),
    /// The plan makes no sense.
    #[error("the CRL cannot be planned: {0}")]
    Plan(String),
    /// Something that no DER can hold.
    #[error("the CRL cannot be encoded ({0}); this is a fault of the CA")]
    Encoding(der::Error),
    /// It was signed with something obsolete, or not by this key.
    #[error("the signature on the CRL is not good: {0}")]
    Signature(#[from] KeyError),
    /// The second parser refuses it, or sees something else.
    #[error("two parsers do not agree on the signed CRL ({0}); it is not published")]
    Disagreement(&'static str),
}

impl From<der::Error> for CrlError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error)
    }
}

#[cfg(test)]
mod tests;
