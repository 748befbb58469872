//! Keeps the denied set current: what another server of this CA revokes is refused here within a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::flows::Context;
use crate::flows::denied::STALE;
use crate::tasks::Tasks;

/// Between two looks; each costs one row.
const PERIOD: Duration = Duration::from_millis(250);

/// Looks until shutdown.
pub async fn run(ctx: Arc<Context>, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    let mut turns = tokio::time::interval(PERIOD);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_stale = false;
    while !shutdown.is_cancelled() {
        tokio::select! {
            _ = turns.tick() => {}
            () = shutdown.cancelled() => return,
        }
        let outcome = ctx.denied.catch_up(&ctx.store).await;
        let was_stale = std::mem::replace(&mut is_stale, ctx.denied.lag() > STALE);
        match outcome {
            Err(error) if is_stale && !was_stale => {
                tracing::error!(%error, number = ctx.denied.number(), "revocations of other servers can not be read");
            }
            Err(error) => tracing::debug!(%error, "revocations could not be read; they are looked for again"),
            Ok(number) if was_stale => tracing::info!(number, "revocations are read again"),
            Ok(_) => {}
        }
    }
}
