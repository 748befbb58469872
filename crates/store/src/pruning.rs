//! Deleting what is over, a page at a time: orders, authorizations, external account keys. Never certificates, accounts
//! or audit events.
//!
//! A round walks a table by its key from the oldest row on, in pages that are short transactions, and remembers where it
//! is: rows that have to stay are passed once a round.

use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::tx::Tx;
use crate::value::Value;

/// What a page came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Rows that were deleted.
    pub deleted: u64,
    /// The key of the last row looked at; none at the end of the table.
    pub last: Option<String>,
}

/// A table that is pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Orders that ended, valid or invalid, whose `expires` is before the cutoff. Those that name a certificate as replaced
    /// stay until that one ends: another order for it must still be refused (RFC 9773 section 5).
    Orders,
    /// Authorizations that no order needs any more, whose `expires` is before the cutoff.
    Authorizations,
    /// External account keys that no account was made with, and that expired or were withdrawn before the cutoff.
    EabKeys,
}

impl Table {
    /// All, in the order in which they let go of each other.
    pub const ALL: [Self; 3] = [Self::Orders, Self::Authorizations, Self::EabKeys];

    /// The word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "order",
            Self::Authorizations => "authorization",
            Self::EabKeys => "eab_key",
        }
    }

    /// `$1` is where the page begins, `$2` where it ends, `$3` is the cutoff; `$4` the time.
    const fn over(self) -> &'static str {
        match self {
            Self::Orders => {
                "SELECT id FROM acme_order WHERE id > $1 AND id <= $2 AND state IN ('valid', 'invalid') \
                 AND expires_at < $3 AND (replaces IS NULL OR NOT EXISTS \
                 (SELECT 1 FROM certificate WHERE certificate.id = acme_order.replaces AND certificate.not_after >= $4))"
            }
            Self::Authorizations => {
                "SELECT id FROM acme_authorization WHERE id > $1 AND id <= $2 AND expires_at < $3 AND expires_at < $4 \
                 AND NOT EXISTS (SELECT 1 FROM order_authorization WHERE authorization_id = acme_authorization.id)"
            }
            Self::EabKeys => {
                "SELECT id FROM eab_key WHERE id > $1 AND id <= $2 AND account_id IS NULL AND created_at < $4 \
                 AND (state = 'unused' AND expires_at < $3 OR state = 'revoked' AND state_at < $3) \
                 AND NOT EXISTS (SELECT 1 FROM account WHERE account.eab_key_id = eab_key.id)"
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Orders => "acme_order",
            Self::Authorizations => "acme_authorization",
            Self::EabKeys => "eab_key",
        }
    }
}

/// Deletes what is over among the `limit` rows behind `after`, the oldest first. Ids begin with time: rows younger than the
/// cutoff are not looked at.
pub async fn page(
    tx: &mut Tx<'_>,
    table: Table,
    after: &str,
    cutoff: Timestamp,
    now: Timestamp,
    limit: u32,
) -> Result<Page, StoreError> {
    let Some(last) = end_of_page(tx, table, after, cutoff, limit).await? else {
        return Ok(Page { deleted: 0, last: None });
    };
    let values: [Value<'_>; 4] = [after.into(), last.as_str().into(), cutoff.into(), now.into()];
    if table == Table::Orders {
        let sql = format!("DELETE FROM order_authorization WHERE order_id IN ({})", table.over());
        tx.execute(sql, &values).await?;
    }
    let sql = format!("DELETE FROM {} WHERE id IN ({})", table.name(), table.over());
    let deleted = tx.execute(sql, &values).await?;
    Ok(Page { deleted, last: Some(last) })
}

async fn end_of_page(
    tx: &mut Tx<'_>,
    table: Table,
    after: &str,
    cutoff: Timestamp,
    limit: u32,
) -> Result<Option<String>, StoreError> {
    let sql = format!(
        "SELECT max(id) FROM (SELECT id FROM {} WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3) AS page",
        table.name()
    );
    let row = tx.row(sql, &[after.into(), first_id_at(cutoff).into(), limit.into()]).await?;
    row.map(|row| row.fields(table.name()).maybe_text()).transpose().map(Option::flatten)
}

/// No id of an earlier time sorts behind it (48 bits of Unix milliseconds, in hexadecimal).
fn first_id_at(at: Timestamp) -> String {
    format!("{:012x}", u64::try_from(at.unix_millis()).unwrap_or(0))
}
