//! Points in time, and the only place that reads the clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC: the unit of every stored time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From Unix milliseconds.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From Unix seconds.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Unix milliseconds.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Unix seconds, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The same point without its fraction of a second: certificates know whole seconds only.
    pub const fn whole_seconds(self) -> Self {
        Self::from_unix_seconds(self.unix_seconds())
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC without fraction (`2026-01-02T03:04:05Z`), the form of ACME bodies.
    pub fn rfc3339(self) -> String {
        self.written().unwrap_or_else(|| format!("@{}", self.unix_seconds()))
    }

    /// None outside of the years 0 to 9999, which RFC 3339 has no words for.
    fn written(self) -> Option<String> {
        OffsetDateTime::from_unix_timestamp(self.unix_seconds()).ok()?.format(&Rfc3339).ok()
    }

    /// Reads RFC 3339 with any offset; fractions beyond milliseconds are cut. A time whose offset carries it out of the
    /// years that RFC 3339 can write is none.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let millis = at.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(millis).ok().map(Self).filter(|at| at.written().is_some())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Where programs get the time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one door to the system's clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that tests set.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.unix_millis()))
    }

    /// Moves the clock.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.unix_millis(), Ordering::SeqCst);
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        self.set(self.now() + span);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_has_no_fraction_and_reads_back() {
        let at = Timestamp::from_unix_millis(1_767_225_600_999);
        assert_eq!(at.rfc3339(), "2026-01-01T00:00:00Z");
        assert_eq!(Timestamp::parse_rfc3339("2026-01-01T01:00:00+01:00"), Some(at.whole_seconds()));
        assert_eq!(Timestamp::parse_rfc3339("1969-12-31T23:59:59.9999Z"), Some(Timestamp(-1)), "cut, not rounded up");
        for beyond in ["9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59"] {
            assert_eq!(Timestamp::parse_rfc3339(beyond), None, "{beyond}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_unix_millis(i64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Timestamp::from_unix_millis(5).since(Timestamp::from_unix_millis(9)), Duration::ZERO);
    }
}
