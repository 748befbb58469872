//! TXT records, found along CNAMEs (RFC 8555 section 8.4): each step is asked where its own zone is known, and nothing is
//! taken from memory.

use std::time::Duration;

use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use pki_core::acme::problem::ProblemKind;

use super::{Exchange, Resolver, explain, fqdn, shown};
use crate::validation::{Failure, Guard};

/// As many as resolvers commonly follow.
const MAX_CNAMES: usize = 8;

/// One record: its strings one after the other, and how long it may be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::validation) struct Text {
    pub(in crate::validation) content: Vec<u8>,
    pub(in crate::validation) life: Duration,
}

/// What one answer comes to, and how many CNAMEs it has on the way there.
struct Step {
    hops: usize,
    outcome: Outcome,
}

enum Outcome {
    Found(Vec<Text>),
    /// Where the last CNAME leads.
    Onward(Name),
}

impl Resolver {
    /// What every source says of the TXT records at a name: one list, or one of each authoritative server that answers.
    /// No list is empty.
    pub(in crate::validation) async fn texts(&self, guard: &Guard, name: &str) -> Result<Vec<Vec<Text>>, Failure> {
        let mut place = fqdn(name)?;
        let mut followed = 0;
        loop {
            let (mut lists, mut onward, mut hops) = (Vec::new(), None, 0);
            for answer in self.ask_sources(guard, &place).await? {
                let step = step(&place, &answer);
                hops = hops.max(step.hops);
                match step.outcome {
                    Outcome::Found(texts) => lists.push(texts),
                    // Servers of one zone that disagree about a CNAME: the first leads on.
                    Outcome::Onward(target) => drop(onward.get_or_insert(target)),
                }
            }
            followed += hops;
            if followed > MAX_CNAMES {
                let detail = format!("{name} is an alias of an alias, more than {MAX_CNAMES} times over");
                return Err(Failure::permanent(ProblemKind::Dns, detail));
            }
            let Some(target) = onward else { return all_with_records(name, &place, lists) };
            place = target;
        }
    }

    async fn ask_sources(&self, guard: &Guard, name: &Name) -> Result<Vec<DnsResponse>, Failure> {
        if let Some(port) = self.first_hand {
            return self.ask_authorities(guard, port, name).await;
        }
        let answer = ask(&self.upstream(name)?.exchange, name, RecordType::TXT, true).await;
        answer.map(|answer| vec![answer]).map_err(|error| missing(name, &error))
    }
}

/// One question; asked again when no answer came.
pub(super) async fn ask(
    exchange: &Exchange,
    name: &Name,
    kind: RecordType,
    recursion_desired: bool,
) -> Result<DnsResponse, NetError> {
    let options = || {
        let mut options = DnsRequestOptions::default();
        options.recursion_desired = recursion_desired;
        options
    };
    let query = Query::query(name.clone(), kind);
    match exchange.lookup(query.clone(), options()).first_answer().await {
        Err(NetError::Dns(error)) => Err(error.into()),
        Err(_) => exchange.lookup(query, options()).first_answer().await,
        answer => answer,
    }
}

/// What is said of a name without TXT records: that the name is there and has others is a matter of control.
pub(super) fn missing(name: &Name, error: &NetError) -> Failure {
    let mut failure = explain(name, "TXT record", error);
    if let NetError::Dns(DnsError::NoRecordsFound(none)) = error
        && none.response_code == hickory_resolver::proto::op::ResponseCode::NoError
    {
        failure.problem.kind = ProblemKind::Unauthorized;
    }
    failure
}

/// Follows the CNAMEs within one answer; recursive servers send all of them at once.
fn step(name: &Name, answer: &DnsResponse) -> Step {
    let (mut place, mut hops) = (name.clone(), 0);
    loop {
        let here = answer.answers.iter().filter(|record| record.name == place);
        let texts: Vec<Text> = here.clone().filter_map(text).collect();
        if !texts.is_empty() {
            return Step { hops, outcome: Outcome::Found(texts) };
        }
        let target = here.clone().find_map(|record| match &record.data {
            RData::CNAME(target) => Some(target.0.clone()),
            _ => None,
        });
        match target {
            Some(target) if hops <= MAX_CNAMES => (place, hops) = (target, hops + 1),
            _ if hops > 0 => return Step { hops, outcome: Outcome::Onward(place) },
            _ => return Step { hops, outcome: Outcome::Found(Vec::new()) },
        }
    }
}

fn text(record: &hickory_resolver::proto::rr::Record) -> Option<Text> {
    let RData::TXT(text) = &record.data else { return None };
    Some(Text { content: text.txt_data.concat(), life: Duration::from_secs(record.ttl.into()) })
}

fn all_with_records(name: &str, place: &Name, lists: Vec<Vec<Text>>) -> Result<Vec<Vec<Text>>, Failure> {
    if lists.is_empty() || lists.iter().any(Vec::is_empty) {
        let alias = if place.to_ascii().trim_end_matches('.') == name {
            String::new()
        } else {
            format!(", an alias of {}", shown(place))
        };
        let detail = format!("{name}{alias} has no TXT record in DNS");
        return Err(Failure::transient(ProblemKind::Unauthorized, detail));
    }
    Ok(lists)
}
