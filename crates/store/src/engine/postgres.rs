//! PostgreSQL, for several servers on one database. Transactions are SERIALIZABLE, so that bodies may decide on what
//! they read as they may on SQLite, where there is one writer; those that collide are run again.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow, PgTransaction};
use sqlx::{Arguments, AssertSqlSafe, Column, Connection as _, Executor, PgConnection, Row as _, TypeInfo, ValueRef};

use crate::engine::Database;
use crate::error::StoreError;
use crate::tx::{Answer, Connection, Failure, Tx, Want};
use crate::value::{Cell, Row, Value};

/// Connections of one server.
const CONNECTIONS: u32 = 16;

/// How often a transaction is begun before its caller is told to try again later.
const ATTEMPTS: u32 = 12;

/// Every distinct statement of the program fits.
const STATEMENTS: usize = 256;

/// How a transaction begins.
#[derive(Clone, Copy)]
enum Kind {
    Write,
    /// Reads one snapshot, for that time at most if one is given.
    Read(Option<Duration>),
    /// Waits for the advisory lock of that key. READ COMMITTED: each statement after it sees what its last holder
    /// committed.
    Exclusive(i64),
}

impl Kind {
    const fn statement(self) -> &'static str {
        match self {
            Self::Write => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            Self::Read(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            Self::Exclusive(_) => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    async fn prepare(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        match self {
            Self::Write | Self::Read(None) => Ok(()),
            Self::Read(Some(limit)) => {
                // set_config takes the value as an argument; `true` means: for this transaction
                let sql = "SELECT set_config('statement_timeout', $1, true)";
                tx.row(sql, &[limit.as_millis().to_string().into()]).await.map(drop)
            }
            Self::Exclusive(key) => {
                tx.script("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
                tx.row("SELECT 1 FROM pg_advisory_xact_lock($1)", &[key.into()]).await.map(drop)
            }
        }
    }
}

/// A pool of connections.
pub(crate) struct Postgres {
    database: Database,
    pool: PgPool,
}

/// What became of one attempt.
enum Attempt<T, E> {
    Done(Result<T, E>),
    /// Nothing was changed, and the same may succeed now.
    Again(StoreError),
}

impl Postgres {
    /// Connects once, to know that it is possible.
    pub(crate) async fn open(options: PgConnectOptions, database: Database, patience: Duration) -> Result<Self, StoreError> {
        // A serializable transaction that reads a whole small table collides with every writer of it, so the planner
        // is kept to the indices. The limits end what a lost server or a fault would hold for ever.
        let options = options.statement_cache_capacity(STATEMENTS).options([
            ("enable_seqscan", "off"),
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
        Ok(Self { database, pool })
    }

    /// The name for messages.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Runs a body in a transaction and commits it; again, when it collides with another.
    pub(crate) async fn write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        for attempt in 0..ATTEMPTS {
            match self.attempt(Kind::Write, &body).await {
                Attempt::Done(outcome) => return outcome,
                Attempt::Again(error) => tracing::debug!(database = %self.database, attempt, %error, "a transaction runs again"),
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(StoreError::Busy { what: "the transaction collided with others again and again" }.into())
    }

    /// Runs a body on one snapshot; stops it when a statement takes longer than `limit`.
    pub(crate) async fn read<T, E, F>(&self, body: F, limit: Option<Duration>) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        self.once(Kind::Read(limit), &body).await
    }

    /// Runs a body while no other server runs one under the same key.
    pub(crate) async fn exclusive<T, E, F>(&self, key: i64, body: F) -> Result<T, E>
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
        let mut transaction = match self.pool.begin_with(kind.statement()).await {
            Ok(transaction) => transaction,
            // broken before anything was sent: the pool has others, or makes one
            Err(error @ sqlx::Error::Io(_)) => return Attempt::Again(explain(&self.database, &error).error),
            Err(error) => return Attempt::Done(Err(explain(&self.database, &error).error.into())),
        };
        let mut tx = Tx::new(Connection::Postgres(&mut transaction), &self.database);
        let outcome = match kind.prepare(&mut tx).await {
            Ok(()) => body(&mut tx).await,
            Err(error) => Err(error.into()),
        };
        let spoilt = tx.into_failure();
        match (spoilt, outcome) {
            (Some(Failure { error, again: true }), _) => {
                roll_back(transaction).await;
                Attempt::Again(error)
            }
            (Some(failure), Ok(_)) => {
                roll_back(transaction).await;
                Attempt::Done(Err(failure.error.into()))
            }
            (_, Err(error)) => {
                roll_back(transaction).await;
                Attempt::Done(Err(error))
            }
            (None, Ok(value)) => self.commit(transaction, value).await,
        }
    }

    async fn commit<T, E: From<StoreError>>(&self, transaction: PgTransaction<'_>, value: T) -> Attempt<T, E> {
        match transaction.commit().await {
            Ok(()) => Attempt::Done(Ok(value)),
            Err(error @ sqlx::Error::Database(_)) => match explain(&self.database, &error) {
                Failure { error, again: true } => Attempt::Again(error),
                Failure { error, .. } => Attempt::Done(Err(error.into())),
            },
            Err(error) => {
                tracing::error!(database = %self.database, %error, "the connection broke during a commit");
                Attempt::Done(Err(StoreError::Unknown.into()))
            }
        }
    }

    /// Gives every connection back.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", self.database)
    }
}

/// None at first, then 1 ms, doubled up to 128 ms: of transactions that collide, one always commits.
fn pause(attempt: u32) -> Duration {
    attempt.checked_sub(1).map_or(Duration::ZERO, |doublings| Duration::from_millis(1 << doublings.min(7)))
}

async fn roll_back(transaction: PgTransaction<'_>) {
    // a connection that cannot roll back is closed by the pool, which ends its transaction on the server
    let _ = transaction.rollback().await;
}

/// Runs one statement.
pub(crate) async fn run(
    connection: &mut PgConnection,
    sql: Cow<'static, str>,
    values: &[Value<'_>],
    want: Want,
) -> Result<Answer, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Int(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value.as_deref()),
            Value::Bytes(value) => arguments.add(value.as_deref()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    // Texts are put together from constants of this crate only.
    let query = sqlx::query_with::<sqlx::Postgres, _>(AssertSqlSafe(sql), arguments);
    let rows = match want {
        Want::Count => {
            let touched = connection.execute(query).await?.rows_affected();
            return Ok(Answer { touched, rows: Vec::new() });
        }
        Want::First => connection.fetch_optional(query).await?.into_iter().collect(),
        Want::All => connection.fetch_all(query).await?,
    };
    let rows = rows.iter().map(row).collect::<Result<_, _>>()?;
    Ok(Answer { touched: 0, rows })
}

/// Runs many statements of one text.
pub(crate) async fn script(connection: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(sql)).await.map(drop)
}

fn row(row: &PgRow) -> Result<Row, sqlx::Error> {
    let cells = row.columns().iter().map(|column| {
        let index = column.ordinal();
        if row.try_get_raw(index)?.is_null() {
            return Ok(Cell::Null);
        }
        match column.type_info().name() {
            "INT8" => row.try_get(index).map(Cell::Int),
            "INT4" => row.try_get::<i32, _>(index).map(|value| Cell::Int(value.into())),
            "BYTEA" => row.try_get(index).map(Cell::Bytes),
            _ => row.try_get(index).map(Cell::Text),
        }
    });
    cells.collect::<Result<_, _>>().map(Row)
}

/// What an error of the driver means. Details and hints of the server are left out: they repeat values.
pub(crate) fn explain(database: &Database, error: &sqlx::Error) -> Failure {
    let stays = |error| Failure { error, again: false };
    match error {
        sqlx::Error::Database(refusal) => {
            let code = refusal.code().unwrap_or_default();
            let message = refusal.message().to_owned();
            let what = refusal.constraint().map_or_else(|| message.clone(), str::to_owned);
            Failure { error: translate(database.to_string(), &code, message, what), again: is_collision(&code) }
        }
        sqlx::Error::PoolTimedOut => stays(StoreError::Busy { what: "all connections are in use" }),
        sqlx::Error::PoolClosed => stays(StoreError::Closed),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => stays(unreachable_database(database, error)),
        other => stays(StoreError::fault(format!("the PostgreSQL driver: {other}"))),
    }
}

/// serialization_failure, deadlock_detected.
fn is_collision(code: &str) -> bool {
    matches!(code, "40001" | "40P01")
}

/// Codes of PostgreSQL's appendix A.
fn translate(database: String, code: &str, message: String, what: String) -> StoreError {
    match code {
        "23505" => StoreError::Duplicate { what },
        "23503" => StoreError::Dangling { what },
        "25006" => StoreError::ReadOnly { database },
        "40001" | "40P01" => StoreError::Busy { what: "two transactions collided" },
        "42P01" | "42703" => StoreError::NotMigrated { what: message },
        "53100" => StoreError::Full { database },
        "53300" => StoreError::Busy { what: "the server has no connection left" },
        "55P03" => StoreError::Busy { what: "a row is locked by another transaction" },
        "57014" => StoreError::TooSlow,
        "28000" | "28P01" | "3D000" | "42501" => StoreError::CannotOpen { database, reason: message },
        "XX001" | "XX002" => StoreError::Damaged { database, reason: message },
        "58030" => StoreError::Disk { database, reason: message },
        // shutdown and crash of the server: the connection is gone before a commit was sent
        code if code.starts_with("57P") || code.starts_with("08") => StoreError::Unavailable { database, reason: message },
        code => StoreError::fault(format!("PostgreSQL refused a statement ({code}): {message}")),
    }
}

fn unreachable_database(database: &Database, error: &sqlx::Error) -> StoreError {
    if let sqlx::Error::Database(_) = error {
        return explain(database, error).error;
    }
    let reason = match error {
        sqlx::Error::PoolTimedOut => "no answer in time".to_owned(),
        other => other.to_string(),
    };
    StoreError::Unavailable { database: database.to_string(), reason }
}
