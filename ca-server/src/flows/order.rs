//! Orders: make, read, list (RFC 8555 sections 7.4 and 7.1.2.1).

use std::time::Duration;

use pki_core::acme::authorization::{Authorization, NewAuthorization, Proof};
use pki_core::acme::challenge::{Challenge, ChallengeState};
use pki_core::acme::identifiers::parse_identifiers;
use pki_core::acme::order::{NewOrder as Beginning, Order, OrderedIdentifier};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::audit::AuditEvent;
use pki_core::ids::{AccountId, OrderId, ProfileName};
use pki_core::issuance::plan::{PlanError, begin_for, clock_difference};
use pki_core::issuance::record::CertificateRecord;
use pki_core::policy::Policy;
use pki_core::policy::decide::{Approved, Held, Request, Requester};
use pki_core::policy::profile::Profile;
use pki_core::time::Timestamp;
use store::{Tx, audit, authorizations, certificates, orders};

use super::authenticate::AccountRequest;
use super::finalize::refused;
use super::record::{With, event};
use super::{Context, FlowError, account, held, replace};

/// What a proven authorization must have left to be used again.
const ENOUGH_LIFE: Duration = Duration::from_secs(600);

/// What a client asks for with newOrder, unchecked.
#[derive(Debug, Default)]
pub struct NewOrder {
    /// Type and value of each identifier.
    pub identifiers: Vec<(String, String)>,
    /// The profile of the request or of the directory.
    pub profile: Option<String>,
    /// RFC 3339.
    pub not_before: Option<String>,
    /// RFC 3339.
    pub not_after: Option<String>,
    /// The certificate it replaces, by the name of RFC 9773 section 4.1.
    pub replaces: Option<String>,
}

/// Makes an order with one authorization for each name.
pub async fn create(ctx: &Context, request: &AccountRequest, new: NewOrder) -> Result<Order, FlowError> {
    account::require_terms(ctx, request.account())?;
    let identifiers = parse_identifiers(&new.identifiers, ctx.limits.max_identifiers)?;
    let policy = ctx.policy();
    let mut approved = decide(&policy, request, &identifiers, new.profile.as_deref(), None)?;
    if let Some(held) = held::count(ctx, request, approved.profile()).await? {
        approved = decide(&policy, request, &identifiers, new.profile.as_deref(), Some(held))?;
    }
    let now = ctx.now();
    refuse_after_grace(ctx, request, approved.profile()).await?;
    let (not_before, not_after) = (time(new.not_before.as_deref())?, time(new.not_after.as_deref())?);
    check_life(approved.profile(), not_before, not_after, now).map_err(refused)?;
    let replaces = match new.replaces {
        Some(name) => Some(replace::find(ctx, request, name, &identifiers).await?),
        None => None,
    };
    let Permissions { all, made } = authorize(ctx, request, &identifiers, &approved, now).await?;
    let beginning = Beginning {
        account: request.account().id,
        identifiers,
        profile: approved.profile().name.clone(),
        not_before,
        not_after,
        replaces,
        lifetime: ctx.limits.order_life,
    };
    let order = Order::new(beginning, &all, now, ctx.entropy.as_ref());
    insert(ctx, request, order.clone(), made).await?;
    Ok(order)
}

async fn insert(
    ctx: &Context,
    request: &AccountRequest,
    order: Order,
    made: Vec<Authorization>,
) -> Result<(), FlowError> {
    let (actor, is_device) = (format!("account:{}", request.account().id), request.device().is_some());
    let created = event(ctx, actor, "order.create", format_args!("order:{}", order.id))
        .with("profile", &order.profile)
        .with("replaces", order.replaces.as_ref().map(|it| it.certificate.to_string()).unwrap_or_default());
    if order.replaces.is_none() {
        return ctx.store.write_held(async move |tx| write(tx, &order, &made, &created).await).await;
    }
    // Whether another order replaces the same is decided on rows that this transaction does not hold.
    ctx.store
        .write(async move |tx| {
            replace::require_free(tx, &order, is_device).await?;
            write(tx, &order, &made, &created).await
        })
        .await
}

async fn write(tx: &mut Tx<'_>, order: &Order, made: &[Authorization], created: &AuditEvent) -> Result<(), FlowError> {
    for authorization in made {
        authorizations::insert(tx, authorization).await?;
    }
    orders::insert(tx, order).await?;
    audit::append(tx, created).await?;
    Ok(())
}

pub(super) fn decide(
    policy: &Policy,
    request: &AccountRequest,
    identifiers: &[OrderedIdentifier],
    profile: Option<&str>,
    held: Option<Held>,
) -> Result<Approved, FlowError> {
    let requester = match request.account().binding {
        Some(_) => Requester::Bound { device: request.device() },
        None => Requester::Unbound,
    };
    let invalid = |detail: String| FlowError::problem(ProblemKind::InvalidProfile, detail);
    let name: ProfileName = match profile.filter(|name| !name.is_empty()) {
        Some(name) => name.parse().map_err(|error| invalid(format!("{error}")))?,
        None => policy.default_profile_for(requester).map(|profile| profile.name.clone()).ok_or_else(|| {
            invalid("no profile fits this account; name one of the directory's `meta.profiles`".to_owned())
        })?,
    };
    let identifiers: Vec<_> = identifiers.iter().map(|ordered| ordered.identifier.clone()).collect();
    let asked = Request { profile: &name, identifiers: &identifiers, key: None, requester, held };
    Ok(policy.decide(&asked)?)
}

/// Account keys never expire, so a device's last certificate is what bounds its absence: beyond the profile's grace
/// it has to be let in again by a person, with a token whose account is younger than that certificate's end.
async fn refuse_after_grace(ctx: &Context, request: &AccountRequest, profile: &Profile) -> Result<(), FlowError> {
    let Some(device) = request.device() else { return Ok(()) };
    let (id, name) = (device.id, profile.name.clone());
    let last: Option<CertificateRecord> = ctx
        .store
        .look(async move |tx| Ok::<_, FlowError>(certificates::latest_for_device(tx, id, &name).await?))
        .await?;
    match last {
        Some(last) if last.not_after + profile.grace < ctx.now() && last.not_after > request.account().created_at => {
            let detail = format!(
                "the last certificate of {} ended at {}, longer ago than the grace of profile {}; the administrator can let \
                 it in again with `ca-server device token {}`",
                device.name, last.not_after, profile.name, device.name
            );
            Err(FlowError::problem(ProblemKind::Unauthorized, detail))
        }
        _ => Ok(()),
    }
}

fn time(text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let read = Timestamp::parse_rfc3339(text).map(Timestamp::whole_seconds);
    let shown: String = text.chars().take(40).collect();
    read.map(Some).ok_or_else(|| Problem::new(ProblemKind::Malformed, format!("`{shown}` is not a time in RFC 3339")))
}

/// Protocols ORD-6: a life that no certificate of the profile can have is refused before the client proves anything.
/// What is good now is good later; finalize decides for certain.
fn check_life(
    profile: &Profile,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), PlanError> {
    let (earliest, latest) =
        ((now - profile.backdate).whole_seconds(), (now.whole_seconds() + profile.lifetime).whole_seconds());
    match not_before {
        Some(wish) if wish < earliest => return Err(PlanError::NotBeforeTooEarly { wish, earliest }),
        Some(wish) if wish > latest => return Err(PlanError::NotBeforeTooLate { wish, latest }),
        _ => {}
    }
    let from = not_before.unwrap_or_else(|| begin_for(not_after, profile.lifetime, earliest));
    let latest = match not_before {
        Some(from) => from + profile.lifetime,
        None => now + profile.lifetime + clock_difference(profile.lifetime),
    }
    .whole_seconds();
    match not_after {
        Some(wish) if wish > latest => Err(PlanError::NotAfterTooLate { wish, latest }),
        Some(wish) if wish <= from || wish <= now => Err(PlanError::NoLife { not_before: from, not_after: wish }),
        _ => Ok(()),
    }
}

/// The authorizations of a new order, in the order of its names.
pub(super) struct Permissions {
    pub(super) all: Vec<Authorization>,
    /// Those of them that are not stored yet.
    pub(super) made: Vec<Authorization>,
}

/// One authorization for each name: a valid one of this account is used again (protocols ORD-7: pending ones never
/// are), all others are new.
pub(super) async fn authorize(
    ctx: &Context,
    request: &AccountRequest,
    identifiers: &[OrderedIdentifier],
    approved: &Approved,
    now: Timestamp,
) -> Result<Permissions, FlowError> {
    let account = request.account().id;
    let known = find_proven(ctx, account, identifiers, approved, now).await?;
    let mut permissions = Permissions { all: Vec::new(), made: Vec::new() };
    for OrderedIdentifier { identifier, .. } in identifiers {
        if let Some(known) = known.iter().find(|known| known.identifier == *identifier) {
            permissions.all.push(known.clone());
            continue;
        }
        let beginning = NewAuthorization {
            account,
            identifier: identifier.clone(),
            proof: approved.proof(identifier),
            challenges: &approved.profile().challenges,
            lifetime: ctx.limits.authorization_life,
        };
        let begun = Authorization::new(beginning, now, ctx.entropy.as_ref());
        if begun.proof == Proof::Challenge && begun.challenges.is_empty() {
            let detail = format!("no challenge of profile {} can prove {identifier}", approved.profile().name);
            return Err(FlowError::problem(ProblemKind::RejectedIdentifier, detail));
        }
        permissions.all.push(begun.clone());
        permissions.made.push(begun);
    }
    Ok(permissions)
}

/// What the account has proven already. A permission with little life left would make an order that dies under the
/// client's hands.
async fn find_proven(
    ctx: &Context,
    account: AccountId,
    identifiers: &[OrderedIdentifier],
    approved: &Approved,
    now: Timestamp,
) -> Result<Vec<Authorization>, FlowError> {
    let wanted: Vec<_> = identifiers
        .iter()
        .map(|ordered| ordered.identifier.clone())
        .filter(|identifier| approved.proof(identifier) == Proof::Challenge)
        .collect();
    let mut found = ctx
        .store
        .look(async move |tx| {
            let mut found = Vec::new();
            for identifier in &wanted {
                found.extend(authorizations::find_valid(tx, account, identifier, now).await?);
            }
            Ok::<_, FlowError>(found)
        })
        .await?;
    found.retain(|known| known.expires_at > now + ENOUGH_LIFE && is_proven_for(approved.profile(), known));
    Ok(found)
}

/// Whether a challenge that this profile accepts proved it: another profile may have been content with less.
pub(super) fn is_proven_for(profile: &Profile, authorization: &Authorization) -> bool {
    let accepted =
        |one: &Challenge| matches!(one.state, ChallengeState::Valid { .. }) && profile.challenges.contains(&one.kind);
    authorization.proof == Proof::Challenge && authorization.challenges.iter().any(accepted)
}

/// Reads an order of the account; one whose time ran out reads as invalid.
pub async fn read(ctx: &Context, request: &AccountRequest, id: OrderId) -> Result<Order, FlowError> {
    let owner = request.account().id;
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(orders::find(tx, id).await?)).await?;
    let order = found.filter(|order| order.account == owner).ok_or_else(|| FlowError::not_found("order"))?;
    Ok(order.expire(ctx.now()))
}

/// Ids of the account's orders that are not invalid, oldest first, and where to go on.
pub async fn list(
    ctx: &Context,
    request: &AccountRequest,
    after: Option<OrderId>,
) -> Result<(Vec<OrderId>, Option<OrderId>), FlowError> {
    const PAGE: usize = 100;
    const ONE_MORE: u32 = 101;
    let (account, now) = (request.account().id, ctx.now());
    let ids = ctx
        .store
        .look(async move |tx| Ok::<_, FlowError>(orders::list_ids(tx, account, now, after, ONE_MORE).await?))
        .await?;
    let page: Vec<OrderId> = ids.iter().take(PAGE).copied().collect();
    let next = if ids.len() > PAGE { page.last().copied() } else { None };
    Ok((page, next))
}
