//! The newest revocation list of each scope.

use pki_core::ids::IssuerId;
use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::tx::Tx;
use crate::value::{Fields, Row, Value};

const TABLE: &str = "crl";

/// How the complete list is stored; shards count from 0.
const COMPLETE: i64 = -1;

/// A signed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlRecord {
    /// Whose.
    pub issuer: IssuerId,
    /// Of which shard; none for the complete list.
    pub shard: Option<u32>,
    /// Its number, which only rises (RFC 5280 section 5.2.3).
    pub number: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one is promised.
    pub next_update: Timestamp,
    /// DER of the list.
    pub der: Vec<u8>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT issuer_id, shard, number, this_update, next_update, der FROM crl ", $rest)
    };
}

/// The newest list of a scope.
pub async fn find(tx: &mut Tx<'_>, issuer: IssuerId, shard: Option<u32>) -> Result<Option<CrlRecord>, StoreError> {
    let sql = select!("WHERE issuer_id = $1 AND shard = $2");
    tx.row(sql, &[Value::text(issuer), scope(shard)]).await?.map(load).transpose()
}

/// The newest list of every scope.
pub async fn list(tx: &mut Tx<'_>) -> Result<Vec<CrlRecord>, StoreError> {
    tx.rows(select!("ORDER BY issuer_id, shard"), &[]).await?.into_iter().map(load).collect()
}

/// Puts a list in the place of the one with the number `previous`, or of none. [`StoreError::Conflict`] when another
/// stands there, or when the number does not rise.
pub async fn publish(tx: &mut Tx<'_>, crl: &CrlRecord, previous: Option<u64>) -> Result<(), StoreError> {
    let number = stored(crl.number)?;
    let touched = match previous {
        None => {
            let sql = "INSERT INTO crl (issuer_id, shard, number, this_update, next_update, der) \
                       VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
            tx.execute(sql, &values(crl, number)).await?
        }
        Some(previous) => {
            let sql = "UPDATE crl SET number = $3, this_update = $4, next_update = $5, der = $6 \
                       WHERE issuer_id = $1 AND shard = $2 AND number = $7 AND number < $3";
            let mut values = values(crl, number).to_vec();
            values.push(stored(previous)?.into());
            tx.execute(sql, &values).await?
        }
    };
    crate::guard(touched, TABLE, format_args!("{} of {}", crl.number, crl.issuer))
}

fn values(crl: &CrlRecord, number: i64) -> [Value<'_>; 6] {
    [
        Value::text(crl.issuer),
        scope(crl.shard),
        number.into(),
        crl.this_update.into(),
        crl.next_update.into(),
        (&crl.der).into(),
    ]
}

fn scope(shard: Option<u32>) -> Value<'static> {
    shard.map_or(COMPLETE, i64::from).into()
}

/// Numbers begin at the Unix time in seconds and rise by one: they never come near the limit.
fn stored(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::fault(format!("the CRL number {number} is beyond 63 bits")))
}

fn load(row: Row) -> Result<CrlRecord, StoreError> {
    let mut fields = row.fields(TABLE);
    Ok(CrlRecord {
        issuer: fields.id()?,
        shard: load_scope(&mut fields)?,
        number: u64::try_from(fields.int()?).map_err(|_| fields.corrupt("its number is negative"))?,
        this_update: fields.time()?,
        next_update: fields.time()?,
        der: fields.bytes()?,
    })
}

fn load_scope(fields: &mut Fields) -> Result<Option<u32>, StoreError> {
    match fields.int()? {
        COMPLETE => Ok(None),
        shard => u32::try_from(shard).map(Some).map_err(|_| fields.corrupt(format!("no shard has the number {shard}"))),
    }
}
