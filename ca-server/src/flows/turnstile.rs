//! What every signed request has to pass: its nonce is spent once, and its account is as it stands now.
//!
//! When one process owns the database, spent nonces are bits in its memory. When several share one, they are rows, and a
//! round trip for each request and table would be half of its cost: requests that come together share their round trips,
//! and an account that was loaded before is only asked whether it has changed since.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pki_core::acme::account::Account;
use pki_core::acme::jwk::Thumbprint;
use pki_core::device::Device;
use pki_core::ids::AccountId;
use pki_core::time::Timestamp;
use store::{Store, StoreError, Tx, accounts, devices, nonces};
use tokio::sync::oneshot;

use super::FlowError;
use super::nonce::{Genuine, SpentInMemory};

/// Requests that share a round trip.
const TOGETHER: usize = 64;

/// Accounts that are remembered; about a kilobyte each.
const HOLDERS: usize = 4096;

/// An account, and the device it is bound to.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) account: Account,
    pub(super) device: Option<Device>,
}

impl Holder {
    /// Loads the account of that id.
    pub(super) async fn load(store: &Store, id: AccountId) -> Result<Option<Self>, FlowError> {
        store
            .look(async move |tx| {
                let account = accounts::find(tx, id).await?;
                Self::of(tx, account).await
            })
            .await
    }

    /// Loads the account that has this key.
    pub(super) async fn of_key(store: &Store, key: Thumbprint) -> Result<Option<Self>, FlowError> {
        store
            .look(async move |tx| {
                let account = accounts::find_by_thumbprint(tx, &key).await?;
                Self::of(tx, account).await
            })
            .await
    }

    async fn of(tx: &mut Tx<'_>, account: Option<Account>) -> Result<Option<Self>, FlowError> {
        let Some(account) = account else { return Ok(None) };
        let device = match account.device() {
            Some(device) => devices::find(tx, device).await?,
            None => None,
        };
        Ok(Some(Self { account, device }))
    }

    fn versions(&self) -> (i64, Option<i64>) {
        (self.account.version, self.device.as_ref().map(|device| device.version))
    }
}

/// What came of passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    /// The nonce was fresh, and the account is as its holder says.
    Current,
    /// The nonce was fresh; the account has to be loaded again.
    Outdated,
    /// The nonce was spent before.
    Replayed,
}

/// The way in.
#[derive(Debug)]
pub(crate) enum Turnstile {
    /// No other process shares the database.
    Own(SpentInMemory),
    Shared(Shared),
}

impl Turnstile {
    /// For a database of one process, or of several.
    pub(crate) fn new(owns_database: bool, now: Timestamp) -> Self {
        if owns_database { Self::Own(SpentInMemory::new(now)) } else { Self::Shared(Shared::default()) }
    }

    /// Whether no other process works on the database.
    pub(crate) const fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// What is remembered of an account; it may have changed since.
    pub(super) fn recall(&self, id: AccountId) -> Option<Holder> {
        match self {
            Self::Own(_) => None,
            Self::Shared(shared) => shared.holders().get(&id).cloned(),
        }
    }

    /// Remembers an account as it was loaded.
    pub(super) fn remember(&self, holder: &Holder) {
        let Self::Shared(shared) = self else { return };
        let mut holders = shared.holders();
        if holders.len() >= HOLDERS {
            holders.clear();
        }
        holders.insert(holder.account.id, holder.clone());
    }

    /// Spends a nonce of a request that `holder` has signed; none when its key is not known yet.
    pub(super) async fn pass(
        &self,
        store: &Store,
        (nonce, now): (&Genuine, Timestamp),
        holder: Option<&Holder>,
    ) -> Result<Passed, FlowError> {
        match self {
            Self::Own(spent) if spent.spend(nonce, now) => Ok(Passed::Current),
            Self::Own(_) => Ok(Passed::Replayed),
            Self::Shared(shared) => shared.pass(store, nonce, holder).await,
        }
    }
}

/// The turnstile of processes that share a database.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    holders: Mutex<HashMap<AccountId, Holder>>,
    waiting: Mutex<Vec<Waiting>>,
    lead: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    nonce: (String, Timestamp),
    account: Option<AccountId>,
    reply: oneshot::Sender<Result<Seen, StoreError>>,
}

/// Whether a nonce was fresh, and where its account stands.
#[derive(Debug)]
struct Seen {
    fresh: bool,
    versions: Option<(i64, Option<i64>)>,
}

impl Shared {
    async fn pass(&self, store: &Store, nonce: &Genuine, holder: Option<&Holder>) -> Result<Passed, FlowError> {
        let (reply, mut answer) = oneshot::channel();
        let account = holder.map(|holder| holder.account.id);
        self.waiting().push(Waiting { nonce: (nonce.id(), nonce.expires_at()), account, reply });
        // Whoever finds nobody under way goes, and takes all who wait along.
        let seen = loop {
            tokio::select! {
                biased;
                seen = &mut answer => break seen,
                _lead = self.lead.lock() => self.go(store).await,
            }
        };
        let seen = seen.map_err(|_| FlowError::Internal("a request was lost at the turnstile".to_owned()))??;
        Ok(match (seen.fresh, holder) {
            (false, _) => Passed::Replayed,
            (true, Some(holder)) if seen.versions != Some(holder.versions()) => Passed::Outdated,
            (true, _) => Passed::Current,
        })
    }

    async fn go(&self, store: &Store) {
        let batch = {
            let mut waiting = self.waiting();
            let taken = waiting.len().min(TOGETHER);
            let rest = waiting.split_off(taken);
            std::mem::replace(&mut *waiting, rest)
        };
        let nonces: Vec<_> = batch.iter().map(|one| one.nonce.clone()).collect();
        let accounts: Vec<_> = batch.iter().filter_map(|one| one.account).collect();
        let mut outcome = store
            .write_one(async move |tx| {
                let fresh = nonces::spend_all(tx, &nonces).await?;
                Ok::<_, StoreError>((fresh, accounts::list_versions(tx, &accounts).await?))
            })
            .await;
        for Waiting { nonce: (nonce, _), account, reply } in batch {
            let seen = outcome.as_mut().map_err(|error| error.clone()).map(|(fresh, versions)| Seen {
                // of two requests with one nonce, the first has it
                fresh: fresh.remove(&nonce),
                versions: account.and_then(|account| versions.get(&account).copied()),
            });
            // who has gone away is told nothing
            let _ = reply.send(seen);
        }
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<AccountId, Holder>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
