//! Facts about the database itself: its epoch, its CA's name.

use crate::error::StoreError;
use crate::tx::Tx;

/// The value of a key.
pub async fn get(tx: &mut Tx<'_>, key: &str) -> Result<Option<String>, StoreError> {
    let row = tx.row("SELECT value FROM meta WHERE key = $1", &[key.into()]).await?;
    row.map(|row| row.fields("meta").text()).transpose()
}

/// Sets a key, whatever it was.
pub async fn set(tx: &mut Tx<'_>, key: &str, value: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    tx.execute(sql, &[key.into(), value.into()]).await.map(drop)
}
