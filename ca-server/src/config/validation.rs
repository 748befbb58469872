//! `[validation]`: how control over names is checked from here.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use pki_core::acme::challenge::ChallengeKind;
use pki_core::x509::name::DnsName;
use serde::{Deserialize, Serialize};

/// Outbound validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Validation {
    /// Networks that may be connected to although they are loopback, link-local or denied below.
    pub allow_networks: Vec<IpNet>,
    /// Networks that are never connected to.
    pub deny_networks: Vec<IpNet>,
    /// Name servers; the system's when empty.
    pub resolvers: Vec<ResolverAddress>,
    /// Whether records of challenges are asked for at every authoritative server of their zone, past all memories; each
    /// that answers must have the record.
    pub ask_authoritative_servers: bool,
    /// The port of authoritative servers; 53 by RFC 1035.
    #[serde(deserialize_with = "port")]
    pub dns_port: u16,
    /// The port of http-01; 80 by RFC 8555 section 8.3.
    #[serde(deserialize_with = "port")]
    pub http_port: u16,
    /// The port of tls-alpn-01; 443 by RFC 8737 section 3.
    #[serde(deserialize_with = "port")]
    pub tls_port: u16,
    /// For one attempt, names and redirects included.
    #[serde(with = "super::limits::seconds")]
    pub timeout_seconds: Duration,
    /// Redirects that http-01 follows; 10 at most.
    #[serde(deserialize_with = "redirects")]
    pub max_redirects: u8,
    /// Whether profiles may offer dns-account-01.
    pub dns_account: bool,
    /// Whether profiles may offer dns-persist-01.
    pub dns_persist: bool,
    /// What records of dns-persist-01 call this CA, 10 names at most; the host of `external.main` when empty.
    pub dns_persist_issuers: Vec<DnsName>,
    /// Name servers of zones that others do not know, or know otherwise; a zone's own go before those of the zones it
    /// lies in.
    pub zone_resolvers: BTreeMap<Zone, Vec<ResolverAddress>>,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            deny_networks: Vec::new(),
            resolvers: Vec::new(),
            ask_authoritative_servers: false,
            dns_port: 53,
            http_port: 80,
            tls_port: 443,
            timeout_seconds: Duration::from_secs(10),
            max_redirects: 10,
            dns_account: false,
            dns_persist: false,
            dns_persist_issuers: Vec::new(),
            zone_resolvers: BTreeMap::new(),
        }
    }
}

impl Validation {
    /// The kinds of challenges that profiles may name.
    pub fn kinds(&self) -> Vec<ChallengeKind> {
        let is_on = |kind: &ChallengeKind| match kind {
            ChallengeKind::Http01 | ChallengeKind::Dns01 | ChallengeKind::TlsAlpn01 => true,
            ChallengeKind::DnsAccount01 => self.dns_account,
            ChallengeKind::DnsPersist01 => self.dns_persist,
        };
        ChallengeKind::ALL.into_iter().filter(is_on).collect()
    }

    /// What one field cannot know by itself. `host` is that of `external.main`.
    pub(super) fn check(&self, host: &str) -> Result<(), (&'static str, String)> {
        const ISSUERS: &str = "validation.dns_persist_issuers";
        if let Some((zone, _)) = self.zone_resolvers.iter().find(|(_, servers)| servers.is_empty()) {
            return Err(("validation.zone_resolvers", format!("`{}` has no name server; write one", zone.0)));
        }
        if self.dns_persist_issuers.len() > 10 {
            return Err((ISSUERS, "more than 10 names are written; clients take 10 at most".to_owned()));
        }
        if self.dns_persist_issuers.iter().any(DnsName::is_wildcard) {
            return Err((ISSUERS, "a wildcard names no issuer; write a name such as `ca.site.test`".to_owned()));
        }
        let has_name = !self.dns_persist_issuers.is_empty() || host.parse::<IpAddr>().is_err();
        if self.dns_persist && !has_name {
            let why =
                "`external.main` is an address, and dns-persist-01 needs a name; write one, such as `ca.site.test`";
            return Err((ISSUERS, why.to_owned()));
        }
        Ok(())
    }

    /// What records of dns-persist-01 call this CA, lower case; none unless it is switched on.
    pub fn issuers(&self, host: &str) -> Vec<String> {
        match self.dns_persist_issuers.as_slice() {
            _ if !self.dns_persist => Vec::new(),
            [] => vec![host.to_ascii_lowercase()],
            written => written.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A zone of the DNS: a name without a wildcard, whose every name below is meant too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(pub DnsName);

impl TryFrom<String> for Zone {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let name: Option<DnsName> = text.trim_end_matches('.').parse().ok();
        let name = name.filter(|name| !name.is_wildcard());
        name.map(Self).ok_or_else(|| format!("`{text}` is not a zone; write a name such as `site.test`"))
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.0.to_string()
    }
}

/// A name server: an address, with port 53 unless another is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResolverAddress(pub SocketAddr);

impl TryFrom<String> for ResolverAddress {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let bare = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
        let full = bare.or_else(|_| text.parse::<SocketAddr>());
        full.map(Self)
            .map_err(|_| format!("`{text}` is not the address of a name server; write 192.0.2.53 or 192.0.2.53:53"))
    }
}

impl From<ResolverAddress> for String {
    fn from(resolver: ResolverAddress) -> String {
        resolver.to_string()
    }
}

impl fmt::Display for ResolverAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn port<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or_else(|| serde::de::Error::custom(format!("{number} is not a port; write a number from 1 to 65535")))
}

fn redirects<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let most = u8::try_from(number).ok().filter(|most| *most <= 10);
    most.ok_or_else(|| {
        serde::de::Error::custom(format!("{number} redirects are not possible; write a number from 0 to 10"))
    })
}
