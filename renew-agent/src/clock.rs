//! A clock that never runs behind what verified certificates prove.
//!
//! A node without a battery-backed clock starts somewhere in the past; a certificate that chains to the pinned root
//! proves that its notBefore has passed (agents.md 5.2). Nothing here sets the system's clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use api::agent::ClockClass;
use pki_core::time::{Clock, Timestamp};

/// The system's clock, or the floor when that is later.
#[derive(Debug)]
pub struct FlooredClock {
    inner: Arc<dyn Clock>,
    floor: AtomicI64,
}

impl FlooredClock {
    /// A clock without a floor yet.
    pub fn new(inner: Arc<dyn Clock>) -> Self {
        Self { inner, floor: AtomicI64::new(i64::MIN) }
    }

    /// Takes note that `begun` has passed: the notBefore of something that verified.
    pub fn raise(&self, begun: Timestamp) {
        self.floor.fetch_max(begun.unix_millis(), Ordering::SeqCst);
    }

    /// The floor, when the system's clock runs behind it.
    pub fn ahead_of_system(&self) -> Option<Timestamp> {
        let floor = Timestamp::from_unix_millis(self.floor.load(Ordering::SeqCst));
        (floor > self.inner.now()).then_some(floor)
    }

    /// How far the time can be believed.
    pub fn class(&self) -> ClockClass {
        if self.ahead_of_system().is_some() {
            return ClockClass::Unknown;
        }
        // systemd-timesyncd and chrony's helper leave this mark once the clock was set.
        if Path::new("/run/systemd/timesync/synchronized").exists() {
            return ClockClass::Synchronised;
        }
        if Path::new("/dev/rtc0").exists() { ClockClass::Hardware } else { ClockClass::Unknown }
    }
}

impl Clock for FlooredClock {
    fn now(&self) -> Timestamp {
        self.ahead_of_system().unwrap_or_else(|| self.inner.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DAY, NOW};
    use pki_core::time::TestClock;

    #[test]
    fn a_clock_in_the_past_is_lifted_and_a_right_one_is_left_alone() {
        let system = Arc::new(TestClock::at(Timestamp::from_unix_seconds(0)));
        let clock = FlooredClock::new(system.clone());
        clock.raise(NOW);
        clock.raise(NOW - DAY);
        assert_eq!((clock.now(), clock.class()), (NOW, ClockClass::Unknown));
        system.set(NOW + DAY);
        assert_eq!((clock.now(), clock.ahead_of_system()), (NOW + DAY, None));
    }
}
