//! Anti-replay nonces (RFC 8555 section 6.5): self-contained, so that making one remembers nothing.
//!
//! A nonce is its issue time, the process that made it and its number there, under authenticated encryption with a random
//! prefix; every replica that shares the site key accepts it. Only *spent* nonces are remembered: in memory, a bit each,
//! when one process owns the database (nonces of other processes are refused), in the table `used_nonce` when several
//! share it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki_core::random::{self, Entropy};
use pki_core::time::Timestamp;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce as AeadNonce, UnboundKey};

/// How long a nonce may be used.
pub const LIFE: Duration = Duration::from_secs(3600);

/// Issue time, process, number: eight octets each.
const PLAIN: usize = 24;
const TAG: usize = 16;
const SEALED: usize = NONCE_LEN + PLAIN + TAG;

/// Why a nonce is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceError {
    /// Not base64url without padding: `malformed`.
    Malformed,
    /// Not ours, too old, or spent: `badNonce`.
    Unusable,
}

/// A nonce that is genuine and young. Whether it was spent before is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Genuine {
    id: [u8; NONCE_LEN],
    issued_at: Timestamp,
    /// Its number, if this process made it.
    number: Option<u64>,
}

impl Genuine {
    /// Text form of the part that makes it unique.
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.id)
    }

    /// When it need not be remembered any more.
    pub fn expires_at(&self) -> Timestamp {
        self.issued_at + LIFE
    }
}

/// Makes and recognises nonces.
pub struct Nonces {
    key: LessSafeKey,
    /// Tells the nonces of this process from those of others: numbers begin anew in each.
    process: OnceLock<u64>,
    issued: AtomicU64,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonces { key: [hidden] }")
    }
}

impl Nonces {
    /// `key` is shared by all replicas.
    pub fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the length of the algorithm");
        Self { key: LessSafeKey::new(key), process: OnceLock::new(), issued: AtomicU64::new(0) }
    }

    /// A fresh nonce: base64url of 52 octets, 96 random bits beside what is sealed.
    pub fn issue(&self, now: Timestamp, entropy: &dyn Entropy) -> String {
        let id = random::bytes::<NONCE_LEN>(entropy);
        let process = *self.process.get_or_init(|| u64::from_be_bytes(random::bytes(entropy)));
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let mut sealed = Vec::with_capacity(SEALED);
        sealed.extend(now.unix_millis().to_be_bytes());
        sealed.extend(process.to_be_bytes());
        sealed.extend(number.to_be_bytes());
        self.key
            .seal_in_place_append_tag(AeadNonce::assume_unique_for_key(id), Aad::empty(), &mut sealed)
            .expect("a few octets are within the cipher's limits");
        URL_SAFE_NO_PAD.encode([id.as_slice(), &sealed].concat())
    }

    /// Opens a nonce of a request.
    pub fn open(&self, text: &str, now: Timestamp) -> Result<Genuine, NonceError> {
        let mut octets = URL_SAFE_NO_PAD.decode(text).map_err(|_| NonceError::Malformed)?;
        if octets.len() != SEALED {
            return Err(NonceError::Unusable);
        }
        let (id, sealed) = octets.split_first_chunk_mut::<NONCE_LEN>().ok_or(NonceError::Unusable)?;
        let nonce = AeadNonce::assume_unique_for_key(*id);
        let plain = self.key.open_in_place(nonce, Aad::empty(), sealed).map_err(|_| NonceError::Unusable)?;
        let (millis, plain) = plain.split_first_chunk().ok_or(NonceError::Unusable)?;
        let (process, plain) = plain.split_first_chunk().ok_or(NonceError::Unusable)?;
        let (number, _) = plain.split_first_chunk().ok_or(NonceError::Unusable)?;
        let issued_at = Timestamp::from_unix_millis(i64::from_be_bytes(*millis));
        let is_own = self.process.get() == Some(&u64::from_be_bytes(*process));
        let number = is_own.then(|| u64::from_be_bytes(*number));
        if issued_at + LIFE <= now {
            return Err(NonceError::Unusable);
        }
        Ok(Genuine { id: *id, issued_at, number })
    }
}

/// Nonces of one page of [`SpentInMemory`]: four kilobytes of bits.
const PAGE: u64 = 32_768;

/// How often pages are looked through for those that are over.
const SWEEP: Duration = Duration::from_secs(60);

/// The nonces this process has seen spent: a bit each, in pages that exist once one of their nonces was spent.
///
/// A page is forgotten when the last nonce that was spent in it is refused for its age. So the memory is at most a bit
/// for each nonce issued in two hours, however many are spent.
#[derive(Debug)]
pub struct SpentInMemory {
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    by_number: HashMap<u64, Page>,
    swept_at: Timestamp,
    /// Numbers below may have been spent in a forgotten page. They are too old as well, unless the clock went back: a
    /// number and not a time, so that a clock that was ahead for hours leaves the nonces made after it usable.
    forgotten: u64,
}

#[derive(Debug)]
struct Page {
    /// When the last of the nonces spent in it ends.
    until: Timestamp,
    bits: Box<[u64]>,
}

impl SpentInMemory {
    /// Knows of no spent nonce yet; those of other processes are refused.
    pub fn new(now: Timestamp) -> Self {
        Self { pages: Mutex::new(Pages { by_number: HashMap::new(), swept_at: now, forgotten: 0 }) }
    }

    /// Spends a nonce; false when it was spent before or may have been.
    pub fn spend(&self, nonce: &Genuine, now: Timestamp) -> bool {
        let Some(number) = nonce.number else { return false };
        let mut pages = self.lock();
        pages.sweep(now);
        number >= pages.forgotten && pages.mark(number, nonce.expires_at())
    }

    /// How many octets are held.
    pub fn memory(&self) -> usize {
        self.lock().by_number.values().map(|page| size_of_val(&*page.bits) + size_of::<(u64, Page)>()).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Pages {
    fn sweep(&mut self, now: Timestamp) {
        if self.swept_at <= now && now < self.swept_at + SWEEP {
            return;
        }
        self.swept_at = now;
        let forgotten = &mut self.forgotten;
        self.by_number.retain(|number, page| {
            if page.until <= now {
                *forgotten = (number * PAGE + page.after_last()).max(*forgotten);
            }
            page.until > now
        });
    }

    /// Whether the bit of that nonce was not set before.
    fn mark(&mut self, number: u64, until: Timestamp) -> bool {
        let words = usize::try_from(PAGE / 64).unwrap_or(0);
        let page = self.by_number.entry(number / PAGE).or_insert_with(|| Page { until, bits: vec![0; words].into() });
        let (word, bit) = (usize::try_from(number % PAGE / 64).unwrap_or(usize::MAX), 1_u64 << (number % 64));
        page.until = page.until.max(until);
        match page.bits.get_mut(word) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }
}

impl Page {
    /// The place after the last nonce that was spent in it.
    fn after_last(&self) -> u64 {
        let words = (1_u64..).zip(&self.bits).filter(|(_, word)| **word != 0);
        words.last().map_or(0, |(words, word)| words * 64 - u64::from(word.leading_zeros()))
    }
}

#[cfg(test)]
mod tests {
    use pki_core::random::SystemEntropy;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn non_5_a_nonce_is_spent_once_and_only_by_those_who_share_the_key() {
        let entropy = SystemEntropy::new();
        let nonces = Nonces::new(&[7; 32]);
        let spent = SpentInMemory::new(at(100));
        let text = nonces.issue(at(100), &entropy);
        let genuine = nonces.open(&text, at(101)).unwrap();
        assert!(spent.spend(&genuine, at(101)));
        assert!(!spent.spend(&genuine, at(102)));
        assert_eq!(Nonces::new(&[8; 32]).open(&text, at(101)), Err(NonceError::Unusable));
    }

    #[test]
    fn non_5_a_spent_nonce_stays_spent_for_its_whole_life() {
        let entropy = SystemEntropy::new();
        let nonces = Nonces::new(&[7; 32]);
        let spent = SpentInMemory::new(at(0));
        let genuine = nonces.open(&nonces.issue(at(3599), &entropy), at(3599)).unwrap();
        assert!(spent.spend(&genuine, at(3599)));
        let other = nonces.open(&nonces.issue(at(3601), &entropy), at(3601)).unwrap();
        assert!(spent.spend(&other, at(3601)), "sweeps");
        assert!(!spent.spend(&genuine, at(7000)));
    }

    #[test]
    fn non_3_old_strange_and_earlier_nonces_are_refused() {
        let entropy = SystemEntropy::new();
        let nonces = Nonces::new(&[7; 32]);
        let text = nonces.issue(at(100), &entropy);
        assert_eq!(nonces.open(&text, at(3700)), Err(NonceError::Unusable));
        assert_eq!(nonces.open("AAAA", at(100)), Err(NonceError::Unusable));
        assert_eq!(nonces.open("not base64!", at(100)), Err(NonceError::Malformed));
        assert_eq!(nonces.open("AAA=", at(100)), Err(NonceError::Malformed));
    }

    #[test]
    fn non_5_nonces_of_other_processes_are_refused_in_memory_and_kept_apart_in_the_table() {
        let entropy = SystemEntropy::new();
        let (before, after) = (Nonces::new(&[7; 32]), Nonces::new(&[7; 32]));
        let (old, new) = (before.issue(at(100), &entropy), after.issue(at(100), &entropy));
        let spent = SpentInMemory::new(at(100));
        let (old, new) = (after.open(&old, at(100)).unwrap(), after.open(&new, at(100)).unwrap());
        assert!(!spent.spend(&old, at(100)), "its number is another's here");
        assert!(spent.spend(&new, at(100)));
        assert_ne!(old.id(), new.id());
    }

    #[test]
    fn non_7_memory_is_a_bit_for_each_nonce_and_nothing_for_those_never_used() {
        const MANY: u64 = 1 << 20;
        let (spent, hour) = (SpentInMemory::new(at(0)), 3600);
        let nonce = |number, second| Genuine { id: [0; NONCE_LEN], issued_at: at(second), number: Some(number) };
        assert!((0..MANY).all(|number| spent.spend(&nonce(number, 0), at(0))));
        assert!((0..MANY).all(|number| !spent.spend(&nonce(number, 0), at(1))));
        assert!(spent.memory() < 150_000, "{} octets for a million", spent.memory());
        assert!(spent.spend(&nonce(1 << 40, hour), at(hour)), "a flood of unused ones lies between");
        assert!(spent.memory() < 10_000, "the first hour is forgotten: {}", spent.memory());
    }

    #[test]
    fn non_5_a_clock_that_goes_back_brings_no_spent_nonce_to_life() {
        let entropy = SystemEntropy::new();
        let (nonces, spent) = (Nonces::new(&[7; 32]), SpentInMemory::new(at(0)));
        let first = nonces.issue(at(10), &entropy);
        assert!(spent.spend(&nonces.open(&first, at(10)).unwrap(), at(10)));
        let ahead = nonces.open(&nonces.issue(at(90_000), &entropy), at(90_000)).unwrap();
        assert!(spent.spend(&ahead, at(90_000)), "the page of the first is forgotten");
        let later = nonces.open(&nonces.issue(at(94_000), &entropy), at(94_000)).unwrap();
        assert!(spent.spend(&later, at(94_000)), "and the page of the time ahead");
        let again = nonces.open(&first, at(20)).unwrap();
        assert!(!spent.spend(&again, at(20)));
        for second in [20, 0, -5] {
            let fresh = nonces.open(&nonces.issue(at(second), &entropy), at(second)).unwrap();
            assert!(spent.spend(&fresh, at(second)), "and fresh ones work, though it is {second}");
        }
    }
}
