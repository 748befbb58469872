//! Points where a test may end the process, as a power cut would.
//!
//! `failpoint::failpoint!("issue.recorded")` is nothing unless the feature `enabled` is on. With it, the environment
//! variable `PILOTLIGHT_FAILPOINT` names a point, and optionally which passage of it (`issue.recorded:3`, from 1):
//! there the process is killed by SIGKILL, so that nothing is flushed, dropped or answered.

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

#[cfg(feature = "enabled")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static TARGET: OnceLock<Option<Target>> = OnceLock::new();

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
    use super::armed::Target;

    #[test]
    fn the_named_passage_is_the_one() {
        let target = Target::parse("issue.recorded:2");
        let passages = ["issue.recorded", "issue.signed", "issue.recorded", "issue.recorded"];
        let reached: Vec<_> = passages.iter().map(|name| target.is_reached_by(name)).collect();
        assert_eq!(reached, [false, false, true, false]);
        assert!(Target::parse("x").is_reached_by("x"));
    }
}
