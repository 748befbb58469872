//! Accounts (RFC 8555 section 7.1.2).

use crate::acme::jwk::{Jwk, Thumbprint};
use crate::ids::{AccountId, DeviceId, EabKeyId, SiteName};
use crate::time::Timestamp;

/// A registered account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Identifier, part of the account URL.
    pub id: AccountId,
    /// The site it belongs to.
    pub site: SiteName,
    /// The key that signs its requests.
    pub key: Jwk,
    /// RFC 7638 thumbprint of `key`; unique over all accounts.
    pub thumbprint: Thumbprint,
    /// Contact URLs, `mailto:` only.
    pub contacts: Vec<String>,
    /// Whether it may still act.
    pub status: AccountStatus,
    /// How it was bound at creation, if it was (section 7.3.4).
    pub binding: Option<Binding>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Raised by every change; each UPDATE repeats the version it was decided on.
    pub version: i64,
}

/// A verified external account binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The key that bound it.
    pub key: EabKeyId,
    /// The device whose names it may have without challenge.
    pub device: Option<DeviceId>,
}

/// RFC 8555 section 7.1.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// May act.
    Valid,
    /// Given up by its holder.
    Deactivated,
    /// Taken away by an administrator.
    Revoked,
}

impl AccountStatus {
    /// The word of RFC 8555, also the stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Deactivated => "deactivated",
            Self::Revoked => "revoked",
        }
    }
}
