//! What becomes of a validation: the challenge, its authorization and the orders that wait for it, in one transaction.

use std::time::Duration;

use pki_core::acme::account::{Account, AccountStatus};
use pki_core::acme::authorization::Authorization;
use pki_core::acme::challenge::{ChallengeKind, ChallengeState};
use pki_core::acme::jwk::{Jwk, Thumbprint};
use pki_core::acme::problem::Problem;
use pki_core::ids::{AccountId, ChallengeId};
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;
use store::{Tx, accounts, audit, authorizations, orders};

use super::owed::Work;
use super::record::{With, event};
use super::{Context, FlowError};

/// What has to be looked at.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Which.
    pub challenge: ChallengeId,
    /// How.
    pub kind: ChallengeKind,
    /// Whose it is.
    pub account: AccountId,
    /// For which name, without `*.`.
    pub identifier: Identifier,
    /// Whether it was asked for with `*.`.
    pub is_wildcard: bool,
    /// The challenge's token.
    pub token: String,
    /// `token.thumbprint`, of the account key as it is now (RFC 8555 section 8.1), and of the one that signed the client's
    /// word that it is ready, if that was another (protocols VAL-1).
    pub key_authorizations: Vec<String>,
}

/// Loads what a job has to look at; none when nothing waits for it any more.
pub async fn pending(
    ctx: &Context,
    id: ChallengeId,
    signed_by: Option<Thumbprint>,
) -> Result<Option<Pending>, FlowError> {
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
    Ok(found.and_then(|(authorization, account)| expected(&authorization.expire(now), &account, id, signed_by)))
}

/// What is to be looked at for a challenge that is in processing.
pub(super) fn expected(
    authorization: &Authorization,
    account: &Account,
    id: ChallengeId,
    signed_by: Option<Thumbprint>,
) -> Option<Pending> {
    let waiting = authorization.challenge(id).filter(|challenge| challenge.state == ChallengeState::Processing);
    waiting.map(|challenge| Pending {
        challenge: id,
        kind: challenge.kind,
        account: account.id,
        is_wildcard: authorization.identifier.is_wildcard(),
        identifier: authorization.identifier.without_wildcard(),
        token: challenge.token.clone(),
        key_authorizations: key_authorizations(&account.key, signed_by, &challenge.token),
    })
}

fn key_authorizations(current: &Jwk, signed_by: Option<Thumbprint>, token: &str) -> Vec<String> {
    let former = signed_by.filter(|key| *key != current.thumbprint());
    let former = former.map(|key| format!("{token}.{key}"));
    std::iter::once(current.key_authorization(token)).chain(former).collect()
}

/// Stores what was seen and ends the job. A proof may count for a limited time.
pub async fn settle(
    ctx: &Context,
    id: ChallengeId,
    outcome: Result<Option<Duration>, Problem>,
) -> Result<(), FlowError> {
    let now = ctx.now();
    ctx.metrics.count_validation(if outcome.is_ok() { "valid" } else { "invalid" });
    let seen = event(ctx, "system", "challenge.validate", format_args!("challenge:{id}"))
        .with("outcome", outcome.as_ref().map_or_else(|problem| problem.detail.as_str(), |_| "valid"));
    let failed = outcome.is_err();
    failpoint::failpoint!("ca.validate.before_settle");
    let account = ctx
        .store
        .write_held(async move |tx| {
            Work::ValidateChallenge(id, None).done(tx).await?;
            let Some(authorization) = authorizations::find_by_challenge(tx, id).await? else { return Ok(None) };
            let settled = match &outcome {
                Ok(counts_for) => authorization.succeed(id, now).map(|valid| match counts_for {
                    Some(span) => valid.at_most_until(now + *span),
                    None => valid,
                }),
                Err(problem) => authorization.fail(id, problem.clone()),
            };
            // An authorization that was given up or ran out meanwhile is not changed by what was seen.
            let Ok(settled) = settled else { return Ok(None) };
            authorizations::update(tx, &settled).await?;
            settle_orders(tx, &settled, now).await?;
            audit::append(tx, &seen).await?;
            Ok::<_, FlowError>(Some(settled.account))
        })
        .await?;
    if let Some(account) = account {
        ctx.rates.settled(id, account, failed);
    }
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
