//! Looking for what is over, with pauses: the database is there for those who wait for an answer.

use std::sync::Arc;
use std::time::Duration;

use store::pruning::Table;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::flows::pruning::{Retention, end_orders, forget_nonces, prune_page};
use crate::flows::{Context, FlowError};
use crate::tasks::Tasks;

/// How often orders end and nonces are forgotten.
const PERIOD: Duration = Duration::from_secs(30);

/// How often tables are walked for rows to delete.
const ROUND: Duration = Duration::from_secs(3600);

/// The shortest pause between two transactions.
const PAUSE: Duration = Duration::from_millis(20);

/// Works until shutdown. Whatever fails is tried again with the next period: nothing is lost by being late.
pub async fn run(ctx: Arc<Context>, retention: Retention, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    let mut walked_at = None;
    while !shutdown.is_cancelled() {
        let mut outcome = turn(&ctx, &shutdown).await;
        if outcome.is_ok() && walked_at.is_none_or(|at: Instant| at.elapsed() >= ROUND) {
            walked_at = Some(Instant::now());
            outcome = walk(&ctx, retention, &shutdown).await;
        }
        if let Err(error) = outcome {
            tracing::warn!(%error, "what is over could not be deleted; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

async fn turn(ctx: &Context, shutdown: &CancellationToken) -> Result<(), FlowError> {
    while breathe(shutdown, end_orders(ctx)).await? == Some(true) {}
    while breathe(shutdown, forget_nonces(ctx)).await? == Some(true) {}
    Ok(())
}

async fn walk(ctx: &Context, retention: Retention, shutdown: &CancellationToken) -> Result<(), FlowError> {
    for table in Table::ALL {
        let mut after = Some(String::new());
        while let Some(from) = after {
            after = breathe(shutdown, prune_page(ctx, retention, table, from)).await?.flatten();
        }
    }
    Ok(())
}

/// Does one piece of work, then leaves the database alone for four times as long; none when the program is to end.
async fn breathe<T>(
    shutdown: &CancellationToken,
    work: impl Future<Output = Result<T, FlowError>>,
) -> Result<Option<T>, FlowError> {
    if shutdown.is_cancelled() {
        return Ok(None);
    }
    let begun = Instant::now();
    let done = work.await?;
    let pause = (begun.elapsed() * 4).max(PAUSE);
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(Some(done)),
        () = shutdown.cancelled() => Ok(None),
    }
}
