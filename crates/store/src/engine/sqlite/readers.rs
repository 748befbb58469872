//! Read connections. Point reads run in the calling thread: a hop to another costs fifty times the read.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rusqlite::OpenFlags;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::engine::Database;
use crate::engine::sqlite::{connect, explain};
use crate::error::StoreError;
use crate::tx::{Connection, Tx};

/// Idle connections that are kept; more are opened when more threads read at once.
const KEPT: usize = 8;

/// Scans at once: they take a core each.
const SCANS: usize = 2;

/// How many steps of SQLite's machine pass between two looks at the clock, about a millisecond.
const STEPS: i32 = 50_000;

/// The pool.
pub(crate) struct Readers(Arc<Pool>);

struct Pool {
    path: PathBuf,
    database: Arc<Database>,
    busy_timeout: Duration,
    idle: Mutex<Vec<rusqlite::Connection>>,
    scans: Semaphore,
    closed: AtomicBool,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, database: Arc<Database>, busy_timeout: Duration) -> Self {
        let (idle, scans) = (Mutex::default(), Semaphore::new(SCANS));
        Self(Arc::new(Pool { path, database, busy_timeout, idle, scans, closed: AtomicBool::new(false) }))
    }

    pub(crate) fn read<T, E, F>(&self, body: &F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        self.0.begin()?.run(body)
    }

    pub(crate) fn look<T, E, F>(&self, body: &F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        self.0.take()?.run(body)
    }

    pub(crate) async fn scan<T, E, F>(&self, body: F, limit: Duration) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let _permit = self.0.scans.acquire().await.map_err(|_| StoreError::Closed)?;
        self.pass(body, limit).await
    }

    /// A scan that waits for no other.
    pub(crate) async fn pass<T, E, F>(&self, body: F, limit: Duration) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let pool = Arc::clone(&self.0);
        let scan = move || -> Result<T, E> {
            let mut reader = pool.begin()?;
            reader.stop_at(Instant::now() + limit)?;
            reader.run(&body)
        };
        let joined = tokio::task::spawn_blocking(scan).await;
        joined.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => StoreError::Closed,
        })?
    }

    /// No connection is handed out any more.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.scans.close();
        self.0.idle().clear();
    }
}

/// The outcome of a body that has only the database to wait for, which never keeps it waiting.
pub(crate) fn ready<T>(body: impl Future<Output = T>) -> Result<T, StoreError> {
    match pin!(body).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Ok(outcome),
        Poll::Pending => Err(StoreError::fault("a transaction waited for something else than the database")),
    }
}

impl Pool {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<rusqlite::Connection>> {
        // a list of idle connections is whole whenever the lock is free, whoever panicked
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection inside a transaction: what a body reads is one state of the database.
    fn begin(&self) -> Result<Reader<'_>, StoreError> {
        let mut reader = self.take()?;
        let begun = reader.connection()?.prepare_cached("BEGIN DEFERRED").and_then(|mut begin| begin.execute([]));
        begun.map_err(|error| explain(&self.database, &error).error)?;
        Ok(reader)
    }

    fn take(&self) -> Result<Reader<'_>, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, &self.database, OpenFlags::SQLITE_OPEN_READ_ONLY, self.busy_timeout)?,
        };
        Ok(Reader { connection: Some(connection), limited: false, pool: self })
    }
}

/// A connection on loan. It goes back when it is dropped, also by a panic.
struct Reader<'p> {
    connection: Option<rusqlite::Connection>,
    limited: bool,
    pool: &'p Pool,
}

impl Reader<'_> {
    fn connection(&mut self) -> Result<&mut rusqlite::Connection, StoreError> {
        self.connection.as_mut().ok_or(StoreError::Closed)
    }

    fn run<T, E, F>(&mut self, body: &F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        let database = &self.pool.database;
        let connection = self.connection.as_mut().ok_or(StoreError::Closed)?;
        let mut tx = Tx::new(Connection::Sqlite(connection), database);
        let outcome = ready(body(&mut tx))?;
        match tx.into_failure() {
            Some(failure) if outcome.is_ok() => Err(failure.error.into()),
            _ => outcome,
        }
    }

    fn stop_at(&mut self, deadline: Instant) -> Result<(), StoreError> {
        self.limited = true;
        let set = self.connection()?.progress_handler(STEPS, Some(move || Instant::now() > deadline));
        set.map_err(|error| explain(&self.pool.database, &error).error)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let unlimited = !self.limited || connection.progress_handler(0, None::<fn() -> bool>).is_ok();
        let ended = connection.is_autocommit()
            || connection.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([])).is_ok();
        let mut idle = self.pool.idle();
        if unlimited && ended && idle.len() < KEPT && !self.pool.closed.load(Ordering::Acquire) {
            idle.push(connection);
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readers({})", self.0.database)
    }
}
