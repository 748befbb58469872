//! Spent nonces (RFC 8555 section 6.5), for several servers on one database.

use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::tx::Tx;

/// Spends a nonce; whether it was fresh.
pub async fn spend(tx: &mut Tx<'_>, nonce: &str, expires_at: Timestamp) -> Result<bool, StoreError> {
    let sql = "INSERT INTO used_nonce (nonce, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, &[nonce.into(), expires_at.into()]).await? == 1)
}

/// Forgets so many nonces that are refused for their age by now; how many there were.
pub async fn purge(tx: &mut Tx<'_>, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let sql = "DELETE FROM used_nonce WHERE nonce IN (SELECT nonce FROM used_nonce WHERE expires_at < $1 LIMIT $2)";
    tx.execute(sql, &[now.into(), limit.into()]).await
}
