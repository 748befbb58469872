//! Work that survives a crash: a row is claimed, run, and finished in the transaction of its effect, or tried again.

mod lanes;
mod prune;
mod schedule;
mod validate;

pub use prune::run as run_pruning;
pub use schedule::{Chores, run as run_schedule};

use std::sync::Arc;
use std::time::Duration;

use pki_core::ids::JobId;
use store::jobs::{self, Job};
use tokio::sync::Semaphore;

use self::lanes::Lanes;
use crate::flows::owed::Work;
use crate::flows::{Context, FlowError, crl, issue};
use crate::tasks::Tasks;
use crate::validation::Validator;

/// How many jobs are claimed at once. Validations wait for others, and before that in [`lanes`].
const CLAIMED: usize = 4096;

/// How long a claim lasts beyond the longest validation. A worker that dies gives its jobs back after it.
const LEASE: Duration = Duration::from_secs(60);

/// How often the table is looked at when nothing wakes the worker: replicas write jobs too.
const POLL: Duration = Duration::from_secs(1);

/// Claims and runs jobs until shutdown.
pub async fn run(ctx: Arc<Context>, validator: Arc<Validator>, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    let (permits, lanes) = (Arc::new(Semaphore::new(CLAIMED)), Arc::new(Lanes::default()));
    let owner = JobId::random(ctx.entropy.as_ref()).to_string();
    let lease = LEASE + validator.timeout;
    forget_leases(&ctx).await;
    while !shutdown.is_cancelled() {
        let claimed = claim(&ctx, (&owner, lease), u32::try_from(permits.available_permits()).unwrap_or(1)).await;
        let found_some = !claimed.is_empty();
        for job in claimed {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let (ctx, validator, lanes) = (Arc::clone(&ctx), Arc::clone(&validator), Arc::clone(&lanes));
            tasks.spawn(async move {
                perform(&ctx, (&validator, &lanes), job).await;
                drop(permit);
                ctx.work.notify_one();
            });
        }
        if !found_some {
            tokio::select! {
                () = ctx.work.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
}

/// Whoever held leases on a database of one process was this CA before a crash: its clients do not wait for them.
async fn forget_leases(ctx: &Context) {
    if !ctx.owns_database() {
        return;
    }
    let outcome = ctx.store.write_held(async |tx| Ok::<_, FlowError>(jobs::end_leases(tx).await?)).await;
    if let Err(error) = outcome {
        tracing::warn!(%error, "jobs that were under way before the last stop wait for the end of their leases");
    }
}

async fn claim(ctx: &Context, (owner, lease): (&str, Duration), limit: u32) -> Vec<Job> {
    let (now, owner) = (ctx.now(), owner.to_owned());
    let claimed = ctx
        .store
        .write_held(async move |tx| Ok::<_, FlowError>(jobs::claim_due(tx, now, &owner, now + lease, limit).await?))
        .await;
    claimed.unwrap_or_else(|error| {
        tracing::warn!(%error, "jobs cannot be claimed");
        Vec::new()
    })
}

async fn perform(ctx: &Context, looking: (&Validator, &Lanes), job: Job) {
    let outcome = match Work::of(&job) {
        Some(Work::ValidateChallenge(challenge, key)) => validate::run(ctx, looking, &job, (challenge, key)).await,
        Some(Work::FinishIssuance(certificate)) => finish_issuance(ctx, &job, certificate).await,
        Some(Work::PublishCrl(issuer)) => publish_crl(ctx, &job, issuer).await,
        None => Err(FlowError::Internal(format!("this version does not know jobs of kind {}", job.kind))),
    };
    if let Err(error) = outcome {
        again(ctx, &job, &error).await;
    }
}

async fn finish_issuance(ctx: &Context, job: &Job, certificate: pki_core::ids::CertificateId) -> Result<(), FlowError> {
    match issue::recall(ctx, certificate).await? {
        Some(recorded) => issue::finish(ctx, recorded).await.map(|_| ())?,
        None => tracing::error!(%certificate, "a job names a certificate that does not exist"),
    }
    finish(ctx, job.id).await
}

async fn publish_crl(ctx: &Context, job: &Job, issuer: pki_core::ids::IssuerId) -> Result<(), FlowError> {
    crl::publish(ctx, issuer).await?;
    finish(ctx, job.id).await
}

/// Ends a job whose effect is stored already.
pub(super) async fn finish(ctx: &Context, id: JobId) -> Result<(), FlowError> {
    ctx.store.write_held(async move |tx| Ok(jobs::finish(tx, id).await.map(drop)?)).await
}

/// A job is never dropped: it is tried again, later and later, and the log says so.
async fn again(ctx: &Context, job: &Job, error: &FlowError) {
    let wait = Duration::from_secs(2_u64.saturating_pow(job.attempts.min(8)).min(300));
    tracing::warn!(kind = job.kind, attempts = job.attempts, %error, again_in = ?wait, "a job failed");
    let (job, at, text) = (job.clone(), ctx.now() + wait, error.to_string());
    let outcome =
        ctx.store.write_held(async move |tx| Ok::<_, FlowError>(jobs::retry(tx, &job, at, &text).await?)).await;
    if let Err(error) = outcome {
        tracing::warn!(%error, "a failed job keeps its lease until that runs out");
    }
}
