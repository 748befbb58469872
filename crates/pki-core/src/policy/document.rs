//! The document as written: raw, versioned, unknown keys refused.
//!
//! Values are texts here; [`super::Policy::from_documents`] gives them their meaning, so that every error can name
//! the field it is in and what to write instead.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The only `apiVersion` there is.
pub const API_VERSION: &str = "pilotlight.dev/v1";

/// The only `kind` there is.
pub const KIND: &str = "Profile";

/// One profile, as in `policies/*.yaml`.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileDocument {
    /// `pilotlight.dev/v1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: String,
    /// `Profile`.
    #[schemars(extend("const" = KIND))]
    pub kind: String,
    /// What it is called.
    pub metadata: Metadata,
    /// What it says.
    pub spec: Spec,
}

/// What a profile is called.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Lower-case letters, digits and hyphens.
    #[schemars(regex(pattern = "^[a-z0-9-]{1,63}$"))]
    pub name: String,
    /// One sentence; ACME clients see it in the directory.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub description: String,
    /// Findings of `policy check` that are meant so: id and reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accepts: BTreeMap<String, String>,
}

/// What a profile says. Members that are absent are not written either, so that a document means the same, and has the
/// same revision, under every version that knows more of them.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Whether anything is issued by it.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// The common name of the CA certificate that has to issue; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Parts of templates with a name of their own, to be written as `{templates.NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, String>,
    /// Which names.
    #[serde(default)]
    pub identifiers: Identifiers,
    /// Which keys; ECDSA and Ed25519 when absent.
    #[serde(default)]
    pub keys: Keys,
    /// What for.
    pub usage: Usage,
    /// Whether the first DNS name is also written as common name.
    #[serde(default)]
    pub common_name: bool,
    /// The subject, when it is to hold anything else than a name of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// notAfter minus notBefore, as `90d`, `12h`, `10m` or `60s`.
    #[schemars(regex(pattern = "^[0-9]+[smhd]$"))]
    pub lifetime: String,
    /// How far notBefore lies in the past; at most a tenth of the lifetime.
    #[schemars(regex(pattern = "^[0-9]+[smhd]$"))]
    pub backdate: String,
    /// When to renew.
    pub renewal: Renewal,
    /// What a requester has to prove.
    pub requires: Requires,
    /// How much one holder may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How it is told that a certificate was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
    /// That CA certificates are issued, and which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Ca>,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_yes(value: &bool) -> bool {
    *value
}

/// Names a profile allows; a name is allowed when any rule fits.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identifiers {
    /// Rules for DNS names.
    #[serde(default)]
    pub dns: Vec<DnsRule>,
    /// Whether wildcards within the suffixes are allowed, where a rule does not say so itself.
    #[serde(default)]
    pub wildcards: bool,
    /// Networks whose every address is allowed, as `10.0.0.0/8`.
    #[serde(default)]
    pub ip: Vec<String>,
    /// Rules for URIs, such as SPIFFE IDs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uri: Vec<UriRule>,
    /// Rules for the application URI of OPC UA: a certificate then has exactly one URI.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opc_ua_application_uri: Vec<UriRule>,
    /// Rules for e-mail addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email: Vec<EmailRule>,
    /// Rules for permanent identifiers (RFC 4043).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permanent_identifier: Vec<PermanentRule>,
}

/// One rule for DNS names: exactly one of the first four.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["exact"] }, { "required": ["suffix"] }, { "required": ["pattern"] }, { "required": ["template"] }]))]
pub struct DnsRule {
    /// This name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// This zone and every name below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Names of this form; `*` stands for any letters, digits and hyphens within one label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The name made of the device's record, as `{device.name}.{device.site}.site.test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Whether the rule also allows wildcards of the names that it allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wildcards: Option<bool>,
}

impl DnsRule {
    /// This name.
    pub fn exact(name: impl Into<String>) -> Self {
        Self { exact: Some(name.into()), ..Self::default() }
    }

    /// This zone and every name below it.
    pub fn suffix(zone: impl Into<String>) -> Self {
        Self { suffix: Some(zone.into()), ..Self::default() }
    }
}

/// One rule for URIs: exactly one member.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["exact"] }, { "required": ["prefix"] }, { "required": ["template"] }]))]
pub struct UriRule {
    /// This URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// Every URI that begins so; it ends in `/` or `:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The URI made of the device's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// One rule for e-mail addresses: exactly one member.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["exact"] }, { "required": ["domain"] }, { "required": ["template"] }]))]
pub struct EmailRule {
    /// This address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// Every address at this domain, not below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The address made of the device's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// One rule for permanent identifiers: exactly one member.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["exact"] }, { "required": ["template"] }]))]
pub struct PermanentRule {
    /// This identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// The identifier made of the device's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// Keys a profile allows.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Keys {
    /// ECDSA on the curves below.
    pub ecdsa: bool,
    /// `P-256`, `P-384`, `P-521`; all of them when absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "enum": ["P-256", "P-384", "P-521"] }))]
    pub curves: Vec<String>,
    /// Ed25519.
    pub ed25519: bool,
    /// The least RSA modulus in bits; RSA is refused when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2048, max = 8192))]
    pub rsa_min_bits: Option<u32>,
    /// The greatest RSA modulus in bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2048, max = 8192))]
    pub rsa_max_bits: Option<u32>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { ecdsa: true, curves: Vec::new(), ed25519: true, rsa_min_bits: None, rsa_max_bits: None }
    }
}

/// What certificates are used for.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Usage {
    /// `serverAuth`, `clientAuth`.
    #[schemars(extend("items" = { "enum": ["serverAuth", "clientAuth"] }))]
    pub extended_key_usage: Vec<String>,
    /// `digitalSignature`, `contentCommitment`, `keyEncipherment`, `dataEncipherment`, `keyAgreement`; of those, what the
    /// key can do is written. When absent: digitalSignature, and keyEncipherment for TLS servers with RSA keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "enum": [
        "digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment", "keyAgreement"
    ] }))]
    pub key_usage: Vec<String>,
}

/// The subject of certificates. Templates may stand in all members.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subject {
    /// CN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// O.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// OU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizational_unit: Option<String>,
}

/// When to renew.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Renewal {
    /// The share of the lifetime after which agents renew.
    #[schemars(range(min = 0.1, max = 0.75))]
    pub at: f64,
    /// How long after the end a bound device may still renew.
    #[schemars(regex(pattern = "^[0-9]+[smhd]$"))]
    pub grace: String,
    /// When other clients are told to renew (RFC 9773).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// Two shares of the lifetime.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// Where the window begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
}

/// What a requester has to prove.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requires {
    /// `none`, `externalAccount` or `device`.
    #[schemars(extend("enum" = ["none", "externalAccount", "device"]))]
    pub binding: String,
    /// `http-01`, `dns-01`, `tls-alpn-01`, `dns-account-01`, `dns-persist-01`; left out when the binding is `device`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "enum": [
        "http-01", "dns-01", "tls-alpn-01", "dns-account-01", "dns-persist-01"
    ] }))]
    pub challenges: Vec<String>,
    /// The role a requester has to have at the API: `administrator`. Nobody can ask by ACME then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["administrator", null]))]
    pub role: Option<String>,
    /// Whether a person has to approve each certificate.
    #[serde(default, skip_serializing_if = "is_no")]
    pub approval: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_no(value: &bool) -> bool {
    !*value
}

/// How much one holder, a device or an account, may have by one profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Names in one certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<u32>,
    /// Certificates that are valid at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<u32>,
    /// Certificates issued within a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Rate>,
}

/// So many within so long.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// Within how long, as `1d`.
    #[schemars(regex(pattern = "^[0-9]+[smhd]$"))]
    pub per: String,
}

/// How it is told that a certificate was revoked.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Revocation {
    /// Whether the address of this CA's list is written.
    pub crl: bool,
    /// Further addresses of the same list, `http://`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crl_mirrors: Vec<String>,
    /// Whether the addresses of this CA's OCSP responders are written.
    pub ocsp: bool,
    /// Further OCSP responders, `http://`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ocsp_responders: Vec<String>,
    /// Whether servers have to staple an OCSP answer (RFC 7633).
    pub must_staple: bool,
}

impl Default for Revocation {
    fn default() -> Self {
        Self { crl: true, crl_mirrors: Vec::new(), ocsp: true, ocsp_responders: Vec::new(), must_staple: false }
    }
}

/// That CA certificates are issued.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ca {
    /// How many CA certificates may stand between it and a leaf.
    pub path_length: u8,
    /// What it may issue for: zones and networks, nothing else.
    pub name_constraints: Constraints,
}

/// Name constraints.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Constraints {
    /// Zones.
    #[serde(default)]
    pub dns: Vec<String>,
    /// Networks.
    #[serde(default)]
    pub ip: Vec<String>,
}
