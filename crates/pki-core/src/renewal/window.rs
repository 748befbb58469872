//! When the CA suggests to renew (RFC 9773 section 4.2): a window for each certificate, computed and not drawn, so that
//! asking again does not throw the dice again.

use std::time::Duration;

use crate::issuance::record::{CertificateRecord, CertificateState};
use crate::renewal::{number, part, seed, share};
use crate::time::Timestamp;

/// Certificates that live shorter count as short-lived: their window begins at half of their life.
const SHORT_LIFE: Duration = Duration::from_secs(10 * 86_400);
/// A window is this share of life wide, in thousandths, and begins within the same share after the band's begin.
const WIDTH_PERMILLE: u64 = 80;
/// The longest time until a client is to ask again.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// How wide a window in the past is.
const PAST: Duration = Duration::from_secs(3600);

/// The suggested time to renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first second.
    pub start: Timestamp,
    /// Its end, always later.
    pub end: Timestamp,
}

/// That all certificates of an issuer made until then are to be replaced: before the issuer is rotated or retired, or
/// after something went wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// Certificates made before this are meant; their windows begin from here on.
    pub from: Timestamp,
    /// All of their windows have begun by then.
    pub until: Timestamp,
}

/// The window of one certificate (ARI-3): in the last third of life, in the second half of a short one, or between the
/// shares of life (in thousandths) that its profile says; in the past when it was revoked; earlier when its issuer's
/// certificates are to be replaced.
pub fn suggest(record: &CertificateRecord, of_profile: Option<(u16, u16)>, replacement: Option<Replacement>) -> Window {
    if let CertificateState::Revoked { revocation, .. } = &record.state {
        return Window { start: revocation.at - PAST, end: revocation.at };
    }
    let regular = of_profile.map_or_else(|| regular(record), |shares| between(record, shares));
    let meant = replacement.filter(|replacement| record.created_at < replacement.from);
    meant.map_or(regular, |replacement| earlier(regular, forced(record, replacement)))
}

fn regular(record: &CertificateRecord) -> Window {
    let life = record.not_after.since(record.not_before);
    let band = if life < SHORT_LIFE { life / 2 } else { share(life, 667) };
    let width = share(life, WIDTH_PERMILLE);
    whole(record.not_before + band + part(width, place(record)), width)
}

/// Half as wide as what the profile says, and begun within its first half: all of them lie in it, and not all begin at
/// once.
fn between(record: &CertificateRecord, (from, to): (u16, u16)) -> Window {
    let life = record.not_after.since(record.not_before);
    let half = share(life, u64::from(to.saturating_sub(from))) / 2;
    whole(record.not_before + share(life, u64::from(from)) + part(half, place(record)), half)
}

fn forced(record: &CertificateRecord, replacement: Replacement) -> Window {
    let span = replacement.until.since(replacement.from);
    whole(replacement.from + part(span, place(record)), span / 10)
}

fn earlier(one: Window, other: Window) -> Window {
    if other.start < one.start { other } else { one }
}

/// In whole seconds, and never empty.
fn whole(start: Timestamp, width: Duration) -> Window {
    let start = start.whole_seconds();
    Window { start, end: (start + width.max(Duration::from_secs(1))).whole_seconds() }
}

/// How long the answer holds (ARI-2): six hours at most, a tenth of what is left of the certificate's life at most, and
/// shorter by up to a quarter, so that not all ask at once.
pub fn ask_again_after(record: &CertificateRecord, now: Timestamp) -> Duration {
    let left = record.not_after.since(now);
    let most = if left.is_zero() { LONGEST_WAIT } else { LONGEST_WAIT.min(left / 10) };
    let wait = most - part(most / 4, place(record));
    Duration::from_secs(wait.as_secs()).max(SHORTEST_WAIT)
}

/// A certificate's place among all others.
fn place(record: &CertificateRecord) -> u64 {
    number(seed(&record.serial.to_string(), 0))
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
