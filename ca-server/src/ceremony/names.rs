//! Which names the new CA may certify, and under which it is reached itself.

use std::net::IpAddr;

use ipnet::IpNet;
use pki_core::x509::certificate::NameConstraints;
use pki_core::x509::name::{DnsName, Identifier};

use crate::ceremony::CeremonyError;
use crate::ceremony::init::InitRequest;

/// Private and local networks: what is meant when nobody says which (RFC 1918, RFC 4193, loopback).
const LOCAL_NETWORKS: [&str; 6] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "127.0.0.0/8", "::1/128"];

/// The names of the new CA, worked out.
#[derive(Debug)]
pub(super) struct Names {
    /// Under which it is reached: DNS names first, in the order given.
    pub(super) own: Vec<Identifier>,
    /// Zones that the default profiles allow.
    pub(super) domains: Vec<DnsName>,
    /// Networks that the default profiles allow.
    pub(super) networks: Vec<IpNet>,
    /// What the intermediate is limited to.
    pub(super) constraints: Option<NameConstraints>,
    /// What a person should know about all this.
    pub(super) notes: Vec<String>,
}

impl Names {
    pub(super) fn new(request: &InitRequest) -> Result<Self, CeremonyError> {
        let networks = match request.networks.is_empty() {
            true => LOCAL_NETWORKS.iter().map(|text| text.parse().expect("the table holds networks")).collect(),
            false => request.networks.clone(),
        };
        let (dns, ips) = (request.dns_names.iter(), request.ips.iter());
        let mut own: Vec<Identifier> = Vec::new();
        for name in dns.cloned().map(Identifier::Dns).chain(ips.copied().map(Identifier::Ip)) {
            if !own.contains(&name) {
                own.push(name);
            }
        }
        let mut names = Self { own, domains: request.domains.clone(), networks, constraints: None, notes: Vec::new() };
        names.check(request)?;
        if request.name_constraints {
            names.constrain();
        }
        Ok(names)
    }

    fn check(&self, request: &InitRequest) -> Result<(), CeremonyError> {
        let refuse = |why: String| Err(CeremonyError::Request(why));
        if self.own.is_empty() {
            return refuse(
                "the CA needs a name or address to be reached by; give --dns-name ca.site.test or --ip".into(),
            );
        }
        if let Some(wildcard) = self.own.iter().find(|name| name.is_wildcard()) {
            return refuse(format!("`{}` is a wildcard; give --dns-name a full name", wildcard.value()));
        }
        if let Some(wildcard) = self.domains.iter().find(|domain| domain.is_wildcard()) {
            return refuse(format!(
                "a domain holds everything below it; write --domain {} instead of {}",
                wildcard.base(),
                wildcard.as_str()
            ));
        }
        if request.name_constraints && self.domains.is_empty() {
            return refuse(
                "give the domains that devices have names in with --domain site.test, or --no-name-constraints for an intermediate that may certify any name".into(),
            );
        }
        Ok(())
    }

    /// The CA certifies its own TLS listener, so its own names belong to what it may certify.
    fn constrain(&mut self) {
        let limits = NameConstraints::permitting(&self.domains, &self.networks);
        let (mut zones, mut networks) = (self.domains.clone(), self.networks.clone());
        for name in self.own.iter().filter(|name| limits.allows(name).is_err()) {
            self.notes.push(format!(
                "{} lies outside of --domain and --network; it was added to what the intermediate may certify, because the CA is reached there",
                name.value()
            ));
            match name {
                Identifier::Dns(name) => zones.push(name.clone()),
                Identifier::Ip(address) => networks.push(IpNet::from(*address)),
                // a CA is reached at hosts only
                Identifier::Uri(_) | Identifier::Email(_) | Identifier::Permanent(_) => {}
            }
        }
        self.constraints = Some(NameConstraints::permitting(&zones, &networks));
    }

    /// The host part of the CA's URLs: its first name.
    pub(super) fn host(&self) -> String {
        match self.own.first() {
            Some(Identifier::Ip(IpAddr::V6(address))) => format!("[{address}]"),
            Some(name) => name.value(),
            None => String::new(),
        }
    }
}
