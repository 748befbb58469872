//! Name constraints (RFC 5280 section 4.2.1.10): what a CA may issue for, as validators read it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use der::{Reader, SliceReader, Tag, TagNumber};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::x509::certificate::extensions::{GeneralName, general_name, sequence_contents};
use crate::x509::encoding;
use crate::x509::name::{DnsName, Identifier};

/// A dNSName subtree: a zone and everything below; empty for every name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsSubtree(String);

impl DnsSubtree {
    /// Every name.
    pub fn everything() -> Self {
        Self(String::new())
    }

    /// As written in the certificate, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name stands in this subtree. A leading dot, which RFC 5280 does not know but validators do,
    /// leaves the zone itself out.
    pub fn covers(&self, name: &DnsName) -> bool {
        let base = name.base();
        match self.0.strip_prefix('.') {
            _ if self.0.is_empty() => true,
            Some(_) => name.as_str().ends_with(self.0.as_str()),
            None => base == self.0 || base.strip_suffix(self.0.as_str()).is_some_and(|rest| rest.ends_with('.')),
        }
    }

    /// Whether some name that a wildcard stands for lies in this subtree.
    fn touches(&self, name: &DnsName) -> bool {
        let zone = self.0.strip_prefix('.').unwrap_or(&self.0);
        let under = zone.strip_suffix(name.base()).and_then(|rest| rest.strip_suffix('.'));
        self.covers(name) || name.is_wildcard() && under.is_some_and(|label| !label.is_empty() && !label.contains('.'))
    }
}

impl From<&DnsName> for DnsSubtree {
    fn from(name: &DnsName) -> Self {
        Self(name.base().to_owned())
    }
}

/// The DNS and IP part of a NameConstraints extension. An empty list of permitted subtrees leaves its type free.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// Zones that are allowed.
    pub permitted_dns: Vec<DnsSubtree>,
    /// Networks that are allowed.
    pub permitted_ips: Vec<IpNet>,
    /// Zones that are not, whatever is permitted.
    pub excluded_dns: Vec<DnsSubtree>,
    /// Networks that are not, whatever is permitted.
    pub excluded_ips: Vec<IpNet>,
    /// Whether distinguished names are limited too: a subject may then not be what this CA would write.
    pub limits_subjects: bool,
    /// Whether any other type of name is limited, such as URIs: then none of those types is issued at all.
    pub limits_others: bool,
}

/// A name that constraints forbid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is outside of what the CA certificate allows ({allowed})")]
pub struct OutsideConstraints {
    /// The name.
    pub name: Identifier,
    /// The constraints in words.
    pub allowed: String,
}

impl NameConstraints {
    /// Only these zones and networks. A type that is not mentioned would be free, so everything of it is excluded
    /// (X5-7): DNS names when there is no zone, IPv4 and IPv6 each when there is no network of the family.
    pub fn permitting(zones: &[DnsName], networks: &[IpNet]) -> Self {
        let mut constraints = Self {
            permitted_dns: zones.iter().map(DnsSubtree::from).collect(),
            permitted_ips: networks.iter().map(IpNet::trunc).collect(),
            ..Self::default()
        };
        if zones.is_empty() {
            constraints.excluded_dns.push(DnsSubtree::everything());
        }
        if !networks.iter().any(|network| matches!(network, IpNet::V4(_))) {
            constraints.excluded_ips.push(IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)));
        }
        if !networks.iter().any(|network| matches!(network, IpNet::V6(_))) {
            constraints.excluded_ips.push(IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)));
        }
        constraints
    }

    /// Whether a certificate may carry this name. An address of one family is in no subtree of the other.
    pub fn allows(&self, identifier: &Identifier) -> Result<(), OutsideConstraints> {
        let allowed = match identifier {
            Identifier::Dns(name) => {
                (self.permitted_dns.is_empty() || self.permitted_dns.iter().any(|subtree| subtree.covers(name)))
                    && !self.excluded_dns.iter().any(|subtree| subtree.touches(name))
            }
            Identifier::Ip(address) => {
                (self.permitted_ips.is_empty() || self.permitted_ips.iter().any(|network| network.contains(address)))
                    && !self.excluded_ips.iter().any(|network| network.contains(address))
            }
            Identifier::Uri(_) | Identifier::Email(_) | Identifier::Permanent(_) => !self.limits_others,
        };
        if allowed { Ok(()) } else { Err(OutsideConstraints { name: identifier.clone(), allowed: self.to_string() }) }
    }

    /// DER of the extension's value.
    pub fn to_der(&self) -> Result<Vec<u8>, der::Error> {
        let mut parts = Vec::new();
        for (number, dns, ips) in
            [(0, &self.permitted_dns, &self.permitted_ips), (1, &self.excluded_dns, &self.excluded_ips)]
        {
            let mut subtrees = Vec::new();
            for subtree in dns {
                subtrees.extend(encode_subtree(2, subtree.0.as_bytes())?);
            }
            for network in ips {
                subtrees.extend(encode_subtree(7, &address_and_mask(network))?);
            }
            if !subtrees.is_empty() {
                parts.extend(encoding::explicit(number, &subtrees)?);
            }
        }
        encoding::sequence(&[&parts])
    }

    /// Reads the extension's value. Of constraints of other types than DNS, IP and directory names it is only known
    /// that they are there.
    pub(crate) fn from_der(value: &[u8]) -> Result<Self, der::Error> {
        let mut constraints = Self::default();
        let mut reader = SliceReader::new(sequence_contents(value)?)?;
        for number in [0, 1] {
            if encoding::next_is(&reader, encoding::context(number)) {
                let subtrees = encoding::contents(&mut reader, encoding::context(number))?;
                for subtree in encoding::elements(subtrees)? {
                    constraints.add(number == 0, subtree)?;
                }
            }
        }
        reader.finish()?;
        Ok(constraints)
    }

    fn add(&mut self, permitted: bool, subtree: &[u8]) -> Result<(), der::Error> {
        let inside = encoding::elements(sequence_contents(subtree)?)?;
        // minimum and maximum must be at their defaults (RFC 5280), which DER leaves out
        let [base] = inside.as_slice() else { return Err(Tag::Sequence.value_error().into()) };
        let (dns, ips) = if permitted {
            (&mut self.permitted_dns, &mut self.permitted_ips)
        } else {
            (&mut self.excluded_dns, &mut self.excluded_ips)
        };
        match general_name(base)? {
            GeneralName::Dns(octets) if octets.is_ascii() => {
                dns.push(DnsSubtree(String::from_utf8_lossy(octets).to_ascii_lowercase()));
            }
            GeneralName::Ip(octets) => ips.push(network(octets).ok_or_else(|| Tag::OctetString.value_error())?),
            GeneralName::Directory => self.limits_subjects = true,
            GeneralName::Dns(_) => return Err(Tag::Ia5String.value_error().into()),
            GeneralName::Uri(_) | GeneralName::Email(_) | GeneralName::Permanent(_) | GeneralName::Other(_) => {
                self.limits_others = true;
            }
        }
        Ok(())
    }
}

fn encode_subtree(number: u32, base: &[u8]) -> Result<Vec<u8>, der::Error> {
    let tag = Tag::ContextSpecific { constructed: false, number: TagNumber(number) };
    encoding::sequence(&[&encoding::element(tag, &[base])?])
}

fn address_and_mask(network: &IpNet) -> Vec<u8> {
    match network {
        IpNet::V4(net) => [net.network().octets(), net.netmask().octets()].concat(),
        IpNet::V6(net) => [net.network().octets(), net.netmask().octets()].concat(),
    }
}

/// Address and mask; the mask must be a prefix.
fn network(octets: &[u8]) -> Option<IpNet> {
    let (address, mask) = octets.split_at_checked(octets.len() / 2)?;
    let parse = |half: &[u8]| {
        <[u8; 4]>::try_from(half).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(half).map(IpAddr::from)).ok()
    };
    IpNet::with_netmask(parse(address)?, parse(mask)?).ok()
}

impl fmt::Display for NameConstraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone =
            |subtree: &DnsSubtree| if subtree.0.is_empty() { "any DNS name".to_owned() } else { subtree.0.clone() };
        let list = |dns: &[DnsSubtree], ips: &[IpNet]| {
            dns.iter().map(zone).chain(ips.iter().map(IpNet::to_string)).collect::<Vec<_>>().join(", ")
        };
        write!(f, "permitted: {}", list(&self.permitted_dns, &self.permitted_ips))?;
        if !(self.excluded_dns.is_empty() && self.excluded_ips.is_empty()) {
            write!(f, "; excluded: {}", list(&self.excluded_dns, &self.excluded_ips))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: &str, value: &str) -> Identifier {
        Identifier::parse(kind, value).unwrap()
    }

    #[test]
    fn x5_7_what_is_not_mentioned_is_excluded() {
        let only_dns = NameConstraints::permitting(&["site.test".parse().unwrap()], &[]);
        assert!(only_dns.allows(&id("dns", "gw.site.test")).is_ok());
        assert!(only_dns.allows(&id("dns", "site.test")).is_ok());
        assert!(only_dns.allows(&id("dns", "*.site.test")).is_ok());
        assert!(only_dns.allows(&id("dns", "evilsite.test")).is_err());
        assert!(only_dns.allows(&id("dns", "*.test")).is_err());
        assert!(only_dns.allows(&id("ip", "10.0.0.1")).is_err());
        assert!(only_dns.allows(&id("ip", "fd00::1")).is_err());
        let only_v4 = NameConstraints::permitting(&[], &["10.0.0.0/8".parse().unwrap()]);
        assert!(only_v4.allows(&id("ip", "10.1.2.3")).is_ok());
        assert!(only_v4.allows(&id("ip", "11.1.2.3")).is_err());
        assert!(only_v4.allows(&id("ip", "::1")).is_err());
        assert!(only_v4.allows(&id("dns", "a.test")).is_err());
        assert!(NameConstraints::default().allows(&id("dns", "a.test")).is_ok());
    }

    #[test]
    fn exclusions_win_also_over_wildcards() {
        let constraints = NameConstraints {
            excluded_dns: vec![DnsSubtree("secret.site.test".into()), DnsSubtree(".deep.test".into())],
            ..NameConstraints::default()
        };
        assert!(constraints.allows(&id("dns", "a.secret.site.test")).is_err());
        assert!(constraints.allows(&id("dns", "*.site.test")).is_err(), "it stands for secret.site.test");
        assert!(constraints.allows(&id("dns", "*.test")).is_err(), "it stands for deep.test, whose names are excluded");
        assert!(constraints.allows(&id("dns", "deep.test")).is_ok());
        assert!(constraints.allows(&id("dns", "*.deep.test")).is_err());
        assert!(constraints.allows(&id("dns", "other.test")).is_ok());
    }

    #[test]
    fn constraints_read_back() {
        let built = NameConstraints::permitting(
            &["site.test".parse().unwrap(), "localhost".parse().unwrap()],
            &["10.1.2.3/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        );
        assert_eq!(NameConstraints::from_der(&built.to_der().unwrap()).unwrap(), built);
        assert_eq!(built.permitted_ips[0].to_string(), "10.0.0.0/8", "host bits are cut");
        let closed = NameConstraints::permitting(&[], &[]);
        assert_eq!(NameConstraints::from_der(&closed.to_der().unwrap()).unwrap(), closed);
    }
}
