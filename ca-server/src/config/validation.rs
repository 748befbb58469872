//! `[validation]`: how control over names is checked from here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
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
    /// The port of http-01; 80 by RFC 8555 section 8.3.
    #[serde(deserialize_with = "port")]
    pub http_port: u16,
    /// The port of tls-alpn-01; 443 by RFC 8737 section 3.
    #[serde(deserialize_with = "port")]
    pub tls_port: u16,
    /// For one attempt, names and redirects included.
    #[serde(with = "super::limits::seconds")]
    pub timeout_seconds: Duration,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            deny_networks: Vec::new(),
            resolvers: Vec::new(),
            http_port: 80,
            tls_port: 443,
            timeout_seconds: Duration::from_secs(10),
        }
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
