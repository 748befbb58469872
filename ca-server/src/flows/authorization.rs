//! Authorizations and challenges: read, respond, deactivate (RFC 8555 section 7.5).

use pki_core::acme::account::Account;
use pki_core::acme::authorization::{Authorization, Response};
use pki_core::acme::challenge::Challenge;
use pki_core::acme::identifiers::parse_identifiers;
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::ids::{AuthorizationId, ChallengeId};
use store::{audit, authorizations, orders};

use super::authenticate::AccountRequest;
use super::handover::Validation;
use super::order::Permissions;
use super::owed::Work;
use super::record::event;
use super::{Context, FlowError, account, order, validate};

/// Begins an authorization before anything is ordered (section 7.4.1): for one name, by the profile of the directory or
/// the account's own.
pub async fn create(
    ctx: &Context,
    request: &AccountRequest,
    (kind, value): (String, String),
    profile: Option<&str>,
) -> Result<Authorization, FlowError> {
    account::require_terms(ctx, request.account())?;
    let identifiers = parse_identifiers(&[(kind, value)], 1)?;
    if identifiers.iter().any(|ordered| ordered.identifier.is_wildcard()) {
        let detail = "wildcards are authorised by orders only (RFC 8555 section 7.4.1); order the name";
        return Err(FlowError::problem(ProblemKind::Malformed, detail));
    }
    let approved = order::decide(&ctx.policy(), request, &identifiers, profile, None).map_err(unwilling)?;
    let Permissions { all, made } = order::authorize(ctx, request, &identifiers, &approved, ctx.now()).await?;
    let begun = all.into_iter().next().ok_or_else(|| FlowError::not_found("authorization"))?;
    ctx.store
        .write(async move |tx| {
            for authorization in &made {
                authorizations::insert(tx, authorization).await?;
            }
            Ok::<_, FlowError>(())
        })
        .await?;
    Ok(begun)
}

/// Section 7.4.1: a server that would not issue for the name says so with 403.
fn unwilling(error: FlowError) -> FlowError {
    match error {
        FlowError::Problem(problem) if problem.kind == ProblemKind::RejectedIdentifier => {
            FlowError::Problem(problem.with_status(403))
        }
        other => other,
    }
}

/// Reads an authorization of the account.
pub async fn read(ctx: &Context, request: &AccountRequest, id: AuthorizationId) -> Result<Authorization, FlowError> {
    let owner = request.account().id;
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(authorizations::find(tx, id).await?)).await?;
    let found = found.filter(|one| one.account == owner).ok_or_else(|| FlowError::not_found("authorization"))?;
    Ok(found.expire(ctx.now()))
}

/// Reads a challenge of the account, with its authorization.
pub async fn read_challenge(
    ctx: &Context,
    request: &AccountRequest,
    id: ChallengeId,
) -> Result<(Authorization, Challenge), FlowError> {
    let owner = request.account().id;
    let found =
        ctx.store.look(async move |tx| Ok::<_, FlowError>(authorizations::find_by_challenge(tx, id).await?)).await?;
    let found = found.filter(|one| one.account == owner).ok_or_else(|| FlowError::not_found("challenge"))?;
    let authorization = found.expire(ctx.now());
    let challenge = authorization.challenge(id).cloned().ok_or_else(|| FlowError::not_found("challenge"))?;
    Ok((authorization, challenge))
}

/// The client says that the challenge can be looked at. Answered again and again with the state as it is
/// (protocols CHL-3); the looking is a job's (CHL-4).
pub async fn respond(
    ctx: &Context,
    request: &AccountRequest,
    id: ChallengeId,
) -> Result<(Authorization, Challenge), FlowError> {
    match try_to_respond(ctx, request, id).await {
        // A twin of this request was faster, or the authorization changed otherwise: decided anew.
        Err(FlowError::Conflict(_)) => try_to_respond(ctx, request, id).await,
        outcome => outcome,
    }
}

async fn try_to_respond(
    ctx: &Context,
    request: &AccountRequest,
    id: ChallengeId,
) -> Result<(Authorization, Challenge), FlowError> {
    let (authorization, challenge) = read_challenge(ctx, request, id).await?;
    let now = ctx.now();
    let Response::Begun(responded) = authorization.clone().respond(id, now)? else {
        return Ok((authorization, challenge));
    };
    begin_look(ctx, request.account(), &responded, id).await?;
    let challenge = responded.challenge(id).cloned().ok_or_else(|| FlowError::not_found("challenge"))?;
    Ok((responded, challenge))
}

/// Stores that the challenge can be looked at, and hands the look to the worker.
async fn begin_look(
    ctx: &Context,
    account: &Account,
    responded: &Authorization,
    id: ChallengeId,
) -> Result<(), FlowError> {
    let (now, key, row) = (ctx.now(), account.key.thumbprint(), responded.clone());
    let room = ctx.handover.room();
    let lease = room.is_some().then(|| ctx.handover.lease(now));
    let begun = ctx
        .store
        .write_held(async move |tx| {
            authorizations::update(tx, &row).await?;
            let work = Work::ValidateChallenge(id, Some(key));
            Ok::<_, FlowError>(match &lease {
                Some(lease) => work.begin(tx, lease, now).await?,
                None => work.owe(tx, now, now).await.map(|()| None)?,
            })
        })
        .await?;
    failpoint::failpoint!("ca.challenge.after_commit");
    let stored = Authorization { version: responded.version + 1, ..responded.clone() };
    match (room, begun, validate::expected(&stored, account, id, Some(key))) {
        (Some(room), Some(job), Some(pending)) => {
            room.hand_over(Validation { job, pending, look: ctx.underway.begin(responded.id) });
        }
        _ => ctx.work.notify_one(),
    }
    Ok(())
}

/// The account gives a permission up (section 7.5.2); its pending orders die with it.
pub async fn deactivate(
    ctx: &Context,
    request: &AccountRequest,
    id: AuthorizationId,
) -> Result<Authorization, FlowError> {
    let authorization = read(ctx, request, id).await?;
    let Ok(deactivated) = authorization.clone().deactivate() else { return Ok(authorization) };
    let row = deactivated.clone();
    let given_up = event(
        ctx,
        format_args!("account:{}", request.account().id),
        "authorization.deactivate",
        format_args!("authorization:{id}"),
    );
    ctx.store
        .write_held(async move |tx| {
            authorizations::update(tx, &row).await?;
            for order in orders::hold_open_for_authorization(tx, id).await? {
                let detail = format!("the authorization for {} was deactivated", row.identifier);
                orders::update(tx, &order.fail(Problem::new(ProblemKind::Unauthorized, detail))?).await?;
            }
            audit::append(tx, &given_up).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    Ok(deactivated)
}
