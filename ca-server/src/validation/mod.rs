//! Outbound proof of control (RFC 8555 section 8): what the CA looks at to believe that a client holds a name.
//!
//! Knows nothing of orders or the database: a job hands in what is to be seen and stores what was.

mod connect;
mod dns;
mod guard;
mod http01;
mod resolver;
mod target;
mod tls_alpn01;
mod unverified;

pub use guard::{Forbidden, Guard};
pub use resolver::{Resolver, Upstreams};

use std::time::Duration;

use pki_core::acme::challenge::ChallengeKind;
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;

/// How validation reaches the outside.
#[derive(Debug)]
pub struct Validator {
    /// Finds addresses of names.
    pub resolver: Resolver,
    /// Which of them may be connected to.
    pub guard: Guard,
    /// The port of http-01, 80 by the RFC.
    pub http_port: u16,
    /// The port of tls-alpn-01, 443 by the RFC; also where https redirects may lead.
    pub tls_port: u16,
    /// For one attempt, names and redirects included.
    pub timeout: Duration,
    /// How many redirects are followed.
    pub max_redirects: usize,
    /// What records of dns-persist-01 call this CA, lower case.
    pub issuers: Vec<String>,
    /// What the URLs of accounts begin with; their ids follow.
    pub accounts: String,
}

/// What is to be seen.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The name to be proven, never a wildcard here.
    pub identifier: &'a Identifier,
    /// Whether the wildcard below that name is what is to be proven.
    pub is_wildcard: bool,
    /// The challenge's token.
    pub token: &'a str,
    /// `token.thumbprint` (section 8.1) of each key that counts.
    pub key_authorizations: &'a [String],
    /// The account's URL.
    pub account_url: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// Control was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// How long the proof counts at most, when what was seen sets itself an end.
    pub counts_for: Option<Duration>,
}

/// Control was not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the client is told.
    pub problem: Problem,
    /// Whether looking again in a few seconds may help (section 8.2).
    pub is_transient: bool,
}

impl Failure {
    fn transient(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { problem: Problem::new(kind, detail), is_transient: true }
    }

    fn permanent(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { problem: Problem::new(kind, detail), is_transient: false }
    }
}

impl Validator {
    /// Looks once, for at most `patience`.
    pub async fn validate(
        &self,
        kind: ChallengeKind,
        expectation: Expectation<'_>,
        patience: Duration,
    ) -> Result<Seen, Failure> {
        let look = async {
            match kind {
                ChallengeKind::Http01 => http01::validate(self, expectation).await.map(|()| Seen::default()),
                ChallengeKind::TlsAlpn01 => tls_alpn01::validate(self, expectation).await.map(|()| Seen::default()),
                ChallengeKind::Dns01 | ChallengeKind::DnsAccount01 | ChallengeKind::DnsPersist01 => {
                    dns::validate(self, kind, expectation).await
                }
            }
        };
        tokio::time::timeout(patience, look).await.unwrap_or_else(|_| {
            Err(Failure::transient(
                ProblemKind::Connection,
                format!("{} did not answer within {} seconds", expectation.identifier, patience.as_secs()),
            ))
        })
    }
}
