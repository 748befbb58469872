//! `[acme]`: who may make accounts.

use serde::{Deserialize, Serialize};

/// The ACME service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acme {
    /// Whether every account needs an external account binding (RFC 8555 section 7.3.4).
    pub external_account_required: bool,
}

impl Default for Acme {
    fn default() -> Self {
        Self { external_account_required: true }
    }
}
