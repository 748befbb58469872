//! `[replica]`: what this process does of what the CA does.

use serde::{Deserialize, Serialize};

/// This process, among several on one database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Replica {
    /// What it does.
    pub role: Role,
}

/// What a process does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything; it holds the CA's key.
    #[default]
    Full,
    /// The public and the operations listener only: answers OCSP and hands out CRLs and certificates, without any key but the
    /// one it makes for its answers.
    Responder,
}

impl Replica {
    /// Whether it holds the CA's key.
    pub fn has_keys(&self) -> bool {
        self.role == Role::Full
    }
}
