//! Outbound proof of control (RFC 8555 section 8): what the CA looks at to believe that a client holds a name.
//!
//! Knows nothing of orders or the database: a job hands in what is to be seen and stores what was.

mod guard;
mod http01;
mod resolver;
mod target;
mod unverified;

pub use guard::{Forbidden, Guard};
pub use resolver::Resolver;

use std::time::Duration;

use pki_core::acme::challenge::ChallengeKind;
use pki_core::acme::problem::{Problem, ProblemKind};
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
}

/// What is to be seen.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The name to be proven, never a wildcard here.
    pub identifier: &'a Identifier,
    /// The challenge's token.
    pub token: &'a str,
    /// `token.thumbprint` (section 8.1).
    pub key_authorization: &'a str,
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
    /// Looks once.
    pub async fn validate(&self, kind: ChallengeKind, expectation: Expectation<'_>) -> Result<(), Failure> {
        let look = async {
            match kind {
                ChallengeKind::Http01 => http01::validate(self, expectation).await,
                ChallengeKind::Dns01 | ChallengeKind::TlsAlpn01 => Err(Failure::permanent(
                    ProblemKind::Malformed,
                    format!("this CA does not validate {}; use http-01", kind.as_str()),
                )),
            }
        };
        tokio::time::timeout(self.timeout, look).await.unwrap_or_else(|_| {
            Err(Failure::transient(
                ProblemKind::Connection,
                format!("{} did not answer within {} seconds", expectation.identifier, self.timeout.as_secs()),
            ))
        })
    }
}
