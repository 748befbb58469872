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
    Postgres(&'c mut sqlx::PgConnection),
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Sqlite",
            Self::Postgres(_) => "Postgres",
        })
    }
}

/// Why a statement failed, and whether the same transaction may succeed when it is run again.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    pub(crate) again: bool,
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

    async fn run(&mut self, sql: Cow<'static, str>, values: &[Value<'_>], want: Want) -> Result<Answer, StoreError> {
        if let Some(failure) = &self.failure {
            return Err(failure.error.clone());
        }
        let outcome = match &mut self.connection {
            Connection::Sqlite(connection) => {
                sqlite::run(connection, &sql, values, want).map_err(|error| sqlite::explain(self.database, &error))
            }
            Connection::Postgres(connection) => postgres::run(connection, sql, values, want)
                .await
                .map_err(|error| postgres::explain(self.database, &error)),
        };
        outcome.map_err(|failure| {
            let error = failure.error.clone();
            self.failure = Some(failure);
            error
        })
    }

    /// Runs many statements of one text, as migrations are written.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), StoreError> {
        match &mut self.connection {
            Connection::Sqlite(connection) => {
                connection.execute_batch(sql).map_err(|error| sqlite::explain(self.database, &error).error)
            }
            Connection::Postgres(connection) => {
                postgres::script(connection, sql).await.map_err(|error| postgres::explain(self.database, &error).error)
            }
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
