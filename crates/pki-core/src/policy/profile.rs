//! A profile as checked: what certificates of this kind are and who may have them.

use std::time::Duration;

use ipnet::IpNet;

use crate::acme::challenge::ChallengeKind;
use crate::ids::ProfileName;
use crate::x509::name::DnsName;

/// One kind of certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name, used by orders and device records.
    pub name: ProfileName,
    /// One sentence for people and for the directory's `meta.profiles`.
    pub description: String,
    /// Which names.
    pub identifiers: IdentifierRules,
    /// Which keys.
    pub keys: KeyRules,
    /// Extended key usage (RFC 5280 section 4.2.1.12); never empty.
    pub extended_key_usage: Vec<ExtendedKeyUsage>,
    /// Whether the first DNS name is also written as common name, for old software.
    pub common_name: bool,
    /// notAfter minus notBefore.
    pub lifetime: Duration,
    /// How far notBefore lies in the past; at most a tenth of the lifetime.
    pub backdate: Duration,
    /// When agents renew, in thousandths of the lifetime.
    pub renew_at_permille: u16,
    /// How long after the end a bound device may still renew.
    pub grace: Duration,
    /// Who may ask.
    pub binding: BindingRule,
    /// The challenges that prove control, when no device record does; never empty unless `binding` is `Device`.
    pub challenges: Vec<ChallengeKind>,
}

/// Names a profile allows. A name is allowed when any rule fits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentifierRules {
    /// Names exactly.
    pub dns_exact: Vec<DnsName>,
    /// Zones whose every name is allowed, the zone itself included.
    pub dns_suffix: Vec<DnsName>,
    /// Whether wildcards within those zones are allowed.
    pub wildcards: bool,
    /// Networks whose every address is allowed.
    pub ip: Vec<IpNet>,
}

/// Keys a profile allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRules {
    /// ECDSA on P-256, P-384 and P-521.
    pub ecdsa: bool,
    /// Ed25519.
    pub ed25519: bool,
    /// The least RSA modulus in bits; none forbids RSA.
    pub rsa_min_bits: Option<u32>,
}

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExtendedKeyUsage {
    /// TLS server.
    ServerAuth,
    /// TLS client.
    ClientAuth,
}

/// Which accounts may use a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingRule {
    /// Any account; never together with client authentication.
    None,
    /// An account bound by an external account key, to a device or not.
    ExternalAccount,
    /// An account bound to a device that uses this profile.
    Device,
}
