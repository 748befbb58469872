//! A profile as checked: what certificates of this kind are and who may have them.

use std::time::Duration;

use ipnet::IpNet;

use crate::acme::challenge::ChallengeKind;
use crate::ids::ProfileName;
use crate::policy::template::Template;
use crate::x509::name::DnsName;

pub use crate::policy::keys::{Curves, ExtendedKeyUsage, KeyRules, KeyUsage};
pub use crate::policy::pattern::Pattern;
pub use crate::policy::rules::{Allows, DnsForm, EmailForm, IdentifierRule, IdentifierRules, PermanentForm, UriForm};

/// One kind of certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name, used by orders and device records.
    pub name: ProfileName,
    /// One sentence for people and for the directory's `meta.profiles`.
    pub description: String,
    /// Whether anything is issued by it.
    pub enabled: bool,
    /// The common name of the CA certificate that has to issue; any when none.
    pub issuer: Option<String>,
    /// Which names.
    pub identifiers: IdentifierRules,
    /// Which keys.
    pub keys: KeyRules,
    /// Extended key usage (RFC 5280 section 4.2.1.12); never empty, except for CA certificates.
    pub extended_key_usage: Vec<ExtendedKeyUsage>,
    /// Key usage (RFC 5280 section 4.2.1.3), as far as the key can do it; empty for what is usual.
    pub key_usage: Vec<KeyUsage>,
    /// Whether the first DNS name is also written as common name, for old software.
    pub common_name: bool,
    /// The subject, when it is no name of the certificate.
    pub subject: Option<SubjectRules>,
    /// notAfter minus notBefore.
    pub lifetime: Duration,
    /// How far notBefore lies in the past; at most a tenth of the lifetime.
    pub backdate: Duration,
    /// When agents renew, in thousandths of the lifetime.
    pub renew_at_permille: u16,
    /// When other clients are told to renew: begin and end in thousandths of the lifetime; the usual when none.
    pub renewal_window: Option<(u16, u16)>,
    /// How long after the end a bound device may still renew.
    pub grace: Duration,
    /// Who may ask.
    pub binding: BindingRule,
    /// The role a requester has to have.
    pub role: Option<Role>,
    /// Whether a person has to approve each certificate.
    pub approval: bool,
    /// The challenges that prove control, when no device record does; never empty unless `binding` is `Device` or a
    /// role is required.
    pub challenges: Vec<ChallengeKind>,
    /// How much one holder may have.
    pub limits: ProfileLimits,
    /// How it is told that a certificate was revoked.
    pub revocation: RevocationRules,
    /// That CA certificates are issued, and which.
    pub ca: Option<CaRules>,
}

/// The subject of certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectRules {
    /// CN.
    pub common_name: Option<Template>,
    /// O.
    pub organization: Option<Template>,
    /// OU.
    pub organizational_unit: Option<Template>,
}

/// Roles at the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whoever administers this CA.
    Administrator,
}

impl Role {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
        }
    }
}

/// How much one holder, a device or an account, may have by one profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProfileLimits {
    /// Names in one certificate.
    pub names: Option<usize>,
    /// Certificates that are valid at once.
    pub active: Option<u64>,
    /// Certificates issued within a time.
    pub issued: Option<(u64, Duration)>,
}

impl ProfileLimits {
    /// Whether a decision needs to know what the holder has.
    pub const fn count(&self) -> bool {
        self.active.is_some() || self.issued.is_some()
    }
}

/// Which addresses of revocation certificates carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationRules {
    /// Whether the address of this CA's list is written.
    pub crl: bool,
    /// Further addresses of the same list.
    pub crl_mirrors: Vec<String>,
    /// Whether the addresses of this CA's OCSP responders are written.
    pub ocsp: bool,
    /// Further OCSP responders.
    pub ocsp_responders: Vec<String>,
    /// Whether servers have to staple an OCSP answer (RFC 7633).
    pub must_staple: bool,
}

impl Default for RevocationRules {
    fn default() -> Self {
        Self { crl: true, crl_mirrors: Vec::new(), ocsp: true, ocsp_responders: Vec::new(), must_staple: false }
    }
}

/// Which CA certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaRules {
    /// How many CA certificates may stand between it and a leaf.
    pub path_len: u8,
    /// Zones it may issue for.
    pub dns: Vec<DnsName>,
    /// Networks it may issue for.
    pub ip: Vec<IpNet>,
}

/// Which accounts may use a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingRule {
    /// Any account; together with client authentication only where a role is required.
    None,
    /// An account bound by an external account key, to a device or not.
    ExternalAccount,
    /// An account bound to a device that uses this profile.
    Device,
}

impl BindingRule {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ExternalAccount => "externalAccount",
            Self::Device => "device",
        }
    }
}

impl Profile {
    /// Whether ACME clients are told of it.
    pub const fn is_offered(&self) -> bool {
        self.enabled && self.role.is_none() && self.ca.is_none()
    }
}
