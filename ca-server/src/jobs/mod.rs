//! Work that survives a crash: a row is handed over or claimed, run, and finished in the transaction of its effect, or tried
//! again.

mod denied;
mod lanes;
mod ocsp;
mod prune;
mod publish;
mod schedule;
mod validate;

pub use denied::run as run_denied;
pub use ocsp::{prepare as prepare_ocsp, run as run_ocsp};
pub use prune::run as run_pruning;
pub use publish::run as run_publication;
pub use schedule::{Chores, run as run_schedule};

use std::sync::Arc;
use std::time::Duration;

use pki_core::ids::JobId;
use store::jobs::{self, Job};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use self::lanes::Lanes;
use crate::flows::handover::Validation;
use crate::flows::owed::Work;
use crate::flows::revoke::device;
use crate::flows::{Context, FlowError, issue, responder};
use crate::tasks::Tasks;
use crate::validation::Validator;

/// How many jobs are worked on at once. Validations wait for others, and before that in [`lanes`].
const AT_ONCE: usize = 4096;

/// How long a lease lasts beyond the longest validation. A worker that dies gives its jobs back after it.
pub const LEASE: Duration = Duration::from_secs(60);

/// How often the table is looked at when nothing wakes the worker: replicas write jobs too.
const POLL: Duration = Duration::from_secs(1);

/// Runs what is handed over, and claims the rest, until shutdown.
pub async fn run(ctx: Arc<Context>, validator: Arc<Validator>, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    forget_leases(&ctx).await;
    let mut handed = ctx.handover.open(AT_ONCE);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let worker = Arc::new(Worker { ctx: Arc::clone(&ctx), validator, lanes: Lanes::default(), places, tasks });
    let mut turns = tokio::time::interval(POLL);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shutdown.is_cancelled() {
        tokio::select! {
            Some(validation) = handed.recv() => worker.start(Task::Handed(Box::new(validation))).await,
            () = ctx.work.notified() => worker.claim_all().await,
            _ = turns.tick() => worker.claim_all().await,
            () = shutdown.cancelled() => {}
        }
    }
    // What is under this process's lease is done before it ends: shutdown waits for it.
    handed.close();
    while let Some(validation) = handed.recv().await {
        worker.start(Task::Handed(Box::new(validation))).await;
    }
}

/// What there is to do, by the way it came.
enum Task {
    Claimed(Job),
    Handed(Box<Validation>),
}

struct Worker {
    ctx: Arc<Context>,
    validator: Arc<Validator>,
    lanes: Lanes,
    places: Arc<Semaphore>,
    tasks: Tasks,
}

impl Worker {
    /// Begins with a job once there is a place for it.
    async fn start(self: &Arc<Self>, task: Task) {
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
        let worker = Arc::clone(self);
        self.tasks.spawn(async move {
            worker.perform(task).await;
            drop(place);
        });
    }

    /// Claims and begins until nothing is due or no place is left.
    async fn claim_all(self: &Arc<Self>) {
        loop {
            let limit = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
            let claimed = if limit > 0 { claim(&self.ctx, limit).await } else { Vec::new() };
            if claimed.is_empty() {
                return;
            }
            for job in claimed {
                self.start(Task::Claimed(job)).await;
            }
        }
    }

    async fn perform(&self, task: Task) {
        let (ctx, looking) = (&*self.ctx, (&*self.validator, &self.lanes));
        let (job, outcome) = match task {
            Task::Handed(handed) => {
                let Validation { job, pending, look } = *handed;
                let outcome = validate::run(ctx, looking, &job, &pending).await;
                drop(look);
                (job, outcome)
            }
            Task::Claimed(job) => {
                let outcome = match Work::of(&job) {
                    Some(Work::ValidateChallenge(id, key)) => validate::resume(ctx, looking, &job, (id, key)).await,
                    Some(Work::FinishIssuance(certificate)) => finish_issuance(ctx, &job, certificate).await,
                    Some(Work::SignResponder(id)) => sign_responder(ctx, &job, id).await,
                    Some(Work::PublishCrl(_)) => {
                        // what is owed stands in the numbers of revocations and lists; this tells of it at once
                        ctx.crls.wake.notify_one();
                        finish(ctx, job.id).await
                    }
                    Some(Work::RevokeDevice(device, reason)) => revoke_device(ctx, &job, device, reason).await,
                    None => Err(FlowError::Internal(format!("this version does not know jobs of kind {}", job.kind))),
                };
                (job, outcome)
            }
        };
        if let Err(error) = outcome {
            again(ctx, &job, &error).await;
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

async fn claim(ctx: &Context, limit: u32) -> Vec<Job> {
    let now = ctx.now();
    let lease = ctx.handover.lease(now);
    let claimed =
        ctx.store.write_held(async move |tx| Ok::<_, FlowError>(jobs::claim_due(tx, now, &lease, limit).await?)).await;
    claimed.unwrap_or_else(|error| {
        tracing::warn!(%error, "jobs cannot be claimed");
        Vec::new()
    })
}

async fn finish_issuance(ctx: &Context, job: &Job, certificate: pki_core::ids::CertificateId) -> Result<(), FlowError> {
    match issue::recall(ctx, certificate).await? {
        Some(recorded) => issue::finish(ctx, recorded).await.map(|_| ())?,
        None => tracing::error!(%certificate, "a job names a certificate that does not exist"),
    }
    finish(ctx, job.id).await
}

async fn sign_responder(ctx: &Context, job: &Job, id: pki_core::ids::ResponderId) -> Result<(), FlowError> {
    responder::sign(ctx, id).await?;
    finish(ctx, job.id).await
}

async fn revoke_device(
    ctx: &Context,
    job: &Job,
    device: pki_core::ids::DeviceId,
    reason: pki_core::revocation::Reason,
) -> Result<(), FlowError> {
    device::resume(ctx, device, reason).await?;
    finish(ctx, job.id).await
}

/// Ends a job whose effect is stored already.
pub(super) async fn finish(ctx: &Context, id: JobId) -> Result<(), FlowError> {
    ctx.store.write_held(async move |tx| Ok(jobs::finish(tx, id).await?)).await
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
