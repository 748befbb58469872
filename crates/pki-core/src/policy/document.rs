//! The document as written: raw, versioned, unknown keys refused.
//!
//! Values are texts here; [`super::Policy::from_documents`] gives them their meaning, so that every error can name
//! the field it is in and what to write instead.

use serde::{Deserialize, Serialize};

/// The only `apiVersion` there is.
pub const API_VERSION: &str = "pilotlight.dev/v1";

/// The only `kind` there is.
pub const KIND: &str = "Profile";

/// One profile, as in `policies/*.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileDocument {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// What it is called.
    pub metadata: Metadata,
    /// What it says.
    pub spec: Spec,
}

/// What a profile is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Lower-case letters, digits and hyphens.
    pub name: String,
    /// One sentence; ACME clients see it in the directory.
    #[serde(default)]
    pub description: String,
}

/// What a profile says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Which names.
    pub identifiers: Identifiers,
    /// Which keys; ECDSA and Ed25519 when absent.
    #[serde(default)]
    pub keys: Keys,
    /// What for.
    pub usage: Usage,
    /// Whether the first DNS name is also written as common name.
    #[serde(default)]
    pub common_name: bool,
    /// notAfter minus notBefore, as `90d`, `12h`, `10m` or `60s`.
    pub lifetime: String,
    /// How far notBefore lies in the past.
    pub backdate: String,
    /// When to renew.
    pub renewal: Renewal,
    /// What a requester has to prove.
    pub requires: Requires,
}

/// Names a profile allows; a name is allowed when any rule fits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identifiers {
    /// Rules for DNS names.
    #[serde(default)]
    pub dns: Vec<DnsRule>,
    /// Whether wildcards within the suffixes are allowed.
    #[serde(default)]
    pub wildcards: bool,
    /// Networks whose every address is allowed, as `10.0.0.0/8`.
    #[serde(default)]
    pub ip: Vec<String>,
}

/// One rule for DNS names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DnsRule {
    /// This name.
    Exact(String),
    /// This zone and every name below it.
    Suffix(String),
}

/// Keys a profile allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Keys {
    /// ECDSA on P-256, P-384 and P-521.
    pub ecdsa: bool,
    /// Ed25519.
    pub ed25519: bool,
    /// The least RSA modulus in bits; RSA is refused when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rsa_min_bits: Option<u32>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { ecdsa: true, ed25519: true, rsa_min_bits: None }
    }
}

/// What certificates are used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Usage {
    /// `serverAuth`, `clientAuth`.
    pub extended_key_usage: Vec<String>,
}

/// When to renew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Renewal {
    /// The share of the lifetime after which agents renew.
    pub at: f64,
    /// How long after the end a bound device may still renew.
    pub grace: String,
}

/// What a requester has to prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requires {
    /// `none`, `externalAccount` or `device`.
    pub binding: String,
    /// `http-01`, `dns-01`, `tls-alpn-01`, `dns-account-01`, `dns-persist-01`; left out when the binding is `device`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub challenges: Vec<String>,
}
