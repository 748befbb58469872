//! What becomes of a validation: the challenge, its authorization and the orders that wait for it, in one transaction.

use pki_core::acme::account::AccountStatus;
use pki_core::acme::authorization::Authorization;
use pki_core::acme::challenge::{ChallengeKind, ChallengeState};
use pki_core::acme::problem::Problem;
use pki_core::ids::ChallengeId;
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;
use store::{Tx, accounts, audit, authorizations, orders};

use super::owed::Work;
use super::record::{With, event};
use super::{Context, FlowError};

/// What has to be looked at.
#[derive(Debug, Clone)]
pub struct Pending {
    /// How.
    pub kind: ChallengeKind,
    /// For which name, without `*.`.
    pub identifier: Identifier,
    /// The challenge's token.
    pub token: String,
    /// `token.thumbprint`, of the account key as it is now (RFC 8555 section 8.1).
    pub key_authorization: String,
}

/// Loads what a job has to look at; none when nothing waits for it any more.
pub async fn pending(ctx: &Context, id: ChallengeId) -> Result<Option<Pending>, FlowError> {
    let now = ctx.now();
    let found = ctx
        .store
        .look(async move |tx| {
            let Some(authorization) = authorizations::find_by_challenge(tx, id).await? else { return Ok(None) };
            let account = accounts::find(tx, authorization.account).await?;
            // What an account that is over asked for is not looked at any more (protocols ACC-8).
            let account = account.filter(|account| account.status == AccountStatus::Valid);
            Ok::<_, FlowError>(account.map(|account| (authorization, account)))
        })
        .await?;
    let Some((authorization, account)) = found else { return Ok(None) };
    let authorization = authorization.expire(now);
    let waiting = authorization.challenge(id).filter(|challenge| challenge.state == ChallengeState::Processing);
    Ok(waiting.map(|challenge| Pending {
        kind: challenge.kind,
        identifier: authorization.identifier.without_wildcard(),
        token: challenge.token.clone(),
        key_authorization: account.key.key_authorization(&challenge.token),
    }))
}

/// Stores what was seen and ends the job.
pub async fn settle(ctx: &Context, id: ChallengeId, outcome: Result<(), Problem>) -> Result<(), FlowError> {
    let now = ctx.now();
    ctx.metrics.count_validation(if outcome.is_ok() { "valid" } else { "invalid" });
    let seen = event(ctx, "system", "challenge.validate", format_args!("challenge:{id}"))
        .with("outcome", outcome.as_ref().map_or_else(|problem| problem.detail.as_str(), |()| "valid"));
    failpoint::failpoint!("ca.validate.before_settle");
    ctx.store
        .write_held(async move |tx| {
            Work::ValidateChallenge(id).done(tx).await?;
            let Some(authorization) = authorizations::find_by_challenge(tx, id).await? else { return Ok(()) };
            let settled = match &outcome {
                Ok(()) => authorization.succeed(id, now),
                Err(problem) => authorization.fail(id, problem.clone()),
            };
            // An authorization that was given up or ran out meanwhile is not changed by what was seen.
            let Ok(settled) = settled else { return Ok(()) };
            authorizations::update(tx, &settled).await?;
            settle_orders(tx, &settled, now).await?;
            audit::append(tx, &seen).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    failpoint::failpoint!("ca.validate.after_settle");
    Ok(())
}

/// An order becomes ready in the transaction that makes its last authorization valid (protocols 0.4).
async fn settle_orders(tx: &mut Tx<'_>, settled: &Authorization, now: Timestamp) -> Result<(), FlowError> {
    for order in orders::hold_open_for_authorization(tx, settled.id).await? {
        let authorizations = authorizations::find_many(tx, &order.authorizations).await?;
        let settled = order.clone().authorization_settled(&authorizations, now);
        if settled != order {
            orders::update(tx, &settled).await?;
        }
    }
    Ok(())
}
