//! `[retention]`: how long what is over stays readable.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is deleted by the clock. Certificates, accounts and audit events never are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Orders that ended, valid or not, with their authorizations and challenges: from their `expires` on (ORD-9).
    #[serde(rename = "orders_days", with = "super::limits::days")]
    pub orders: Duration,
    /// External account keys that expired unused or were withdrawn, when no account was made with them.
    #[serde(rename = "eab_keys_days", with = "super::limits::days")]
    pub eab_keys: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { orders: Duration::from_secs(7 * 86_400), eab_keys: Duration::from_secs(90 * 86_400) }
    }
}
