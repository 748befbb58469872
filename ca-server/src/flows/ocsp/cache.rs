//! Signed answers that are asked for again: bounded in number and octets, forgotten when a certificate's state changes.
//!
//! A million answers kept ready would be a gigabyte, so they are signed when they are first asked for. Whoever asks for the
//! same while it is signed waits for that one signature.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pki_core::x509::ocsp::CertId;
use tokio::sync::OnceCell;

use super::{Kept, Made};

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheBounds {
    /// Answers.
    pub answers: usize,
    /// Octets of answers, with what is remembered beside them.
    pub octets: usize,
}

/// Locks that do not wait for each other.
const SHARDS: usize = 16;

/// What an entry takes beside the answer itself.
const BESIDE: usize = 512;

/// A question: of which issuer, which certificate, in which of the ways to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    issuer: u16,
    form: u8,
    length: u8,
    serial: [u8; 20],
}

impl Key {
    /// None for serial numbers that no certificate can have, and hashes that are not known.
    pub fn new(issuer: u16, id: &CertId<'_>) -> Option<Self> {
        Self::of(issuer, id.serial_octets()?, id.form()?)
    }

    pub(super) fn of(issuer: u16, octets: &[u8], form: usize) -> Option<Self> {
        let mut serial = [0; 20];
        serial.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(Self { issuer, form: u8::try_from(form).ok()?, length: u8::try_from(octets.len()).ok()?, serial })
    }

    /// Which issuer.
    pub fn issuer(&self) -> u16 {
        self.issuer
    }

    /// The octets of the serial number.
    pub fn serial(&self) -> &[u8] {
        self.serial.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Serial numbers are random: their last octet spreads them.
    fn shard(&self) -> usize {
        usize::from(self.serial().last().copied().unwrap_or(0)) % SHARDS
    }
}

/// One signature on its way.
#[derive(Debug, Default)]
pub struct Flight {
    /// What came of it.
    pub made: OnceCell<Made>,
    /// The certificate's state changed after it was read.
    stale: AtomicBool,
}

#[derive(Debug)]
struct Slot {
    kept: Arc<Kept>,
    asked: AtomicBool,
}

#[derive(Debug, Default)]
struct Shard {
    slots: HashMap<Key, Slot>,
    /// In the order they came, to be let go in it; those asked for meanwhile get another turn.
    order: VecDeque<Key>,
    octets: usize,
    flights: HashMap<Key, Arc<Flight>>,
}

/// The answers.
#[derive(Debug)]
pub struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    answers: usize,
    octets: usize,
    /// Answers kept, for monitoring.
    pub count: AtomicI64,
    /// Their octets.
    pub size: AtomicI64,
}

impl Cache {
    /// Empty.
    pub fn new(bounds: CacheBounds) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            answers: bounds.answers.div_ceil(SHARDS),
            octets: bounds.octets.div_ceil(SHARDS),
            count: AtomicI64::new(0),
            size: AtomicI64::new(0),
        }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        // the number is below SHARDS
        let [first, ..] = &self.shards;
        self.shards.get(key.shard()).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, if it is kept.
    pub fn get(&self, key: &Key) -> Option<Arc<Kept>> {
        let shard = self.shard(key);
        let slot = shard.slots.get(key)?;
        if !slot.asked.load(Ordering::Relaxed) {
            slot.asked.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&slot.kept))
    }

    /// The signature that is on its way, or a new one that the caller sees to.
    pub fn flight(&self, key: Key) -> Arc<Flight> {
        Arc::clone(self.shard(&key).flights.entry(key).or_default())
    }

    /// Ends a flight: the next question begins another.
    pub fn land(&self, key: &Key, flight: &Arc<Flight>) {
        let mut shard = self.shard(key);
        if shard.flights.get(key).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            shard.flights.remove(key);
        }
    }

    /// Keeps an answer, unless its certificate changed while it was signed.
    pub fn put(&self, key: Key, kept: Arc<Kept>, flight: &Flight) {
        let mut shard = self.shard(&key);
        // under the lock that `forget` takes: either it sees the answer, or this sees the mark
        if flight.stale.load(Ordering::Relaxed) {
            return;
        }
        let before = (shard.slots.len(), shard.octets);
        shard.insert(key, kept);
        while shard.slots.len() > self.answers || shard.octets > self.octets {
            if !shard.let_one_go() {
                break;
            }
        }
        self.account(before, &shard);
    }

    /// Forgets every answer about a certificate; what is being signed now is not kept.
    pub fn forget(&self, issuer: u16, serial: &[u8]) {
        for key in (0..CertId::FORMS).filter_map(|form| Key::of(issuer, serial, form)) {
            let mut shard = self.shard(&key);
            let before = (shard.slots.len(), shard.octets);
            if let Some(flight) = shard.flights.remove(&key) {
                flight.stale.store(true, Ordering::Relaxed);
            }
            shard.remove(&key);
            self.account(before, &shard);
        }
    }

    /// Forgets everything.
    pub fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before = (shard.slots.len(), shard.octets);
            shard.flights.drain().for_each(|(_, flight)| flight.stale.store(true, Ordering::Relaxed));
            shard.slots.clear();
            shard.order.clear();
            shard.octets = 0;
            self.account(before, &shard);
        }
    }

    /// Walks over what is kept: `judge` says of each answer, and whether it was asked for since it was signed, whether it
    /// stays; the keys of those it wants signed anew come back.
    pub fn review(&self, judge: impl Fn(&Kept, bool) -> Verdict) -> Vec<(Key, Arc<Kept>)> {
        let mut due = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before = (shard.slots.len(), shard.octets);
            let mut gone = Vec::new();
            for (key, slot) in &shard.slots {
                match judge(&slot.kept, slot.asked.load(Ordering::Relaxed)) {
                    Verdict::Stays => {}
                    Verdict::Again => due.push((*key, Arc::clone(&slot.kept))),
                    Verdict::Goes => gone.push(*key),
                }
            }
            gone.iter().for_each(|key| shard.remove(key));
            self.account(before, &shard);
        }
        due
    }

    fn account(&self, (count, octets): (usize, usize), shard: &Shard) {
        let difference = |now: usize, before: usize| {
            i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(i64::try_from(before).unwrap_or(i64::MAX))
        };
        self.count.fetch_add(difference(shard.slots.len(), count), Ordering::Relaxed);
        self.size.fetch_add(difference(shard.octets, octets), Ordering::Relaxed);
    }
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Stays,
    /// It is signed anew, and stays until then.
    Again,
    /// It is forgotten.
    Goes,
}

impl Shard {
    fn insert(&mut self, key: Key, kept: Arc<Kept>) {
        self.octets += kept.der.len() + BESIDE;
        match self.slots.entry(key) {
            Entry::Occupied(mut slot) => {
                self.octets -= slot.get().kept.der.len() + BESIDE;
                slot.insert(Slot { kept, asked: AtomicBool::new(false) });
            }
            Entry::Vacant(place) => {
                place.insert(Slot { kept, asked: AtomicBool::new(false) });
                self.order.push_back(key);
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(slot) = self.slots.remove(key) else { return };
        self.octets -= slot.kept.der.len() + BESIDE;
        // keys of what is gone wait in the line; there are never more of them than of the others
        if self.order.len() > 2 * self.slots.len() + SHARDS {
            let slots = &self.slots;
            self.order.retain(|key| slots.contains_key(key));
        }
    }

    /// Lets the oldest go that was not asked for again; whether there was one to let go.
    fn let_one_go(&mut self) -> bool {
        for _ in 0..=self.order.len() {
            let Some(key) = self.order.pop_front() else { return false };
            match self.slots.get(&key) {
                None => {}
                Some(slot) if slot.asked.swap(false, Ordering::Relaxed) => self.order.push_back(key),
                Some(_) => {
                    self.remove(&key);
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::ocsp::tests::kept;

    fn key(number: u8) -> Key {
        Key::of(0, &[0x40, number, 0], 0).unwrap()
    }

    fn cache(answers: usize) -> Cache {
        Cache::new(CacheBounds { answers: answers * SHARDS, octets: 1 << 30 })
    }

    #[test]
    fn what_nobody_asks_for_goes_first_and_the_bounds_hold() {
        let cache = cache(3);
        let flight = Flight::default();
        for number in 0..3 {
            cache.put(key(number), kept(100), &flight);
        }
        assert!(cache.get(&key(0)).is_some());
        cache.put(key(3), kept(100), &flight);
        assert!(cache.get(&key(0)).is_some(), "it was asked for");
        assert!(cache.get(&key(1)).is_none(), "the oldest that was not");
        assert_eq!(cache.count.load(Ordering::Relaxed), 3);
        for number in 0..200 {
            cache.put(key(number), kept(100), &flight);
            cache.get(&key(number));
        }
        assert_eq!(cache.count.load(Ordering::Relaxed), 3);
        assert_eq!(cache.size.load(Ordering::Relaxed), 3 * i64::try_from(100 + BESIDE).unwrap());
        let narrow = Cache::new(CacheBounds { answers: 1000, octets: SHARDS * 2 * (100 + BESIDE) });
        (0..10).for_each(|number| narrow.put(key(number), kept(100), &flight));
        assert_eq!(narrow.count.load(Ordering::Relaxed), 2, "octets are bounded too");
    }

    /// OCS-12: fails when an answer that was read before a revocation is kept after it.
    #[test]
    fn ocs_12_what_is_signed_while_a_state_changes_is_not_kept() {
        let cache = cache(9);
        let flight = cache.flight(key(1));
        assert!(Arc::ptr_eq(&flight, &cache.flight(key(1))), "one signature for all who ask");
        cache.forget(0, &[0x40, 1, 0]);
        cache.put(key(1), kept(100), &flight);
        assert!(cache.get(&key(1)).is_none());
        let next = cache.flight(key(1));
        assert!(!Arc::ptr_eq(&flight, &next), "who asks after the change waits for a new answer");
        cache.land(&key(1), &flight);
        assert!(Arc::ptr_eq(&next, &cache.flight(key(1))), "an old flight ends no new one");
        cache.put(key(1), kept(100), &next);
        cache.land(&key(1), &next);
        assert!(cache.get(&key(1)).is_some());
    }

    #[test]
    fn ocs_12_every_form_of_the_question_is_forgotten() {
        let cache = cache(9);
        let flight = Flight::default();
        for form in 0..CertId::FORMS {
            cache.put(Key::of(0, &[7], form).unwrap(), kept(1), &flight);
        }
        cache.put(Key::of(1, &[7], 0).unwrap(), kept(1), &flight);
        cache.forget(0, &[7]);
        assert_eq!(cache.count.load(Ordering::Relaxed), 1, "that of the other issuer stays");
        cache.forget_all();
        assert_eq!((cache.count.load(Ordering::Relaxed), cache.size.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn forgetting_again_and_again_takes_no_memory() {
        let cache = cache(1000);
        for _ in 0..10_000 {
            cache.put(key(1), kept(1), &Flight::default());
            cache.forget(0, &[0x40, 1, 0]);
        }
        let shard = cache.shard(&key(1));
        assert!(shard.order.len() <= SHARDS + 1, "{}", shard.order.len());
    }
}
