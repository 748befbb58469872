//! Looking whether a challenge is answered (RFC 8555 section 8), a few times at most.

use std::time::Duration;

use pki_core::ids::ChallengeId;
use store::jobs::{self, Job};

use crate::flows::validate::{Pending, pending, settle};
use crate::flows::{Context, FlowError};
use crate::validation::{Expectation, Failure, Validator};

/// Pauses before the second and third look: a challenge file often arrives a moment after the client said so. The
/// whole stays within what the least patient client waits (protocols CHL-6).
const PAUSES: [Duration; 2] = [Duration::from_millis(1500), Duration::from_secs(4)];

/// A look that took this long has waited for the other side itself, and was the last.
const LONG: Duration = Duration::from_secs(4);

pub(super) async fn run(ctx: &Context, validator: &Validator, job: &Job, id: ChallengeId) -> Result<(), FlowError> {
    let Some(expected) = pending(ctx, id).await? else { return super::finish(ctx, job.id).await };
    let begun = ctx.now();
    match look(validator, &expected).await {
        Ok(()) => settle(ctx, id, Ok(())).await,
        Err(failure) => match PAUSES.get(usize::try_from(job.attempts.saturating_sub(1)).unwrap_or(usize::MAX)) {
            Some(pause) if failure.is_transient && ctx.now() < begun + LONG => {
                look_again(ctx, job, *pause, &failure).await
            }
            _ => settle(ctx, id, Err(failure.problem)).await,
        },
    }
}

async fn look(validator: &Validator, expected: &Pending) -> Result<(), Failure> {
    let expectation = Expectation {
        identifier: &expected.identifier,
        token: &expected.token,
        key_authorization: &expected.key_authorization,
    };
    validator.validate(expected.kind, expectation).await
}

async fn look_again(ctx: &Context, job: &Job, pause: Duration, failure: &Failure) -> Result<(), FlowError> {
    let (job, at, text) = (job.clone(), ctx.now() + pause, failure.problem.detail.clone());
    ctx.store.write_held(async move |tx| Ok(jobs::retry(tx, &job, at, &text).await.map(drop)?)).await
}
