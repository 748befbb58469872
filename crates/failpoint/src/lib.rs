//! Points where a test may end the process, as a power cut would, or have something good refused.
//!
//! `failpoint::failpoint!("issue.recorded")` is nothing unless the feature `enabled` is on. With it, the environment
//! variable `PILOTLIGHT_FAILPOINT` names a point, and optionally which passage of it (`issue.recorded:3`, from 1):
//! there the process is killed by SIGKILL, so that nothing is flushed, dropped or answered.
//!
//! `failpoint::refuses("ca.nonce")` is false unless the feature is on and `PILOTLIGHT_REFUSE` names that point with a
//! number: `ca.nonce:3` refuses every third passage.

/// Marks a point by name. The same name may stand at several places; they count together.
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        $crate::pass($name)
    };
}

/// Called by [`failpoint!`].
#[cfg(not(feature = "enabled"))]
#[inline(always)]
pub fn pass(_name: &'static str) {}

/// Called by [`failpoint!`].
#[cfg(feature = "enabled")]
pub fn pass(name: &'static str) {
    armed::pass(name);
}

/// Whether this passage of a point is to be refused although nothing speaks against it.
#[cfg(not(feature = "enabled"))]
#[inline(always)]
pub fn refuses(_name: &'static str) -> bool {
    false
}

/// Whether this passage of a point is to be refused although nothing speaks against it.
#[cfg(feature = "enabled")]
pub fn refuses(name: &'static str) -> bool {
    armed::refuses(name)
}

#[cfg(feature = "enabled")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static TARGET: OnceLock<Option<Target>> = OnceLock::new();
    static REFUSAL: OnceLock<Option<Refusal>> = OnceLock::new();

    /// Every n-th passage of one point.
    pub(crate) struct Refusal {
        pub(crate) name: String,
        pub(crate) each: u32,
        pub(crate) passed: AtomicU32,
    }

    pub(crate) fn refuses(name: &str) -> bool {
        REFUSAL.get_or_init(refusal).as_ref().is_some_and(|refusal| refusal.is_due(name))
    }

    #[expect(clippy::disallowed_methods, reason = "the other variable of this test feature, read once")]
    fn refusal() -> Option<Refusal> {
        std::env::var("PILOTLIGHT_REFUSE").ok().map(|text| Refusal::parse(&text))
    }

    impl Refusal {
        pub(crate) fn parse(text: &str) -> Self {
            let parsed = text.split_once(':').and_then(|(name, each)| Some((name, each.parse().ok()?)));
            let (name, each) = parsed.expect("PILOTLIGHT_REFUSE is name:number");
            Self { name: name.to_owned(), each, passed: AtomicU32::new(0) }
        }

        pub(crate) fn is_due(&self, name: &str) -> bool {
            self.name == name && (self.passed.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(self.each)
        }
    }

    pub(crate) struct Target {
        pub(crate) name: String,
        /// Passages left; at zero the process ends.
        pub(crate) left: AtomicU32,
    }

    pub(crate) fn pass(name: &str) {
        if let Some(target) = TARGET.get_or_init(target)
            && target.is_reached_by(name)
        {
            end();
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one variable of this test feature, read once")]
    fn target() -> Option<Target> {
        std::env::var("PILOTLIGHT_FAILPOINT").ok().map(|text| Target::parse(&text))
    }

    impl Target {
        pub(crate) fn parse(text: &str) -> Self {
            let (name, passages) = match text.split_once(':') {
                // a typing error in a test must not look like a point that is never reached
                Some((name, count)) => (name, count.parse().expect("PILOTLIGHT_FAILPOINT is name or name:passage")),
                None => (text, 1),
            };
            Self { name: name.to_owned(), left: AtomicU32::new(passages) }
        }

        pub(crate) fn is_reached_by(&self, name: &str) -> bool {
            self.name == name && self.left.fetch_sub(1, Ordering::SeqCst) == 1
        }
    }

    fn end() -> ! {
        // a message would be flushed, which a power cut never does
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
        std::process::abort()
    }
}

#[cfg(all(test, feature = "enabled"))]
mod tests {
    use super::armed::{Refusal, Target};

    #[test]
    fn every_nth_passage_is_refused() {
        let refusal = Refusal::parse("ca.nonce:3");
        let due: Vec<_> = (0..6).map(|_| refusal.is_due("ca.nonce")).collect();
        assert_eq!(due, [false, false, true, false, false, true]);
        assert!((0..9).all(|_| !refusal.is_due("ca.other")));
    }

    #[test]
    fn the_named_passage_is_the_one() {
        let target = Target::parse("issue.recorded:2");
        let passages = ["issue.recorded", "issue.signed", "issue.recorded", "issue.recorded"];
        let reached: Vec<_> = passages.iter().map(|name| target.is_reached_by(name)).collect();
        assert_eq!(reached, [false, false, true, false]);
        assert!(Target::parse("x").is_reached_by("x"));
    }
}
