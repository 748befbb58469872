//! The servers that know a zone first hand: none of them remembers that a record was missing a moment ago.
//!
//! Whoever runs a zone chooses their addresses, so the guard is asked as for every other connection, and only a few of
//! them are asked.

use std::net::SocketAddr;

use hickory_resolver::config::ResolverOpts;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::DnsResponse;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use pki_core::acme::problem::ProblemKind;
use tokio::task::JoinSet;

use super::texts::{ask, missing};
use super::{Resolver, exchange, explain, limit, name_server, shown};
use crate::validation::{Failure, Guard};

/// Servers of a zone that are asked, and addresses of each.
const MAX_SERVERS: usize = 8;
const PER_FAMILY: usize = 1;

impl Resolver {
    /// The answers of all authoritative servers that answer; one that says that there is nothing is a failure.
    pub(super) async fn ask_authorities(
        &self,
        guard: &Guard,
        port: u16,
        name: &Name,
    ) -> Result<Vec<DnsResponse>, Failure> {
        let zone = self.zone_of(name).await?;
        let (mut asked, mut refused) = (JoinSet::new(), None);
        for address in self.servers_of(&zone, port).await? {
            match guard.check(address) {
                Ok(()) => drop(asked.spawn(ask_one(address, name.clone()))),
                Err(forbidden) => refused = Some(forbidden),
            }
        }
        if asked.is_empty() {
            let why = refused.map_or("it has none".to_owned(), |forbidden| forbidden.to_string());
            let detail = format!("no authoritative name server of {} can be asked: {why}", shown(&zone));
            return Err(Failure::permanent(ProblemKind::Dns, detail));
        }
        let (mut answers, mut silence) = (Vec::new(), None);
        while let Some(outcome) = asked.join_next().await {
            match outcome {
                Ok(Ok(answer)) => answers.push(answer),
                Ok(Err(error @ NetError::Dns(DnsError::NoRecordsFound(_)))) => return Err(missing(name, &error)),
                Ok(Err(error)) => silence = Some(error),
                Err(_) => {}
            }
        }
        match silence {
            Some(error) if answers.is_empty() => Err(missing(name, &error)),
            _ => Ok(answers),
        }
    }

    /// The zone a name lies in: whoever answers for the name says so in the SOA record, there or not (RFC 2308 section 3).
    async fn zone_of(&self, name: &Name) -> Result<Name, Failure> {
        match ask(&self.upstream(name)?.exchange, name, RecordType::SOA, true).await {
            Ok(answer) => {
                let all = || answer.answers.iter().chain(&answer.authorities);
                let is_alias = all().any(|record| record.record_type() == RecordType::CNAME && record.name == *name);
                let soa = all().find(|record| record.record_type() == RecordType::SOA && record.name.zone_of(name));
                match soa {
                    // The answer is about the target of the alias; the alias itself lies in the zone of its parent.
                    _ if is_alias && name.num_labels() > 1 => Box::pin(self.zone_of(&name.base_name())).await,
                    Some(record) => Ok(record.name.clone()),
                    None => Err(unknown(name)),
                }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let zone = none.soa.map(|record| record.name.clone()).filter(|zone| zone.zone_of(name));
                zone.ok_or_else(|| unknown(name))
            }
            Err(error) => Err(explain(name, "zone", &error)),
        }
    }

    async fn servers_of(&self, zone: &Name, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let answer = ask(&self.upstream(zone)?.exchange, zone, RecordType::NS, true).await;
        let answer = answer.map_err(|error| explain(zone, "name server", &error))?;
        let names = answer.answers.iter().filter_map(|record| match &record.data {
            RData::NS(name) => Some(name.0.clone()),
            _ => None,
        });
        let mut addresses = Vec::new();
        for name in names.take(MAX_SERVERS) {
            let all = self.addresses_of(&name).await.unwrap_or_default();
            let v6 = all.iter().filter(|address| address.is_ipv6()).take(PER_FAMILY);
            let v4 = all.iter().filter(|address| address.is_ipv4()).take(PER_FAMILY);
            addresses.extend(v6.chain(v4).map(|address| SocketAddr::new(*address, port)));
        }
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }
}

fn unknown(name: &Name) -> Failure {
    Failure::transient(ProblemKind::Dns, format!("DNS does not tell which zone {} lies in", shown(name)))
}

async fn ask_one(address: SocketAddr, name: Name) -> Result<DnsResponse, NetError> {
    let mut options = ResolverOpts::default();
    limit(&mut options);
    ask(&exchange(vec![name_server(address)], options)?, &name, RecordType::TXT, false).await
}
