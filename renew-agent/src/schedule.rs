//! What is due, and when: pure functions of a certificate, its state and the time.

use std::time::Duration;

use pki_core::renewal::{self, Decision};
use pki_core::time::Timestamp;

use crate::config::CertificateConfig;
use crate::install::Generation;
use crate::state::{CertificateState, Failure, Suggestion};

/// When nobody says otherwise: half of the life, which leaves the other half for outages (agents.md 5.4).
const DEFAULT_PERMILLE: u16 = 500;
/// Stands in for the remaining life where there is no certificate yet: retries at most 15 minutes apart.
const IMPATIENCE: Duration = Duration::from_secs(20 * 900);
/// After a power cut of a whole region, overdue renewals spread over this long (agents.md 5.4).
const WAKE_SPREAD: Duration = Duration::from_secs(900);
/// Certificates that live shorter are renewed without asking the CA for its opinion.
const SHORTEST_ASKING: Duration = Duration::from_secs(6 * 3600);
/// The same for certificates that have ended already.
const WAKE_SPREAD_ENDED: Duration = Duration::from_secs(60);

/// What is to be done with one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Make its service present it: now or at this time.
    Settle(Timestamp),
    /// Get another: now or at this time.
    Renew(Timestamp),
}

impl Next {
    /// When.
    pub fn at(self) -> Timestamp {
        match self {
            Self::Settle(at) | Self::Renew(at) => at,
        }
    }
}

/// What a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// How it is configured.
    pub config: &'a CertificateConfig,
    /// What is in service.
    pub current: Option<&'a Generation>,
    /// Where it stands.
    pub state: &'a CertificateState,
    /// Whether the certificate in service carries every wanted name.
    pub names_fit: bool,
    /// The CA's advice for this device, in thousandths of life.
    pub advice: Option<u16>,
    /// The holder's name: device and certificate.
    pub holder: &'a str,
}

/// What comes next for one certificate. A debt comes first, unless the certificate has to be replaced meanwhile.
pub fn next(facts: &Facts<'_>, now: Timestamp) -> Next {
    let renew_at = renewal_at(facts, now);
    let Some(debt) = &facts.state.debt else { return Next::Renew(renew_at) };
    let settle_at = debt.failure.as_ref().map_or(debt.since, |failure| failure.next_attempt);
    if renew_at <= now && settle_at > now {
        Next::Renew(renew_at)
    } else {
        Next::Settle(settle_at.min(renew_at.max(now)))
    }
}

/// When the certificate is (or was) to be renewed, failures considered.
pub fn renewal_at(facts: &Facts<'_>, now: Timestamp) -> Timestamp {
    let due = due(facts, now);
    facts.state.failure.as_ref().map_or(due, |failure| due.max(failure.next_attempt))
}

/// When the certificate is (or was) to be renewed, were there no failures.
pub fn due(facts: &Facts<'_>, now: Timestamp) -> Timestamp {
    let Some(current) = facts.current else { return now };
    if !facts.names_fit {
        return now;
    }
    let leaf = &current.leaf;
    let permille = facts.config.renew_at_permille.or(facts.advice).unwrap_or(DEFAULT_PERMILLE);
    let seed = renewal::seed(facts.holder, current.number);
    let own = match renewal::decide(leaf.not_before(), leaf.not_after(), permille, seed, now) {
        // Nothing delays a certificate that is about to end, whatever the CA suggests.
        Decision::Emergency => return now,
        Decision::Renew { since } => since,
        Decision::Wait { until } => until,
    };
    // The least distance between two issuances, so that a wrong clock or profile makes no loop.
    let soonest = current.written_at + leaf.not_after().since(leaf.not_before()) / 20;
    let suggested = facts.state.suggested.as_ref().filter(|suggested| suggested.leaf_sha256 == current.leaf_sha256());
    // The CA may ask for an earlier renewal; a later one would give up time for outages that the profile left.
    suggested.map_or(own, |window| own.min(within(window, seed))).max(soonest)
}

/// The point of the window that this node keeps to (RFC 9773 section 4.2 asks for a random one; this one survives
/// a restart).
fn within(window: &Suggestion, seed: [u8; 32]) -> Timestamp {
    window.start + spread(window.end.since(window.start), seed)
}

/// A point of `span` chosen by `seed`.
fn spread(span: Duration, seed: [u8; 32]) -> Duration {
    let share = seed.iter().skip(8).take(4).fold(0_u32, |number, octet| number << 8 | u32::from(*octet));
    span.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

/// When the CA is to be asked for a renewal window; `None` without a certificate, or for one so short-lived that
/// the question costs more than a renewal.
pub fn ask_window_at(facts: &Facts<'_>) -> Option<Timestamp> {
    let current = facts.current?;
    let life = current.leaf.not_after().since(current.leaf.not_before());
    (life >= SHORTEST_ASKING).then(|| facts.state.ask_window_at.unwrap_or(current.written_at + life / 20))
}

/// How long after the start of the agent an overdue renewal waits, so that a region that gets its power back does
/// not come all at once. Zero for the first certificate and for one about to end.
pub fn wake_delay(facts: &Facts<'_>, now: Timestamp) -> Duration {
    let Some(current) = facts.current else { return Duration::ZERO };
    let (begin, end) = (current.leaf.not_before(), current.leaf.not_after());
    let life = end.since(begin);
    let most = if end <= now { WAKE_SPREAD_ENDED } else { WAKE_SPREAD };
    spread(most.min(life / 20), renewal::seed(facts.holder, current.number))
}

/// The failure to remember after another failed attempt.
pub fn failed(
    before: Option<&Failure>,
    current: Option<&Generation>,
    holder: &str,
    error: String,
    retry_after: Option<Duration>,
    now: Timestamp,
) -> Failure {
    let attempts = before.map_or(0, |failure| failure.attempts);
    let (life, remaining) = current.map_or((IMPATIENCE, IMPATIENCE), |current| {
        let leaf = &current.leaf;
        (leaf.not_after().since(leaf.not_before()), leaf.not_after().since(now))
    });
    let number = current.map_or(0, |current| current.number);
    let own = renewal::backoff(attempts, life, remaining, renewal::seed(holder, number));
    // The CA's wish counts, as long as several attempts remain.
    let asked = retry_after.map_or(own, |wish| wish.min(own.max(remaining / 10)));
    Failure {
        attempts: attempts.saturating_add(1),
        since: before.map_or(now, |failure| failure.since),
        next_attempt: now + own.max(asked),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::hex;
    use crate::state::Debt;
    use crate::testing::{DAY, NOW, TestCa};

    const HOUR: Duration = Duration::from_secs(3600);

    struct Case {
        config: CertificateConfig,
        current: Option<Generation>,
        state: CertificateState,
        names_fit: bool,
    }

    impl Case {
        fn new() -> Self {
            let leaf = TestCa::new().verified(NOW, 100).leaf().clone();
            Self {
                config: CertificateConfig::identity(),
                current: Some(Generation { number: 1, leaf, written_at: NOW }),
                state: CertificateState::default(),
                names_fit: true,
            }
        }

        fn next(&self, now: Timestamp) -> Next {
            next(&self.facts(), now)
        }

        fn facts(&self) -> Facts<'_> {
            Facts {
                config: &self.config,
                current: self.current.as_ref(),
                state: &self.state,
                names_fit: self.names_fit,
                advice: Some(600),
                holder: "gw-1/web",
            }
        }

        fn owe(&mut self, failure: Option<Failure>) {
            let leaf_sha256 = hex(&[0; 32]);
            self.state.debt =
                Some(Debt { generation: 1, leaf_sha256, since: NOW, came_from: None, served_before: None, failure });
        }
    }

    fn failure(next_attempt: Timestamp) -> Failure {
        Failure { attempts: 1, since: NOW, next_attempt, error: "x".to_owned() }
    }

    #[test]
    fn the_first_certificate_is_due_at_once_and_a_fresh_one_in_its_band() {
        let mut case = Case::new();
        let Next::Renew(at) = case.next(NOW) else { panic!() };
        assert!(at >= NOW + 60 * DAY && at <= NOW + 76 * DAY, "{at}");
        case.config.renew_at_permille = Some(300);
        assert!(case.next(NOW).at() < NOW + 46 * DAY, "the operator's word counts before the CA's");
        case.names_fit = false;
        assert_eq!(case.next(NOW), Next::Renew(NOW), "the configuration asks for another name");
        case.current = None;
        assert_eq!(case.next(NOW), Next::Renew(NOW));
    }

    #[test]
    fn the_cas_window_counts_when_it_is_earlier() {
        let mut case = Case::new();
        let leaf_sha256 = case.current.as_ref().unwrap().leaf_sha256();
        let window = |start, end| Some(Suggestion { leaf_sha256: leaf_sha256.clone(), start, end });
        case.state.suggested = window(NOW + 20 * DAY, NOW + 21 * DAY);
        let at = case.next(NOW).at();
        assert!(at >= NOW + 20 * DAY && at <= NOW + 21 * DAY, "{at}");
        assert_eq!(case.next(NOW + DAY).at(), at, "asking again does not roll again");
        case.state.suggested = None;
        let own = case.next(NOW);
        case.state.suggested = window(NOW + 85 * DAY, NOW + 86 * DAY);
        assert_eq!(case.next(NOW), own, "a later window changes nothing");
        assert_eq!(case.next(NOW + 91 * DAY), Next::Renew(NOW + 91 * DAY));
        case.state.suggested = window(NOW - 2 * DAY, NOW - DAY);
        assert_eq!(case.next(NOW).at(), NOW + 5 * DAY, "not at once: two issuances lie a twentieth of life apart");
        case.state.suggested = Some(Suggestion { leaf_sha256: "other".to_owned(), ..case.state.suggested.unwrap() });
        assert!(case.next(NOW).at() >= NOW + 60 * DAY, "the window is for another certificate");
    }

    #[test]
    fn a_failed_attempt_waits_and_a_debt_comes_first() {
        let mut case = Case::new();
        let late = NOW + 80 * DAY;
        assert!(case.next(late).at() <= late);
        case.state.failure = Some(failure(late + HOUR));
        assert_eq!(case.next(late), Next::Renew(late + HOUR));
        case.owe(None);
        assert_eq!(case.next(late), Next::Settle(NOW));
        case.state.failure = None;
        case.owe(Some(failure(late + HOUR)));
        assert!(matches!(case.next(late), Next::Renew(_)), "a service that does not obey must not stop renewal");
    }

    #[test]
    fn waiting_grows_with_failures_shrinks_with_life_and_hears_the_ca() {
        let case = Case::new();
        let current = case.current.as_ref();
        let mut last = None;
        for _ in 0..20 {
            last = Some(failed(last.as_ref(), current, "gw-1/web", "x".to_owned(), None, NOW));
        }
        let last = last.unwrap();
        assert_eq!((last.attempts, last.since), (20, NOW));
        assert!(last.next_attempt > NOW + HOUR && last.next_attempt <= NOW + 6 * HOUR);
        let near_end = NOW + 100 * DAY - HOUR;
        let hurried = failed(Some(&last), current, "gw-1/web", "x".to_owned(), Some(DAY), near_end);
        assert!(hurried.next_attempt < near_end + HOUR / 8, "a day is too long for the hour that is left");
        let asked = failed(None, current, "gw-1/web", "x".to_owned(), Some(HOUR), NOW);
        assert_eq!(asked.next_attempt, NOW + HOUR);
        let first = failed(None, None, "gw-1/web", "x".to_owned(), None, NOW);
        assert!(first.next_attempt <= NOW + Duration::from_secs(30));
    }

    #[test]
    fn a_region_that_wakes_up_spreads_and_nobody_waits_long() {
        let case = Case::new();
        let delay = |holder: &str, now| wake_delay(&Facts { holder, ..case.facts() }, now);
        let delays: Vec<_> = (0..100).map(|n| delay(&format!("gw-{n}"), NOW + 80 * DAY)).collect();
        assert!(delays.iter().all(|delay| *delay <= WAKE_SPREAD));
        assert!(delays.iter().any(|delay| *delay < WAKE_SPREAD / 4));
        assert!(delays.iter().any(|delay| *delay > WAKE_SPREAD * 3 / 4));
        assert!(delay("gw-1", NOW + 200 * DAY) <= WAKE_SPREAD_ENDED);
    }
}
