//! Names a certificate can carry: parsed, checked and normalised once, then compared as values.

mod further;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use further::{EmailAddress, PermanentId, UriName};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a valid {kind}: {reason}")]
pub struct NameError {
    /// What was given, shortened to 253 characters.
    pub value: String,
    /// `DNS name`, `IP address` or another.
    pub kind: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

fn refuse<T>(value: &str, kind: &'static str, reason: &'static str) -> Result<T, NameError> {
    Err(NameError { value: value.chars().take(253).collect(), kind, reason })
}

/// A host name in lower-case A-labels without trailing dot, or a wildcard (`*.` before such a name).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

impl DnsName {
    /// The name, `*.` included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it begins with `*.`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The name without `*.`.
    pub fn base(&self) -> &str {
        self.0.strip_prefix("*.").unwrap_or(&self.0)
    }

    /// Whether this is `zone` or stands below it.
    pub fn is_within(&self, zone: &DnsName) -> bool {
        let base = self.base();
        base == zone.0 || base.strip_suffix(zone.0.as_str()).is_some_and(|rest| rest.ends_with('.'))
    }
}

impl FromStr for DnsName {
    type Err = NameError;

    /// Letters, digits and hyphens, labels of 63 octets and 253 in all (RFC 1123, RFC 5890). Single labels and
    /// private zones are names like others: which ones may be had is a matter of policy.
    fn from_str(text: &str) -> Result<Self, NameError> {
        const KIND: &str = "DNS name";
        let lower = text.to_ascii_lowercase();
        let base = lower.strip_prefix("*.").unwrap_or(&lower);
        if base.is_empty() {
            return refuse(text, KIND, "it is empty");
        }
        if lower.len() > 253 {
            return refuse(text, KIND, "it is longer than 253 characters");
        }
        if base.ends_with('.') {
            return refuse(text, KIND, "leave out the dot at the end");
        }
        if base.parse::<IpAddr>().is_ok() {
            return refuse(text, KIND, "it is an IP address; use the type `ip`");
        }
        for label in base.split('.') {
            check_label(label).or_else(|reason| refuse(text, KIND, reason))?;
        }
        if base.split('.').any(|label| label.starts_with("xn--")) && !is_idna(base) {
            return refuse(text, KIND, "its `xn--` label is not valid under IDNA 2008");
        }
        Ok(Self(lower))
    }
}

fn check_label(label: &str) -> Result<(), &'static str> {
    if label.is_empty() {
        return Err("a label is empty");
    }
    if label.len() > 63 {
        return Err("a label is longer than 63 characters");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("a label begins or ends with a hyphen");
    }
    if label.contains('*') {
        return Err("a wildcard is only possible as the whole first label");
    }
    if !label.is_ascii() {
        return Err("write international names as A-labels (`xn--...`)");
    }
    if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err("only letters, digits, hyphens and dots are allowed");
    }
    Ok(())
}

fn is_idna(name: &str) -> bool {
    let (unicode, outcome) = idna::domain_to_unicode(name);
    outcome.is_ok() && idna::domain_to_ascii_strict(&unicode).is_ok_and(|ascii| ascii == name)
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DnsName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> String {
        name.0
    }
}

/// A name in a certificate; the order of variants is the order in certificates. The first two are the identifiers that
/// ACME orders here (RFC 8555 section 9.7.7, RFC 8738); the others stand in certificate requests only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "lowercase")]
pub enum Identifier {
    /// A host name, possibly a wildcard.
    Dns(DnsName),
    /// An IPv4 or IPv6 address; never an IPv4 address in IPv6 clothes.
    Ip(IpAddr),
    /// A URI, such as a SPIFFE ID or the application URI of OPC UA.
    Uri(UriName),
    /// A mailbox.
    Email(EmailAddress),
    /// A permanent identifier (RFC 4043).
    #[serde(rename = "permanent-identifier")]
    Permanent(PermanentId),
}

/// Why a pair of type and value is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// A type this CA does not know.
    #[error("identifiers of type `{0}` are not supported; this CA knows `dns` and `ip`")]
    UnsupportedType(String),
    /// A value that does not fit its type.
    #[error(transparent)]
    Malformed(#[from] NameError),
}

impl Identifier {
    /// Reads type and value, the stored form.
    pub fn parse(kind: &str, value: &str) -> Result<Self, IdentifierError> {
        match kind {
            "dns" => Ok(Self::Dns(value.parse()?)),
            "ip" => Ok(Self::Ip(parse_ip(value)?)),
            "uri" => Ok(Self::Uri(value.parse()?)),
            "email" => Ok(Self::Email(value.parse()?)),
            "permanent-identifier" => Ok(Self::Permanent(value.parse()?)),
            other => Err(IdentifierError::UnsupportedType(other.chars().take(40).collect())),
        }
    }

    /// Reads the two members of an ACME identifier object: of a type that can be ordered, or none.
    pub fn parse_ordered(kind: &str, value: &str) -> Result<Self, IdentifierError> {
        match kind {
            "dns" | "ip" => Self::parse(kind, value),
            other => Err(IdentifierError::UnsupportedType(other.chars().take(40).collect())),
        }
    }

    /// Whether ACME orders name it; all others come with the certificate request.
    pub const fn is_orderable(&self) -> bool {
        matches!(self, Self::Dns(_) | Self::Ip(_))
    }

    /// `dns`, `ip`, `uri`, `email` or `permanent-identifier`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::Ip(_) => "ip",
            Self::Uri(_) => "uri",
            Self::Email(_) => "email",
            Self::Permanent(_) => "permanent-identifier",
        }
    }

    /// The normalised value; for an address the text of RFC 5952.
    pub fn value(&self) -> String {
        match self {
            Self::Dns(name) => name.to_string(),
            Self::Ip(address) => address.to_string(),
            Self::Uri(uri) => uri.to_string(),
            Self::Email(address) => address.to_string(),
            Self::Permanent(id) => id.to_string(),
        }
    }

    /// The name that a challenge proves for it: without `*.`.
    #[must_use]
    pub fn without_wildcard(&self) -> Self {
        match self {
            Self::Dns(name) => Self::Dns(DnsName(name.base().to_owned())),
            other => other.clone(),
        }
    }

    /// Whether it is a wildcard name.
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Dns(name) if name.is_wildcard())
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value())
    }
}

/// Reads an address in any valid spelling (RFC 8738 section 3); no zone, no prefix, no IPv4-mapped IPv6.
pub fn parse_ip(text: &str) -> Result<IpAddr, NameError> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if is_mapped(address) => {
            refuse(text, "IP address", "write IPv4 addresses in their own form")
        }
        Ok(address) => Ok(address),
        Err(_) => refuse(text, "IP address", "expected something like 192.0.2.1 or 2001:db8::1"),
    }
}

fn is_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        let name: DnsName = "*.GW-1.Site.Test".parse().unwrap();
        assert_eq!(name.as_str(), "*.gw-1.site.test");
        assert!(name.is_wildcard());
        assert!(name.is_within(&"site.test".parse().unwrap()));
        assert!(!"evilsite.test".parse::<DnsName>().unwrap().is_within(&"site.test".parse().unwrap()));
        assert!("localhost".parse::<DnsName>().is_ok(), "single labels are a matter of policy");
        assert!("xn--bcher-kva.test".parse::<DnsName>().is_ok());
    }

    #[test]
    fn bad_names_say_why() {
        let label = "a".repeat(64);
        for bad in [
            "",
            ".",
            "a..b",
            "a.b.",
            "-a.b",
            "a-.b",
            "a_b.c",
            "a.*.b",
            "*.*.b",
            "*",
            "1.2.3.4",
            "bücher.de",
            "xn--zzzz-9999999.test",
            "a b",
            "a\0b",
            label.as_str(),
            "::1",
        ] {
            assert!(bad.parse::<DnsName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_have_one_spelling() {
        assert_eq!(Identifier::parse("ip", "2001:0DB8::0:1").unwrap().value(), "2001:db8::1");
        for bad in ["::ffff:1.2.3.4", "1.2.3", "fe80::1%eth0", "10.0.0.0/8", "[::1]"] {
            assert!(Identifier::parse("ip", bad).is_err(), "{bad}");
        }
        assert!(matches!(Identifier::parse("x400", "x"), Err(IdentifierError::UnsupportedType(_))));
        for (kind, value) in [("uri", "urn:a:b"), ("email", "a@b.test"), ("permanent-identifier", "SN 1")] {
            let read = Identifier::parse(kind, value).unwrap();
            assert!(!read.is_orderable() && read.kind() == kind && read.value() == value);
            assert!(matches!(Identifier::parse_ordered(kind, value), Err(IdentifierError::UnsupportedType(_))));
        }
    }
}
