//! SQLite inside this process: one writer thread, a pool of readers, statements in the calling thread.

mod readers;
mod writer;

use std::ffi::c_int;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{OpenFlags, ffi, types::ValueRef};
use tokio::time::Instant;

use crate::engine::Database;
use crate::error::StoreError;
use crate::tx::{Answer, Failure, Tx, Want};
use crate::value::{Cell, Row, Value};
use readers::Readers;
use writer::Writer;

/// Earlier versions can corrupt a write-ahead log.
const OLDEST_SAFE: (i32, &str) = (3_051_003, "3.51.3");

/// Every distinct statement of the program fits.
const STATEMENTS: usize = 256;

/// Pages of the log, 16 MiB, before they are moved into the file: those that change again and again are moved once.
const CHECKPOINT_PAGES: u32 = 4096;

/// An open SQLite file.
pub(crate) struct Sqlite {
    database: Arc<Database>,
    writer: Writer,
    readers: Readers,
}

impl Sqlite {
    /// Opens the file, or makes it with mode 0600.
    pub(crate) fn open(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        refuse_old_library(rusqlite::version_number(), rusqlite::version())?;
        let database = Arc::new(Database(path.display().to_string()));
        make_private(path).map_err(|reason| cannot_open(&database, &reason))?;
        let connection = connect(path, &database, OpenFlags::SQLITE_OPEN_READ_WRITE, busy_timeout)?;
        until_free(busy_timeout, || prepare_writer(&connection)).map_err(|error| explain(&database, &error).error)?;
        Ok(Self {
            readers: Readers::new(path.to_owned(), Arc::clone(&database), busy_timeout),
            writer: Writer::start(connection, Arc::clone(&database))
                .map_err(|reason| cannot_open(&database, &reason))?,
            database,
        })
    }

    /// The name for messages.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Runs a body in a transaction of its own or together with others, and commits it.
    pub(crate) async fn write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.writer.write(body).await
    }

    /// Runs a body on one snapshot, in the calling thread.
    pub(crate) fn read<T, E, F>(&self, body: &F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        self.readers.read(body)
    }

    /// Runs a body whose statements each see a state of their own, in the calling thread.
    pub(crate) fn look<T, E, F>(&self, body: &F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E>,
    {
        self.readers.look(body)
    }

    /// Runs a body on one snapshot, in a thread where it may take `limit`.
    pub(crate) async fn scan<T, E, F>(&self, body: F, limit: Duration) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.readers.scan(body, limit).await
    }

    /// A scan that waits for no other.
    pub(crate) async fn pass<T, E, F>(&self, body: F, limit: Duration) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: AsyncFn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.readers.pass(body, limit).await
    }

    /// Finishes what was handed in, moves the log into the file and closes it.
    pub(crate) async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}

fn refuse_old_library(number: i32, version: &str) -> Result<(), StoreError> {
    if number >= OLDEST_SAFE.0 {
        return Ok(());
    }
    Err(StoreError::OldSqlite { found: version.to_owned(), needed: OLDEST_SAFE.1 })
}

/// SQLite gives its log and index files the mode of the database.
fn make_private(path: &Path) -> Result<(), std::io::Error> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

fn cannot_open(database: &Database, reason: &std::io::Error) -> StoreError {
    use std::io::ErrorKind;
    let database = database.to_string();
    match reason.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { database },
        ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { database },
        ErrorKind::NotFound => StoreError::CannotOpen {
            database,
            reason: "its folder does not exist; make it, or correct [database] url".to_owned(),
        },
        _ => StoreError::CannotOpen { database, reason: format!("{reason}; check the path, its owner and its mode") },
    }
}

fn connect(
    path: &Path,
    database: &Database,
    access: OpenFlags,
    busy_timeout: Duration,
) -> Result<rusqlite::Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<rusqlite::Connection> {
        let connection = rusqlite::Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        Ok(connection)
    };
    open().map_err(|error| explain(database, &error).error)
}

/// Going over to a write-ahead log, or opening one that another process is just closing, takes the whole file. For
/// that lock SQLite answers busy at once, whatever its timeout says, lest two processes wait for each other.
fn until_free(limit: Duration, step: impl Fn() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    const PAUSE: Duration = Duration::from_millis(5);
    let end = Instant::now() + limit;
    loop {
        match step() {
            Err(error) if is_busy(&error) && Instant::now() < end => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked))
}

/// FULL, because NORMAL loses acknowledged commits when power fails. `secure_delete` overwrites what is erased
/// (external account secrets) where that costs no further write. What a savepoint would have to restore stays in memory:
/// bodies are small, and a temporary file for each commit was a fifth of the processor time of an order.
fn prepare_writer(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))
}

/// Runs one statement.
pub(crate) fn run(
    connection: &rusqlite::Connection,
    sql: &str,
    values: &[Value<'_>],
    want: Want,
) -> rusqlite::Result<Answer> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    if let Want::Count = want {
        let touched = statement.raw_execute()?;
        return Ok(Answer { touched: u64::try_from(touched).unwrap_or(u64::MAX), rows: Vec::new() });
    }
    let columns = statement.column_count();
    let mut found = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(Row((0..columns).map(|column| row.get_ref(column).and_then(cell)).collect::<Result<_, _>>()?));
        if let Want::First = want {
            break;
        }
    }
    Ok(Answer { touched: 0, rows })
}

/// `$1` is a name to SQLite, numbered by its first appearance in the text: the value is found by the name's number.
fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value<'_>]) -> rusqlite::Result<()> {
    for index in 1..=statement.parameter_count() {
        let number = statement.parameter_name(index).and_then(|name| name.get(1..)?.parse::<usize>().ok());
        let value = number.and_then(|number| values.get(number.checked_sub(1)?));
        match value.ok_or(rusqlite::Error::InvalidParameterCount(values.len(), index))? {
            Value::Int(value) => statement.raw_bind_parameter(index, value)?,
            Value::Text(value) => statement.raw_bind_parameter(index, value.as_deref())?,
            Value::Bytes(value) => statement.raw_bind_parameter(index, value.as_deref())?,
        }
    }
    Ok(())
}

fn cell(value: ValueRef<'_>) -> rusqlite::Result<Cell> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Text(value) => {
            Cell::Text(std::str::from_utf8(value).map_err(|error| rusqlite::Error::Utf8Error(0, error))?.to_owned())
        }
        ValueRef::Blob(value) => Cell::Bytes(value.to_owned()),
        ValueRef::Real(_) => {
            return Err(rusqlite::Error::InvalidColumnType(
                0,
                "a whole number".to_owned(),
                rusqlite::types::Type::Real,
            ));
        }
    })
}

/// What an error of the driver means. Messages of SQLite name columns, never values.
pub(crate) fn explain(database: &Database, error: &rusqlite::Error) -> Failure {
    Failure { error: translate(database.to_string(), error), again: false }
}

fn translate(database: String, error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode as Code;
    let (failure, message) = match error {
        rusqlite::Error::SqliteFailure(failure, message) => (failure, message.as_deref()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, Some(msg.as_str())),
        other => return StoreError::fault(other.to_string()),
    };
    let reason = message.map_or_else(|| failure.to_string(), str::to_owned);
    match failure.code {
        Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed => StoreError::Locked { database },
        Code::DiskFull => StoreError::Full { database },
        Code::ReadOnly | Code::PermissionDenied => StoreError::ReadOnly { database },
        Code::CannotOpen => {
            StoreError::CannotOpen { database, reason: format!("{reason}; check its folder, owner and mode") }
        }
        Code::DatabaseCorrupt | Code::NotADatabase => StoreError::Damaged { database, reason },
        // the index of the log cannot grow: of all writes this one alone is not reported as a full disk by SQLite
        Code::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::Full { database },
        Code::SystemIoFailure => StoreError::Disk { database, reason },
        Code::OperationInterrupted => StoreError::TooSlow,
        Code::ConstraintViolation => constraint(failure.extended_code, reason),
        Code::Unknown if reason.starts_with("no such ") => StoreError::NotMigrated { what: reason },
        _ => StoreError::fault(format!("SQLite refused a statement: {reason}")),
    }
}

fn constraint(extended: c_int, what: String) -> StoreError {
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => StoreError::Duplicate { what },
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => StoreError::Dangling { what },
        _ => StoreError::fault(format!("a row breaks a rule of its table: {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_libraries_are_refused() {
        assert!(refuse_old_library(rusqlite::version_number(), rusqlite::version()).is_ok());
        let error = refuse_old_library(3_051_002, "3.51.2").unwrap_err();
        assert!(error.to_string().contains("3.51.2") && error.to_string().contains("3.51.3"), "{error}");
    }

    #[test]
    fn placeholders_are_bound_by_their_number() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let answer = run(&connection, "SELECT $2, $1, $2", &[1_i64.into(), 2_i64.into()], Want::All).unwrap();
        assert_eq!(answer.rows, [Row(vec![Cell::Int(2), Cell::Int(1), Cell::Int(2)])]);
        assert!(run(&connection, "SELECT $3", &[1_i64.into()], Want::All).is_err());
    }

    const ENDLESS: &str = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";

    /// Fails when somebody's searches hold up what the program has to do.
    #[tokio::test]
    async fn a_pass_waits_for_no_search() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&folder.path().join("test.db"), Duration::ZERO).unwrap();
        let search = || sqlite.scan(async |tx: &mut Tx<'_>| tx.row(ENDLESS, &[]).await, Duration::from_secs(2));
        let pass = async {
            tokio::task::yield_now().await;
            sqlite.pass(async |tx: &mut Tx<'_>| tx.row("SELECT 1", &[]).await, Duration::from_secs(2)).await
        };
        tokio::select! {
            biased;
            searched = async { tokio::join!(search(), search(), search()) } => panic!("{searched:?} came first"),
            passed = pass => assert!(passed.unwrap().is_some()),
        }
    }

    #[tokio::test]
    async fn a_scan_that_takes_too_long_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&folder.path().join("test.db"), Duration::ZERO).unwrap();
        let outcome = sqlite.scan(async |tx: &mut Tx<'_>| tx.row(ENDLESS, &[]).await, Duration::from_millis(20)).await;
        assert_eq!(outcome, Err(StoreError::TooSlow));
        // the connection goes back without its limit
        const LONG: &str =
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 50000) SELECT max(x) FROM n";
        let found: Result<_, StoreError> = sqlite.read(&async |tx: &mut Tx<'_>| tx.row(LONG, &[]).await);
        assert!(found.unwrap().is_some());
    }
}
