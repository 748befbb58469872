//! Which policy is in force, and whether the one in files could be.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use pki_core::time::Timestamp;

use super::{Family, header};

/// Metrics of the policy.
#[derive(Debug, Default)]
pub struct PolicyMetrics {
    /// Revision and commit.
    named: Mutex<(String, String)>,
    since: AtomicI64,
    good_at: AtomicI64,
    is_broken: AtomicBool,
    looks: Family,
}

/// What a look at the files came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Another policy was put in force.
    Loaded,
    /// They say what is in force.
    Unchanged,
    /// They hold no policy.
    Failed,
}

impl PolicyMetrics {
    /// Another policy is in force.
    pub fn in_force(&self, revision: &str, commit: &str, since: Timestamp) {
        let mut named = self.named.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *named = (revision.to_owned(), commit.to_owned());
        self.since.store(since.unix_seconds(), Ordering::Relaxed);
    }

    /// The files were looked at.
    pub fn looked(&self, outcome: Outcome, at: Timestamp) {
        let word = match outcome {
            Outcome::Loaded => "loaded",
            Outcome::Unchanged => "unchanged",
            Outcome::Failed => "failed",
        };
        self.looks.add(&format!("outcome=\"{word}\""));
        self.is_broken.store(outcome == Outcome::Failed, Ordering::Relaxed);
        if outcome != Outcome::Failed {
            self.good_at.store(at.unix_seconds(), Ordering::Relaxed);
        }
    }

    pub(super) fn render(&self, out: &mut String) {
        // neither has a character that a label would have to escape
        let (revision, commit) = self.named.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        header(out, "pilotlight_policy_info", "gauge", "The policy in force: the hash of its content, and its commit.");
        let _ = writeln!(out, "pilotlight_policy_info{{revision=\"{revision}\",commit=\"{commit}\"}} 1");
        let is_broken = i64::from(self.is_broken.load(Ordering::Relaxed));
        let gauges = [
            ("pilotlight_policy_since_seconds", self.since.load(Ordering::Relaxed), "Since when it is in force."),
            (
                "pilotlight_policy_last_success_seconds",
                self.good_at.load(Ordering::Relaxed),
                "When its files were last read without a fault.",
            ),
            (
                "pilotlight_policy_reload_failed",
                is_broken,
                "1 while the files hold no policy and an older one decides.",
            ),
        ];
        for (name, value, help) in gauges {
            header(out, name, "gauge", help);
            let _ = writeln!(out, "{name} {value}");
        }
        self.looks.render(out, "pilotlight_policy_looks_total", "Looks at the policy's files by outcome.");
    }
}
