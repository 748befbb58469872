//! What becomes of a validation: the challenge, its authorization and the orders that wait for it, in one transaction.

use std::sync::Arc;
use std::time::Duration;

use pki_core::acme::account::{Account, AccountStatus};
use pki_core::acme::authorization::Authorization;
use pki_core::acme::challenge::{ChallengeKind, ChallengeState};
use pki_core::acme::jwk::{Jwk, Thumbprint};
use pki_core::acme::order::Order;
use pki_core::acme::problem::Problem;
use pki_core::audit::AuditEvent;
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
    /// Its authorization, as it was stored when the look began.
    pub authorization: Authorization,
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
        authorization: authorization.clone(),
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
    pending: &Pending,
    outcome: Result<Option<Duration>, Problem>,
) -> Result<(), FlowError> {
    let id = pending.challenge;
    let now = ctx.now();
    ctx.metrics.count_validation(if outcome.is_ok() { "valid" } else { "invalid" });
    let seen = event(ctx, "system", "challenge.validate", format_args!("challenge:{id}"))
        .with("outcome", outcome.as_ref().map_or_else(|problem| problem.detail.as_str(), |_| "valid"));
    let failed = outcome.is_err();
    failpoint::failpoint!("ca.validate.before_settle");
    let verdict = Arc::new(Verdict { id, outcome, seen, now });
    let account = match settle_at_once(ctx, &verdict, &pending.authorization).await {
        Some(settled) => settled?,
        None => settle_held(ctx, verdict).await?,
    };
    if let Some(account) = account {
        ctx.rates.settled(id, account, failed);
    }
    failpoint::failpoint!("ca.validate.after_settle");
    Ok(())
}

/// What was seen of a challenge.
struct Verdict {
    id: ChallengeId,
    outcome: Result<Option<Duration>, Problem>,
    seen: AuditEvent,
    now: Timestamp,
}

impl Verdict {
    /// The authorization after it; none when it was given up or ran out meanwhile, and nothing that was seen changes it.
    fn apply(&self, authorization: Authorization) -> Option<Authorization> {
        let settled = match &self.outcome {
            Ok(counts_for) => authorization.succeed(self.id, self.now).map(|valid| match counts_for {
                Some(span) => valid.at_most_until(self.now + *span),
                None => valid,
            }),
            Err(problem) => authorization.fail(self.id, problem.clone()),
        };
        settled.ok()
    }

    async fn write(&self, tx: &mut Tx<'_>, settled: &Authorization, orders: &[Order]) -> Result<(), FlowError> {
        Work::ValidateChallenge(self.id, None).done(tx).await?;
        authorizations::update(tx, settled).await?;
        for order in orders {
            orders::update(tx, order).await?;
        }
        audit::append(tx, &self.seen).await?;
        Ok(())
    }
}

/// The usual case: no order waits for more than this authorization, so versions are guard enough and nothing has to be
/// held. None when that is not so, or something changed meanwhile.
async fn settle_at_once(
    ctx: &Context,
    verdict: &Arc<Verdict>,
    seen: &Authorization,
) -> Option<Result<Option<AccountId>, FlowError>> {
    let id = verdict.id;
    let found = ctx
        .store
        .look(async move |tx| Ok::<_, FlowError>(orders::list_open_for_authorization(tx, id.authorization()).await?));
    let orders = found.await.ok()?;
    let is_alone = orders.iter().all(|order| order.authorizations.len() == 1);
    let settled = verdict.apply(seen.clone()).filter(|_| is_alone)?;
    let orders = after(orders, std::slice::from_ref(&settled), verdict.now);
    let (account, verdict) = (settled.account, Arc::clone(verdict));
    let written = ctx.store.write_held(async move |tx| verdict.write(tx, &settled, &orders).await).await;
    match written {
        Ok(()) => Some(Ok(Some(account))),
        Err(FlowError::Conflict(_)) => None,
        Err(error) => Some(Err(error)),
    }
}

/// Of two that settle the last two authorizations of an order, the second sees what the first has done.
async fn settle_held(ctx: &Context, verdict: Arc<Verdict>) -> Result<Option<AccountId>, FlowError> {
    ctx.store
        .write_held(async move |tx| {
            let found = authorizations::find_by_challenge(tx, verdict.id).await?;
            let Some(settled) = found.and_then(|authorization| verdict.apply(authorization)) else {
                Work::ValidateChallenge(verdict.id, None).done(tx).await?;
                return Ok(None);
            };
            let mut changed = Vec::new();
            for order in orders::hold_open_for_authorization(tx, settled.id).await? {
                let mut all = authorizations::find_many(tx, &order.authorizations).await?;
                all.retain(|one| one.id != settled.id);
                all.push(settled.clone());
                changed.extend(after(vec![order], &all, verdict.now));
            }
            verdict.write(tx, &settled, &changed).await?;
            Ok::<_, FlowError>(Some(settled.account))
        })
        .await
}

/// An order becomes ready in the transaction that makes its last authorization valid (protocols 0.4). Those that change.
fn after(orders: Vec<Order>, authorizations: &[Authorization], now: Timestamp) -> Vec<Order> {
    let settle = |order: Order| {
        let settled = order.clone().authorization_settled(authorizations, now);
        (settled != order).then_some(settled)
    };
    orders.into_iter().filter_map(settle).collect()
}
