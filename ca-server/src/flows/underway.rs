//! Which authorizations this process is looking at. Who asks for one meanwhile is answered when the look has ended: most
//! looks take milliseconds, and a client that asks again and again costs more than the look itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pki_core::ids::AuthorizationId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How long an answer is held back at most: clients and proxies wait much longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers held back at once; each keeps a request in memory.
const HELD: usize = 1024;

/// Looks under way. Clones share them.
#[derive(Debug, Clone)]
pub struct Underway(Arc<State>);

#[derive(Debug)]
struct State {
    looks: Mutex<HashMap<AuthorizationId, watch::Receiver<()>>>,
    places: Arc<Semaphore>,
}

/// A look that has begun; ends when it is dropped.
#[derive(Debug)]
pub struct Look {
    underway: Underway,
    authorization: AuthorizationId,
    // its receivers learn that it was dropped
    end: watch::Sender<()>,
}

/// Looks that somebody waits for.
#[derive(Debug)]
pub struct Looks {
    looks: Vec<watch::Receiver<()>>,
    _place: OwnedSemaphorePermit,
}

impl Looks {
    /// Waits until all of them have ended, a second at most.
    pub async fn ended(mut self) {
        let all = async {
            for look in &mut self.looks {
                // an error is the end: nothing is ever sent
                let _ = look.changed().await;
            }
        };
        // either they have ended, or the client asks again
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
}

impl Default for Underway {
    fn default() -> Self {
        Self(Arc::new(State { looks: Mutex::default(), places: Arc::new(Semaphore::new(HELD)) }))
    }
}

impl Underway {
    /// Begins to look at a challenge of an authorization.
    pub fn begin(&self, authorization: AuthorizationId) -> Look {
        let (end, ended) = watch::channel(());
        self.lock().insert(authorization, ended);
        Look { underway: self.clone(), authorization, end }
    }

    /// The looks at these authorizations; none when there are none, or too many clients are kept waiting already.
    pub fn looks_at(&self, authorizations: &[AuthorizationId]) -> Option<Looks> {
        let looks = self.lock();
        let found: Vec<_> = authorizations.iter().filter_map(|id| looks.get(id).cloned()).collect();
        drop(looks);
        let place = (!found.is_empty()).then(|| Arc::clone(&self.0.places).try_acquire_owned().ok())??;
        Some(Looks { looks: found, _place: place })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AuthorizationId, watch::Receiver<()>>> {
        self.0.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        let mut looks = self.underway.lock();
        // another challenge of the same authorization may have taken the entry
        let is_own = looks.get(&self.authorization).is_some_and(|look| look.same_channel(&self.end.subscribe()));
        if is_own {
            looks.remove(&self.authorization);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use pki_core::random::SystemEntropy;
    use tokio::time::{Instant, timeout};

    use super::*;

    fn id() -> AuthorizationId {
        AuthorizationId::random(&SystemEntropy::new())
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_waits_for_the_end_of_all_looks_and_no_longer() {
        let (underway, one, other) = (Underway::default(), id(), id());
        assert!(underway.looks_at(&[one, other]).is_none(), "nobody looks");
        let (first, second) = (underway.begin(one), underway.begin(other));
        let begin = Instant::now();
        underway.looks_at(&[one, other]).unwrap().ended().await;
        assert_eq!(begin.elapsed(), PATIENCE, "slow looks, and one second for both");
        let mut waiting = pin!(underway.looks_at(&[one, id(), other]).unwrap().ended());
        drop(first);
        assert!(timeout(Duration::ZERO, &mut waiting).await.is_err(), "the other goes on");
        drop(second);
        waiting.await;
        assert_eq!(begin.elapsed(), PATIENCE, "told at once");
        assert!(underway.lock().is_empty(), "nothing is kept of them");
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_look_at_the_same_authorization_outlives_the_first() {
        let (underway, id) = (Underway::default(), id());
        let (first, second) = (underway.begin(id), underway.begin(id));
        drop(first);
        assert!(underway.looks_at(&[id]).is_some());
        drop(second);
        assert!(underway.looks_at(&[id]).is_none());
    }

    #[tokio::test]
    async fn only_so_many_are_kept_waiting() {
        let (underway, id) = (Underway::default(), id());
        let _look = underway.begin(id);
        let waiting: Vec<_> = (0..HELD).map(|_| underway.looks_at(&[id]).unwrap()).collect();
        assert!(underway.looks_at(&[id]).is_none());
        drop(waiting);
        assert!(underway.looks_at(&[id]).is_some());
    }
}
