//! ACME objects as they stand on the wire (RFC 8555 section 7.1).
//!
//! The order of members is fixed and absent members are left out, never `null`: acme.sh and dehydrated read
//! these texts with regular expressions (protocols CHL-1). Unknown members are ignored when reading.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::problem::ProblemDocument;

/// Content type of every signed request.
pub const JOSE_CONTENT_TYPE: &str = "application/jose+json";

/// Content type of certificate chains.
pub const CHAIN_CONTENT_TYPE: &str = "application/pem-certificate-chain";

/// The directory (section 7.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct Directory {
    pub new_nonce: String,
    pub new_account: String,
    pub new_order: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_authz: Option<String>,
    pub revoke_cert: String,
    pub key_change: String,
    /// RFC 9773 section 4.1, without a slash at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_info: Option<String>,
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
}

/// The directory's `meta` object (section 7.1.1; `profiles` from draft-ietf-acme-profiles).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct Meta {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_of_service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caa_identities: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_account_required: Option<bool>,
    /// Name to description; instant-acme fails on `null`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, String>,
}

impl Meta {
    /// Whether it says nothing and is left out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A flattened JSON Web Signature (RFC 7515 section 7.2.2), the body of every signed request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct FlattenedJws {
    pub protected: String,
    pub payload: String,
    pub signature: String,
}

/// Status of an account (section 7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub enum AccountStatus {
    Valid,
    Deactivated,
    Revoked,
}

/// An account (section 7.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct AccountObject {
    pub status: AccountStatus,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_of_service_agreed: Option<bool>,
    /// The verified binding, reflected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<Value>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub orders: String,
}

/// Payload of newAccount (section 7.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct NewAccount {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_of_service_agreed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_return_existing: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<Value>,
}

/// Payload of a POST to the account (sections 7.3.2 and 7.3.6). The status is a text, so that a status nobody may
/// set can be ignored instead of refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct AccountUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_of_service_agreed: Option<bool>,
}

/// Payload of the inner JWS of keyChange (section 7.3.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct KeyChange {
    pub account: String,
    pub old_key: Value,
}

/// The orders of an account (section 7.1.2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct OrdersList {
    pub orders: Vec<String>,
}

/// An identifier (section 9.7.7, RFC 8738), unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct IdentifierObject {
    #[serde(rename = "type")]
    pub kind: String,
    pub value: String,
}

/// Status of an order (section 7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub enum OrderStatus {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
}

/// Payload of newOrder (section 7.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct NewOrder {
    pub identifiers: Vec<IdentifierObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// An order (section 7.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct OrderObject {
    pub status: OrderStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    pub identifiers: Vec<IdentifierObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    pub authorizations: Vec<String>,
    pub finalize: String,
    /// Only in `valid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Only in `invalid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ProblemDocument>,
}

/// Payload of newAuthz (section 7.4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct NewAuthorization {
    pub identifier: IdentifierObject,
}

/// Renewal information (RFC 9773 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct RenewalInfo {
    pub suggested_window: SuggestedWindow,
    #[serde(default, rename = "explanationURL", skip_serializing_if = "Option::is_none")]
    pub explanation_url: Option<String>,
}

/// When the CA suggests to renew; both ends in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct SuggestedWindow {
    pub start: String,
    pub end: String,
}

/// Status of an authorization (section 7.1.6), without `expired`, which clients do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub enum AuthorizationStatus {
    Pending,
    Valid,
    Invalid,
    Deactivated,
    Revoked,
}

/// An authorization (section 7.1.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct AuthorizationObject {
    pub status: AuthorizationStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Without `*.`.
    pub identifier: IdentifierObject,
    /// True for wildcards, otherwise absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wildcard: Option<bool>,
    pub challenges: Vec<ChallengeObject>,
}

/// Payload of a POST to an authorization (section 7.5.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct AuthorizationUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// Status of a challenge (section 7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub enum ChallengeStatus {
    Pending,
    Processing,
    Valid,
    Invalid,
}

/// A challenge (section 8), in the member order of CHL-1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct ChallengeObject {
    /// A text: clients must skip kinds they do not know.
    #[serde(rename = "type")]
    pub kind: String,
    pub url: String,
    pub status: ChallengeStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Only of dns-persist-01: what a record may call the CA.
    #[serde(default, rename = "issuer-domain-names", skip_serializing_if = "Vec::is_empty")]
    pub issuer_domain_names: Vec<String>,
    /// Only of dns-persist-01: the account that a record has to name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounturi: Option<String>,
    /// Only in `valid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validated: Option<String>,
    /// Only in `invalid`, always last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ProblemDocument>,
}

/// Payload of finalize (section 7.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalize {
    /// base64url of the DER.
    pub csr: String,
}

/// Payload of revokeCert (section 7.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub struct RevokeCert {
    /// base64url of the DER.
    pub certificate: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<i64>,
}

#[cfg(test)]
#[path = "acme_tests.rs"]
mod tests;
