//! The few words in which the two databases differ. Everything else is written once.

use crate::tx::Tx;

/// After a `SELECT` whose rows are about to be changed by one of many workers: leave out what another worker holds.
/// SQLite has one writer, so nothing is ever held.
pub(crate) fn skip_locked(tx: &Tx<'_>) -> &'static str {
    if tx.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" }
}

/// After a `SELECT` in [`crate::Store::write_held`]: nobody changes the row before this transaction ends, others may hold
/// it too.
pub(crate) fn shared(tx: &Tx<'_>) -> &'static str {
    if tx.is_postgres() { " FOR SHARE" } else { "" }
}

/// The same, for a row that this transaction is about to change: nobody else holds it.
pub(crate) fn alone(tx: &Tx<'_>) -> &'static str {
    if tx.is_postgres() { " FOR NO KEY UPDATE" } else { "" }
}

/// Before a placeholder with a key: the text of that member of a column that holds a JSON object; NULL when it has none.
pub(crate) fn member(tx: &Tx<'_>, column: &str) -> String {
    if tx.is_postgres() { format!("{column}::json ->>") } else { format!("{column} ->>") }
}

/// A column by which rows are tested and never found: SQLite leaves its indexes aside.
pub(crate) fn tested(tx: &Tx<'_>, column: &str) -> String {
    if tx.is_postgres() { column.to_owned() } else { format!("+{column}") }
}

/// Whether the schema has a table, for the time before the first migration. `$1` is its name.
pub(crate) fn table_exists(tx: &Tx<'_>) -> &'static str {
    if tx.is_postgres() {
        "SELECT 1 FROM pg_catalog.pg_class WHERE oid = to_regclass($1)"
    } else {
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1"
    }
}

/// The type of bytes.
pub(crate) fn bytes(tx: &Tx<'_>) -> &'static str {
    if tx.is_postgres() { "BYTEA" } else { "BLOB" }
}
