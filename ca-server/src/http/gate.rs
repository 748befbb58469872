//! The door of signed requests: so many at once, the urgent ones first, an early no to what would wait too long.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::admission::{Arrival, Bounds, Queue, Rank, Refusal, Ticket};
use pki_core::random::{self, Entropy};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::HttpError;
use crate::telemetry::Metrics;

/// The longest time a client is sent away for, before what is added at random.
const LONGEST: Duration = Duration::from_secs(60);

/// How often the log may say that requests are refused.
const SILENCE: Duration = Duration::from_secs(10);

/// Places, and those who wait for one.
#[derive(Debug)]
pub struct Gate {
    started: Instant,
    metrics: Arc<Metrics>,
    entropy: Arc<dyn Entropy>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    waiting: HashMap<Ticket, oneshot::Sender<Result<(), Refusal>>>,
    told_at: Option<Instant>,
}

/// A place among the requests under way; free again when it is dropped.
#[derive(Debug)]
struct Permit(Arc<Gate>);

/// Where a request keeps its place. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Place(Arc<Mutex<Option<Permit>>>);

impl Gate {
    /// All places free.
    pub fn new(bounds: Bounds, metrics: Arc<Metrics>, entropy: Arc<dyn Entropy>) -> Arc<Self> {
        let state = State { queue: Queue::new(bounds), waiting: HashMap::new(), told_at: None };
        Arc::new(Self { started: Instant::now(), metrics, entropy, state: Mutex::new(state) })
    }

    /// Whether anybody waits: only then it matters who is more urgent.
    pub(super) fn is_crowded(&self) -> bool {
        self.lock().queue.waiting() > 0
    }

    /// Gets a place, now or after a wait. A place that was held is given back first.
    pub(super) async fn enter(self: &Arc<Self>, place: &Place, rank: Rank) -> Result<(), HttpError> {
        place.free();
        let come = Instant::now();
        let arrival = self.arrive(rank);
        let outcome = match arrival {
            Ok(permit) => Ok(permit),
            Err(Ok(waiter)) => waiter.served().await,
            Err(Err(refusal)) => Err(refusal),
        };
        self.metrics.pressure.observe_wait(come.elapsed());
        let permit = outcome.map_err(|refusal| self.refuse(refusal))?;
        self.metrics.pressure.count_admission(rank.as_str());
        *place.lock() = Some(permit);
        Ok(())
    }

    fn arrive(self: &Arc<Self>, rank: Rank) -> Result<Permit, Result<Waiter, Refusal>> {
        let mut state = self.lock();
        let arrival = state.queue.enter(rank, self.started.elapsed());
        let answer = match arrival {
            Arrival::Go => Ok(Permit(Arc::clone(self))),
            Arrival::Refused(refusal) => Err(Err(refusal)),
            Arrival::Wait(ticket, displaced) => {
                if let Some(loser) = displaced.and_then(|loser| state.waiting.remove(&loser)) {
                    let _ = loser.send(Err(Refusal::Displaced));
                }
                let (sender, answer) = oneshot::channel();
                state.waiting.insert(ticket, sender);
                Err(Ok(Waiter { gate: Arc::clone(self), ticket, answer }))
            }
        };
        self.show(&state);
        answer
    }

    fn leave(&self) {
        let mut state = self.lock();
        let departure = state.queue.leave(self.started.elapsed());
        for ticket in departure.refused {
            if let Some(waiter) = state.waiting.remove(&ticket) {
                let _ = waiter.send(Err(Refusal::Waited));
            }
        }
        if let Some(waiter) = departure.go.and_then(|ticket| state.waiting.remove(&ticket)) {
            // A waiter that is being dropped looks for what it was sent, and gives it back.
            let _ = waiter.send(Ok(()));
        }
        self.show(&state);
    }

    fn show(&self, state: &State) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.pressure.waiting.store(number(state.queue.waiting()), Ordering::Relaxed);
        self.metrics.pressure.under_way.store(number(state.queue.under_way()), Ordering::Relaxed);
    }

    /// 503 with a time that differs from client to client, or all would be back together.
    fn refuse(&self, refusal: Refusal) -> HttpError {
        self.metrics.pressure.count_refusal(refusal.as_str());
        let mut state = self.lock();
        let waiting = state.queue.waiting();
        if state.told_at.is_none_or(|at| at.elapsed() >= SILENCE) {
            state.told_at = Some(Instant::now());
            tracing::warn!(
                waiting,
                reason = refusal.as_str(),
                "more requests come than can be served in time; some are sent away (limits.overload)"
            );
        }
        let expected = state.queue.expected_wait().min(LONGEST).as_secs() + 1;
        drop(state);
        let [jitter] = random::bytes::<1>(self.entropy.as_ref());
        let wait = Duration::from_secs(expected + u64::from(jitter) % (expected + 2));
        let detail = "more requests come than this CA can serve in time; nothing was changed; try again later";
        HttpError::overloaded(Problem::new(ProblemKind::ServerInternal, detail).with_status(503).with_retry_after(wait))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Place {
    /// Gives the place back, if one is held.
    pub(super) fn free(&self) {
        let permit = self.lock().take();
        drop(permit);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Permit>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One who waits. Dropped early, it leaves the queue, or gives back the place it was just given.
#[derive(Debug)]
struct Waiter {
    gate: Arc<Gate>,
    ticket: Ticket,
    answer: oneshot::Receiver<Result<(), Refusal>>,
}

impl Waiter {
    async fn served(mut self) -> Result<Permit, Refusal> {
        let patience = self.gate.lock().queue.bounds().patience;
        match tokio::time::timeout(patience, &mut self.answer).await {
            Ok(Ok(Ok(()))) => Ok(Permit(Arc::clone(&self.gate))),
            Ok(Ok(Err(refusal))) => Err(refusal),
            // What was sent in the last moment is found by `drop`.
            Ok(Err(_)) | Err(_) => Err(Refusal::Waited),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        let has_waited = state.queue.abandon(self.ticket);
        state.waiting.remove(&self.ticket);
        self.gate.show(&state);
        drop(state);
        if !has_waited && matches!(self.answer.try_recv(), Ok(Ok(()))) {
            self.gate.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use pki_core::random::SystemEntropy;
    use pki_core::time::Timestamp;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    fn gate(at_once: usize, waiting: usize) -> Arc<Gate> {
        let bounds = Bounds { at_once, waiting, patience: PATIENCE };
        Gate::new(bounds, Arc::default(), Arc::new(SystemEntropy::new()))
    }

    /// Polls until nothing moves any more.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn places_go_to_the_urgent_and_the_full_queue_says_no() {
        let (gate, first) = (gate(1, 2), Place::default());
        gate.enter(&first, Rank::Fresh).await.unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let waiters = tokio::task::JoinSet::from_iter(
            [("fresh", Rank::Fresh), ("late", Rank::Replacing(Timestamp::from_unix_seconds(9)))].map(|(name, rank)| {
                let (gate, served) = (Arc::clone(&gate), Arc::clone(&served));
                async move {
                    let place = Place::default();
                    gate.enter(&place, rank).await.unwrap();
                    served.lock().unwrap().push(name);
                    settle().await;
                    place.free();
                }
            }),
        );
        settle().await;
        assert!(gate.is_crowded());
        assert!(gate.enter(&Place::default(), Rank::Fresh).await.is_err());
        first.free();
        waiters.join_all().await;
        assert_eq!(*served.lock().unwrap(), ["late", "fresh"]);
        assert_eq!(gate.lock().queue.under_way(), 0);
        let metrics = gate.metrics.render();
        assert!(metrics.contains("pilotlight_overload_refused_total{reason=\"full\"} 1"), "{metrics}");
        assert!(metrics.contains("pilotlight_admission_wait_seconds_count 4"), "{metrics}");
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_and_leaves_no_trace() {
        let (gate, first, second) = (gate(1, 2), Place::default(), Place::default());
        gate.enter(&first, Rank::Fresh).await.unwrap();
        let begun = Instant::now();
        assert!(gate.enter(&second, Rank::Fresh).await.is_err());
        assert!(begun.elapsed() >= PATIENCE);
        assert!(!gate.is_crowded() && gate.lock().waiting.is_empty());
        first.free();
        gate.enter(&second, Rank::Fresh).await.unwrap();
    }

    #[tokio::test]
    async fn a_waiter_that_is_dropped_gives_its_place_on() {
        let (gate, first) = (gate(1, 2), Place::default());
        gate.enter(&first, Rank::Fresh).await.unwrap();
        // dropped while it waits, and dropped after it was given the place but before it saw that
        for is_given in [false, true] {
            let Err(Ok(waiter)) = gate.arrive(Rank::Fresh) else { panic!("the place is taken") };
            if is_given {
                first.free();
            }
            drop(waiter);
        }
        assert_eq!(gate.lock().queue.under_way(), 0);
        gate.enter(&first, Rank::Fresh).await.unwrap();
    }
}
