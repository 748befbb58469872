//! Answering what relying parties ask about certificates (RFC 6960), with a responder's key of this process.
//!
//! [`Ocsp::glance`] answers what is kept and what needs no signature; [`answer`] reads the certificate's state and signs.
//! [`credential`] is how this process comes by a certificate for its key; [`cache`] is what it remembers.

mod answer;
mod authorities;
pub mod cache;
pub mod credential;

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use pki_core::ids::{IssuerId, Serial};
use pki_core::revocation::denied::{Change, Subject};
use pki_core::time::Timestamp;
use pki_core::x509::ocsp::{Issuers, Refusal, Request, Status};

use answer::Gate;
pub use answer::{answer, refresh};
pub use authorities::{Authority, former};
use cache::{Cache, CacheBounds, Key};
use credential::Post;

use super::denied::Listener;
use crate::telemetry::Metrics;

/// How answers are made and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OcspSettings {
    /// From an answer's thisUpdate to its nextUpdate.
    pub answer_life: Duration,
    /// How long caches on the way may keep an answer: so long a revocation may stay unseen behind them.
    pub max_age: Duration,
    /// The life of the responder's own certificate.
    pub responder_life: Duration,
    /// How much is kept.
    pub cache: CacheBounds,
}

/// The responder of this process.
#[derive(Debug)]
pub struct Ocsp {
    pub(super) settings: OcspSettings,
    issuers: Issuers<u16>,
    pub(super) posts: Vec<Post>,
    cache: Cache,
    gate: Gate,
    metrics: Arc<Metrics>,
}

/// A signed answer that others may keep.
#[derive(Debug)]
pub struct Kept {
    /// The whole answer.
    pub der: Bytes,
    /// When it was made.
    pub produced_at: Timestamp,
    /// When there will be a newer one at the latest.
    pub next_update: Timestamp,
    /// SHA-256 of the answer.
    pub sha256: [u8; 32],
    /// How it is described to caches on the way, by whoever shows it first.
    pub described: OnceLock<[Bytes; 3]>,
    status: Status,
    /// The CertID it is about.
    id: Bytes,
}

impl Kept {
    /// Whether it says that the certificate is not revoked.
    pub fn is_good(&self) -> bool {
        self.status == Status::Good
    }
}

/// What came of a signature.
#[derive(Debug, Clone)]
pub enum Made {
    /// An answer that may be kept.
    Kept(Arc<Kept>),
    /// An answer for whoever asked: it is about nothing that exists, or carries a nonce, or is about several.
    Once {
        /// The whole answer.
        der: Bytes,
        /// What it says of each certificate.
        said: Arc<[Status]>,
    },
    /// None.
    Refused(Refusal),
}

impl Ocsp {
    /// Answers for these issuing keys; the first is the one that issues.
    pub fn new(authorities: Vec<Authority>, settings: OcspSettings, metrics: Arc<Metrics>) -> Self {
        let numbered = (0_u16..).zip(&authorities).map(|(number, authority)| (number, &authority.ca.certificate));
        Self {
            settings,
            issuers: Issuers::new(numbered),
            posts: authorities.into_iter().map(Post::new).collect(),
            cache: Cache::new(settings.cache),
            gate: Gate::default(),
            metrics,
        }
    }

    /// Answers at once what is kept, and what cannot be answered whoever signs; none when a signature is needed. What is
    /// asked for all day comes through here: nothing is allocated, and nothing waited for but the lock of a part of the cache.
    pub fn glance(&self, request: &[u8], now: Timestamp) -> Option<Made> {
        let request = match Request::parse(request) {
            Ok(request) => request,
            Err(_) => return Some(self.refuse(Refusal::MalformedRequest)),
        };
        let Some(issuer) = self.issuer_of(&request) else { return Some(self.refuse(Refusal::Unauthorized)) };
        let id = request.single().filter(|_| request.nonce().is_none())?;
        let kept = self.cache.get(&Key::new(issuer, id)?).filter(|kept| self.is_fresh(kept, now))?;
        let made = Made::Kept(kept);
        self.count(&made);
        Some(made)
    }

    /// Whether there is a certificate to answer with for the key that issues.
    pub fn can_sign(&self, now: Timestamp) -> bool {
        self.posts.first().is_some_and(|post| post.credential(now).is_some())
    }

    /// An issuing key that is answered for.
    pub fn authority(&self, issuer: IssuerId) -> Option<&Authority> {
        self.posts.iter().map(|post| &post.authority).find(|authority| authority.ca.id == issuer)
    }

    /// Forgets what was answered about a certificate.
    fn forget_one(&self, issuer: IssuerId, serial: &Serial) {
        for (number, _) in (0_u16..).zip(&self.posts).filter(|(_, post)| post.ca().id == issuer) {
            self.cache.forget(number, serial.octets());
        }
    }

    /// Tells monitoring how much is kept.
    pub fn tell(&self) {
        let metrics = &self.metrics.ocsp;
        metrics.kept_answers.store(self.cache.count.load(Ordering::Relaxed), Ordering::Relaxed);
        metrics.kept_octets.store(self.cache.size.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// What [`Ocsp::max_age`] is for an answer that is asked for.
    pub fn usual_max_age(&self) -> Duration {
        self.settings.max_age
    }

    /// How long caches on the way may keep an answer: always less than it is valid for (OCS-10).
    pub fn max_age(&self, kept: &Kept, now: Timestamp) -> Duration {
        self.settings.max_age.min(kept.next_update.since(now + Duration::from_secs(1)))
    }

    /// Refuses, and counts whoever is refused.
    pub fn refuse(&self, refusal: Refusal) -> Made {
        let made = Made::Refused(refusal);
        self.count(&made);
        made
    }

    /// Counts what somebody who asked is told; many may be told by one signature, and nobody by one that is made ahead.
    fn count(&self, made: &Made) {
        let metrics = &self.metrics.ocsp;
        match made {
            Made::Kept(kept) => metrics.count_status(kept.status),
            Made::Once { said, .. } => said.iter().for_each(|status| metrics.count_status(*status)),
            Made::Refused(refusal) => metrics.count_refusal(*refusal),
        }
    }

    /// The one issuer that everything is about (OCS-6): a request about several is refused as a whole.
    fn issuer_of(&self, request: &Request<'_>) -> Option<u16> {
        let mut all = request.entries().map(|id| self.issuers.find(id));
        let first = all.next()??;
        all.all(|issuer| issuer == Some(first)).then_some(*first)
    }

    /// Whether caches on the way may still keep it for as long as they are told.
    fn is_fresh(&self, kept: &Kept, now: Timestamp) -> bool {
        kept.produced_at <= now && now + self.settings.max_age < kept.next_update
    }
}

/// What was answered about a certificate is forgotten when its state changes, here or at another server.
impl Listener for Ocsp {
    fn heard(&self, changes: &[Change]) {
        for change in changes {
            if let Subject::Certificate(issuer, serial) = &change.subject {
                self.forget_one(*issuer, serial);
            }
        }
    }

    fn forget(&self) {
        self.cache.forget_all();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::flows::ocsp) fn kept(length: usize) -> Arc<Kept> {
        let at = Timestamp::from_unix_seconds(1_000_000);
        Arc::new(Kept {
            der: Bytes::from(vec![0; length]),
            produced_at: at,
            next_update: at + Duration::from_secs(1000),
            sha256: [0; 32],
            described: OnceLock::new(),
            status: Status::Good,
            id: Bytes::new(),
        })
    }
}
