//! A profile as checked: what certificates of this kind are and who may have them.

use std::time::Duration;

use ipnet::IpNet;

use crate::acme::challenge::ChallengeKind;
use crate::ids::ProfileName;
use crate::x509::key::KeyAlgorithm;
use crate::x509::name::{DnsName, Identifier};

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

impl IdentifierRules {
    /// Whether any rule allows it.
    pub fn allows(&self, identifier: &Identifier) -> bool {
        match identifier {
            Identifier::Dns(name) => self.dns_exact.contains(name) || self.suffix_allows(name),
            Identifier::Ip(address) => self.ip.iter().any(|network| network.contains(address)),
        }
    }

    fn suffix_allows(&self, name: &DnsName) -> bool {
        (self.wildcards || !name.is_wildcard()) && self.dns_suffix.iter().any(|zone| name.is_within(zone))
    }
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

impl KeyRules {
    /// Whether a key of this type and size is allowed.
    pub fn allows(&self, algorithm: KeyAlgorithm) -> bool {
        match algorithm {
            KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 | KeyAlgorithm::EcdsaP521 => self.ecdsa,
            KeyAlgorithm::Ed25519 => self.ed25519,
            KeyAlgorithm::Rsa { bits } => self.rsa_min_bits.is_some_and(|least| bits >= least),
        }
    }
}

impl std::fmt::Display for KeyRules {
    /// `ECDSA, Ed25519 or RSA of at least 3072 bits`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words = Vec::new();
        words.extend(self.ecdsa.then(|| "ECDSA".to_owned()));
        words.extend(self.ed25519.then(|| "Ed25519".to_owned()));
        words.extend(self.rsa_min_bits.map(|bits| format!("RSA of at least {bits} bits")));
        f.write_str(&words.join(" or "))
    }
}

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExtendedKeyUsage {
    /// TLS server.
    ServerAuth,
    /// TLS client.
    ClientAuth,
}

impl ExtendedKeyUsage {
    /// The word of RFC 5280 without `id-kp-`, also the written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerAuth => "serverAuth",
            Self::ClientAuth => "clientAuth",
        }
    }
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
