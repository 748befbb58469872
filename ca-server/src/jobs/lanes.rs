//! Who may look at the outside at the same time: a target that answers slowly, or all targets of one account, keep nobody
//! else's waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use pki_core::ids::AccountId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Looks at once; each costs two sockets and some tens of kilobytes.
const ALL: usize = 512;

/// Looks of one account at once: an order of a hundred names takes two turns.
const OF_ONE_ACCOUNT: usize = 64;

/// Hands out turns.
#[derive(Debug)]
pub(super) struct Lanes {
    all: Arc<Semaphore>,
    accounts: Mutex<HashMap<AccountId, Weak<Semaphore>>>,
}

/// The turn of one look, until dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
    // keeps the account's entry alive while any of its looks waits or runs
    _lane: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL)), accounts: Mutex::default() }
    }
}

impl Lanes {
    /// Waits for a turn; none when it does not come within `patience`.
    pub(super) async fn enter(&self, account: AccountId, patience: Duration) -> Option<Turn> {
        let lane = self.lane(account);
        let turn = async {
            // The account's first: who waits for their own looks takes no place from others.
            let own = Arc::clone(&lane).acquire_owned().await.ok()?;
            let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some((all, own))
        };
        let (all, own) = tokio::time::timeout(patience, turn).await.ok()??;
        Some(Turn { _all: all, _own: own, _lane: lane })
    }

    fn lane(&self, account: AccountId) -> Arc<Semaphore> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = accounts.get(&account).and_then(Weak::upgrade) {
            return lane;
        }
        accounts.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::new(Semaphore::new(OF_ONE_ACCOUNT));
        accounts.insert(account, Arc::downgrade(&lane));
        lane
    }
}

#[cfg(test)]
mod tests {
    use pki_core::random::SystemEntropy;

    use super::*;

    #[tokio::test]
    async fn one_account_takes_no_more_than_its_share() {
        let (lanes, entropy) = (Lanes::default(), SystemEntropy::new());
        let (greedy, other) = (AccountId::random(&entropy), AccountId::random(&entropy));
        let mut turns = Vec::new();
        for _ in 0..OF_ONE_ACCOUNT {
            turns.push(lanes.enter(greedy, Duration::ZERO).await.unwrap());
        }
        assert!(lanes.enter(greedy, Duration::ZERO).await.is_none(), "its next look waits and is given back");
        let turn = lanes.enter(other, Duration::ZERO).await;
        assert!(turn.is_some(), "others look meanwhile");
        turns.pop();
        assert!(lanes.enter(greedy, Duration::ZERO).await.is_some());
        drop((turns, turn));
        lanes.lane(AccountId::random(&entropy));
        assert!(lanes.accounts.lock().unwrap().len() <= 1, "nothing is kept of accounts that wait for nothing");
    }
}
