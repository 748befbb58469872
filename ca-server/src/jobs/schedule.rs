//! What is due by the clock: revocation lists, the CA's own certificate, forgetting what is over.

use std::sync::Arc;
use std::time::Duration;

use store::nonces;

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
        for outcome in [publish_if_due(&ctx).await, forget(&ctx).await] {
            if let Err(error) = outcome {
                tracing::warn!(%error, "a chore failed; it is tried again");
            }
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

async fn forget(ctx: &Context) -> Result<(), FlowError> {
    let now = ctx.now();
    ctx.store
        .write(async move |tx| {
            nonces::purge(tx, now).await?;
            Ok(())
        })
        .await
}
