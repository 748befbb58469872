//! Audit events: versioned canonical bytes, written in the transaction of what they describe.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::EventId;
use crate::time::Timestamp;

/// One thing that happened. Serialises to its canonical form: fixed member order, sorted details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Version of this form.
    pub v: u32,
    /// Identifier; sorts by time.
    pub id: EventId,
    /// When, in Unix milliseconds.
    pub at: Timestamp,
    /// Who did it: `account:ID`, `uid:0`, `system`.
    pub actor: String,
    /// What was done, as `noun.verb`: `device.add`, `certificate.issue`.
    pub action: String,
    /// On what: `device:ID`, `certificate:ID`.
    pub subject: String,
    /// Everything else worth keeping; never a secret.
    pub details: BTreeMap<String, String>,
}

impl AuditEvent {
    /// The form's current version.
    pub const VERSION: u32 = 1;

    /// The bytes that are shown, and later hashed into the tree.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of strings and numbers always serialises")
    }
}
