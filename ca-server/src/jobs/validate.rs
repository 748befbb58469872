//! Looking whether a challenge is answered (RFC 8555 section 8), a few times at most.

use std::time::Duration;

use pki_core::acme::jwk::Thumbprint;
use pki_core::ids::ChallengeId;
use pki_core::time::Timestamp;
use store::jobs::{self, Job};

use super::lanes::Lanes;
use crate::flows::validate::{Pending, pending, settle};
use crate::flows::{Context, FlowError};
use crate::validation::{Expectation, Failure, Seen, Validator};

/// Pauses before the second and third look: a challenge file often arrives a moment after the client said so.
const PAUSES: [Duration; 2] = [Duration::from_millis(1500), Duration::from_secs(4)];

/// All looks end this long after the client said that it is ready, however slow the other side is: the least patient
/// client waits a little longer (protocols CHL-6). The first look alone may take the whole of `timeout_seconds`.
const WHOLE: Duration = Duration::from_secs(12);

/// How long a look waits for its turn before its job is given back; well within the job's lease.
const TURN: Duration = Duration::from_secs(30);

/// Less time is not worth another look.
const LEAST: Duration = Duration::from_secs(1);

/// Goes on with a job that was claimed: what it is about may have changed since it was written down.
pub(super) async fn resume(
    ctx: &Context,
    looking: (&Validator, &Lanes),
    job: &Job,
    (id, key): (ChallengeId, Option<Thumbprint>),
) -> Result<(), FlowError> {
    let Some(expected) = pending(ctx, id, key).await? else { return super::finish(ctx, job.id).await };
    let _look = ctx.underway.begin(id.authorization());
    run(ctx, looking, job, &expected).await
}

/// Looks once, and settles the challenge or comes back.
pub(super) async fn run(
    ctx: &Context,
    (validator, lanes): (&Validator, &Lanes),
    job: &Job,
    expected: &Pending,
) -> Result<(), FlowError> {
    let Some(_turn) = lanes.enter(expected.account, TURN).await else {
        return come_back(ctx, job, LEAST, "many validations of this account are under way").await;
    };
    match look(ctx, validator, expected, patience(job, ctx.now(), validator.timeout)).await {
        Ok(seen) => settle(ctx, expected, Ok(seen.counts_for)).await,
        Err(failure) => match next_look(job, ctx.now()).filter(|_| failure.is_transient) {
            Some(pause) => come_back(ctx, job, pause, &failure.problem.detail).await,
            None => settle(ctx, expected, Err(failure.problem)).await,
        },
    }
}

/// A job that is late, after a crash or under load, gets a whole look.
fn patience(job: &Job, now: Timestamp, whole: Duration) -> Duration {
    let left = (job.created_at + WHOLE).since(now);
    if job.attempts <= 1 || left < LEAST { whole } else { whole.min(left) }
}

fn next_look(job: &Job, now: Timestamp) -> Option<Duration> {
    let pause = PAUSES.get(usize::try_from(job.attempts.saturating_sub(1)).ok()?)?;
    (now + *pause + LEAST <= job.created_at + WHOLE).then_some(*pause)
}

async fn look(ctx: &Context, validator: &Validator, expected: &Pending, patience: Duration) -> Result<Seen, Failure> {
    let expectation = Expectation {
        identifier: &expected.identifier,
        is_wildcard: expected.is_wildcard,
        token: &expected.token,
        key_authorizations: &expected.key_authorizations,
        account_url: &format!("{}{}", validator.accounts, expected.account),
        now: ctx.now(),
    };
    validator.validate(expected.kind, expectation, patience).await
}

async fn come_back(ctx: &Context, job: &Job, pause: Duration, why: &str) -> Result<(), FlowError> {
    let (job, at, text) = (job.clone(), ctx.now() + pause, why.to_owned());
    ctx.store.write_held(async move |tx| Ok(jobs::retry(tx, &job, at, &text).await.map(drop)?)).await
}

#[cfg(test)]
mod tests {
    use pki_core::ids::JobId;
    use pki_core::random::SystemEntropy;

    use super::*;

    const BEGIN: Timestamp = Timestamp::from_unix_seconds(1000);

    fn job(attempts: u32) -> Job {
        let id = JobId::random(&SystemEntropy::new());
        let (kind, subject) = ("validate-challenge".to_owned(), String::new());
        Job { id, kind, subject, attempts, created_at: BEGIN, last_error: None }
    }

    /// CHL-6.
    #[test]
    fn all_looks_end_within_twelve_seconds() {
        let (at, seconds) = (|millis| BEGIN + Duration::from_millis(millis), Duration::from_secs);
        assert_eq!(patience(&job(1), at(0), seconds(10)), seconds(10));
        assert_eq!(next_look(&job(1), at(100)), Some(PAUSES[0]));
        assert_eq!(next_look(&job(1), at(9_600)), None, "the other side has taken its time");
        assert_eq!(patience(&job(2), at(5_000), seconds(10)), seconds(7));
        assert_eq!(next_look(&job(2), at(8_000)), None);
        assert_eq!(next_look(&job(2), at(6_000)), Some(PAUSES[1]));
        assert_eq!(next_look(&job(3), at(6_000)), None);
        assert_eq!(patience(&job(2), at(60_000), seconds(10)), seconds(10), "after a crash");
        assert_eq!(next_look(&job(2), at(61_000)), None);
    }
}
