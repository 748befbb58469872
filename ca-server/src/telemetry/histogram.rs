//! How long things take, in buckets.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::header;

/// Upper ends of the histogram's buckets, in milliseconds.
const ENDS: [u64; 9] = [1, 5, 10, 50, 100, 500, 1000, 2500, 5000];

#[derive(Debug, Default)]
pub(super) struct Histogram {
    counts: [AtomicU64; ENDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    pub(super) fn observe(&self, span: Duration) {
        for (end, count) in ENDS.iter().zip(&self.counts) {
            if span <= Duration::from_millis(*end) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn render(&self, out: &mut String, name: &str, help: &str) {
        header(out, name, "histogram", help);
        for (end, count) in ENDS.iter().zip(&self.counts) {
            let seconds = Duration::from_millis(*end).as_secs_f64();
            let _ = writeln!(out, "{name}_bucket{{le=\"{seconds}\"}} {}", count.load(Ordering::Relaxed));
        }
        let count = self.count.load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let sum = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        let _ = writeln!(out, "{name}_sum {sum}\n{name}_count {count}");
    }
}
