//! Spent nonces (RFC 8555 section 6.5), for several servers on one database.

use std::collections::HashSet;

use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::sql;
use crate::tx::Tx;
use crate::value::Value;

const TABLE: &str = "used_nonce";

/// Spends nonces, each with its end; those that were fresh.
pub async fn spend_all(tx: &mut Tx<'_>, spent: &[(String, Timestamp)]) -> Result<HashSet<String>, StoreError> {
    if spent.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sql::repeated("($1, $2)", spent.len());
    let insert =
        format!("INSERT INTO used_nonce (nonce, expires_at) VALUES {rows} ON CONFLICT DO NOTHING RETURNING nonce");
    let values = sql::padded(spent).flat_map(|(nonce, end)| [Value::from(nonce), (*end).into()]);
    let values: Vec<Value<'_>> = values.collect();
    tx.rows(insert, &values).await?.into_iter().map(|row| row.fields(TABLE).text()).collect()
}

/// Forgets so many nonces that are refused for their age by now; how many there were.
pub async fn purge(tx: &mut Tx<'_>, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let sql = "DELETE FROM used_nonce WHERE nonce IN (SELECT nonce FROM used_nonce WHERE expires_at < $1 LIMIT $2)";
    tx.execute(sql, &[now.into(), limit.into()]).await
}
