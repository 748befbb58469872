//! Challenges (RFC 8555 section 8).

use crate::acme::problem::Problem;
use crate::ids::{AuthorizationId, ChallengeId};
use crate::time::Timestamp;

/// One way to prove control of an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Identifier, part of its URL.
    pub id: ChallengeId,
    /// What it proves.
    pub authorization: AuthorizationId,
    /// How.
    pub kind: ChallengeKind,
    /// At least 128 random bits in base64url (section 11.3).
    pub token: String,
    /// Where it stands.
    pub state: ChallengeState,
}

/// The ways this CA knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChallengeKind {
    /// A file served over HTTP (section 8.3).
    Http01,
    /// A TXT record (section 8.4).
    Dns01,
    /// A self-signed certificate (RFC 8737).
    TlsAlpn01,
}

impl ChallengeKind {
    /// The word of the RFC, also the stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

/// RFC 8555 section 7.1.6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChallengeState {
    /// Waits for the client to say that it is ready.
    Pending,
    /// The client said so; a job validates.
    Processing,
    /// Control was seen.
    Valid {
        /// When.
        at: Timestamp,
    },
    /// Control was not seen.
    Invalid {
        /// What was seen instead.
        error: Problem,
    },
}
