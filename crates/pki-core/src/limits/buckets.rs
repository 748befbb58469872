//! The buckets of one limit, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::Rate;

/// Buckets that keys share when there are too many of them.
const SHARED: usize = 1024;

/// How often a full table is looked through for buckets that are full again.
const SWEEP: Duration = Duration::from_secs(1);

/// One bucket for each key: the moment at which it will be full again is all there is to know of it (the generic cell rate
/// algorithm).
///
/// At most so many keys have a bucket of their own. A bucket is forgotten only when it is full, so that nobody gets rid of
/// a debt by filling the table; keys that come while it is full share a few buckets.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    most: usize,
    full_at: HashMap<K, Duration>,
    shared: Box<[Duration]>,
    swept_at: Option<Duration>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// All full.
    pub fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most, full_at: HashMap::new(), shared: [Duration::ZERO; SHARED].into(), swept_at: None }
    }

    /// The value of the limit.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// How long until the next is allowed; none when it is allowed now.
    pub fn wait(&self, key: &K, now: Duration) -> Option<Duration> {
        let full_at = self.full_at.get(key).copied().unwrap_or_else(|| self.shared_with(key));
        let most = now + self.rate.interval().saturating_mul(self.rate.burst().saturating_sub(1));
        full_at.checked_sub(most).filter(|wait| !wait.is_zero())
    }

    /// Takes one, allowed or not. The debt of what was not allowed is never more than one.
    pub fn spend(&mut self, key: K, now: Duration) {
        let interval = self.rate.interval();
        let after = |full_at: Duration| {
            (full_at.max(now).saturating_add(interval))
                .min(now.saturating_add(interval.saturating_mul(self.rate.burst())))
        };
        if let Some(full_at) = self.full_at.get_mut(&key) {
            *full_at = after(*full_at);
            return;
        }
        let before = after(self.shared_with(&key));
        if self.has_room(now) {
            self.full_at.insert(key, before);
        } else {
            let slot = self.slot(&key);
            self.shared.iter_mut().skip(slot).take(1).for_each(|full_at| *full_at = before);
        }
    }

    /// How many keys have a bucket of their own.
    pub fn remembered(&self) -> usize {
        self.full_at.len()
    }

    fn has_room(&mut self, now: Duration) -> bool {
        if self.full_at.len() >= self.most && self.swept_at.is_none_or(|at| at + SWEEP <= now) {
            self.swept_at = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        self.full_at.len() < self.most
    }

    fn shared_with(&self, key: &K) -> Duration {
        self.shared.get(self.slot(key)).copied().unwrap_or_default()
    }

    /// By a hash under a key of this process: nobody can aim at another's bucket.
    fn slot(&self, key: &K) -> usize {
        usize::try_from(self.full_at.hasher().hash_one(key)).unwrap_or_default() % SHARED
    }
}
