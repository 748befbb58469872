//! What changed since a number: certificates and denials in one order.

use crate::error::StoreError;
use crate::revocations::denials::{self, Denial};
use crate::revocations::{Entry, TABLE, columns, load_fields, stored};
use crate::tx::Tx;
use crate::value::Row;

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
    tx.rows(sql, &[stored(number)?.into(), limit.into()]).await?.into_iter().map(load).collect()
}

fn load(row: Row) -> Result<Event, StoreError> {
    let mut fields = row.fields(TABLE);
    let kind = fields.text()?;
    if kind.is_empty() {
        load_fields(&mut fields).map(Event::Certificate)
    } else {
        denials::load(&kind, fields).map(Event::Denial)
    }
}
