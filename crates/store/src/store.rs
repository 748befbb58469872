//! The store: opened once, shared by everything that reads or writes.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::location::Location;
use crate::engine::postgres::Postgres;
use crate::engine::sqlite::Sqlite;
use crate::error::StoreError;
use crate::migrate;
use crate::tx::Tx;

/// How long a search may take.
const SCAN_LIMIT: Duration = Duration::from_secs(10);

/// How long a pass may take: it holds a snapshot, and a database that can free nothing grows.
const PASS_LIMIT: Duration = Duration::from_secs(600);

/// How to open a store.
#[derive(Clone, Copy)]
pub struct OpenOptions<'a> {
    /// `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    pub url: &'a str,
    /// Where relative paths start.
    pub base_dir: &'a Path,
    /// How long to wait for a lock of another process, or for a connection.
    pub patience: Duration,
}

impl<'a> OpenOptions<'a> {
    /// Five seconds of patience.
    pub const fn new(url: &'a str, base_dir: &'a Path) -> Self {
        Self { url, base_dir, patience: Duration::from_secs(5) }
    }
}

impl fmt::Debug for OpenOptions<'_> {
    /// Without the address: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenOptions {{ base_dir: {:?}, patience: {:?}, .. }}", self.base_dir, self.patience)
    }
}

/// A transaction on its way. Boxed, because the compiler cannot see through a generic body that its future can be sent
/// to other threads; it need not be, since it stays on one.
pub type Running<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// A database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Engine>);

pub(crate) enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// The ways to a transaction.
#[derive(Clone, Copy)]
enum Access {
    Write,
    WriteHeld,
    WriteOne,
    Look,
    Read,
    Scan,
    Pass,
}

impl Store {
    /// Opens the database and refuses one that this program does not understand. Does not migrate.
    pub async fn open(options: OpenOptions<'_>) -> Result<Self, StoreError> {
        let engine = match Location::parse(options.url, options.base_dir)? {
            Location::Sqlite(path) => Engine::Sqlite(Sqlite::open(&path, options.patience)?),
            Location::Postgres(to, database) => {
                Engine::Postgres(Postgres::open(*to, database, options.patience).await?)
            }
        };
        let store = Self(Arc::new(engine));
        store.pending_migrations().await?;
        Ok(store)
    }

    /// Applies what is pending, one transaction a migration; the names of those applied. Several servers may call
    /// it at once.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        migrate::run(&self.0).await
    }

    /// The names of migrations that are not applied yet, oldest first.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        migrate::pending(self).await
    }

    /// Runs `body` in a transaction and commits it; rolls back when it returns an error.
    ///
    /// The body does nothing but SQL and decisions: it may run more than once, and waits for nothing but its `Tx`; on
    /// SQLite it runs on the writer's thread. When this returns `Ok`, the changes are on the disk. A caller that drops
    /// the future once it was polled does not stop the transaction.
    #[must_use = "nothing happens before it is awaited"]
    pub fn write<T, E, F>(&self, body: F) -> Running<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.run(Access::Write, body)
    }

    /// As [`Store::write`], for the transactions that every order makes. On PostgreSQL serializable transactions collide
    /// by pages of an index, which orders of one time share; this one does not, because its body decides only on rows it
    /// holds (`hold` and `claim` in this crate), on versions that its updates repeat, and on unique keys. A body that
    /// reads nothing is one round trip.
    #[must_use = "nothing happens before it is awaited"]
    pub fn write_held<T, E, F>(&self, body: F) -> Running<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.run(Access::WriteHeld, body)
    }

    /// As [`Store::write_held`], for a body of one statement, which is a transaction by itself.
    #[must_use = "nothing happens before it is awaited"]
    pub fn write_one<T, E, F>(&self, body: F) -> Running<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.run(Access::WriteOne, body)
    }

    /// As [`Store::read`], for rows that need not be of one moment: whoever acts on them decides again in its
    /// transaction. On PostgreSQL it saves the two round trips of a snapshot.
    #[must_use = "nothing happens before it is awaited"]
    pub fn look<T, E, F>(&self, body: F) -> Running<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.run(Access::Look, body)
    }

    /// Runs `body` on one snapshot of the database; on SQLite in the calling thread, so it reads by key and little.
    #[must_use = "nothing happens before it is awaited"]
    pub fn read<T, E, F>(&self, body: F) -> Running<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.run(Access::Read, body)
    }

    /// Runs a search or a long list on one snapshot; on SQLite in a thread of its own. What takes more than ten
    /// seconds is stopped ([`StoreError::TooSlow`]).
    #[must_use = "nothing happens before it is awaited"]
    pub fn scan<T, E, F>(&self, body: F) -> Running<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.run(Access::Scan, body)
    }

    /// As [`Store::scan`], for what this program has to get done however large the database is, and whatever people search
    /// meanwhile: it does not wait for searches, and has ten minutes.
    #[must_use = "nothing happens before it is awaited"]
    pub fn pass<T, E, F>(&self, body: F) -> Running<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.run(Access::Pass, body)
    }

    fn run<T, E, F>(&self, access: Access, body: F) -> Running<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let engine = Arc::clone(&self.0);
        Box::pin(async move {
            match (&*engine, access) {
                (Engine::Sqlite(sqlite), Access::Write | Access::WriteHeld | Access::WriteOne) => {
                    sqlite.write(body).await
                }
                (Engine::Sqlite(sqlite), Access::Look) => sqlite.look(&body),
                (Engine::Sqlite(sqlite), Access::Read) => sqlite.read(&body),
                (Engine::Sqlite(sqlite), Access::Scan) => sqlite.scan(body, SCAN_LIMIT).await,
                (Engine::Sqlite(sqlite), Access::Pass) => sqlite.pass(body, PASS_LIMIT).await,
                (Engine::Postgres(postgres), Access::Write) => postgres.write(body).await,
                (Engine::Postgres(postgres), Access::WriteHeld) => postgres.write_held(body).await,
                (Engine::Postgres(postgres), Access::WriteOne | Access::Look) => postgres.direct(body).await,
                (Engine::Postgres(postgres), Access::Read) => postgres.read(body, None).await,
                (Engine::Postgres(postgres), Access::Scan) => postgres.read(body, Some(SCAN_LIMIT)).await,
                (Engine::Postgres(postgres), Access::Pass) => postgres.read(body, Some(PASS_LIMIT)).await,
            }
        })
    }

    /// Whether both reading and writing are possible now.
    pub async fn health(&self) -> Result<(), StoreError> {
        let ask = async |tx: &mut Tx<'_>| tx.row("SELECT 1", &[]).await.map(drop);
        self.read(ask).await?;
        self.write(ask).await
    }

    /// The database as messages name it: never with a password.
    pub fn name(&self) -> &str {
        match &*self.0 {
            Engine::Sqlite(sqlite) => &sqlite.database().0,
            Engine::Postgres(postgres) => &postgres.database().0,
        }
    }

    /// Whether several servers may work on this database.
    pub fn is_shared(&self) -> bool {
        matches!(&*self.0, Engine::Postgres(_))
    }

    /// Finishes what was handed in and closes the database; later calls fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        match &*self.0 {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.name())
    }
}
