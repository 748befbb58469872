//! What one body does on PostgreSQL: a transaction that begins with its first statement, and changes that wait to be sent
//! together. A round trip costs both sides more than most statements do.

use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, PgTransaction, Postgres};

use crate::engine::Database;
use crate::engine::postgres::transactions::Kind;
use crate::engine::postgres::{explain, is_guard, run};
use crate::error::StoreError;
use crate::sql::renumber;
use crate::tx::{Answer, Failure, Put, Touch, Want};
use crate::value::Value;

/// Changes in one statement. Each length is a text of its own, which the server prepares once for each connection.
const TOGETHER: usize = 12;

/// One run of one body.
pub(crate) struct Session {
    pool: PgPool,
    database: Arc<Database>,
    kind: Kind,
    state: State,
    puts: Vec<Put>,
}

enum State {
    /// Nothing was sent.
    Idle,
    /// Statements for themselves.
    Direct(PoolConnection<Postgres>),
    Begun(PgTransaction<'static>),
}

impl Session {
    pub(super) fn new(pool: PgPool, database: Arc<Database>, kind: Kind) -> Self {
        Self { pool, database, kind, state: State::Idle, puts: Vec::new() }
    }

    /// Runs a statement, after everything that was put before it.
    pub(crate) async fn run(
        &mut self,
        sql: std::borrow::Cow<'static, str>,
        values: &[Value<'_>],
        want: Want,
    ) -> Result<Answer, Failure> {
        self.flush().await?;
        let outcome = run(self.connection().await?, sql, values, want).await;
        outcome.map_err(|error| explain(&self.database, &error))
    }

    /// Runs many statements of one text.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), Failure> {
        let outcome = super::script(self.connection().await?, sql).await;
        outcome.map_err(|error| explain(&self.database, &error))
    }

    /// Keeps a change until it has to be sent.
    pub(crate) async fn put(&mut self, put: Put) -> Result<(), Failure> {
        // of two changes of one row in one statement the second would not see the first
        let is_second = self.puts.iter().any(|other| other.is_of_same_row(&put));
        if is_second || self.puts.len() == TOGETHER {
            self.flush().await?;
        }
        self.puts.push(put);
        if self.kind.is_direct() { self.flush().await } else { Ok(()) }
    }

    /// Sends what was put, and holds the numbers of rows against what was expected.
    async fn flush(&mut self) -> Result<(), Failure> {
        if self.puts.is_empty() {
            return Ok(());
        }
        let puts = std::mem::take(&mut self.puts);
        let (sql, values) = compose(&puts, Outcome::Counts);
        let answer = run(self.connection().await?, sql.into(), &values, Want::First).await;
        let counts = answer.map_err(|error| explain(&self.database, &error))?.rows.into_iter().next();
        let mut counts = counts.ok_or_else(|| fault("a statement had no answer"))?.fields("put");
        for put in &puts {
            let touched = counts.int().map_err(Failure::stays)?;
            put.check(u64::try_from(touched).unwrap_or(0)).map_err(Failure::stays)?;
        }
        Ok(())
    }

    async fn connection(&mut self) -> Result<&mut PgConnection, Failure> {
        if matches!(self.state, State::Idle) {
            self.state = self.begin().await?;
        }
        match &mut self.state {
            State::Begun(transaction) => Ok(transaction),
            State::Direct(connection) => Ok(connection),
            State::Idle => Err(fault("a transaction did not begin")),
        }
    }

    async fn begin(&self) -> Result<State, Failure> {
        let Some(statement) = self.kind.statement() else {
            let connection = self.pool.acquire().await.map_err(|error| explain(&self.database, &error))?;
            return Ok(State::Direct(connection));
        };
        let begun = self.pool.begin_with(statement).await.map_err(|error| Failure {
            // broken before anything was sent: the pool has others, or makes one
            again: matches!(error, sqlx::Error::Io(_)),
            ..explain(&self.database, &error)
        });
        let mut transaction = begun?;
        self.kind.prepare(&mut transaction).await.map_err(|error| explain(&self.database, &error))?;
        Ok(State::Begun(transaction))
    }

    /// Sends what waits and commits.
    pub(super) async fn commit(mut self) -> Result<(), Failure> {
        if let (State::Idle, Kind::Held, false) = (&self.state, self.kind, self.puts.is_empty())
            && let Some(outcome) = self.commit_at_once().await
        {
            return outcome;
        }
        if let Err(failure) = self.flush().await {
            self.roll_back().await;
            return Err(failure);
        }
        match self.state {
            State::Idle | State::Direct(_) => Ok(()),
            State::Begun(transaction) => {
                transaction.commit().await.map_err(|error| broken_commit(&self.database, &error))
            }
        }
    }

    /// One statement is a transaction by itself, if it fails whenever a guard does. None when one did: the transaction
    /// that follows finds out which.
    async fn commit_at_once(&self) -> Option<Result<(), Failure>> {
        let mut connection = match self.pool.acquire().await {
            Ok(connection) => connection,
            Err(error) => return Some(Err(explain(&self.database, &error))),
        };
        let (sql, values) = compose(&self.puts, Outcome::Guarded);
        match run(&mut connection, sql.into(), &values, Want::First).await {
            Ok(_) => Some(Ok(())),
            Err(error) if is_guard(&error) => None,
            Err(error) => Some(Err(broken_commit(&self.database, &error))),
        }
    }

    /// Undoes everything.
    pub(super) async fn roll_back(self) {
        if let State::Begun(transaction) = self.state {
            // a connection that cannot roll back is closed by the pool, which ends its transaction on the server
            let _ = transaction.rollback().await;
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.database)
    }
}

fn fault(what: &'static str) -> Failure {
    Failure::stays(StoreError::fault(what))
}

fn broken_commit(database: &Database, error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Database(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => explain(database, error),
        error => {
            tracing::error!(%database, %error, "the connection broke during a commit");
            Failure::stays(StoreError::Unknown)
        }
    }
}

/// What a statement of many changes answers.
#[derive(Clone, Copy)]
enum Outcome {
    /// The rows that each touched.
    Counts,
    /// An error (22012) unless every guarded one touched exactly one.
    Guarded,
}

/// One statement of all changes: `WITH p0 AS (...), p1 AS (...) SELECT ...`. They see the state before it and none of each
/// other; foreign keys are looked at when it ends.
fn compose(puts: &[Put], outcome: Outcome) -> (String, Vec<Value<'static>>) {
    let (mut sql, mut values) = ("WITH ".to_owned(), Vec::new());
    for (place, put) in puts.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        let _ = write!(sql, "{comma}p{place} AS (");
        renumber(&mut sql, &put.sql, values.len());
        sql.push_str(if put.touch == Touch::Held { ")" } else { " RETURNING 1)" });
        values.extend(put.values.iter().cloned());
    }
    let counts = puts.iter().enumerate().map(|(place, put)| (format!("(SELECT count(*) FROM p{place})"), put));
    match outcome {
        Outcome::Counts => {
            let counts: Vec<String> = counts.map(|(count, _)| count).collect();
            let _ = write!(sql, " SELECT {}", counts.join(", "));
        }
        Outcome::Guarded => {
            let guards: Vec<String> =
                counts.filter(|(_, put)| put.touch != Touch::Any).map(|(count, _)| format!("{count} = 1")).collect();
            let all = if guards.is_empty() { "TRUE".to_owned() } else { guards.join(" AND ") };
            let _ = write!(sql, " SELECT 1 / (CASE WHEN {all} THEN 1 ELSE 0 END)");
        }
    }
    (sql, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_become_one_statement() {
        let put = |touch, sql: &'static str, values: &[i64]| {
            Put::new(("t", 1), touch, sql.into(), values.iter().map(|value| Value::from(*value)).collect())
        };
        let puts = [
            put(Touch::Any, "INSERT INTO a (id, b) VALUES ($1, $2)", &[1, 2]),
            put(Touch::One, "UPDATE c SET d = $2 WHERE id = $1", &[7, 8]),
            put(Touch::Held, "SELECT 1 FROM e WHERE id = $1 FOR SHARE", &[9]),
        ];
        let (sql, values) = compose(&puts, Outcome::Guarded);
        assert_eq!(
            sql,
            "WITH p0 AS (INSERT INTO a (id, b) VALUES ($1, $2) RETURNING 1), \
             p1 AS (UPDATE c SET d = $4 WHERE id = $3 RETURNING 1), p2 AS (SELECT 1 FROM e WHERE id = $5 FOR SHARE) \
             SELECT 1 / (CASE WHEN (SELECT count(*) FROM p1) = 1 AND (SELECT count(*) FROM p2) = 1 THEN 1 ELSE 0 END)"
        );
        assert_eq!(values, [1_i64, 2, 7, 8, 9].map(Value::from));
        let (sql, _) = compose(&puts, Outcome::Counts);
        assert!(
            sql.ends_with(" SELECT (SELECT count(*) FROM p0), (SELECT count(*) FROM p1), (SELECT count(*) FROM p2)")
        );
    }
}
