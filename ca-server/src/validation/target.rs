//! Where one request of http-01 goes, and where a redirect leads.

use std::net::IpAddr;

use hyper::Uri;
use pki_core::acme::problem::ProblemKind;
use pki_core::x509::name::{DnsName, Identifier};

use super::{Expectation, Failure, Validator};

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    pub(super) host: Identifier,
    pub(super) port: u16,
    pub(super) path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Target {
    /// The first request: plain HTTP, to the port of http-01 (RFC 8555 section 8.3).
    pub(super) fn first(validator: &Validator, expectation: Expectation<'_>) -> Self {
        let path = format!("/.well-known/acme-challenge/{}", expectation.token);
        Self { scheme: Scheme::Http, host: expectation.identifier.clone(), port: validator.http_port, path }
    }

    /// Where a redirect leads; only to the ports validation uses anyway (section 10.4).
    pub(super) fn follow(&self, validator: &Validator, location: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            let detail = format!("{} redirects to an address that is not followed: {why}", self.host);
            Err(Failure::permanent(ProblemKind::Connection, detail))
        };
        let Ok(uri) = location.parse::<Uri>() else { return refuse("it is not a URL") };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let scheme = match (uri.scheme_str(), uri.authority()) {
            (None, None) => return Ok(Self { path, ..self.clone() }),
            (Some("http"), Some(_)) => Scheme::Http,
            (Some("https"), Some(_)) => Scheme::Https,
            _ => return refuse("only http and https are followed"),
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return refuse("it carries a user name");
        }
        let Some(host) = host(&uri) else { return refuse("its host is neither a name nor an address") };
        let port = uri.port_u16().unwrap_or(scheme.default_port());
        let usual = match scheme {
            Scheme::Http => validator.http_port,
            Scheme::Https => validator.tls_port,
        };
        if port != usual && port != scheme.default_port() {
            return refuse("its port is not one that is validated on");
        }
        Ok(Self { scheme, host, port, path })
    }

    /// IPv6 literals stand in brackets (RFC 8738 section 3); the default port is left out.
    pub(super) fn host_header(&self) -> String {
        let host = match &self.host {
            Identifier::Ip(IpAddr::V6(address)) => format!("[{address}]"),
            other => other.value(),
        };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }

    /// As messages name it.
    pub(super) fn url(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}{}", self.host_header(), self.path)
    }
}

fn host(uri: &Uri) -> Option<Identifier> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(address) => Some(Identifier::Ip(address)),
        Err(_) => host.parse::<DnsName>().ok().filter(|name| !name.is_wildcard()).map(Identifier::Dns),
    }
}
