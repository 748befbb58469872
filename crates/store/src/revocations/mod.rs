//! Everything that is refused, numbered: certificates that are or were revoked, and accounts, devices, sites, API keys and
//! sessions ([`denials`]). What is published tells the number it covers; who keeps a copy asks for what came [`since`].
//!
//! The numbers are given by one row that a transaction holds from [`advance`] to its end, so that they become visible in
//! their order. Hence the rule: a transaction changes all its other rows first and comes here last, or two of them wait for
//! each other.

pub mod denials;
mod feed;
pub mod report;

use pki_core::ids::{CertificateId, IssuerId, Serial};
use pki_core::issuance::record::{CertificateRecord, Revocation};
use pki_core::revocation::{Reason, succession};
use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::sql::{padded, renumber, repeated};
use crate::tx::Tx;
use crate::value::{Fields, Row, Value};
pub use feed::{Event, denials_since, revoked, since};

const TABLE: &str = "revocation";

/// Rows in one statement, a power of two: smaller sets are put together of smaller powers, so that few texts are prepared.
const TOGETHER: usize = 64;

/// Where a certificate stands that was revoked once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is revoked.
    Revoked(Revocation),
    /// It was on hold and is good again, since then.
    Released(Timestamp),
}

/// A certificate that is revoked, or good again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub issuer: IssuerId,
    /// Its serial number.
    pub serial: Serial,
    /// The shard it was given when it was planned.
    pub shard: u32,
    /// Its row.
    pub certificate: CertificateId,
    /// Where it stands now.
    pub standing: Standing,
    /// Its last second.
    pub not_after: Timestamp,
}

/// What is remembered of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number of its last change.
    pub number: u64,
    /// The change.
    pub change: Change,
    /// The complete list on which it first stood.
    pub first_crl: Option<FirstCrl>,
}

/// A complete list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstCrl {
    /// Its CRL number.
    pub number: u64,
    /// Its thisUpdate.
    pub at: Timestamp,
}

impl Change {
    /// That a certificate stands so now.
    pub fn of(record: &CertificateRecord, standing: Standing) -> Self {
        Self {
            issuer: record.issuer,
            serial: record.serial.clone(),
            shard: record.shard,
            certificate: record.id,
            standing,
            not_after: record.not_after,
        }
    }
}

impl Entry {
    /// What lists need of it.
    pub fn listed(&self) -> Listed {
        let Change { serial, shard, standing, not_after, .. } = self.change.clone();
        Listed { number: self.number, serial, shard, standing, not_after }
    }
}

macro_rules! columns {
    () => {
        "certificate_id, number, issuer_id, serial, shard, state, revoked_at, reason, not_after, first_crl, first_crl_at"
    };
}
pub(crate) use columns;

/// Takes `by` new numbers; the last of them. Whoever else wants numbers waits until this transaction ends.
pub async fn advance(tx: &mut Tx<'_>, by: u64) -> Result<u64, StoreError> {
    let sql = "UPDATE revocation_head SET number = number + $1 WHERE id = 0 RETURNING number";
    head_of(tx.row(sql, &[Value::number(by)?]).await?)
}

/// The last number that was given.
pub async fn head(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    head_of(tx.row("SELECT number FROM revocation_head WHERE id = 0", &[]).await?)
}

fn head_of(row: Option<Row>) -> Result<u64, StoreError> {
    let lost = || StoreError::corrupt("revocation_head", "0", "the row is missing");
    row.ok_or_else(lost)?.fields("revocation_head").u64()
}

/// Writes changes down under new numbers, in their order; the last number. Comes last in its transaction.
pub async fn put(tx: &mut Tx<'_>, changes: &[Change]) -> Result<u64, StoreError> {
    let last = advance(tx, changes.len().try_into().unwrap_or(u64::MAX)).await?;
    let first = last.saturating_sub(changes.len().try_into().unwrap_or(u64::MAX)).saturating_add(1);
    let numbered: Vec<(u64, &Change)> = (first..).zip(changes).collect();
    let mut rest = numbered.as_slice();
    while !rest.is_empty() {
        let (some, others) = rest.split_at(power_of_two(rest.len()));
        upsert(tx, some).await?;
        rest = others;
    }
    Ok(last)
}

/// The greatest one that is not more.
fn power_of_two(count: usize) -> usize {
    count.min(TOGETHER).checked_ilog2().map_or(0, |log| 1 << log)
}

async fn upsert(tx: &mut Tx<'_>, changes: &[(u64, &Change)]) -> Result<(), StoreError> {
    let mut sql =
        "INSERT INTO revocation (issuer_id, serial, shard, certificate_id, number, state, revoked_at, reason, \
                   not_after) VALUES "
            .to_owned();
    let mut values = Vec::with_capacity(changes.len().saturating_mul(9));
    for (number, change) in changes {
        sql.push_str(if values.is_empty() { "" } else { ", " });
        renumber(&mut sql, "($1, $2, $3, $4, $5, $6, $7, $8, $9)", values.len());
        let (state, at, reason) = state(&change.standing);
        values.extend([
            Value::text(change.issuer),
            Value::Bytes(Some(change.serial.padded().to_vec().into())),
            change.shard.into(),
            Value::text(change.certificate),
            Value::number(*number)?,
            state.into(),
            at.into(),
            reason.into(),
            change.not_after.into(),
        ]);
    }
    sql.push_str(
        " ON CONFLICT (issuer_id, serial) DO UPDATE SET number = excluded.number, state = excluded.state, \
         revoked_at = excluded.revoked_at, reason = excluded.reason, \
         first_crl = CASE WHEN revocation.state = excluded.state THEN revocation.first_crl END, \
         first_crl_at = CASE WHEN revocation.state = excluded.state THEN revocation.first_crl_at END",
    );
    tx.execute(sql, &values).await.map(drop)
}

/// What is remembered of a certificate, if it was ever revoked.
pub async fn find(tx: &mut Tx<'_>, issuer: IssuerId, serial: &Serial) -> Result<Option<Entry>, StoreError> {
    let sql = concat!("SELECT ", columns!(), " FROM revocation WHERE issuer_id = $1 AND serial = $2");
    let values = [Value::text(issuer), serial.padded().to_vec().into()];
    tx.row(sql, &values).await?.map(load).transpose()
}

/// What lists need of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The number of its last change.
    pub number: u64,
    /// Its serial number.
    pub serial: Serial,
    /// The shard it was given when it was planned.
    pub shard: u32,
    /// Where it stands.
    pub standing: Standing,
    /// Its last second.
    pub not_after: Timestamp,
}

impl Listed {
    /// What decides whether it may leave the lists.
    pub const fn known(&self) -> succession::Known {
        let is_released = matches!(self.standing, Standing::Released(_));
        succession::Known { number: self.number, not_after: self.not_after, is_released }
    }
}

/// The certificates of an issuer that are or were revoked, by serial number; those behind `after`.
pub async fn page(
    tx: &mut Tx<'_>,
    issuer: IssuerId,
    after: Option<&Serial>,
    limit: u32,
) -> Result<Vec<Listed>, StoreError> {
    let sql = "SELECT number, serial, shard, state, revoked_at, reason, not_after FROM revocation \
               WHERE issuer_id = $1 AND serial > $2 ORDER BY serial LIMIT $3";
    let after = after.map_or_else(Vec::new, |serial| serial.padded().to_vec());
    tx.rows(sql, &[Value::text(issuer), after.into(), limit.into()]).await?.into_iter().map(listed).collect()
}

fn listed(row: Row) -> Result<Listed, StoreError> {
    let mut fields = row.fields(TABLE);
    let (number, serial, shard) = (fields.u64()?, serial_of(&mut fields)?, fields.u32()?);
    Ok(Listed { number, serial, shard, standing: standing(&mut fields)?, not_after: fields.time()? })
}

/// What lists need of these certificates of an issuer; of those that were never revoked nothing.
pub async fn listed_of(tx: &mut Tx<'_>, issuer: IssuerId, serials: &[Serial]) -> Result<Vec<Listed>, StoreError> {
    let mut sql = "SELECT number, serial, shard, state, revoked_at, reason, not_after FROM revocation \
                   WHERE issuer_id = $1 AND serial IN ("
        .to_owned();
    renumber(&mut sql, &repeated("$1", serials.len()), 1);
    sql.push(')');
    let keys = padded(serials).map(|serial| Value::Bytes(Some(serial.padded().to_vec().into())));
    let values: Vec<Value<'_>> = std::iter::once(Value::text(issuer)).chain(keys).collect();
    tx.rows(sql, &values).await?.into_iter().map(listed).collect()
}

/// The shards of an issuer in which something changed after `number`; none where nothing did.
pub async fn shards_since(tx: &mut Tx<'_>, issuer: IssuerId, number: u64) -> Result<Vec<u32>, StoreError> {
    let sql = "SELECT DISTINCT shard FROM revocation WHERE number > $2 AND issuer_id = $1 ORDER BY shard";
    let rows = tx.rows(sql, &[Value::text(issuer), Value::number(number)?]).await?;
    rows.into_iter().map(|row| row.fields(TABLE).u32()).collect()
}

/// What a list does not have yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many changes.
    pub count: u64,
    /// When the oldest of them was made. A hold that becomes permanent keeps its date and is on a list already: it does not
    /// count here.
    pub oldest: Option<Timestamp>,
}

/// What changed of an issuer's certificates after `number`.
pub async fn waiting_since(tx: &mut Tx<'_>, issuer: IssuerId, number: u64) -> Result<Waiting, StoreError> {
    let sql = "SELECT COUNT(*), MIN(CASE WHEN first_crl IS NULL THEN revoked_at END) FROM revocation \
               WHERE number > $2 AND issuer_id = $1";
    let Some(row) = tx.row(sql, &[Value::text(issuer), Value::number(number)?]).await? else {
        return Ok(Waiting::default());
    };
    let mut fields = row.fields(TABLE);
    Ok(Waiting { count: fields.u64()?, oldest: fields.maybe_time()? })
}

/// Remembers the complete list on which those first stand that changed after `from` and up to `to`.
pub async fn mark_first(
    tx: &mut Tx<'_>,
    issuer: IssuerId,
    (from, to): (u64, u64),
    crl: FirstCrl,
) -> Result<u64, StoreError> {
    let sql = "UPDATE revocation SET first_crl = $4, first_crl_at = $5 \
               WHERE number > $2 AND number <= $3 AND issuer_id = $1 AND first_crl IS NULL AND state = 'revoked'";
    let values =
        [Value::text(issuer), Value::number(from)?, Value::number(to)?, Value::number(crl.number)?, crl.at.into()];
    tx.execute(sql, &values).await
}

fn state(standing: &Standing) -> (&'static str, Timestamp, Option<Reason>) {
    match standing {
        Standing::Revoked(Revocation { at, reason }) => ("revoked", *at, *reason),
        Standing::Released(at) => ("released", *at, None),
    }
}

fn load(row: Row) -> Result<Entry, StoreError> {
    load_fields(&mut row.fields(TABLE))
}

fn load_fields(fields: &mut Fields) -> Result<Entry, StoreError> {
    let certificate = fields.id()?;
    let number = fields.u64()?;
    let issuer = fields.parse()?;
    let serial = serial_of(fields)?;
    let shard = fields.u32()?;
    let standing = standing(fields)?;
    let not_after = fields.time()?;
    let change = Change { issuer, serial, shard, certificate, standing, not_after };
    Ok(Entry { number, change, first_crl: first_crl(fields)? })
}

fn first_crl(fields: &mut Fields) -> Result<Option<FirstCrl>, StoreError> {
    let (number, at) = (fields.maybe_u64()?, fields.maybe_time()?);
    Ok(number.zip(at).map(|(number, at)| FirstCrl { number, at }))
}

fn serial_of(fields: &mut Fields) -> Result<Serial, StoreError> {
    let octets = fields.bytes()?;
    Serial::from_octets(&octets).map_err(|_| fields.corrupt("its serial number is none"))
}

fn standing(fields: &mut Fields) -> Result<Standing, StoreError> {
    let (word, at, reason) = (fields.text()?, fields.time()?, fields.maybe_reason()?);
    match word.as_str() {
        "revoked" => Ok(Standing::Revoked(Revocation { at, reason })),
        "released" => Ok(Standing::Released(at)),
        other => Err(fields.corrupt(format!("no state is called `{other}`"))),
    }
}
