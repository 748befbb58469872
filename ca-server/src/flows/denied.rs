//! The denied set of this process, kept current from the database (docs/adr/0013).
//!
//! Every revocation and denial has a number. This process knows up to which it has read, asks for what came after it
//! several times a second and right after every change of its own, and tells whoever listens. Permission is decided by
//! rows in the transaction that uses it; what is here refuses sooner, before a nonce is spent or anything is written.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::revocation::denied::{Change, DeniedSet, Subject};
use store::revocations::denials::Denial;
use store::revocations::{self, Entry, Event, Standing};
use store::{Store, StoreError, Tx};
use tokio::time::Instant;

use super::{Context, FlowError};
use crate::telemetry::Metrics;

/// Rows read at once after a start or an absence.
const PAGE: u32 = 5000;

/// So many are read in place, like any small thing: another thread costs more. A batch and what goes with it are no more.
const FEW: u32 = 2000;

/// How long this process may go without reading before it says so: many times the pause between two looks.
pub const STALE: Duration = Duration::from_secs(10);

/// Hears of every change, in order. What it does must not wait.
pub trait Listener: Send + Sync + std::fmt::Debug {
    /// These changed.
    fn heard(&self, changes: &[Change]);

    /// The database is another one than it was, as after a restore: nothing that was heard counts.
    fn forget(&self) {}
}

/// Who is denied, as far as this process has read.
#[derive(Debug)]
pub struct Denied {
    set: RwLock<DeniedSet>,
    /// All is to be read, in the place of what is known.
    wants_all: AtomicBool,
    /// Rows that were passed over since everything was read.
    unreadable: AtomicUsize,
    reading: tokio::sync::Mutex<()>,
    listeners: RwLock<Vec<Arc<dyn Listener>>>,
    current_at: Mutex<Instant>,
    metrics: Arc<Metrics>,
}

impl Denied {
    /// Knows nothing yet.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            set: RwLock::default(),
            wants_all: AtomicBool::default(),
            unreadable: AtomicUsize::default(),
            reading: tokio::sync::Mutex::default(),
            listeners: RwLock::default(),
            current_at: Mutex::new(Instant::now()),
            metrics,
        }
    }

    /// Tells `listener` of every change from now on.
    pub fn listen(&self, listener: Arc<dyn Listener>) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// The number of the last change that is known here.
    pub fn number(&self) -> u64 {
        self.set.read().unwrap_or_else(PoisonError::into_inner).number()
    }

    /// How long ago everything was known that the database knows.
    pub fn lag(&self) -> Duration {
        self.current_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Whether any of these is denied.
    pub fn denies(&self, subjects: &[Subject]) -> bool {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        subjects.iter().any(|subject| set.denies(subject))
    }

    /// Refuses whoever is denied, under whatever name.
    pub fn refuse(&self, subjects: &[Subject]) -> Result<(), FlowError> {
        if !self.denies(subjects) {
            return Ok(());
        }
        let detail = "access was withdrawn; ask the administrator of this CA";
        Err(Problem::new(ProblemKind::Unauthorized, detail).with_status(401).into())
    }

    /// Reads whatever is new; the number it has come to. One reader at a time, so that changes come in their order.
    pub async fn catch_up(&self, store: &Store) -> Result<u64, FlowError> {
        let _reading = self.reading.lock().await;
        let begun = Instant::now();
        let head = store.look(async |tx| Ok::<_, StoreError>(revocations::head(tx).await?)).await?;
        if head < self.number() {
            tracing::warn!(
                head,
                "the numbers of revocations went back: the database is another one; all are read again"
            );
            self.forget();
        }
        if self.number() == 0 && head > u64::from(FEW) {
            self.forget();
        }
        self.read_all(store).await?;
        while self.number() < head {
            let from = self.number();
            let events = if head - from <= u64::from(FEW) {
                store.look(async move |tx| Ok::<_, StoreError>(revocations::since(tx, from, FEW).await?)).await?
            } else {
                store.pass(async move |tx| Ok::<_, StoreError>(revocations::since(tx, from, PAGE).await?)).await?
            };
            self.take_in(events, head);
        }
        *self.current_at.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let unreadable = self.unreadable.load(Ordering::Relaxed);
        self.metrics.revocation.denied(set.number(), set.sizes(), unreadable, begun);
        Ok(set.number())
    }

    /// Reads everything again with the next look: the database turned out to be another one. What was known is in force until
    /// then, so that nobody gets in meanwhile.
    pub(super) fn forget(&self) {
        self.wants_all.store(true, Ordering::SeqCst);
    }

    /// Puts what the database knows in the place of what was known, if that is of no use.
    async fn read_all(&self, store: &Store) -> Result<(), FlowError> {
        if !self.wants_all.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let (set, unreadable) = match store.pass(whole).await {
            Ok(read) => read,
            Err(error) => {
                self.forget();
                return Err(error);
            }
        };
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = set;
        self.unreadable.store(unreadable, Ordering::Relaxed);
        self.each_listener(|listener| listener.forget());
        Ok(())
    }

    fn take_in(&self, events: Vec<Event>, head: u64) {
        let (many, last) = (events.len(), events.last().map(Event::number));
        let changes: Vec<Change> = events.into_iter().filter_map(change).collect();
        {
            let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
            changes.iter().for_each(|change| set.apply(change));
            // without any, the last changes are of rows that are forgotten by now
            set.advance(last.unwrap_or(head));
        }
        self.unreadable.fetch_add(many - changes.len(), Ordering::Relaxed);
        self.each_listener(|listener| listener.heard(&changes));
    }

    fn each_listener(&self, tell: impl Fn(&dyn Listener)) {
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().for_each(|listener| tell(listener.as_ref()));
    }
}

/// Everything that is denied, of one moment; and how many rows were passed over.
async fn whole(tx: &mut Tx<'_>) -> Result<(DeniedSet, usize), FlowError> {
    let (mut set, mut unreadable) = (DeniedSet::default(), 0);
    loop {
        let page = revocations::denials_since(tx, set.number(), PAGE).await?;
        let Some(last) = page.last().map(|denial| denial.number) else { break };
        for denial in page {
            match denied(denial) {
                Some(change) => set.apply(&change),
                None => unreadable += 1,
            }
        }
        set.advance(last);
    }
    let mut after = None;
    loop {
        let page = revocations::revoked(tx, after.as_ref(), PAGE).await?;
        let Some(last) = page.last().cloned() else { break };
        set.deny(page);
        after = Some(last);
    }
    set.advance(revocations::head(tx).await?);
    Ok((set, unreadable))
}

fn change(event: Event) -> Option<Change> {
    match event {
        Event::Certificate(Entry { number, change, .. }) => {
            let denied = matches!(change.standing, Standing::Revoked(_));
            Some(Change { number, subject: Subject::Certificate(change.issuer, change.serial), denied })
        }
        Event::Denial(denial) => denied(denial),
    }
}

/// None for a row that nobody here understands. It is told and passed over: what came after it is in force all the same.
fn denied(Denial { subject, number, is_denied, .. }: Denial) -> Option<Change> {
    match subject {
        Ok(subject) => Some(Change { number, subject, denied: is_denied }),
        Err(what) => {
            tracing::error!(
                number,
                what,
                "a row of `denial` denies nobody whom this server knows: let all servers be of the same version, or correct the \
                 row, or remove it"
            );
            None
        }
    }
}

/// After a commit of this process: what it has changed is in force here before anybody is answered. When that can not be
/// read the next look brings it.
pub(super) async fn after_commit(ctx: &Context) {
    if let Err(error) = ctx.denied.catch_up(&ctx.store).await {
        tracing::warn!(%error, "a revocation is stored, and is taken in with the next look");
    }
    ctx.work.notify_one();
    ctx.crls.wake.notify_one();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use pki_core::time::Timestamp;
    use store::OpenOptions;
    use store::revocations::denials;
    use tempfile::TempDir;
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;

    async fn opened() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(OpenOptions::new("sqlite:test.db", folder.path())).await.unwrap();
        store.migrate().await.unwrap();
        (folder, store)
    }

    /// Denies these keys and allows the seventh.
    async fn deny(store: &Store, keys: std::ops::Range<u32>) {
        let at = Timestamp::from_unix_seconds(0);
        let write = store.write(async move |tx| {
            for key in keys.clone() {
                denials::deny(tx, &Subject::ApiKey(key.to_string()), at).await?;
            }
            denials::allow(tx, &Subject::ApiKey("7".to_owned()), at).await
        });
        write.await.unwrap();
    }

    /// Fails when whoever reads everything at its start knows another number, or other subjects, than whoever read along.
    #[tokio::test]
    async fn a_start_knows_what_reading_along_tells() {
        let (_folder, store) = opened().await;
        let (along, fresh) = (Denied::new(Arc::default()), Denied::new(Arc::default()));
        for part in [0..10, 10..FEW, FEW..FEW + 100] {
            deny(&store, part).await;
            along.catch_up(&store).await.unwrap();
        }
        assert_eq!(fresh.catch_up(&store).await.unwrap(), along.number());
        for (key, is_denied) in [("0", true), ("7", false), (&*FEW.to_string(), true), ("x", false)] {
            let subject = [Subject::ApiKey(key.to_owned())];
            assert_eq!((fresh.denies(&subject), along.denies(&subject)), (is_denied, is_denied), "{key}");
        }
    }

    /// Fails when those who were denied get in while another database is read, or what was known of the former one stays.
    #[tokio::test]
    async fn what_was_known_is_in_force_until_all_is_read_again() {
        let ((_one, former), (_two, other)) = (opened().await, opened().await);
        deny(&former, 0..3).await;
        deny(&other, 5..7).await;
        let known = Denied::new(Arc::default());
        known.catch_up(&former).await.unwrap();
        known.forget();
        let denied = || ["0", "5"].map(|key| known.denies(&[Subject::ApiKey(key.to_owned())]));
        assert_eq!(denied(), [true, false]);
        known.catch_up(&other).await.unwrap();
        assert_eq!(denied(), [false, true]);
    }

    /// Fails when a few changes, many, or everything at a start are read only when the searches of others have ended: whoever
    /// takes a device out would wait that long for the answer.
    #[tokio::test]
    async fn what_is_denied_is_known_while_others_search() {
        let (_folder, store) = opened().await;
        let known = Denied::new(Arc::default());
        deny(&store, 0..1).await;
        known.catch_up(&store).await.unwrap();
        // as many searches as SQLite is given at once, and more; they end when `end` does
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let (begun, mut is_begun) = tokio::sync::mpsc::unbounded_channel();
        let mut searches = JoinSet::new();
        for _ in 0..4 {
            let (ended, begun) = (Arc::clone(&ended), begun.clone());
            searches.spawn(store.scan(async move |_| {
                begun.send(()).unwrap();
                ended.lock().unwrap().recv().unwrap_err();
                Ok::<_, StoreError>(())
            }));
        }
        is_begun.recv().await.unwrap();
        is_begun.recv().await.unwrap();

        let mut read = Vec::new();
        for keys in [1..9, 9..FEW + 100] {
            deny(&store, keys).await;
            read.push(timeout(Duration::from_secs(20), known.catch_up(&store)).await);
        }
        read.push(timeout(Duration::from_secs(20), Denied::new(Arc::default()).catch_up(&store)).await);
        drop(end);
        let numbers: Vec<u64> =
            read.into_iter().map(|read| read.expect("it waits for the searches").unwrap()).collect();
        assert_eq!(numbers, [11, u64::from(FEW) + 103, u64::from(FEW) + 103]);
    }
}
