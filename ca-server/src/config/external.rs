//! `[external]`: what is written into URLs and certificates.

use std::fmt;
use std::str::FromStr;

use pki_core::x509::name::Identifier;
use serde::{Deserialize, Serialize};

/// How others reach this CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Of the main listener: in ACME objects and enrolment tokens.
    pub main: ExternalUrl,
    /// Other addresses of the main listener, such as a former one: what is asked there is answered with them.
    #[serde(default)]
    pub aliases: Vec<ExternalUrl>,
    /// Of the public listener: in certificates, for as long as they live.
    pub public: ExternalUrl,
    /// Every name and address that the CA's own TLS certificate carries.
    #[serde(default, with = "names")]
    pub names: Vec<Identifier>,
}

impl External {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if !self.main.is_https() {
            return Err((
                "external.main",
                "ACME is spoken over https only (RFC 8555 section 6.1); begin it with https://".into(),
            ));
        }
        if let Some(alias) = self.aliases.iter().find(|alias| !alias.is_https()) {
            let why = format!("ACME is spoken over https only (RFC 8555 section 6.1); begin {alias} with https://");
            return Err(("external.aliases", why));
        }
        if self.public.is_https() {
            let why = "CRLs are fetched before TLS can be trusted (RFC 5280 section 8); begin it with http://";
            return Err(("external.public", why.into()));
        }
        Ok(())
    }

    /// The names of the CA's own certificate: those listed, and the hosts of `main` and `aliases` in any case.
    pub fn own_names(&self) -> Vec<Identifier> {
        let mut names = self.names.clone();
        names.extend(parse_name(self.main.host()));
        names.extend(self.aliases.iter().filter_map(|alias| parse_name(alias.host()).ok()));
        names.sort();
        names.dedup();
        names
    }
}

/// `scheme://host[:port]`, without path and without slash at its end.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExternalUrl {
    text: String,
    host: String,
    port: Option<u16>,
}

impl ExternalUrl {
    /// The URL, without slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name or address, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own one when none is written.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// `host:port` as tokens carry it, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port())
    }

    pub(super) fn is_https(&self) -> bool {
        self.text.starts_with("https://")
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl FromStr for ExternalUrl {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| format!("`{text}` is not an address like https://ca.site.test:8443: {why}");
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        let uri: hyper::Uri = trimmed.parse().map_err(|error| refuse(&format!("{error}")))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if !matches!(scheme, "http" | "https") || !trimmed.starts_with(scheme) {
            return Err(refuse("it begins neither with https:// nor with http://"));
        }
        let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
        if trimmed.len() != scheme.len() + 3 + authority.as_str().len() || authority.as_str().contains('@') {
            return Err(refuse("it has a path, a query or a user name"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        parse_name(&host).map_err(|why| refuse(&why))?;
        let port = match authority.port_u16() {
            None if authority.as_str().len() != authority.host().len() => {
                return Err(refuse("its port is not a number from 1 to 65535"));
            }
            Some(0) => return Err(refuse("its port is 0")),
            port => port,
        };
        Ok(Self { text: trimmed.to_owned(), host, port })
    }
}

impl TryFrom<String> for ExternalUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ExternalUrl> for String {
    fn from(url: ExternalUrl) -> String {
        url.text
    }
}

impl fmt::Display for ExternalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ExternalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExternalUrl({})", self.text)
    }
}

/// A DNS name or an IP address, whichever it looks like.
pub(crate) fn parse_name(text: &str) -> Result<Identifier, String> {
    let kind = if text.parse::<std::net::IpAddr>().is_ok() { "ip" } else { "dns" };
    Identifier::parse(kind, text).map_err(|error| error.to_string())
}

mod names {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{Identifier, parse_name};

    pub(super) fn serialize<S: Serializer>(names: &[Identifier], serializer: S) -> Result<S::Ok, S::Error> {
        names.iter().map(Identifier::value).collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Identifier>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| parse_name(text).map_err(D::Error::custom)).collect()
    }
}
