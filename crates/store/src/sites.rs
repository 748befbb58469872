//! Sites. `home` is there from the first migration.

use pki_core::ids::SiteName;
use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::tx::Tx;
use crate::value::Value;

/// Adds a site unless it is known; whether it was new.
pub async fn insert(tx: &mut Tx<'_>, site: &SiteName, created_at: Timestamp) -> Result<bool, StoreError> {
    let sql = "INSERT INTO site (id, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, &[Value::text(site), created_at.into()]).await? == 1)
}

/// Every site by name.
pub async fn list(tx: &mut Tx<'_>) -> Result<Vec<SiteName>, StoreError> {
    let rows = tx.rows("SELECT id FROM site ORDER BY id", &[]).await?;
    rows.into_iter().map(|row| row.fields("site").id()).collect()
}
