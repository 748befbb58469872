//! Authorizations (RFC 8555 section 7.1.4).

use crate::acme::challenge::Challenge;
use crate::ids::{AccountId, AuthorizationId};
use crate::time::Timestamp;
use crate::x509::name::Identifier;

/// An account's permission for one identifier, asked for or given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Identifier, part of its URL.
    pub id: AuthorizationId,
    /// Whose permission it is.
    pub account: AccountId,
    /// For what; a wildcard keeps its `*.` here and loses it on the wire.
    pub identifier: Identifier,
    /// Where it stands.
    pub status: AuthorizationStatus,
    /// What makes or made it valid.
    pub proof: Proof,
    /// The ways to prove control; none when the proof is the device record.
    pub challenges: Vec<Challenge>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it dies, valid or not.
    pub expires_at: Timestamp,
    /// Raised by every change; each UPDATE repeats the version it was decided on.
    pub version: i64,
}

/// RFC 8555 section 7.1.6, without `expired`: clients know no such word, an expired authorization reads `invalid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationStatus {
    /// No challenge has succeeded yet.
    Pending,
    /// Control is proven.
    Valid,
    /// A challenge failed, or time ran out.
    Invalid,
    /// Given up by the account.
    Deactivated,
    /// Taken away.
    Revoked,
}

/// Where the permission comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A challenge that the CA validates itself.
    Challenge,
    /// The record of the device that the account is bound to. Decided anew at finalize, and worth nothing for
    /// revoking somebody else's certificate.
    Device,
}
