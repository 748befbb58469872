//! Anti-replay nonces (RFC 8555 section 6.5): self-contained, so that making one remembers nothing.
//!
//! A nonce is its issue time under authenticated encryption with a random prefix; every replica that shares the site key
//! accepts it. Only *spent* nonces are remembered: in memory when one process owns the database (nonces from before its
//! start are refused), in the table `used_nonce` when several share it.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki_core::random::{self, Entropy};
use pki_core::time::Timestamp;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce as AeadNonce, UnboundKey};

/// How long a nonce may be used.
pub const LIFE: Duration = Duration::from_secs(3600);

const PLAIN: usize = 8;
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
        Self { key: LessSafeKey::new(key) }
    }

    /// A fresh nonce: base64url of 36 octets, 96 random bits beside the sealed time.
    pub fn issue(&self, now: Timestamp, entropy: &dyn Entropy) -> String {
        let id = random::bytes::<NONCE_LEN>(entropy);
        let mut sealed = now.unix_millis().to_be_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(AeadNonce::assume_unique_for_key(id), Aad::empty(), &mut sealed)
            .expect("eight octets are within the cipher's limits");
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
        let millis: [u8; PLAIN] = (&*plain).try_into().map_err(|_| NonceError::Unusable)?;
        let issued_at = Timestamp::from_unix_millis(i64::from_be_bytes(millis));
        if issued_at + LIFE <= now {
            return Err(NonceError::Unusable);
        }
        Ok(Genuine { id: *id, issued_at })
    }
}

/// The nonces this process has seen spent: two generations, of which the older is forgotten as a whole.
#[derive(Debug)]
pub struct SpentInMemory {
    started_at: Timestamp,
    generations: Mutex<Generations>,
}

#[derive(Debug)]
struct Generations {
    turned_at: Timestamp,
    young: HashSet<[u8; NONCE_LEN]>,
    old: HashSet<[u8; NONCE_LEN]>,
}

impl SpentInMemory {
    /// Knows nothing of what was spent before `now`, so refuses nonces from before it.
    pub fn new(now: Timestamp) -> Self {
        let generations = Generations { turned_at: now, young: HashSet::new(), old: HashSet::new() };
        Self { started_at: now, generations: Mutex::new(generations) }
    }

    /// Spends a nonce; false when it was spent before or may have been.
    pub fn spend(&self, nonce: &Genuine, now: Timestamp) -> bool {
        if nonce.issued_at < self.started_at {
            return false;
        }
        let mut generations = self.generations.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if generations.turned_at + LIFE <= now {
            generations.old = std::mem::take(&mut generations.young);
            generations.turned_at = now;
        }
        !generations.old.contains(&nonce.id) && generations.young.insert(nonce.id)
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
    fn a_nonce_is_spent_once_and_only_by_those_who_share_the_key() {
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
    fn a_spent_nonce_stays_spent_for_its_whole_life() {
        let entropy = SystemEntropy::new();
        let nonces = Nonces::new(&[7; 32]);
        let spent = SpentInMemory::new(at(0));
        let genuine = nonces.open(&nonces.issue(at(3599), &entropy), at(3599)).unwrap();
        assert!(spent.spend(&genuine, at(3599)));
        let other = nonces.open(&nonces.issue(at(3601), &entropy), at(3601)).unwrap();
        assert!(spent.spend(&other, at(3601)), "turns the generations");
        assert!(!spent.spend(&genuine, at(7000)));
    }

    #[test]
    fn old_strange_and_earlier_nonces_are_refused() {
        let entropy = SystemEntropy::new();
        let nonces = Nonces::new(&[7; 32]);
        let text = nonces.issue(at(100), &entropy);
        assert_eq!(nonces.open(&text, at(3700)), Err(NonceError::Unusable));
        assert_eq!(nonces.open("AAAA", at(100)), Err(NonceError::Unusable));
        assert_eq!(nonces.open("not base64!", at(100)), Err(NonceError::Malformed));
        assert_eq!(nonces.open("AAA=", at(100)), Err(NonceError::Malformed));
        let genuine = nonces.open(&text, at(101)).unwrap();
        assert!(!SpentInMemory::new(at(101)).spend(&genuine, at(102)), "from before the start");
    }
}
