//! `[policies]`: where the profiles are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The policy documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// The folder whose `*.yaml` files are read at start and on SIGHUP.
    pub folder: PathBuf,
}

impl Default for Policies {
    fn default() -> Self {
        Self { folder: "policies".into() }
    }
}
