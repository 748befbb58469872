//! Whether certificates could be issued now.

use super::{Context, FlowError};

/// Asks the database.
pub async fn check(ctx: &Context) -> Result<(), FlowError> {
    Ok(ctx.store.health().await?)
}
