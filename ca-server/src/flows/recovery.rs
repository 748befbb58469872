//! After a crash: what was recorded is finished before the first request is answered.

use store::certificates;

use super::{Context, FlowError, issue};

/// More than were ever under way at once; jobs take the rest.
const MOST: u32 = 10_000;

/// Finishes every plan that was recorded and not released. What cannot be finished now stays a job.
pub async fn finish_planned(ctx: &Context) -> Result<(), FlowError> {
    let now = ctx.now();
    let planned =
        ctx.store.read(async move |tx| Ok::<_, FlowError>(certificates::list_planned(tx, now, MOST).await?)).await?;
    for record in planned {
        let id = record.id;
        let Some(recorded) = issue::recall(ctx, id).await? else { continue };
        match issue::finish(ctx, recorded).await {
            Ok(_) => tracing::info!(certificate = %id, "finished a certificate that was recorded before the last stop"),
            Err(error) => tracing::warn!(certificate = %id, %error, "a recorded certificate waits for its job"),
        }
    }
    Ok(())
}
