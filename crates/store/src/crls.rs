//! The newest revocation list of each scope: its bytes, and apart from them what is looked at all the time.

use std::sync::Arc;

use pki_core::ids::IssuerId;
use pki_core::revocation::succession::Place;
pub use pki_core::revocation::succession::Scheduled;
use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::text;
use crate::tx::Tx;
use crate::value::{Fields, Row, Value};

const TABLE: &str = "crl";
const SCOPE: &str = "crl_scope";

/// How the complete list is stored; shards count from 0.
const COMPLETE: i64 = -1;

/// What is known of the newest list of a scope.
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
    /// How many certificates it names.
    pub entries: u64,
    /// The number of the last revocation that was looked at for it (`revocations::head`).
    pub covers: u64,
    /// The addresses that leaves carry for it; none for the complete list.
    pub urls: Vec<String>,
    /// The last one that was made because it was time.
    pub scheduled: Scheduled,
}

impl CrlRecord {
    /// Where it stands among the lists of its scope.
    pub const fn place(&self) -> Place {
        Place { number: self.number, this_update: self.this_update, scheduled: self.scheduled }
    }
}

/// The bytes of a list and of its delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    /// Their number.
    pub number: u64,
    /// DER of the full list.
    pub full: Arc<Vec<u8>>,
    /// DER of the delta, if one is published.
    pub delta: Option<Arc<Vec<u8>>>,
}

/// The newest list of every scope, without bytes.
pub async fn list(tx: &mut Tx<'_>) -> Result<Vec<CrlRecord>, StoreError> {
    const ALL: &str = "SELECT issuer_id, shard, number, this_update, next_update, entries, covers, urls, \
                       scheduled_number, scheduled_at, scheduled_covers FROM crl_scope ORDER BY issuer_id, shard";
    tx.rows(ALL, &[]).await?.into_iter().map(load).collect()
}

/// The bytes of the newest list of a scope.
pub async fn lists(tx: &mut Tx<'_>, issuer: IssuerId, shard: Option<u32>) -> Result<Option<Lists>, StoreError> {
    let sql = "SELECT c.issuer_id, c.number, c.der, d.der FROM crl c LEFT JOIN crl_delta d ON d.issuer_id = c.issuer_id \
               AND d.shard = c.shard AND d.number = c.number WHERE c.issuer_id = $1 AND c.shard = $2";
    let Some(row) = tx.row(sql, &[Value::text(issuer), scope(shard)]).await? else { return Ok(None) };
    let mut fields = row.fields(TABLE);
    let _: IssuerId = fields.id()?;
    let number = fields.u64()?;
    Ok(Some(Lists { number, full: Arc::new(fields.bytes()?), delta: fields.maybe_bytes()?.map(Arc::new) }))
}

/// Puts a list in the place of the one with the number `previous`, or of none. [`StoreError::Conflict`] when another
/// stands there, or when the number does not rise.
pub async fn publish(tx: &mut Tx<'_>, crl: &CrlRecord, lists: &Lists, previous: Option<u64>) -> Result<(), StoreError> {
    let touched = match previous {
        None => {
            let sql = "INSERT INTO crl_scope (issuer_id, shard, number, this_update, next_update, entries, covers, urls, \
                       scheduled_number, scheduled_at, scheduled_covers) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
            tx.execute(sql, &values(crl)?).await?
        }
        Some(previous) => {
            let sql = "UPDATE crl_scope SET number = $3, this_update = $4, next_update = $5, entries = $6, covers = $7, \
                       urls = $8, scheduled_number = $9, scheduled_at = $10, scheduled_covers = $11 \
                       WHERE issuer_id = $1 AND shard = $2 AND number = $12 AND number < $3";
            let mut values = values(crl)?.to_vec();
            values.push(Value::number(previous)?);
            tx.execute(sql, &values).await?
        }
    };
    crate::guard(touched, SCOPE, format_args!("{} of {}", crl.number, crl.issuer))?;
    put_bytes(tx, crl, lists).await
}

async fn put_bytes(tx: &mut Tx<'_>, crl: &CrlRecord, lists: &Lists) -> Result<(), StoreError> {
    const FULL: &str = "INSERT INTO crl (issuer_id, shard, number, this_update, next_update, der) \
                        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (issuer_id, shard) DO UPDATE SET \
                        number = excluded.number, this_update = excluded.this_update, \
                        next_update = excluded.next_update, der = excluded.der";
    const DELTA: &str = "INSERT INTO crl_delta (issuer_id, shard, number, der) VALUES ($1, $2, $3, $4) \
                         ON CONFLICT (issuer_id, shard) DO UPDATE SET number = excluded.number, der = excluded.der";
    let number = Value::number(crl.number)?;
    let values = [
        Value::text(crl.issuer),
        scope(crl.shard),
        number.clone(),
        crl.this_update.into(),
        crl.next_update.into(),
        lists.full.as_ref().into(),
    ];
    tx.execute(FULL, &values).await?;
    if let Some(delta) = &lists.delta {
        tx.execute(DELTA, &[Value::text(crl.issuer), scope(crl.shard), number, delta.as_ref().into()]).await?;
    }
    Ok(())
}

fn values(crl: &CrlRecord) -> Result<[Value<'_>; 11], StoreError> {
    Ok([
        Value::text(crl.issuer),
        scope(crl.shard),
        Value::number(crl.number)?,
        crl.this_update.into(),
        crl.next_update.into(),
        Value::number(crl.entries)?,
        Value::number(crl.covers)?,
        text::json(&crl.urls),
        Value::number(crl.scheduled.number)?,
        crl.scheduled.at.into(),
        Value::number(crl.scheduled.covers)?,
    ])
}

fn scope(shard: Option<u32>) -> Value<'static> {
    shard.map_or(COMPLETE, i64::from).into()
}

fn load(row: Row) -> Result<CrlRecord, StoreError> {
    let mut fields = row.fields(SCOPE);
    Ok(CrlRecord {
        issuer: fields.id()?,
        shard: load_scope(&mut fields)?,
        number: fields.u64()?,
        this_update: fields.time()?,
        next_update: fields.time()?,
        entries: fields.u64()?,
        covers: fields.u64()?,
        urls: text::strings(&mut fields)?,
        scheduled: Scheduled { number: fields.u64()?, at: fields.time()?, covers: fields.u64()? },
    })
}

fn load_scope(fields: &mut Fields) -> Result<Option<u32>, StoreError> {
    match fields.int()? {
        COMPLETE => Ok(None),
        shard => u32::try_from(shard).map(Some).map_err(|_| fields.corrupt(format!("no shard has the number {shard}"))),
    }
}
