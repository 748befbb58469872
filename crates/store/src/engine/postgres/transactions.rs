//! Transactions on PostgreSQL. They are SERIALIZABLE, so that bodies may decide on what they read as they may on SQLite,
//! where there is one writer; those that collide are run again. The few that every order makes hold the rows they decide
//! on instead.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use tokio::sync::Semaphore;

use crate::engine::Database;
use crate::engine::postgres::{Session, run, script, unreachable_database};
use crate::error::StoreError;
use crate::tx::{Connection, Failure, Tx, Want};

/// Connections of one server.
const CONNECTIONS: u32 = 16;

/// Writing transactions at once. PostgreSQL notes by pages of its indices what a serializable transaction read, and rows
/// of one time share pages: with 16 a third collides and less is done than with 8 (docs/adr/0003).
const WRITERS: usize = 8;

/// How often a transaction is begun before its caller is told to try again later: about two seconds.
const ATTEMPTS: u32 = 20;

/// Every distinct statement of the program fits.
const STATEMENTS: usize = 256;

/// How a transaction begins.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Write,
    /// READ COMMITTED: each statement sees what was committed before it, and what the body decides on it holds.
    Held,
    /// None at all: each statement is a transaction of its own.
    Direct,
    /// Reads one snapshot, for that time at most if one is given.
    Read(Option<Duration>),
    /// Waits for the advisory lock of that key. READ COMMITTED: each statement after it sees what its last holder
    /// committed.
    Exclusive(i64),
}

impl Kind {
    pub(super) const fn statement(self) -> Option<&'static str> {
        match self {
            Self::Write => Some("BEGIN ISOLATION LEVEL SERIALIZABLE"),
            Self::Read(_) => Some("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
            Self::Held | Self::Exclusive(_) => Some("BEGIN ISOLATION LEVEL READ COMMITTED"),
            Self::Direct => None,
        }
    }

    pub(super) const fn is_direct(self) -> bool {
        matches!(self, Self::Direct)
    }

    pub(super) async fn prepare(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Write | Self::Held | Self::Direct | Self::Read(None) => Ok(()),
            Self::Read(Some(limit)) => {
                // set_config takes the value as an argument; `true` means: for this transaction
                let sql = "SELECT set_config('statement_timeout', $1, true)";
                run(connection, sql.into(), &[limit.as_millis().to_string().into()], Want::First).await.map(drop)
            }
            Self::Exclusive(key) => {
                script(connection, "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
                let sql = "SELECT 1 FROM pg_advisory_xact_lock($1)";
                run(connection, sql.into(), &[key.into()], Want::First).await.map(drop)
            }
        }
    }
}

/// A pool of connections.
pub(super) struct Transactions {
    database: Arc<Database>,
    pool: PgPool,
    writers: Semaphore,
}

/// What became of one attempt.
enum Attempt<T, E> {
    Done(Result<T, E>),
    /// Nothing was changed, and the same may succeed now.
    Again(StoreError),
}

impl Transactions {
    /// Connects once, to know that it is possible.
    pub(super) async fn open(
        options: PgConnectOptions,
        database: Arc<Database>,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        // A serializable transaction that reads a whole small table collides with every writer of it, so the planner
        // is kept to the indices. The limits end what a lost server or a fault would hold for ever.
        let options = options.statement_cache_capacity(STATEMENTS).options([
            ("enable_seqscan", "off"),
            // All statements are prepared, and an index is always right: nothing is gained by planning again.
            ("plan_cache_mode", "force_generic_plan"),
            ("statement_timeout", "30s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(patience)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    // a connection that has just been used is not asked again whether it lives
                    Ok(about.idle_for < Duration::from_secs(1) || connection.ping().await.is_ok())
                })
            })
            .connect_with(options)
            .await
            .map_err(|error| unreachable_database(&database, &error))?;
        Ok(Self { database, pool, writers: Semaphore::new(WRITERS) })
    }

    /// Runs a body in a transaction and commits it; again, when it collides with another.
    pub(super) async fn write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        self.repeat(Kind::Write, Some(&self.writers), &body).await
    }

    /// Runs a body that holds what it decides on, and commits it; again, when it met another crosswise.
    pub(super) async fn write_held<T, E, F>(&self, body: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        self.repeat(Kind::Held, None, &body).await
    }

    async fn repeat<T, E, F>(&self, kind: Kind, turns: Option<&Semaphore>, body: &F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        for attempt in 0..ATTEMPTS {
            let turn = match turns {
                Some(turns) => Some(turns.acquire().await.map_err(|_| StoreError::Closed)?),
                None => None,
            };
            match self.attempt(kind, body).await {
                Attempt::Done(outcome) => return outcome,
                Attempt::Again(error) => {
                    tracing::debug!(database = %self.database, attempt, %error, "a transaction runs again")
                }
            }
            drop(turn);
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(StoreError::Busy { what: "the transaction collided with others again and again" }.into())
    }

    /// Runs a body whose statements are transactions of their own, so that no round trips go to one.
    pub(super) async fn direct<T, E, F>(&self, body: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        self.once(Kind::Direct, &body).await
    }

    /// Runs a body on one snapshot; stops it when a statement takes longer than `limit`.
    pub(super) async fn read<T, E, F>(&self, body: F, limit: Option<Duration>) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        self.once(Kind::Read(limit), &body).await
    }

    /// Runs a body while no other server runs one under the same key.
    pub(super) async fn exclusive<T, E, F>(&self, key: i64, body: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        self.once(Kind::Exclusive(key), &body).await
    }

    async fn once<T, E, F>(&self, kind: Kind, body: &F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        match self.attempt(kind, body).await {
            Attempt::Done(outcome) => outcome,
            Attempt::Again(error) => Err(error.into()),
        }
    }

    async fn attempt<T, E, F>(&self, kind: Kind, body: &F) -> Attempt<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        let mut session = Session::new(self.pool.clone(), Arc::clone(&self.database), kind);
        let mut tx = Tx::new(Connection::Postgres(&mut session), &self.database);
        let outcome = body(&mut tx).await;
        let ended = match (tx.into_failure(), outcome) {
            (None, Ok(value)) => session.commit().await.map(|()| value),
            (Some(failure), outcome) if failure.again || outcome.is_ok() => {
                session.roll_back().await;
                Err(failure)
            }
            (_, outcome) => {
                session.roll_back().await;
                return Attempt::Done(outcome);
            }
        };
        match ended {
            Ok(value) => Attempt::Done(Ok(value)),
            Err(Failure { error, again: true }) => Attempt::Again(error),
            Err(Failure { error, .. }) => Attempt::Done(Err(error.into())),
        }
    }

    /// Gives every connection back.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// None at first, then 1 ms, doubled up to 128 ms: of transactions that collide, one always commits.
fn pause(attempt: u32) -> Duration {
    attempt.checked_sub(1).map_or(Duration::ZERO, |doublings| Duration::from_millis(1 << doublings.min(7)))
}
