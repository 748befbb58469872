//! How long things take, in buckets.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::header;

/// Upper ends of the buckets for what a request waits for, in milliseconds.
const USUAL: [u64; 9] = [1, 5, 10, 50, 100, 500, 1000, 2500, 5000];

#[derive(Debug)]
pub(super) struct Histogram {
    /// Each with how many took no longer.
    buckets: Vec<(Duration, AtomicU64)>,
    count: AtomicU64,
    micros: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::with_ends(&USUAL)
    }
}

impl Histogram {
    /// With these upper ends of its buckets, in milliseconds.
    pub(super) fn with_ends(ends: &[u64]) -> Self {
        let buckets = ends.iter().map(|end| (Duration::from_millis(*end), AtomicU64::new(0))).collect();
        Self { buckets, count: AtomicU64::new(0), micros: AtomicU64::new(0) }
    }

    pub(super) fn observe(&self, span: Duration) {
        for (end, count) in &self.buckets {
            if span <= *end {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn render(&self, out: &mut String, name: &str, help: &str) {
        header(out, name, "histogram", help);
        for (end, count) in &self.buckets {
            let seconds = end.as_secs_f64();
            let _ = writeln!(out, "{name}_bucket{{le=\"{seconds}\"}} {}", count.load(Ordering::Relaxed));
        }
        let count = self.count.load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let sum = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        let _ = writeln!(out, "{name}_sum {sum}\n{name}_count {count}");
    }
}
