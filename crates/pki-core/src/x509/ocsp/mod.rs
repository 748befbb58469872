//! The online certificate status protocol (RFC 6960, its lightweight profile RFC 9919, nonces by RFC 9654).
//!
//! [`Request::parse`] reads what is asked, out of a path by way of [`PathRequest`], [`Issuers`] knows which issuing key a question is about, [`ResponsePlan`]
//! makes the answer: its bytes to be signed, and with the signature the whole, read back by another parser
//! ([`Response::parse`]). Nothing here knows where a status comes from.

mod issuers;
mod path;
mod read;
mod request;
mod response;

use crate::revocation::Reason;
use crate::time::Timestamp;
use crate::x509::key::KeyError;

pub use issuers::{Issuers, sha1};
pub use path::PathRequest;
pub use read::{Response, Told};
pub use request::{CertId, HashAlgorithm, Malformed, Request};
pub use response::{Answer, Refusal, ResponsePlan};

/// The longest request that is read (OCS-2).
pub const MAX_REQUEST: usize = 4096;

/// The most certificates one request may ask for (OCS-2).
pub const MAX_ENTRIES: usize = 10;

/// The longest nonce (RFC 9654 section 2.1).
pub const MAX_NONCE: usize = 128;

/// Longer than any answer made here: ten entries, a nonce and the responder's certificate.
pub const MAX_RESPONSE: usize = 64 * 1024;

/// What an answer says of one certificate (RFC 6960 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was issued and is not revoked.
    Good,
    /// It is revoked, or on hold.
    Revoked {
        /// Since when.
        at: Timestamp,
        /// Why; none when nobody said.
        reason: Option<Reason>,
    },
    /// No such certificate was issued.
    Unknown,
}

/// Why there is no such answer; a fault of the CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OcspError {
    /// The plan makes no sense.
    #[error("the OCSP answer cannot be planned: {0}")]
    Plan(&'static str),
    /// Something that no DER can hold.
    #[error("the OCSP answer cannot be encoded ({0}); this is a fault of the CA")]
    Encoding(der::Error),
    /// Not an answer of the kind made here.
    #[error("the OCSP answer cannot be read: {0} is not as RFC 6960 has it")]
    Unreadable(&'static str),
    /// It was signed with something obsolete, or not by this key.
    #[error("the signature on the OCSP answer is not good: {0}")]
    Signature(#[from] KeyError),
    /// The second parser sees something else than was planned.
    #[error("what is read back of the OCSP answer is not what was planned ({0}); it is not sent")]
    Disagreement(&'static str),
}

impl From<der::Error> for OcspError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error)
    }
}

#[cfg(test)]
mod tests;
