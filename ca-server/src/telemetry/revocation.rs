//! Revocations, and the denied set of this process.

use std::fmt::Write as _;
use std::sync::Mutex;

use pki_core::revocation::Reason;
use pki_core::revocation::denied::Sizes;
use tokio::time::Instant;

use super::{Family, header};

/// Metrics of revocation.
#[derive(Debug, Default)]
pub struct RevocationMetrics {
    by_reason: Family,
    denied: Mutex<Option<(u64, Sizes, usize, Instant)>>,
}

impl RevocationMetrics {
    /// Certificates were revoked for one reason.
    pub(super) fn revoked(&self, reason: Option<Reason>, many: usize) {
        let reason = Reason::name_of(reason);
        self.by_reason.add_many(&format!("reason=\"{reason}\""), u64::try_from(many).unwrap_or(u64::MAX));
    }

    /// The denied set is as of a number, without so many rows that nobody understands, and was current at that moment.
    pub(crate) fn denied(&self, number: u64, sizes: Sizes, unreadable: usize, at: Instant) {
        *self.denied.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((number, sizes, unreadable, at));
    }

    pub(super) fn render(&self, out: &mut String) {
        self.by_reason.render(out, "pilotlight_revocations_total", "Certificates revoked here, by reason.");
        let Some((number, sizes, unreadable, at)) =
            *self.denied.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        else {
            return;
        };
        header(out, "pilotlight_denied_entries", "gauge", "What this server refuses, by kind.");
        for (kind, count) in [
            ("certificate", sizes.certificates),
            ("account", sizes.accounts),
            ("device", sizes.devices),
            ("site", sizes.sites),
            ("api-key", sizes.api_keys),
            ("session", sizes.sessions),
        ] {
            let _ = writeln!(out, "pilotlight_denied_entries{{kind=\"{kind}\"}} {count}");
        }
        header(out, "pilotlight_denied_unreadable", "gauge", "Rows of denials that this server does not understand.");
        let _ = writeln!(out, "pilotlight_denied_unreadable {unreadable}");
        header(out, "pilotlight_denied_number", "gauge", "The last revocation or denial that this server knows.");
        let _ = writeln!(out, "pilotlight_denied_number {number}");
        header(out, "pilotlight_denied_lag_seconds", "gauge", "Since this server last knew all of them.");
        let _ = writeln!(out, "pilotlight_denied_lag_seconds {:.3}", at.elapsed().as_secs_f64());
    }
}
