//! What the OCSP responder says, and how long it takes. Counted without a lock: this is the busiest path of all.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pki_core::ids::IssuerId;
use pki_core::time::Timestamp;
use pki_core::x509::ocsp::{Refusal, Status};

use super::{Histogram, header};

/// Metrics of OCSP answers.
#[derive(Debug, Default)]
pub struct OcspMetrics {
    good: AtomicU64,
    revoked: AtomicU64,
    unknown: AtomicU64,
    malformed: AtomicU64,
    internal_error: AtomicU64,
    try_later: AtomicU64,
    unauthorized: AtomicU64,
    signing: Histogram,
    /// Answers in memory.
    pub kept_answers: AtomicI64,
    /// What they take.
    pub kept_octets: AtomicI64,
    responders: Mutex<Vec<Responder>>,
}

/// The certificate for answers about one issuing key.
#[derive(Debug, Clone, Copy)]
pub struct Responder {
    /// Whose certificates are asked for.
    pub issuer: IssuerId,
    /// Whether it is the key that issues. One before it may be gone from every server, which is no outage.
    pub is_issuing: bool,
    /// Its end; none while there is none.
    pub not_after: Option<Timestamp>,
    /// When three quarters of its life are over: the next one should be there by then. None while there is none that will
    /// have a next one.
    pub replace_by: Option<Timestamp>,
}

impl OcspMetrics {
    /// Counts what was said of one certificate.
    pub fn count_status(&self, status: Status) {
        let counter = match status {
            Status::Good => &self.good,
            Status::Revoked { .. } => &self.revoked,
            Status::Unknown => &self.unknown,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer without content.
    pub fn count_refusal(&self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::MalformedRequest => &self.malformed,
            Refusal::InternalError => &self.internal_error,
            Refusal::TryLater => &self.try_later,
            Refusal::Unauthorized => &self.unauthorized,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer that was signed, by the time from the question to the signature.
    pub fn observe_signing(&self, took: Duration) {
        self.signing.observe(took);
    }

    /// Says which certificates there are for answers; what was said before is forgotten.
    pub fn tell_responders(&self, responders: Vec<Responder>) {
        *self.responders.lock().unwrap_or_else(PoisonError::into_inner) = responders;
    }

    pub(crate) fn render(&self, out: &mut String) {
        header(
            out,
            "pilotlight_ocsp_answers_total",
            "counter",
            "What OCSP answers said of certificates, and refusals.",
        );
        for (status, counter) in [
            ("good", &self.good),
            ("revoked", &self.revoked),
            ("unknown", &self.unknown),
            ("malformed_request", &self.malformed),
            ("internal_error", &self.internal_error),
            ("try_later", &self.try_later),
            ("unauthorized", &self.unauthorized),
        ] {
            let count = counter.load(Ordering::Relaxed);
            let _ = writeln!(out, "pilotlight_ocsp_answers_total{{status=\"{status}\"}} {count}");
        }
        self.signing.render(
            out,
            "pilotlight_ocsp_signing_seconds",
            "From a question to its signed answer, where none was kept.",
        );
        for (name, value, help) in [
            ("pilotlight_ocsp_kept_answers", &self.kept_answers, "Signed OCSP answers in memory."),
            ("pilotlight_ocsp_kept_bytes", &self.kept_octets, "What they take."),
        ] {
            header(out, name, "gauge", help);
            let _ = writeln!(out, "{name} {}", value.load(Ordering::Relaxed));
        }
        self.render_responders(out);
    }
    fn render_responders(&self, out: &mut String) {
        type Of = fn(&Responder) -> Option<Timestamp>;
        let gauges: [(&str, Of, &str); 2] = [
            ("not_after", |of| of.not_after, "End of the OCSP responder's certificate; 0 without one."),
            (
                "replace_by",
                |of| of.replace_by,
                "When the OCSP responder's certificate should have been replaced at the latest; 0 if it is the last one.",
            ),
        ];
        let responders = self.responders.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, value, help) in gauges {
            let name = format!("pilotlight_ocsp_responder_{name}_seconds");
            header(out, &name, "gauge", help);
            for of in &responders {
                let role = if of.is_issuing { "issuing" } else { "former" };
                let (issuer, value) = (of.issuer, value(of).map_or(0, Timestamp::unix_seconds));
                let _ = writeln!(out, "{name}{{issuer=\"{issuer}\",role=\"{role}\"}} {value}");
            }
        }
    }
}
