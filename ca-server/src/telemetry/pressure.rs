//! Who is kept waiting or sent away, and what is forgotten.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::{Family, Histogram, header};

/// Metrics of limits, admission and pruning.
#[derive(Debug, Default)]
pub struct Pressure {
    limits: Family,
    admitted: Family,
    refused: Family,
    pruned: Family,
    waits: Histogram,
    /// Requests that wait for a place.
    pub waiting: AtomicI64,
    /// Requests under way.
    pub under_way: AtomicI64,
    /// Subjects that rate limits remember.
    pub remembered: AtomicI64,
}

impl Pressure {
    /// Counts an answer `rateLimited` by its limit.
    pub fn count_limit(&self, name: &str) {
        self.limits.add(&format!("limit=\"{name}\""));
    }

    /// Counts a request that got a place, by its rank.
    pub fn count_admission(&self, rank: &str) {
        self.admitted.add(&format!("rank=\"{rank}\""));
    }

    /// Counts an answer 503 by its reason.
    pub fn count_refusal(&self, reason: &str) {
        self.refused.add(&format!("reason=\"{reason}\""));
    }

    /// Counts rows that were deleted or ended by the clock.
    pub fn count_pruned(&self, what: &str, count: u64) {
        self.pruned.add_many(&format!("what=\"{what}\""), count);
    }

    /// Counts a wait for a place.
    pub fn observe_wait(&self, wait: Duration) {
        self.waits.observe(wait);
    }

    pub(super) fn render(&self, out: &mut String) {
        self.limits.render(out, "pilotlight_rate_limited_total", "Requests refused by a rate limit.");
        self.admitted.render(out, "pilotlight_admitted_total", "Signed requests that got a place, by rank.");
        self.refused.render(
            out,
            "pilotlight_overload_refused_total",
            "Requests refused because of overload, by reason.",
        );
        self.pruned.render(out, "pilotlight_pruned_total", "Rows deleted or ended by the clock.");
        let gauges = [
            ("pilotlight_requests_waiting", &self.waiting, "Signed requests that wait for a place."),
            ("pilotlight_requests_under_way", &self.under_way, "Signed requests under way."),
            (
                "pilotlight_rate_limit_subjects",
                &self.remembered,
                "Accounts, devices and networks that limits remember.",
            ),
        ];
        for (name, value, help) in gauges {
            header(out, name, "gauge", help);
            let _ = writeln!(out, "{name} {}", value.load(Ordering::Relaxed));
        }
        self.waits.render(out, "pilotlight_admission_wait_seconds", "Waits of signed requests for a place.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_counted_cumulatively() {
        let pressure = Pressure::default();
        pressure.observe_wait(Duration::from_micros(10));
        pressure.observe_wait(Duration::from_millis(70));
        pressure.observe_wait(Duration::from_secs(9));
        pressure.count_limit("requests_total");
        pressure.count_pruned("order", 3);
        let mut out = String::new();
        pressure.render(&mut out);
        for line in [
            "pilotlight_admission_wait_seconds_bucket{le=\"0.001\"} 1",
            "pilotlight_admission_wait_seconds_bucket{le=\"0.1\"} 2",
            "pilotlight_admission_wait_seconds_bucket{le=\"+Inf\"} 3",
            "pilotlight_admission_wait_seconds_count 3",
            "pilotlight_rate_limited_total{limit=\"requests_total\"} 1",
            "pilotlight_pruned_total{what=\"order\"} 3",
        ] {
            assert!(out.contains(line), "{line}: {out}");
        }
    }
}
