//! What operators watch: logs and metrics.

pub mod crl;
mod histogram;
pub mod ocsp;
pub mod policy;
mod pressure;
mod revocation;

use histogram::Histogram;
pub use ocsp::Responder;
pub use pressure::Pressure;
pub use revocation::RevocationMetrics;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use pki_core::revocation::Reason;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use tracing_subscriber::fmt;

/// Starts logging to standard error. A second call changes nothing.
pub fn start_logging(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    // A log on a full disk loses lines; complaining about that on the same standard error would panic.
    let builder =
        fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).log_internal_errors(false);
    // An error only says that a subscriber is there already (several servers in one test process).
    let _ = match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Counters with labels, and gauges, in the text format of Prometheus.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Family,
    problems: Family,
    /// Certificates released.
    pub certificates_issued: AtomicU64,
    certificates_revoked: AtomicU64,
    /// Tokens used a second time with another key.
    pub enrolment_conflicts: AtomicU64,
    validations: Family,
    /// Revocation lists.
    pub crl: crl::CrlMetrics,
    /// The policy in force.
    pub policy: policy::PolicyMetrics,
    /// OCSP answers.
    pub ocsp: ocsp::OcspMetrics,
    /// Revocations, and who is denied since.
    pub revocation: RevocationMetrics,
    /// Limits, admission and pruning.
    pub pressure: Pressure,
    /// End of the CA's own TLS certificate, Unix seconds.
    pub tls_not_after: AtomicI64,
    /// End of the root's CRL, Unix seconds; 0 when there is none.
    pub root_crl_next_update: AtomicI64,
    /// End of the issuing certificate, Unix seconds.
    pub issuer_not_after: AtomicI64,
}

#[derive(Debug, Default)]
struct Family(Mutex<BTreeMap<String, u64>>);

impl Family {
    fn add(&self, labels: &str) {
        self.add_many(labels, 1);
    }

    fn add_many(&self, labels: &str, more: u64) {
        let mut counters = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match counters.get_mut(labels) {
            Some(count) => *count += more,
            None => {
                counters.insert(labels.to_owned(), more);
            }
        }
    }

    fn render(&self, out: &mut String, name: &str, help: &str) {
        header(out, name, "counter", help);
        for (labels, count) in self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            let _ = writeln!(out, "{name}{{{labels}}} {count}");
        }
    }
}

fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

impl Metrics {
    /// Counts an answered request by its route pattern and status.
    pub fn count_request(&self, route: &str, status: u16) {
        self.requests.add(&format!("route=\"{route}\",status=\"{status}\""));
    }

    /// Counts a problem document by its type.
    pub fn count_problem(&self, kind: &str) {
        self.problems.add(&format!("type=\"{kind}\""));
    }

    /// Counts a validation by its outcome.
    pub fn count_validation(&self, outcome: &str) {
        self.validations.add(&format!("outcome=\"{outcome}\""));
    }

    /// Counts certificates that were revoked here for one reason.
    pub fn revoked(&self, reason: Option<Reason>, many: usize) {
        self.certificates_revoked.fetch_add(u64::try_from(many).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.revocation.revoked(reason, many);
    }

    /// The text format of Prometheus.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(4096);
        self.requests.render(&mut out, "pilotlight_requests_total", "Answered requests by route and status.");
        self.problems.render(&mut out, "pilotlight_problems_total", "Problem documents by type.");
        self.validations.render(&mut out, "pilotlight_validations_total", "Challenge validations by outcome.");
        let counters = [
            ("pilotlight_certificates_issued_total", &self.certificates_issued, "Certificates released."),
            ("pilotlight_certificates_revoked_total", &self.certificates_revoked, "Certificates revoked."),
            ("pilotlight_enrolment_conflicts_total", &self.enrolment_conflicts, "Tokens used again with another key."),
        ];
        for (name, value, help) in counters {
            header(&mut out, name, "counter", help);
            let _ = writeln!(out, "{name} {}", value.load(Ordering::Relaxed));
        }
        let gauges = [
            ("pilotlight_tls_not_after_seconds", &self.tls_not_after, "End of the CA's own TLS certificate."),
            ("pilotlight_issuer_not_after_seconds", &self.issuer_not_after, "End of the issuing certificate."),
            ("pilotlight_root_crl_next_update_seconds", &self.root_crl_next_update, "End of the root's CRL."),
        ];
        for (name, value, help) in gauges {
            header(&mut out, name, "gauge", help);
            let _ = writeln!(out, "{name} {}", value.load(Ordering::Relaxed));
        }
        self.crl.render(&mut out);
        self.policy.render(&mut out);
        self.ocsp.render(&mut out);
        self.revocation.render(&mut out);
        self.pressure.render(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_read_like_prometheus_wants_them() {
        let metrics = Metrics::default();
        metrics.count_request("/acme/new-order", 201);
        metrics.count_request("/acme/new-order", 201);
        let text = metrics.render();
        assert!(text.contains("pilotlight_requests_total{route=\"/acme/new-order\",status=\"201\"} 2\n"), "{text}");
        assert!(
            text.contains(
                "# TYPE pilotlight_certificates_issued_total counter\npilotlight_certificates_issued_total 0\n"
            )
        );
    }
}
