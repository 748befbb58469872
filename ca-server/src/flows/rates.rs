//! Rate limits, as flows and requests meet them: who asks, what is counted, and how it is said.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ipnet::IpNet;
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::ids::{AccountId, ChallengeId};
use pki_core::limits::{Action, Exceeded, LimitName, Rate, RateLimits, Subject};
use tokio::time::Instant;

use super::FlowError;
use super::authenticate::AccountRequest;
use crate::telemetry::Metrics;

/// Subjects that each limit keeps apart: two megabytes when a limit remembers that many.
const SUBJECTS: usize = 32_768;

/// Challenges whose asker is remembered until they are settled.
const CHALLENGES: usize = 65_536;

/// Clients give up when they are told to wait longer (protocols HTP-10).
const LONGEST: Duration = Duration::from_secs(600);

/// Whom a request is counted against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker(Vec<Subject>);

impl Asker {
    /// A stranger: nobody has signed, or with a key that is not known.
    pub fn stranger(network: Option<IpNet>) -> Self {
        Self(network.map(Subject::Network).into_iter().chain([Subject::Everybody]).collect())
    }

    /// An account. A device is not a matter of networks: behind a cluster's address translation all of them share one
    /// address. Nor can strangers use up what devices need.
    pub fn of(request: &AccountRequest, network: Option<IpNet>) -> Self {
        let account = Subject::Account(request.account().id);
        match request.device() {
            Some(device) => Self(vec![account, Subject::Device(device.id)]),
            None => {
                let mut subjects = Self::stranger(network);
                subjects.0.push(account);
                subjects
            }
        }
    }
}

/// The limits of this process. Replicas count each for themselves.
pub struct Rates {
    started: Instant,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

struct State {
    limits: RateLimits,
    asked: HashMap<ChallengeId, Asker>,
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rates { .. }")
    }
}

impl Rates {
    /// Nothing has happened yet.
    pub fn new(rates: Vec<(LimitName, Rate)>, metrics: Arc<Metrics>) -> Self {
        let state = State { limits: RateLimits::new(rates, SUBJECTS), asked: HashMap::new() };
        Self { started: Instant::now(), metrics, state: Mutex::new(state) }
    }

    /// A signed request came in.
    pub fn request(&self, asker: &Asker) -> Result<(), FlowError> {
        let outcome = self.admit(Action::Request, asker);
        let remembered = i64::try_from(self.lock().limits.remembered()).unwrap_or(i64::MAX);
        self.metrics.pressure.remembered.store(remembered, Ordering::Relaxed);
        outcome
    }

    /// An account is about to be made.
    pub fn new_account(&self, asker: &Asker) -> Result<(), FlowError> {
        self.admit(Action::NewAccount, asker)
    }

    /// An order is about to be made that replaces nothing. Who fails all the time shall first find out why.
    pub fn new_order(&self, asker: &Asker) -> Result<(), FlowError> {
        self.check(Action::FailedValidation, asker)?;
        self.admit(Action::NewOrder, asker)
    }

    /// An order was made that was let in as one that replaces a certificate (protocols ARI-5), and does not.
    pub fn owe_new_order(&self, asker: &Asker) {
        let now = self.started.elapsed();
        self.lock().limits.spend(Action::NewOrder, &asker.0, now);
    }

    /// A challenge is about to be looked at for this asker.
    pub fn challenge(&self, id: ChallengeId, asker: Asker) -> Result<(), FlowError> {
        self.check(Action::FailedValidation, &asker)?;
        let mut state = self.lock();
        // Those that other replicas settle stay: what is lost is the network of a few, not their account.
        if state.asked.len() >= CHALLENGES {
            state.asked.clear();
        }
        state.asked.insert(id, asker);
        Ok(())
    }

    /// The challenge is not looked at after all.
    pub fn not_asked(&self, id: ChallengeId) {
        self.lock().asked.remove(&id);
    }

    /// A challenge was decided. One whose asker is not known any more counts for its account.
    pub fn settled(&self, id: ChallengeId, account: AccountId, failed: bool) {
        let now = self.started.elapsed();
        let mut state = self.lock();
        let asker = state.asked.remove(&id);
        if failed {
            let asker = asker.unwrap_or_else(|| Asker(vec![Subject::Account(account)]));
            state.limits.spend(Action::FailedValidation, &asker.0, now);
        }
    }

    /// Every limit in force, a line each, for whoever was told of one.
    pub fn describe(&self) -> String {
        let state = self.lock();
        state.limits.in_force().map(|(name, rate)| format!("limits.rates.{name} = \"{rate}\"\n")).collect()
    }

    fn check(&self, action: Action, asker: &Asker) -> Result<(), FlowError> {
        let checked = self.lock().limits.check(action, &asker.0, self.started.elapsed());
        checked.map_err(|exceeded| self.refuse(&exceeded))
    }

    fn admit(&self, action: Action, asker: &Asker) -> Result<(), FlowError> {
        let now = self.started.elapsed();
        let admitted = self.lock().limits.admit(action, &asker.0, now);
        admitted.map_err(|exceeded| self.refuse(&exceeded))
    }

    fn refuse(&self, exceeded: &Exceeded) -> FlowError {
        self.metrics.pressure.count_limit(exceeded.name.as_str());
        let Exceeded { name, rate, wait } = exceeded;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let (what, whose) = name.in_words();
        let detail = format!(
            "too many {what} {whose}: the limit limits.rates.{name} of this CA is {rate}; try again in {seconds} seconds, \
             or ask its administrator to raise it"
        );
        let wait = Duration::from_secs(seconds).min(LONGEST);
        FlowError::Problem(Problem::new(ProblemKind::RateLimited, detail).with_retry_after(wait))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pki_core::ids::AuthorizationId;
    use pki_core::limits::Scope;
    use pki_core::random::SystemEntropy;

    use super::*;

    fn rates(action: Action, scope: Scope, rate: &str) -> Rates {
        Rates::new(vec![(LimitName { action, scope }, rate.parse().unwrap())], Arc::default())
    }

    fn challenge(entropy: &SystemEntropy) -> ChallengeId {
        ChallengeId::new(AuthorizationId::random(entropy), 0)
    }

    fn told(outcome: Result<(), FlowError>) -> Problem {
        match outcome {
            Err(FlowError::Problem(problem)) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refusal_names_the_limit_its_value_and_its_key() {
        let rates = rates(Action::NewAccount, Scope::Network, "2/day");
        let asker = Asker::stranger(Some("192.0.2.0/24".parse().unwrap()));
        assert!((0..2).all(|_| rates.new_account(&asker).is_ok()));
        let problem = told(rates.new_account(&asker));
        assert_eq!(problem.kind, ProblemKind::RateLimited);
        assert_eq!(
            problem.detail,
            "too many new accounts from this network: the limit limits.rates.new_accounts_per_network of this CA is 2/day; \
             try again in 43200 seconds, or ask its administrator to raise it"
        );
        assert_eq!(problem.retry_after, Some(LONGEST), "HTP-10");
        assert!(rates.new_account(&Asker::stranger(Some("192.0.3.0/24".parse().unwrap()))).is_ok());
        assert_eq!(rates.describe(), "limits.rates.new_accounts_per_network = \"2/day\"\n");
    }

    #[test]
    fn failures_stop_orders_and_challenges_until_time_has_passed() {
        let entropy = SystemEntropy::new();
        let mut rates = rates(Action::FailedValidation, Scope::Account, "2/minute");
        let account = AccountId::random(&entropy);
        let asker = Asker(vec![Subject::Account(account)]);
        for _ in 0..2 {
            let id = challenge(&entropy);
            rates.challenge(id, asker.clone()).unwrap();
            rates.settled(id, account, false);
            rates.settled(id, account, true);
        }
        assert!(told(rates.challenge(challenge(&entropy), asker.clone())).detail.contains("failed validations"));
        assert!(rates.new_order(&asker).is_err());
        rates.started -= Duration::from_secs(30);
        assert!(rates.new_order(&asker).is_ok());
        assert!(rates.lock().asked.is_empty());
    }
}
