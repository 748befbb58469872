//! Ending and forgetting what is over, in transactions so short that nobody waits for them.

use std::time::Duration;

use pki_core::time::Timestamp;
use store::pruning::{self, Page, Table};
use store::{nonces, orders};

use super::{Context, FlowError};

/// Rows of one transaction: a few milliseconds.
const ROWS: u32 = 100;

/// How long what is over stays readable.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Ended orders, from their `expires` on.
    pub orders: Duration,
    /// External account keys that no account was made with, from their end on.
    pub eab_keys: Duration,
}

impl Retention {
    fn cutoff(&self, table: Table, now: Timestamp) -> Timestamp {
        match table {
            Table::Orders | Table::Authorizations => now - self.orders,
            Table::EabKeys => now - self.eab_keys,
        }
    }
}

/// Makes some orders invalid whose time ran out (protocols ORD-9); whether there may be more.
pub async fn end_orders(ctx: &Context) -> Result<bool, FlowError> {
    let now = ctx.now();
    let ended = ctx
        .store
        .write(async move |tx| {
            let mut ended = 0;
            for order in orders::list_expired(tx, now, ROWS).await? {
                orders::update(tx, &order.expire(now)).await?;
                ended += 1;
            }
            Ok::<_, FlowError>(ended)
        })
        .await?;
    ctx.metrics.pressure.count_pruned("expired_order", u64::from(ended));
    Ok(ended == ROWS)
}

/// Deletes what is over in the next page of a table; where to go on, or none at its end.
pub async fn prune_page(
    ctx: &Context,
    retention: Retention,
    table: Table,
    after: String,
) -> Result<Option<String>, FlowError> {
    let now = ctx.now();
    let cutoff = retention.cutoff(table, now);
    let Page { deleted, last } = ctx
        .store
        .write(async move |tx| Ok::<_, FlowError>(pruning::page(tx, table, &after, cutoff, now, ROWS).await?))
        .await?;
    if deleted > 0 {
        ctx.metrics.pressure.count_pruned(table.as_str(), deleted);
    }
    Ok(last)
}

/// Forgets some spent nonces that are too old to be used; whether there may be more.
pub async fn forget_nonces(ctx: &Context) -> Result<bool, FlowError> {
    const MANY: u32 = 1000;
    let now = ctx.now();
    let forgotten = ctx.store.write(async move |tx| Ok::<_, FlowError>(nonces::purge(tx, now, MANY).await?)).await?;
    if forgotten > 0 {
        ctx.metrics.pressure.count_pruned("nonce", forgotten);
    }
    Ok(forgotten == u64::from(MANY))
}
