//! `ca-server cert revoke|release`, `revocation list`: one certificate, sets of them, and what is revoked.

use serde::{Deserialize, Serialize};

use super::{CertificateView, DeviceView};

/// `POST /api/v1/certificates/{serial or SHA-256}/revoke`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeRequest {
    /// A name of RFC 5280 section 5.3.1, as `keyCompromise`; none is written when absent. `certificateHold` can be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// SHA-256 that the certificate of this serial number has to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// `POST /api/v1/certificates/{serial or SHA-256}/release`: ends a hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseRequest {
    /// Why, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// SHA-256 that the certificate of this serial number has to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A certificate that was to be revoked or released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokedView {
    /// False when it stood so already.
    pub changed: bool,
    /// Other certificates in force with the same key, when this one was revoked for its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_key: Option<SameKey>,
    /// The certificate as it stands now.
    #[serde(flatten)]
    pub certificate: CertificateView,
}

/// Certificates in force with a key that is in wrong hands: `cert revoke --where key=SHA256` takes them back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SameKey {
    /// How many.
    pub count: u64,
    /// The serial numbers of some, the oldest first.
    pub serials: Vec<String>,
}

/// A device that was to be taken out of service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TakenOutView {
    /// False when it was out already, and nothing was left to do.
    pub changed: bool,
    /// Certificates that were revoked.
    pub certificates: u64,
    /// Accounts that have ended.
    pub accounts: u64,
    /// Open orders that have become invalid.
    pub orders: u64,
    /// Whether certificates are left that are being revoked in the background.
    pub goes_on: bool,
    /// The device as it stands now.
    #[serde(flatten)]
    pub device: DeviceView,
}

/// `POST /api/v1/revocations/plan`: what revoking or releasing a set would mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetRequest {
    /// Which certificates: `profile=gateway site=home name=*.line3.test`.
    #[serde(rename = "where")]
    pub selection: String,
    /// A name of RFC 5280 section 5.3.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is to be released from its hold instead; that takes no reason.
    #[serde(default, skip_serializing_if = "is_false")]
    pub release: bool,
    /// How many somebody has counted: a set that was begun with that number and broken off is planned to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// What revoking or releasing a set would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetPlan {
    /// The set, as it was understood.
    #[serde(rename = "where")]
    pub selection: String,
    /// Certificates that would be revoked, or whose reason would change; or that would be released.
    pub affected: u64,
    /// Certificates of the set that are revoked already; or that are not on hold anyway.
    pub already: u64,
    /// Of a release: certificates of the set that are revoked for good, or whose device is out of service; they stay revoked.
    #[serde(default)]
    pub kept: u64,
    /// Of a revocation: certificates of the set that are being signed at this moment; they are revoked with it.
    pub under_way: u64,
    /// Certificates of the set that have expired; they are left out.
    pub expired: u64,
    /// Of a revocation: whether no certificate would be left in force.
    pub everything: bool,
    /// The affected ones by site and profile.
    pub groups: Vec<SetGroup>,
    /// The devices with most of them.
    pub devices: Vec<SetDevice>,
    /// How many devices have any.
    pub device_count: u64,
    /// Hand this back to have the plan executed; absent when there are no certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<String>,
    /// The set that this is the rest of, begun with the same `where`, `reason` and `count`: hand it back too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// When that was begun; what was issued since is no part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<String>,
}

/// Certificates of one site and profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetGroup {
    /// The site.
    pub site: String,
    /// The profile.
    pub profile: String,
    /// How many.
    pub count: u64,
}

/// Certificates of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetDevice {
    /// The device; absent for certificates of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many.
    pub count: u64,
}

/// `POST /api/v1/revocations/run`: revokes or releases the next some of a set; asked again and again until `next` is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunRequest {
    /// Which certificates.
    #[serde(rename = "where")]
    pub selection: String,
    /// A name of RFC 5280 section 5.3.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is to be released from its hold instead; that takes no reason.
    #[serde(default, skip_serializing_if = "is_false")]
    pub release: bool,
    /// Why, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// As the plan said: nothing that was made later is touched.
    pub up_to: String,
    /// How many the plan affects; wanted when that is everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// As the first answer said; refused when that had another `where`, `upTo` or `reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// [`RunView::next`] of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What was done of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// The name of the whole, in the audit log too.
    pub set: String,
    /// How many certificates were revoked now.
    pub revoked: u64,
    /// How many certificates were released now.
    #[serde(default)]
    pub released: u64,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// At the end: how many of the set are being signed at this moment; ask again from the beginning.
    pub under_way: u64,
}

/// A revoked certificate, as `GET /api/v1/revocations` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationView {
    /// The number of its last change: what changes later has a greater one.
    pub number: u64,
    /// Its serial number.
    pub serial: String,
    /// The issuing key.
    pub issuer: String,
    /// Its site.
    pub site: String,
    /// Its profile.
    pub profile: String,
    /// The names in it.
    pub names: Vec<String>,
    /// The device that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Last second of its life.
    pub not_after: String,
    /// When it was revoked.
    pub revoked_at: String,
    /// Why: a name of RFC 5280 section 5.3.1; absent when none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who revoked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What it was revoked with: `device:ID` or `set:ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// The number of the complete CRL on which it first stood; absent until that is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_crl: Option<u64>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_crl_at: Option<String>,
}

/// Which page of the revoked ones, as query parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RevocationQuery {
    /// `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many rows at most; the server has a limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Which certificates.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
