//! What changed since a number: certificates and denials in one order.

use pki_core::ids::{IssuerId, Serial};

use crate::error::StoreError;
use crate::revocations::denials::{self, Denial};
use crate::revocations::{Entry, TABLE, columns, load_fields, serial_of};
use crate::tx::Tx;
use crate::value::{Row, Value};

/// One row at the number of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A certificate was revoked or released.
    Certificate(Entry),
    /// Something else was denied or is allowed again.
    Denial(Denial),
}

impl Event {
    /// Its number.
    pub const fn number(&self) -> u64 {
        match self {
            Self::Certificate(entry) => entry.number,
            Self::Denial(denial) => denial.number,
        }
    }
}

/// What changed after `number`, in the order of the numbers. A row stands there once, at its last change, so numbers are
/// missing where rows changed again. One statement: two could miss what is committed between them.
pub async fn since(tx: &mut Tx<'_>, number: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
    let sql = concat!(
        "SELECT '' AS kind, ",
        columns!(),
        " FROM revocation WHERE number > $1 UNION ALL \
         SELECT kind, subject, number, '', NULL, 0, '', changed_at, denied, 0, NULL, NULL FROM denial WHERE number > $1 \
         ORDER BY number LIMIT $2"
    );
    tx.rows(sql, &[Value::number(number)?, limit.into()]).await?.into_iter().map(load).collect()
}

/// The certificates that are revoked, by issuer and serial number; those behind `after`. Who knows nothing yet reads them so: a
/// million in the order of their numbers takes many times as long, for they lie elsewhere one by one.
pub async fn revoked(
    tx: &mut Tx<'_>,
    after: Option<&(IssuerId, Serial)>,
    limit: u32,
) -> Result<Vec<(IssuerId, Serial)>, StoreError> {
    let sql = "SELECT issuer_id, serial FROM revocation WHERE state = 'revoked' AND (issuer_id, serial) > ($1, $2) \
               ORDER BY issuer_id, serial LIMIT $3";
    let (issuer, serial) =
        after.map_or_else(Default::default, |(issuer, serial)| (issuer.to_string(), serial.padded().to_vec()));
    let rows = tx.rows(sql, &[issuer.into(), serial.into(), limit.into()]).await?;
    let load = |row: Row| {
        let mut fields = row.fields(TABLE);
        Ok((fields.id()?, serial_of(&mut fields)?))
    };
    rows.into_iter().map(load).collect()
}

/// Everything beside certificates that is or was denied, in the order of the numbers; what changed after `number`.
pub async fn denials_since(tx: &mut Tx<'_>, number: u64, limit: u32) -> Result<Vec<Denial>, StoreError> {
    let sql = "SELECT subject, kind, number, changed_at, denied FROM denial WHERE number > $1 ORDER BY number LIMIT $2";
    let load = |row: Row| {
        let mut fields = row.fields(denials::TABLE);
        let (subject, kind): (String, _) = (fields.id()?, fields.text()?);
        let (number, at, is_denied) = (fields.u64()?, fields.time()?, fields.int()? != 0);
        Ok(Denial { subject: denials::subject(&kind, subject), number, is_denied, at })
    };
    tx.rows(sql, &[Value::number(number)?, limit.into()]).await?.into_iter().map(load).collect()
}

/// A denial stands in the columns of a certificate: issuing key, serial number, shard and state say nothing of it.
fn load(row: Row) -> Result<Event, StoreError> {
    let mut fields = row.fields(TABLE);
    let kind = fields.text()?;
    if kind.is_empty() {
        return load_fields(&mut fields).map(Event::Certificate);
    }
    let (subject, number): (String, _) = (fields.id()?, fields.u64()?);
    let _ = (fields.text()?, fields.maybe_bytes()?, fields.int()?, fields.text()?);
    let (at, is_denied) = (fields.time()?, fields.int()? != 0);
    Ok(Event::Denial(Denial { subject: denials::subject(&kind, subject), number, is_denied, at }))
}
