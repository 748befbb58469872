//! What is due by the clock: revocation lists, the CA's own certificate. What is over is forgotten by [`super::prune`].

use std::sync::Arc;
use std::time::Duration;

use crate::flows::{Context, FlowError, crl};
use crate::own_certificate::OwnCertificate;
use crate::root_crl_watch::RootCrlWatch;
use crate::tasks::Tasks;

const PERIOD: Duration = Duration::from_secs(30);

/// What is looked after.
#[derive(Debug)]
pub struct Chores {
    /// The CA's own TLS certificate.
    pub own: OwnCertificate,
    /// The root's revocation list.
    pub root_crl: RootCrlWatch,
}

/// Looks every half minute, until shutdown. Each chore finds out itself whether it is due: a missed turn loses nothing.
pub async fn run(ctx: Arc<Context>, chores: Chores, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    loop {
        if let Err(error) = chores.own.renew_if_due(&ctx).await {
            tracing::error!(%error, "the CA's own TLS certificate is not renewed; it is tried again");
        }
        chores.root_crl.look(&ctx);
        if let Err(error) = publish_if_due(&ctx).await {
            tracing::warn!(%error, "a chore failed; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn publish_if_due(ctx: &Context) -> Result<(), FlowError> {
    let issuer = ctx.issuing.id;
    if crl::due_at(ctx, issuer).await? > ctx.now() {
        return Ok(());
    }
    crl::owe(ctx, issuer).await
}
