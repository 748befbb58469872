//! When to renew: a certificate's own times, its place in the band, how urgent it is, and how long to wait after a
//! failure. What is renewed, how and by whom is the agent's work.
//!
//! The place in the band is computed, not drawn: it is the same after a restart, so a fleet that lost power together
//! does not come back together.

pub mod window;

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::time::Timestamp;

/// Renewals spread over this share of life, in thousandths, after the point where they may begin.
const BAND_PERMILLE: u64 = 150;
/// With less than this share of life left, in thousandths, nothing else counts any more.
const EMERGENCY_PERMILLE: u64 = 100;

const FIRST_RETRY: Duration = Duration::from_secs(30);
const LONGEST_RETRY: Duration = Duration::from_secs(6 * 3600);
const SHORTEST_RETRY: Duration = Duration::from_secs(1);

/// What to do about a certificate now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet.
    Wait {
        /// Until then.
        until: Timestamp,
    },
    /// Renew; there is time for several attempts.
    Renew {
        /// When it became due.
        since: Timestamp,
    },
    /// Renew and disregard everything that would delay it: little or nothing of its life is left.
    Emergency,
}

/// The seed of one certificate's place in the band: the name of its holder and which certificate of the succession
/// it is, so that nobody is the first or the last every time.
pub fn seed(holder: &str, generation: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"pilotlight renewal\n");
    hash.update(generation.to_be_bytes());
    hash.update(holder.as_bytes());
    hash.finalize().into()
}

/// Decides by the certificate's own times. `renew_at_permille` is the share of life, in thousandths, at which the
/// band begins that `jitter_seed` chooses a place in. Wrong times lead to renewal, never to waiting for ever.
pub fn decide(
    not_before: Timestamp,
    not_after: Timestamp,
    renew_at_permille: u16,
    jitter_seed: [u8; 32],
    now: Timestamp,
) -> Decision {
    let life = not_after.since(not_before);
    if now >= emergency_at(not_before, life) {
        return Decision::Emergency;
    }
    let due = due_at(not_before, life, renew_at_permille, jitter_seed);
    if now >= due { Decision::Renew { since: due } } else { Decision::Wait { until: due } }
}

/// Where in its life a certificate comes due: in the band, and never later than its emergency begins.
fn due_at(not_before: Timestamp, life: Duration, renew_at_permille: u16, jitter_seed: [u8; 32]) -> Timestamp {
    let begin = share(life, u64::from(renew_at_permille));
    let place = part(share(life, BAND_PERMILLE), number(jitter_seed));
    (not_before + begin + place).min(emergency_at(not_before, life))
}

fn emergency_at(not_before: Timestamp, life: Duration) -> Timestamp {
    not_before + share(life, 1000 - EMERGENCY_PERMILLE)
}

/// How long to wait before attempt number `attempt` + 1, when `attempt` (from 0) has failed: from 30 seconds doubling
/// to 6 hours, spread over the upper half, and never more than a twentieth of what is left of the certificate's
/// life, so that many attempts remain whatever its length. Once it has ended the pace depends on how long it lived:
/// a second for one of a minute, some six minutes for one of 90 days.
pub fn backoff(attempt: u32, life: Duration, remaining: Duration, seed: [u8; 32]) -> Duration {
    let most = (remaining / 20).max(life / 20_000).clamp(SHORTEST_RETRY, LONGEST_RETRY);
    let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(attempt.min(16)));
    let wait = doubled.min(most);
    let mut hash = Sha256::new();
    hash.update(seed);
    hash.update(attempt.to_be_bytes());
    let spread = part(wait / 2, number(hash.finalize().into()));
    (wait / 2 + spread).max(SHORTEST_RETRY)
}

/// How long everything goes on by itself, were the CA gone from `now` on: until the first of these ends.
pub fn autonomy(ends: impl IntoIterator<Item = Timestamp>, now: Timestamp) -> Option<Duration> {
    ends.into_iter().min().map(|first| first.since(now))
}

/// [`autonomy`] in whole days; zero when nothing is held.
pub fn days_of_autonomy(ends: impl IntoIterator<Item = Timestamp>, now: Timestamp) -> u32 {
    let days = autonomy(ends, now).unwrap_or_default().as_secs() / 86_400;
    u32::try_from(days).unwrap_or(u32::MAX)
}

/// Thousandths of a span.
fn share(span: Duration, permille: u64) -> Duration {
    let millis = span.as_millis().saturating_mul(u128::from(permille)) / 1000;
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// `number` / 2^64 of a span.
fn part(span: Duration, number: u64) -> Duration {
    let millis = (span.as_millis().saturating_mul(u128::from(number))) >> 64;
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

fn number(seed: [u8; 32]) -> u64 {
    seed.iter().take(8).fold(0, |number, octet| number << 8 | u64::from(*octet))
}

#[cfg(test)]
#[path = "renewal_tests.rs"]
mod tests;
