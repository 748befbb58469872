//! The newest lists, in memory: what is served.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use data_encoding::HEXLOWER;
use pki_core::ids::IssuerId;
use pki_core::x509::crl::Crl;
use ring::digest::{SHA256, digest};
use store::crls::{CrlRecord, Scheduled};
use tokio::sync::OnceCell;

/// A signed list as relying parties get it.
pub struct Published {
    /// What is known of it.
    pub record: CrlRecord,
    /// The full list.
    pub full: Crl,
    /// What changed since the last scheduled one, if that is published.
    pub delta: Option<Crl>,
    /// SHA-256 of the full list in hexadecimal.
    pub sha256: String,
    /// SHA-256 of the delta in hexadecimal.
    pub delta_sha256: String,
    /// The full list, compressed by whoever asks for that first.
    pub gzip: OnceCell<Option<Arc<Vec<u8>>>>,
}

impl Published {
    /// Lists that are published.
    pub fn new(record: CrlRecord, full: Crl, delta: Option<Crl>) -> Self {
        let hash = |crl: &Crl| HEXLOWER.encode(digest(&SHA256, crl.der()).as_ref());
        let (sha256, delta_sha256) = (hash(&full), delta.as_ref().map(hash).unwrap_or_default());
        Self { record, full, delta, sha256, delta_sha256, gzip: OnceCell::new() }
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").field("record", &self.record).field("full", &self.full).finish_non_exhaustive()
    }
}

type Scopes = BTreeMap<(IssuerId, Option<u32>), Arc<Published>>;

/// The newest list of each scope.
#[derive(Debug, Default)]
pub struct Shelf {
    scopes: RwLock<Scopes>,
    root: RwLock<Option<Arc<Published>>>,
}

impl Shelf {
    /// The list of a scope.
    pub fn get(&self, issuer: IssuerId, shard: Option<u32>) -> Option<Arc<Published>> {
        self.scopes.read().unwrap_or_else(PoisonError::into_inner).get(&(issuer, shard)).cloned()
    }

    /// The number of the list of a scope.
    pub fn number(&self, issuer: IssuerId, shard: Option<u32>) -> Option<u64> {
        self.get(issuer, shard).map(|list| list.record.number)
    }

    /// All of them, each issuer's complete list first.
    pub fn all(&self) -> Vec<Arc<Published>> {
        self.scopes.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Serves a list from now on, unless a newer one is served already.
    pub(super) fn put(&self, list: Arc<Published>) {
        let mut scopes = self.scopes.write().unwrap_or_else(PoisonError::into_inner);
        let key = (list.record.issuer, list.record.shard);
        if scopes.get(&key).is_none_or(|shelved| shelved.record.number < list.record.number) {
            scopes.insert(key, list);
        }
    }

    /// The root's list, which comes from a ceremony: hashed once.
    pub(super) fn of_root(&self, issuer: IssuerId, crl: Crl) -> Arc<Published> {
        let mut root = self.root.write().unwrap_or_else(PoisonError::into_inner);
        match &*root {
            Some(known) if known.full == crl => Arc::clone(known),
            _ => Arc::clone(root.insert(Arc::new(root_list(issuer, crl)))),
        }
    }
}

fn root_list(issuer: IssuerId, crl: Crl) -> Published {
    let (number, at) = (crl.number(), crl.this_update());
    let record = CrlRecord {
        issuer,
        shard: None,
        number,
        this_update: at,
        next_update: crl.next_update(),
        entries: u64::try_from(crl.entry_count()).unwrap_or(u64::MAX),
        covers: 0,
        urls: Vec::new(),
        scheduled: Scheduled { number, at, covers: 0 },
    };
    Published::new(record, crl, None)
}
