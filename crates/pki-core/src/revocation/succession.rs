//! Revocation lists of one scope that follow each other: their numbers and dates, when one is due by time, and which
//! entries may leave (RFC 5280 sections 3.3 and 5.2.3; protocols CRL-2, CRL-6, CRL-9, CRL-12).

use std::time::Duration;

use crate::time::Timestamp;

/// How far ahead of this clock a date may be before it is taken for that of a clock that was wrong: those of replicas
/// differ a little.
pub const AHEAD: Duration = Duration::from_secs(60);

/// A list that was made because it was time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduled {
    /// Its number; 0 when there was none.
    pub number: u64,
    /// The time at which it was made. Its thisUpdate may be later, when a list before it is dated later.
    pub at: Timestamp,
    /// The number of the last revocation that was looked at for it.
    pub covers: u64,
}

/// Where a list stands among those of its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number, which only rises (RFC 5280 section 5.2.3).
    pub number: u64,
    /// Its thisUpdate, which never goes back.
    pub this_update: Timestamp,
    /// The last list that was made because it was time; it may be this one.
    pub scheduled: Scheduled,
}

/// What is known of a certificate on a list when the next one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The number of the last change of its revocation.
    pub number: u64,
    /// Its last second.
    pub not_after: Timestamp,
    /// Whether it was released from hold.
    pub is_released: bool,
}

impl Scheduled {
    /// Whether the next one is due that comes every `period`. Also when this one was made by a clock that was ahead: the
    /// right time would reach it only after days.
    pub fn is_over(&self, period: Duration, now: Timestamp) -> bool {
        now >= self.at + period || self.at > now + AHEAD
    }

    /// Whether an entry has stood on this list after the end of its certificate, and may leave (CRL-6). A list that was made
    /// by a clock that was ahead lets nothing go that has not ended by now.
    pub fn releases(&self, known: &Known, now: Timestamp) -> bool {
        known.not_after < self.at.min(now) && known.number <= self.covers
    }

    /// Whether an entry may be missing on a list of revocations up to `covers` (CRL-12): it is released from hold, or past its
    /// end and past this list after that. What changed later, while the list was made, is for the next one.
    pub fn may_miss(&self, known: &Known, covers: u64, now: Timestamp) -> bool {
        known.number > covers || known.is_released || self.releases(known, now)
    }
}

impl Place {
    /// The place of the list that is made `now` and takes the place of `last`. It is dated no earlier, whatever the clock
    /// says; its number is at least the time in seconds, so that it rises after the loss of everything, and beyond
    /// `floor`, the highest that was ever published. The first of a scope counts as scheduled too.
    pub fn after(last: Option<&Self>, floor: u64, covers: u64, is_scheduled: bool, now: Timestamp) -> Self {
        let seconds = u64::try_from(now.unix_seconds()).unwrap_or(0);
        let before = last.map_or(0, |last| last.number).max(floor);
        let number = seconds.max(before.saturating_add(1));
        let this_update = last.map_or(now, |last| last.this_update.max(now));
        let own = Scheduled { number, at: now, covers };
        let scheduled = last.filter(|_| !is_scheduled).map_or(own, |last| last.scheduled);
        Self { number, this_update, scheduled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn day(day: i64) -> Timestamp {
        Timestamp::from_unix_seconds((1000 + day) * 86_400)
    }

    /// Of a certificate that ends at `not_after`, revoked under `number`.
    fn known(not_after: Timestamp, number: u64) -> Known {
        Known { number, not_after, is_released: false }
    }

    #[test]
    fn crl_2_numbers_are_the_time_or_beyond_what_there_was() {
        let first = Place::after(None, 0, 5, false, day(0));
        assert_eq!((first.number, first.scheduled.number), (86_400_000, 86_400_000));
        let next = Place::after(Some(&first), 0, 6, false, day(0));
        assert_eq!((next.number, next.scheduled), (86_400_001, first.scheduled));
        let restored = Place::after(Some(&first), 99_000_000, 6, true, day(1));
        assert_eq!(
            (restored.number, restored.scheduled),
            (99_000_001, Scheduled { number: 99_000_001, at: day(1), covers: 6 })
        );
        assert_eq!(
            Place::after(Some(&restored), 0, 6, true, day(-1)).this_update,
            day(1),
            "never dated before the last"
        );
    }

    #[test]
    fn crl_6_an_entry_leaves_after_a_scheduled_list_past_the_end() {
        let list = Scheduled { number: 1, at: day(10), covers: 7 };
        assert!(list.releases(&known(day(9), 7), day(11)));
        assert!(!list.releases(&known(day(10), 7), day(11)), "it ended with that list");
        assert!(!list.releases(&known(day(9), 8), day(11)), "it was not on that list");
    }

    /// Fails when a list may lose what is in force, or is refused for what it rightly does not have.
    #[test]
    fn crl_12_an_entry_may_miss_that_was_released_has_ended_or_changed_meanwhile() {
        let list = Scheduled { number: 1, at: day(10), covers: 7 };
        let valid = known(day(20), 7);
        assert!(!list.may_miss(&valid, 7, day(11)));
        assert!(list.may_miss(&Known { is_released: true, ..valid }, 7, day(11)));
        assert!(list.may_miss(&known(day(9), 7), 7, day(11)));
        assert!(list.may_miss(&known(day(20), 8), 7, day(11)), "it changed while the list was made");
        assert!(!list.may_miss(&known(day(20), 8), 8, day(11)));
    }

    /// Fails when revoked certificates that are still valid leave because a list was once made by a clock that was ahead.
    #[test]
    fn crl_6_a_clock_that_was_ahead_lets_nothing_go() {
        let ahead = Place::after(None, 0, 7, true, day(40));
        assert!(!ahead.scheduled.releases(&known(day(30), 7), day(0)));
        assert!(ahead.scheduled.is_over(DAY, day(0)), "and the next is due at once");
        let right = Place::after(Some(&ahead), 0, 7, true, day(0));
        assert_eq!((right.this_update, right.scheduled.at), (day(40), day(0)));
        assert!(!right.scheduled.is_over(DAY, day(0)) && right.scheduled.is_over(DAY, day(1)), "daily as ever");
        assert!(!right.scheduled.releases(&known(day(30), 7), day(1)));
        assert!(right.scheduled.releases(&known(day(-1), 7), day(1)));
    }

    #[test]
    fn crl_9_replicas_whose_clocks_differ_a_little_do_not_hurry_each_other() {
        let list = Scheduled { number: 1, at: day(0) + AHEAD, covers: 7 };
        assert!(!list.is_over(DAY, day(0)));
        assert!(list.is_over(DAY, day(0) - Duration::from_secs(1)));
    }
}
