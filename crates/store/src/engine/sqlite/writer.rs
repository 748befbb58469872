//! The one writer. Transactions of many requests become savepoints of one commit: one fsync for all of them.
//!
//! It never waits to fill a batch; while it commits, the queue fills the next one.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::engine::Database;
use crate::engine::sqlite::{explain, readers::ready};
use crate::error::StoreError;
use crate::tx::{Connection, Tx};

/// Transactions that may wait; more callers wait for a place.
const QUEUE: usize = 1024;

/// Transactions of one commit: bounds what is lost and run again when the commit fails.
const BATCH: usize = 256;

/// The way to the writer thread.
pub(crate) struct Writer {
    queue: mpsc::Sender<Order>,
}

enum Order {
    Work(Box<dyn Work>),
    Close(oneshot::Sender<()>),
}

impl Writer {
    /// Starts the thread; it ends when the last handle is gone or [`Writer::close`] is called.
    pub(crate) fn start(connection: rusqlite::Connection, database: Arc<Database>) -> std::io::Result<Self> {
        let (queue, orders) = mpsc::channel(QUEUE);
        let thread = Thread { connection, database };
        std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || thread.run(orders))?;
        Ok(Self { queue })
    }

    /// Runs a body and waits until it is on the disk.
    pub(crate) async fn write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(Request { body, outcome: None, reply });
        self.queue.send(Order::Work(work)).await.map_err(|_| StoreError::Closed)?;
        match answer.await {
            Ok(Outcome::Done(outcome)) => outcome,
            // the caller sees the panic of its own body, as if it had run in place
            Ok(Outcome::Panicked(panic)) => resume_unwind(panic),
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    /// Waits for everything that was handed in before, and for the file to be closed.
    pub(crate) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(Order::Close(reply)).await.is_ok() {
            // the sender falls when the thread ends: both ways it is closed
            let _ = closed.await;
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

/// A transaction of a caller, whatever its types.
trait Work: Send {
    /// Runs the body, possibly not for the first time; whether its changes are to be kept.
    fn run(&mut self, connection: &mut rusqlite::Connection, database: &Database) -> bool;
    /// Tells the caller. `failure` is what became of changes that were to be kept.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

struct Request<T, E, F> {
    body: F,
    outcome: Option<Outcome<T, E>>,
    reply: oneshot::Sender<Outcome<T, E>>,
}

enum Outcome<T, E> {
    Done(Result<T, E>),
    Panicked(Box<dyn Any + Send>),
}

impl<T, E, F> Work for Request<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, connection: &mut rusqlite::Connection, database: &Database) -> bool {
        let mut tx = Tx::new(Connection::Sqlite(connection), database);
        // A panic leaves the connection in the middle of a transaction, which is then rolled back.
        let run = catch_unwind(AssertUnwindSafe(|| ready((self.body)(&mut tx))));
        let spoilt = tx.into_failure();
        let outcome = match run {
            Err(panic) => Outcome::Panicked(panic),
            Ok(Err(waited)) => Outcome::Done(Err(waited.into())),
            Ok(Ok(outcome)) => Outcome::Done(match spoilt {
                Some(failure) if outcome.is_ok() => Err(failure.error.into()),
                _ => outcome,
            }),
        };
        matches!(self.outcome.insert(outcome), Outcome::Done(Ok(_)))
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        let outcome = match (self.outcome, failure) {
            (Some(Outcome::Done(Ok(_))) | None, Some(failure)) => Outcome::Done(Err(failure.into())),
            (Some(outcome), _) => outcome,
            (None, None) => Outcome::Done(Err(StoreError::fault("a transaction was answered before it ran").into())),
        };
        // a caller that stopped waiting is told nothing
        let _ = self.reply.send(outcome);
    }
}

struct Thread {
    connection: rusqlite::Connection,
    database: Arc<Database>,
}

impl Thread {
    fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut closing = None;
        while closing.is_none() {
            let Some(first) = orders.blocking_recv() else { break };
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(order) = next {
                match order {
                    Order::Work(work) => batch.push(work),
                    Order::Close(reply) => closing = Some(reply),
                }
                let more = closing.is_none() && batch.len() < BATCH;
                next = if more { orders.try_recv().ok() } else { None };
            }
            self.commit_all(batch);
        }
        drop(orders);
        self.finish();
        if let Some(reply) = closing {
            let _ = reply.send(());
        }
    }

    /// The log is moved into the file, so that a copy of the file alone is whole.
    fn finish(self) {
        let checkpoint = self.connection.pragma_update_and_check(None, "wal_checkpoint", "truncate", |_| Ok(()));
        if let Err(error) = checkpoint {
            tracing::warn!(database = %self.database, %error, "could not move the write-ahead log into the database");
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(database = %self.database, %error, "could not close the database");
        }
    }

    fn commit_all(&mut self, mut batch: Vec<Box<dyn Work>>) {
        if batch.len() > 1 {
            self.together(batch);
        } else if let Some(work) = batch.pop() {
            self.alone(work);
        }
    }

    fn alone(&mut self, mut work: Box<dyn Work>) {
        if let Err(error) = self.begin() {
            return work.answer(Some(error));
        }
        let failure = if work.run(&mut self.connection, &self.database) { self.commit().err() } else { None };
        self.roll_back();
        work.answer(failure);
    }

    fn together(&mut self, mut batch: Vec<Box<dyn Work>>) {
        if let Err(error) = self.begin() {
            return batch.into_iter().for_each(|work| work.answer(Some(error.clone())));
        }
        let ran = batch.iter_mut().try_for_each(|work| self.in_savepoint(work.as_mut()));
        match ran.and_then(|()| self.commit()) {
            Ok(()) => batch.into_iter().for_each(|work| work.answer(None)),
            Err(StoreError::Unknown) => {
                self.roll_back();
                batch.into_iter().for_each(|work| work.answer(Some(StoreError::Unknown)));
            }
            // one body spoilt the commit of all, by a deferred constraint or by filling the disk: each for itself
            Err(_) => {
                self.roll_back();
                batch.into_iter().for_each(|work| self.alone(work));
            }
        }
    }

    /// Fails when the whole transaction is lost, not when the body is.
    fn in_savepoint(&mut self, work: &mut dyn Work) -> Result<(), StoreError> {
        self.statement("SAVEPOINT body")?;
        let keep = work.run(&mut self.connection, &self.database);
        if self.connection.is_autocommit() {
            return Err(StoreError::fault("the transaction ended inside a body"));
        }
        if !keep {
            self.statement("ROLLBACK TO body")?;
        }
        self.statement("RELEASE body")
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.statement("BEGIN IMMEDIATE")
    }

    /// After a failed write or sync of the log its frames may or may not be found by a restart.
    fn commit(&mut self) -> Result<(), StoreError> {
        self.statement("COMMIT").map_err(|error| match error {
            StoreError::Disk { reason, .. } => {
                tracing::error!(database = %self.database, reason, "the disk failed during a commit");
                StoreError::Unknown
            }
            error => error,
        })
    }

    fn roll_back(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.statement("ROLLBACK")
        {
            tracing::error!(database = %self.database, %error, "could not roll a transaction back");
        }
    }

    fn statement(&self, sql: &str) -> Result<(), StoreError> {
        let run = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        run.map(drop).map_err(|error| explain(&self.database, &error).error)
    }
}
