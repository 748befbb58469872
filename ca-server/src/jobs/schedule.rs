//! What is due by the clock: the CA's own certificate, the root's list. Lists are published by [`super::publish`]; what is over is forgotten by [`super::prune`].

use std::sync::Arc;
use std::time::Duration;

use crate::flows::Context;
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
        chores.root_crl.look(&ctx).await;
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = shutdown.cancelled() => return,
        }
    }
}
