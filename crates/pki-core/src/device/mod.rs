//! The one record of a device that every protocol consults, and the keys that bind accounts to it.

use std::net::IpAddr;

use crate::ids::{AccountId, DeviceId, DeviceName, EabKeyId, ProfileName, SiteName};
use crate::time::Timestamp;
use crate::x509::name::DnsName;

/// A device, from its registration to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Identifier.
    pub id: DeviceId,
    /// Where it stands.
    pub site: SiteName,
    /// The name people use; unique.
    pub name: DeviceName,
    /// The profile its certificates are issued by.
    pub profile: ProfileName,
    /// DNS names it may have without challenge.
    pub dns: Vec<DnsName>,
    /// IP addresses it may have without challenge.
    pub ips: Vec<IpAddr>,
    /// What it may do.
    pub state: DeviceState,
    /// When it was registered.
    pub created_at: Timestamp,
    /// The last authenticated request of an account bound to it.
    pub last_seen_at: Option<Timestamp>,
    /// Raised by every change; each UPDATE repeats the version it was decided on.
    pub version: i64,
}

/// The life of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// Known, but no account is bound to it yet.
    Registered,
    /// An account is bound to it.
    Enrolled {
        /// Since when.
        at: Timestamp,
    },
    /// Out of service.
    Retired {
        /// Since when.
        at: Timestamp,
    },
    /// In wrong hands: nothing it asks for is granted.
    Compromised {
        /// Since when.
        at: Timestamp,
    },
}

impl DeviceState {
    /// Whether requests in its name are served.
    pub const fn is_in_service(self) -> bool {
        matches!(self, Self::Registered | Self::Enrolled { .. })
    }
}

/// An external account key: what a token carries (RFC 8555 section 7.3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EabKey {
    /// The `kid` of the binding.
    pub id: EabKeyId,
    /// The device it is for; none binds an ordinary account.
    pub device: Option<DeviceId>,
    /// Where it stands.
    pub state: EabKeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it can no longer be used first; a bound one does not expire.
    pub expires_at: Option<Timestamp>,
}

/// The life of an external account key. The secret is erased when it is bound: a copied database binds nothing.
#[derive(Clone, PartialEq, Eq)]
pub enum EabKeyState {
    /// Waits for its first use.
    Unused {
        /// The HMAC secret, sealed under the site key.
        sealed_secret: Vec<u8>,
    },
    /// Spent on this account; only the same account is recognised again.
    Bound {
        /// The account.
        account: AccountId,
        /// Since when.
        at: Timestamp,
    },
    /// Withdrawn.
    Revoked {
        /// Since when.
        at: Timestamp,
    },
}

impl std::fmt::Debug for EabKeyState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unused { .. } => f.write_str("Unused { sealed_secret: [hidden] }"),
            Self::Bound { account, at } => write!(f, "Bound {{ account: {account}, at: {at} }}"),
            Self::Revoked { at } => write!(f, "Revoked {{ at: {at} }}"),
        }
    }
}
