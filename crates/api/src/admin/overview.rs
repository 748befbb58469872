//! `ca-server profile list|show`, `audit list`, `crl show|publish`, and the state of the whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A profile as `GET /api/v1/profiles/{name}` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileView {
    /// Its name.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// Whether anything is issued by it.
    pub enabled: bool,
    /// `none`, `externalAccount` or `device`.
    pub binding: String,
    /// The role that a requester has to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// `serverAuth`, `clientAuth`.
    pub extended_key_usage: Vec<String>,
    /// notAfter minus notBefore, in seconds.
    pub lifetime_seconds: u64,
    /// How far notBefore lies in the past, in seconds.
    pub backdate_seconds: u64,
    /// When agents renew, in thousandths of the lifetime.
    pub renew_at_permille: u16,
    /// How long after the end a bound device may still renew, in seconds.
    pub grace_seconds: u64,
    /// Every rule for names, as `dns[1] suffix site.test`.
    pub rules: Vec<String>,
    /// Names allowed exactly.
    pub dns_exact: Vec<String>,
    /// Zones whose every name is allowed.
    pub dns_suffix: Vec<String>,
    /// Whether wildcards within those zones are allowed.
    pub wildcards: bool,
    /// Networks whose every address is allowed.
    pub ip: Vec<String>,
    /// Key types allowed, as people write them: `ECDSA`, `Ed25519`, `RSA from 3072 bits`.
    pub keys: Vec<String>,
    /// Challenges that prove control.
    pub challenges: Vec<String>,
    /// The policy it stands in: a hash of all profiles.
    pub policy_revision: String,
}

/// An audit event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    /// Its identifier.
    pub id: String,
    /// Its gap-free number, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// When.
    pub at: String,
    /// Who.
    pub actor: String,
    /// Did what.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Everything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// A published CRL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CrlView {
    /// The issuing key.
    pub issuer: String,
    /// Its shard; absent for a complete CRL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u32>,
    /// Its number, which only rises.
    pub number: u64,
    /// When it was made.
    pub this_update: String,
    /// Until when it is believed.
    pub next_update: String,
    /// How many certificates stand on it.
    pub entries: u64,
    /// Where it is served.
    pub url: String,
    /// How long ago it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// The number of the last revocation that it covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<u64>,
    /// Its length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How many changes the delta beside it tells; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_entries: Option<u64>,
}

/// An issuing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerView {
    /// Its identifier, part of URLs.
    pub id: String,
    /// The subject of its certificate.
    pub subject: String,
    /// The type of its key.
    pub key: String,
    /// The end of its certificate.
    pub not_after: String,
    /// SHA-256 of its certificate.
    pub sha256: String,
    /// Whether it signs new certificates.
    pub active: bool,
}

/// `GET /api/v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// SHA-256 of the trusted roots.
    pub roots_sha256: Vec<String>,
    /// The ACME directory.
    pub directory: String,
    /// The issuing keys.
    pub issuers: Vec<IssuerView>,
    /// A hash of all profiles in force.
    pub policy_revision: String,
    /// More about them. Absent when an older CA answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyView>,
}

/// The policy in force, and how the one in files fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyView {
    /// A hash of all profiles in force.
    pub revision: String,
    /// The commit they were taken from, when their source said one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Since when they are in force.
    pub since: String,
    /// When their files were last seen without a fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<String>,
    /// The last time that the files could not be put in force since the CA was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<PolicyFailureView>,
}

/// Files that could not be put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyFailureView {
    /// When that was first seen.
    pub at: String,
    /// A line a fault, each with its file.
    pub message: String,
    /// When they were good again; absent while they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
}
