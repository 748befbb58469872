//! Keeps the OCSP responder able to answer: its certificate, and the answers that are asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::flows::Context;
use crate::flows::ocsp::{credential, refresh};
use crate::tasks::Tasks;

/// How often it is looked whether a certificate is due.
const PERIOD: Duration = Duration::from_secs(5);

/// And while another replica is to sign one.
const WAITING: Duration = Duration::from_millis(250);

/// How often answers are looked through.
const ROUND: Duration = Duration::from_secs(30);

/// Before the first request: who holds the CA's key has a certificate for its answers at once, and nobody who asks right
/// after a start is told to come back.
pub async fn prepare(ctx: &Context) {
    if let Err(error) = credential::look_after(ctx).await {
        tracing::error!(%error, "the OCSP responder has no certificate yet; it is tried again");
    }
}

/// Works until shutdown. Whatever fails is tried again with the next period; answers are refused meanwhile, or given with
/// the certificate that is still there.
pub async fn run(ctx: Arc<Context>, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    let mut refreshed_at = Instant::now();
    loop {
        let pause = match credential::look_after(&ctx).await {
            Ok(true) => WAITING,
            Ok(false) => PERIOD,
            Err(error) => {
                tracing::error!(%error, "the OCSP responder has no new certificate; it is tried again");
                PERIOD
            }
        };
        if refreshed_at.elapsed() >= ROUND {
            refresh(&ctx).await;
            refreshed_at = Instant::now();
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}
