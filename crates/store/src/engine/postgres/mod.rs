//! PostgreSQL, for several servers on one database.

mod session;
mod thread;
mod transactions;

use std::borrow::Cow;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, AssertSqlSafe, Column, Executor, PgConnection, Row as _, TypeInfo, ValueRef};

use crate::engine::Database;
use crate::error::StoreError;
use crate::tx::{Answer, Failure, Want};
use crate::value::{Cell, Row, Value};
pub(crate) use session::Session;
pub(crate) use thread::Postgres;

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
    let stays = Failure::stays;
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

/// division_by_zero: how a statement of many changes fails when one of its guards does.
fn is_guard(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(refusal) if refusal.code().as_deref() == Some("22012"))
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
        // shutdown and crash of the server: the connection is gone before a commit was sent; 55000: the database takes no
        // connections, while somebody restores or renames it
        code if code.starts_with("57P") || code.starts_with("08") || code == "55000" => {
            StoreError::Unavailable { database, reason: message }
        }
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
