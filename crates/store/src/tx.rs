//! One transaction, on either engine. Every statement of the project goes through [`Tx::execute`], [`Tx::row`] or
//! [`Tx::rows`].
//!
//! Statements are written once, in the SQL that both engines share, with `$1` placeholders. What differs is in
//! [`crate::dialect`].

use std::borrow::Cow;
use std::fmt;

use crate::engine::Database;
use crate::engine::{postgres, sqlite};
use crate::error::StoreError;
use crate::value::{Row, Value};

/// A transaction in progress.
///
/// A statement that fails spoils it: nothing of it is committed, whatever its body makes of the error. PostgreSQL
/// has this rule, and both engines shall behave alike. Use `ON CONFLICT DO NOTHING` and the number of rows where
/// a row may exist already.
#[derive(Debug)]
pub struct Tx<'c> {
    connection: Connection<'c>,
    database: &'c Database,
    failure: Option<Failure>,
}

/// The connection under a transaction. Exclusive references: they can be sent to other threads, shared ones cannot.
pub(crate) enum Connection<'c> {
    Sqlite(&'c mut rusqlite::Connection),
    Postgres(&'c mut postgres::Session),
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Sqlite",
            Self::Postgres(_) => "Postgres",
        })
    }
}

/// A change that its body does not read again. PostgreSQL gets it together with others.
#[derive(Debug, Clone)]
pub(crate) struct Put {
    pub(crate) sql: Cow<'static, str>,
    pub(crate) values: Vec<Value<'static>>,
    pub(crate) touch: Touch,
    table: &'static str,
    row: String,
}

/// What a [`Put`] is expected to touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Whatever is there.
    Any,
    /// One row, or somebody else was there first.
    One,
    /// One row that it only reads and keeps as it is until the transaction ends.
    Held,
}

impl Touch {
    /// A guarded change touches one row, or somebody else was there first.
    fn check(self, touched: u64, table: &'static str, row: impl fmt::Display) -> Result<(), StoreError> {
        if self == Self::Any { Ok(()) } else { crate::guard(touched, table, row) }
    }
}

impl Put {
    pub(crate) fn new(
        (table, row): (&'static str, impl fmt::Display),
        touch: Touch,
        sql: Cow<'static, str>,
        values: Vec<Value<'static>>,
    ) -> Self {
        Self { sql, values, touch, table, row: row.to_string() }
    }

    /// Whether two changes meet in one row.
    pub(crate) fn is_of_same_row(&self, other: &Self) -> bool {
        self.table == other.table && self.row == other.row
    }

    pub(crate) fn check(&self, touched: u64) -> Result<(), StoreError> {
        self.touch.check(touched, self.table, &self.row)
    }
}

/// Why a statement failed, and whether the same transaction may succeed when it is run again.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    pub(crate) again: bool,
}

impl Failure {
    /// The same would fail in the same way.
    pub(crate) const fn stays(error: StoreError) -> Self {
        Self { error, again: false }
    }
}

/// How much of an answer is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want {
    Count,
    First,
    All,
}

/// What a statement answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) touched: u64,
    pub(crate) rows: Vec<Row>,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(connection: Connection<'c>, database: &'c Database) -> Self {
        Self { connection, database, failure: None }
    }

    /// Runs a statement; the number of rows it touched.
    pub async fn execute(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        self.run(sql.into(), values, Want::Count).await.map(|answer| answer.touched)
    }

    /// The first row of a query, if there is one.
    pub async fn row(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        self.run(sql.into(), values, Want::First).await.map(|answer| answer.rows.into_iter().next())
    }

    /// All rows of a query.
    pub async fn rows(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        self.run(sql.into(), values, Want::All).await.map(|answer| answer.rows)
    }

    /// Changes a row, named by its table and key, that this transaction does not read again. On PostgreSQL it is sent with
    /// the next statement that has an answer, or with the commit: one round trip for all that was put. What is wrong with
    /// it is told then, and the transaction is spoilt by it.
    pub(crate) async fn put(
        &mut self,
        (table, row): (&'static str, impl fmt::Display),
        touch: Touch,
        sql: impl Into<Cow<'static, str>>,
        values: &[Value<'_>],
    ) -> Result<(), StoreError> {
        let sql = sql.into();
        if let Connection::Postgres(session) = &mut self.connection {
            if let Some(failure) = &self.failure {
                return Err(failure.error.clone());
            }
            let values = values.iter().map(Value::to_owned_value).collect();
            let outcome = session.put(Put::new((table, row), touch, sql, values)).await;
            return outcome.map_err(|failure| self.spoil(failure));
        }
        let want = if touch == Touch::Held { Want::First } else { Want::Count };
        let answer = self.run(sql, values, want).await?;
        let rows = u64::try_from(answer.rows.len()).unwrap_or(u64::MAX);
        touch.check(answer.touched + rows, table, row)
    }

    async fn run(&mut self, sql: Cow<'static, str>, values: &[Value<'_>], want: Want) -> Result<Answer, StoreError> {
        if let Some(failure) = &self.failure {
            return Err(failure.error.clone());
        }
        let outcome = match &mut self.connection {
            Connection::Sqlite(connection) => {
                sqlite::run(connection, &sql, values, want).map_err(|error| sqlite::explain(self.database, &error))
            }
            Connection::Postgres(session) => session.run(sql, values, want).await,
        };
        outcome.map_err(|failure| self.spoil(failure))
    }

    fn spoil(&mut self, failure: Failure) -> StoreError {
        let error = failure.error.clone();
        self.failure = Some(failure);
        error
    }

    /// Runs many statements of one text, as migrations are written.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), StoreError> {
        match &mut self.connection {
            Connection::Sqlite(connection) => {
                connection.execute_batch(sql).map_err(|error| sqlite::explain(self.database, &error).error)
            }
            Connection::Postgres(session) => session.script(sql).await.map_err(|failure| failure.error),
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.connection, Connection::Postgres(_))
    }

    /// What spoilt the transaction, if anything did.
    pub(crate) fn into_failure(self) -> Option<Failure> {
        self.failure
    }
}
