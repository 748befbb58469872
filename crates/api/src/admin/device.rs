//! `ca-server device add|label|list|show|token|approve|revoke|retire`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::token::Secret;

/// `POST /api/v1/devices`: registers a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceRequest {
    /// Its name, unique.
    pub name: String,
    /// The profile its certificates are issued by.
    pub profile: String,
    /// Its site; the CA's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// DNS names it may have without challenge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// IP addresses it may have without challenge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<String>,
    /// What templates of its profile may take from it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How long its token may wait for the first use, in seconds; the CA's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_seconds: Option<u64>,
}

/// `POST /api/v1/devices/{name}/labels`: changes labels; those that are not named stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelRequest {
    /// Labels that it has from now on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Keys of labels that it has no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// Which page of the devices, as query parameters of `GET /api/v1/devices`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceQuery {
    /// [`Page::next`](super::Page::next) of the page before.
    pub cursor: Option<String>,
    /// How many rows at most; the server has a limit of its own.
    pub limit: Option<u32>,
    /// Only the device with this name, or those whose names begin with it when it ends in `*`.
    pub name: Option<String>,
    /// Only devices with all of these labels: `KEY` or `KEY=VALUE`, with commas between them.
    pub label: Option<String>,
}

/// A device as `GET /api/v1/devices/{name}` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceView {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Its profile.
    pub profile: String,
    /// DNS names it may have without challenge.
    pub dns: Vec<String>,
    /// IP addresses it may have without challenge.
    pub ips: Vec<String>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What it may do.
    pub state: DeviceState,
    /// When it was registered.
    pub created_at: String,
    /// When it enrolled, retired or was compromised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_since: Option<String>,
    /// The last authenticated request of an account bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<String>,
    /// The end of the newest certificate it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_until: Option<String>,
    /// Attempts to use a spent token of it with another key, oldest first: a reinstalled device or a stolen token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<EnrolmentConflict>,
}

/// A token that was used again with another key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrolmentConflict {
    /// When.
    pub at: String,
    /// The external account key of the token.
    pub kid: String,
    /// RFC 7638 thumbprint of the key that was refused.
    pub offered_key: String,
}

/// The life of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// Known; no account is bound to it yet.
    Registered,
    /// An account is bound to it.
    Enrolled,
    /// Out of service.
    Retired,
    /// In wrong hands.
    Compromised,
}

/// `POST /api/v1/devices/{name}/token`: another token, in place of an unused one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenRequest {
    /// How long it may wait for its first use, in seconds; the CA's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_seconds: Option<u64>,
}

/// A token: the answer to adding a device and to asking for another token. Shown once, kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// The device it is for.
    pub device: DeviceView,
    /// The line for `renew-agent enroll`.
    pub token: Secret,
    /// When it can no longer be used first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// `POST /api/v1/devices/{name}/revoke`: takes a device out, with its accounts and certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeDevice {
    /// `compromised`, which is what is meant when nobody says, or `retired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The reason written on its certificates: a name of RFC 5280 section 5.3.1, as `keyCompromise`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
