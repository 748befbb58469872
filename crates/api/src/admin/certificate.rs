//! `ca-server cert list|show|replace-all`.

use serde::{Deserialize, Serialize};

use crate::acme::IdentifierObject;

/// A certificate as `GET /api/v1/certificates/{id}` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateView {
    /// Its identifier.
    pub id: String,
    /// Its serial number.
    pub serial: String,
    /// The issuing key.
    pub issuer: String,
    /// The profile it was issued by.
    pub profile: String,
    /// The policy it was issued under: a hash of all profiles. Absent when an older CA answers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy_revision: String,
    /// The commit that policy was taken from, when its source said one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_commit: Option<String>,
    /// The names in it.
    pub identifiers: Vec<IdentifierObject>,
    /// First second of its life.
    pub not_before: String,
    /// Last second of its life.
    pub not_after: String,
    /// Where it stands.
    pub state: CertificateState,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// Why: a name of RFC 5280 section 5.3.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who revoked it; with what follows on `show` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<String>,
    /// What they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What it was revoked with: `device:ID` or `set:ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_with: Option<String>,
    /// The number of the complete CRL on which it first stood; absent until that is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_crl: Option<u64>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_crl_at: Option<String>,
    /// The name of the device that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The account that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// By which door it was asked for: `acme`, `api`, `est`, `ceremony`, `imported`.
    pub source: String,
    /// SHA-256 of the certificate, once it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// SHA-256 of its public key.
    pub spki_sha256: String,
    /// When its holder was first seen using it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<String>,
    /// The certificate and its issuers, on `show` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pem: Option<String>,
}

/// The life of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateState {
    /// Recorded, on its way to be signed.
    Planned,
    /// In use.
    Issued,
    /// Taken back.
    Revoked,
    /// Past its end.
    Expired,
}

/// `POST /api/v1/replace-all`: every certificate made until now is to be renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplaceAllRequest {
    /// The renewals spread over this many seconds.
    pub within_seconds: u64,
    /// Why, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// When the renewals are suggested, in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplaceAllView {
    /// From then on; certificates made later are not meant.
    pub from: String,
    /// All of them by then.
    pub until: String,
}
