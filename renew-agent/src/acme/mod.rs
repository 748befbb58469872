//! An ACME client (RFC 8555) for one account: directory, nonces, orders, renewal information.
//!
//! It knows what to say to the CA and how to read the answers. What is done with a certificate, and when, is
//! decided elsewhere.

mod account;
mod challenge;
mod client;
mod order;
mod renewal_info;

use std::time::Duration;

use api::problem::ProblemDocument;

pub use account::Binding;
pub use challenge::ChallengeError;
pub(crate) use client::read_json;
pub use client::{AcmeClient, Payload};
pub use order::OrderRequest;
pub use renewal_info::Window;
pub(crate) use renewal_info::certificate_id;

use crate::bundle::BundleError;
use crate::http::{HttpError, TlsError};
use crate::keys::KeyError;

/// Why the CA did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// There was no answer.
    #[error("cannot {action}: {source}")]
    NoAnswer {
        /// What was attempted.
        action: &'static str,
        /// Why there was none.
        source: HttpError,
    },
    /// The CA said no, or not now.
    #[error("cannot {action}: the CA answers {status}, {problem}")]
    Refused {
        /// What was attempted.
        action: &'static str,
        /// The HTTP status.
        status: u16,
        /// Its words.
        problem: Box<ProblemDocument>,
        /// When it may be tried again.
        retry_after: Option<Duration>,
    },
    /// The answer is none of this protocol.
    #[error("cannot {action}: {detail}")]
    Unexpected {
        /// What was attempted.
        action: &'static str,
        /// What came instead.
        detail: String,
    },
    /// The CA works on it still.
    #[error("cannot {action}: the CA is still at work; it is asked again later")]
    NotYet {
        /// What was attempted.
        action: &'static str,
        /// When it may be tried again.
        retry_after: Option<Duration>,
    },
    /// A proof of control failed.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// A key could not be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The roots could not be read.
    #[error(transparent)]
    Roots(#[from] BundleError),
}

impl AcmeError {
    /// The name after `urn:ietf:params:acme:error:`, when the CA gave one.
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Refused { problem, .. } => problem.acme_name(),
            _ => None,
        }
    }

    /// The HTTP status, when the CA said no.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// When the CA wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::NotYet { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the CA was not reached at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::NoAnswer { .. })
    }
}
