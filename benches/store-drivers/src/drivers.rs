//! The ways to run a transaction.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgArguments, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use crate::postgres::Postgres;
use crate::workload::{ACCOUNT, Arg, Statement, Transaction};

const SQLITE: &str = concat!(
    include_str!("../../../migrations/sqlite/0001_schema.sql"),
    include_str!("../../../migrations/sqlite/0003_challenges.sql")
);
const POSTGRES: &str = concat!(
    include_str!("../../../migrations/postgres/0001_schema.sql"),
    include_str!("../../../migrations/postgres/0003_challenges.sql")
);
const READ: &str = "SELECT value FROM meta WHERE key = $1";

pub trait Driver: Send + Sync + 'static {
    fn run(&self, transaction: Transaction) -> impl Future<Output = ()> + Send;
    /// How many transactions collided and were run again.
    fn retries(&self) -> u64 {
        0
    }
}

/// A writer of its own, and how many transactions one commit may hold.
pub struct Writer {
    queue: mpsc::Sender<(Transaction, oneshot::Sender<()>)>,
    _folder: TempDir,
}

impl Driver for Writer {
    async fn run(&self, transaction: Transaction) {
        let (reply, done) = oneshot::channel();
        self.queue.send((transaction, reply)).await.expect("the writer lives");
        done.await.expect("the writer answers");
    }
}

pub async fn rusqlite_single() -> Writer {
    rusqlite_writer(1)
}

pub async fn rusqlite_group() -> Writer {
    rusqlite_writer(256)
}

fn rusqlite_writer(batch: usize) -> Writer {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = rusqlite_open(&folder);
    let (queue, mut requests) = mpsc::channel::<(Transaction, oneshot::Sender<()>)>(1024);
    std::thread::spawn(move || {
        while let Some(first) = requests.blocking_recv() {
            let mut gathered = vec![first];
            while gathered.len() < batch
                && let Ok(next) = requests.try_recv()
            {
                gathered.push(next);
            }
            let run = |sql: &str| connection.prepare_cached(sql).expect("valid").execute([]).map(drop).expect("runs");
            run("BEGIN IMMEDIATE");
            for (transaction, _) in &gathered {
                if batch > 1 {
                    run("SAVEPOINT body");
                }
                transaction.iter().for_each(|statement| rusqlite_run(&connection, statement));
                if batch > 1 {
                    run("RELEASE body");
                }
            }
            run("COMMIT");
            gathered.into_iter().for_each(|(_, reply)| _ = reply.send(()));
        }
    });
    Writer { queue, _folder: folder }
}

fn rusqlite_open(folder: &TempDir) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(folder.path().join("test.db")).expect("opens");
    connection.set_prepared_statement_cache_capacity(256);
    connection
        .execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA foreign_keys = on")
        .expect("valid");
    connection.execute_batch(SQLITE).expect("valid");
    connection.execute_batch(ACCOUNT).expect("valid");
    connection
}

fn rusqlite_run(connection: &rusqlite::Connection, Statement(sql, args): &Statement) {
    let mut statement = connection.prepare_cached(sql).expect("valid");
    for index in 1..=statement.parameter_count() {
        let number: usize = statement.parameter_name(index).expect("named")[1..].parse().expect("a number");
        match &args[number - 1] {
            Arg::Int(value) => statement.raw_bind_parameter(index, value),
            Arg::Text(value) => statement.raw_bind_parameter(index, value),
            Arg::Bytes(value) => statement.raw_bind_parameter(index, value),
        }
        .expect("binds");
    }
    assert_eq!(statement.raw_execute().expect("runs"), 1);
}

pub async fn sqlx_sqlite_single() -> Writer {
    sqlx_writer(1).await
}

pub async fn sqlx_sqlite_group() -> Writer {
    sqlx_writer(256).await
}

async fn sqlx_writer(batch: usize) -> Writer {
    let folder = tempfile::tempdir().expect("a folder");
    let mut connection = sqlx_open(&folder).await;
    let (queue, mut requests) = mpsc::channel::<(Transaction, oneshot::Sender<()>)>(1024);
    tokio::spawn(async move {
        while let Some(first) = requests.recv().await {
            let mut gathered = vec![first];
            while gathered.len() < batch
                && let Ok(next) = requests.try_recv()
            {
                gathered.push(next);
            }
            connection.execute("BEGIN IMMEDIATE").await.expect("runs");
            for (transaction, _) in &gathered {
                if batch > 1 {
                    connection.execute("SAVEPOINT body").await.expect("runs");
                }
                for statement in transaction {
                    sqlx_sqlite_run(&mut connection, statement).await;
                }
                if batch > 1 {
                    connection.execute("RELEASE body").await.expect("runs");
                }
            }
            connection.execute("COMMIT").await.expect("runs");
            gathered.into_iter().for_each(|(_, reply)| _ = reply.send(()));
        }
    });
    Writer { queue, _folder: folder }
}

async fn sqlx_open(folder: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("test.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(256);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("opens");
    connection.execute(sqlx::raw_sql(SQLITE)).await.expect("valid");
    connection.execute(ACCOUNT).await.expect("valid");
    connection
}

async fn sqlx_sqlite_run(connection: &mut SqliteConnection, Statement(sql, args): &Statement) {
    let mut query = sqlx::query_with::<sqlx::Sqlite, _>(*sql, SqliteArguments::default());
    for arg in args {
        query = match arg {
            Arg::Int(value) => query.bind(*value),
            Arg::Text(value) => query.bind(value.clone()),
            Arg::Bytes(value) => query.bind(value.clone()),
        };
    }
    assert_eq!(query.execute(connection).await.expect("runs").rows_affected(), 1);
}

/// A pool, a transaction a caller.
pub struct Pool {
    pool: PgPool,
    begin: &'static str,
    retries: AtomicU64,
}

pub async fn postgres_read_committed() -> Pool {
    postgres_pool("BEGIN ISOLATION LEVEL READ COMMITTED", 16).await
}

pub async fn postgres_serializable() -> Pool {
    postgres_pool("BEGIN ISOLATION LEVEL SERIALIZABLE", 16).await
}

pub async fn postgres_serializable_eight() -> Pool {
    postgres_pool("BEGIN ISOLATION LEVEL SERIALIZABLE", 8).await
}

async fn postgres_pool(begin: &'static str, connections: u32) -> Pool {
    let url = format!("{}?options=-c%20enable_seqscan%3Doff", Postgres::shared().new_database());
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(60))
        .test_before_acquire(false);
    let pool = pool.connect(&url).await.expect("connects");
    pool.execute(sqlx::raw_sql(POSTGRES)).await.expect("valid");
    pool.execute(ACCOUNT).await.expect("valid");
    Pool { pool, begin, retries: AtomicU64::new(0) }
}

impl Driver for Pool {
    async fn run(&self, transaction: Transaction) {
        while let Err(error) = self.attempt(&transaction).await {
            let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
            assert!(code == "40001" || code == "40P01", "{error}");
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}

impl Pool {
    async fn attempt(&self, transaction: &Transaction) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.begin_with(self.begin).await?;
        for Statement(sql, args) in transaction {
            let mut query = sqlx::query_with::<sqlx::Postgres, _>(*sql, PgArguments::default());
            for arg in args {
                query = match arg {
                    Arg::Int(value) => query.bind(*value),
                    Arg::Text(value) => query.bind(value.as_str()),
                    Arg::Bytes(value) => query.bind(value.as_slice()),
                };
            }
            assert_eq!(query.execute(&mut *connection).await?.rows_affected(), 1);
        }
        connection.commit().await
    }
}

/// One read by key, one after the other.
pub async fn point_reads() {
    const READS: u32 = 20_000;
    let folder = tempfile::tempdir().expect("a folder");
    let connection = rusqlite_open(&folder);
    connection.execute("INSERT INTO meta (key, value) VALUES ('k', 'v')", []).expect("runs");
    let begin = Instant::now();
    for _ in 0..READS {
        let mut statement = connection.prepare_cached(READ).expect("valid");
        let value: String = statement.query_row(["k"], |row| row.get(0)).expect("a row");
        assert_eq!(value, "v");
    }
    println!("\nA read by key: rusqlite {:.1} us", micros(begin, READS));
    let folder = tempfile::tempdir().expect("a folder");
    let mut connection = sqlx_open(&folder).await;
    connection.execute("INSERT INTO meta (key, value) VALUES ('k', 'v')").await.expect("runs");
    let begin = Instant::now();
    for _ in 0..READS {
        let value: String = sqlx::query_scalar(READ).bind("k").fetch_one(&mut connection).await.expect("a row");
        assert_eq!(value, "v");
    }
    println!("A read by key: sqlx on SQLite {:.1} us", micros(begin, READS));
}

fn micros(begin: Instant, reads: u32) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(reads)
}
