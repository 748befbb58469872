//! `ca-server eab create|list|revoke`: external account keys that belong to no device.

use serde::{Deserialize, Serialize};

use crate::token::Secret;

/// `POST /api/v1/eab`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EabRequest {
    /// How long it may wait for its use, in seconds; the CA's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_seconds: Option<u64>,
    /// What it is for, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// An external account key with its secret: shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EabSecretView {
    /// The `kid` that ACME clients are given.
    pub kid: String,
    /// The HMAC key that ACME clients are given, base64url without padding.
    pub hmac_key: Secret,
    /// The directory to use it at.
    pub directory: String,
    /// When it can no longer be used first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// An external account key as listings show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EabView {
    /// The `kid`.
    pub kid: String,
    /// Where it stands.
    pub state: EabState,
    /// The name of the device it is for, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The account it is bound to, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it can no longer be used first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// The life of an external account key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EabState {
    /// Waits for its use.
    Unused,
    /// Spent on an account.
    Bound,
    /// Withdrawn.
    Revoked,
    /// Never used, and too late now.
    Expired,
}
