//! Orders: make, read, list (RFC 8555 sections 7.4 and 7.1.2.1).

use std::time::Duration;

use pki_core::acme::authorization::{Authorization, NewAuthorization, Proof};
use pki_core::acme::identifiers::parse_identifiers;
use pki_core::acme::order::{NewOrder as Beginning, Order, OrderedIdentifier};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::ids::{AccountId, OrderId, ProfileName};
use pki_core::issuance::record::CertificateRecord;
use pki_core::policy::decide::{Approved, Request, Requester};
use pki_core::policy::profile::Profile;
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;
use store::{audit, authorizations, certificates, orders};

use super::authenticate::AccountRequest;
use super::record::{With, event};
use super::{Context, FlowError};

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
}

/// Makes an order with one authorization for each name.
pub async fn create(ctx: &Context, request: &AccountRequest, new: NewOrder) -> Result<Order, FlowError> {
    if new.identifiers.len() > ctx.limits.max_identifiers {
        let detail =
            format!("{} identifiers; one order has at most {}", new.identifiers.len(), ctx.limits.max_identifiers);
        return Err(FlowError::problem(ProblemKind::Malformed, detail));
    }
    let identifiers = parse_identifiers(&new.identifiers)?;
    let approved = decide(ctx, request, &identifiers, new.profile.as_deref())?;
    let now = ctx.now();
    refuse_after_grace(ctx, request, approved.profile()).await?;
    let (not_before, not_after) = (time(new.not_before.as_deref())?, time(new.not_after.as_deref())?);
    let (made, reused) = authorize(ctx, request, &identifiers, &approved, now).await?;
    let all: Vec<Authorization> = made.iter().chain(&reused).cloned().collect();
    let beginning = Beginning {
        account: request.account().id,
        identifiers,
        profile: approved.profile().name.clone(),
        not_before,
        not_after,
        replaces: None,
        lifetime: ctx.limits.order_life,
    };
    let order = Order::new(beginning, &all, now, ctx.entropy.as_ref());
    let (row, actor) = (order.clone(), format!("account:{}", request.account().id));
    let created = event(ctx, actor, "order.create", format_args!("order:{}", order.id)).with("profile", &order.profile);
    ctx.store
        .write(async move |tx| {
            for authorization in &made {
                authorizations::insert(tx, authorization).await?;
            }
            orders::insert(tx, &row).await?;
            audit::append(tx, &created).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    Ok(order)
}

fn decide(
    ctx: &Context,
    request: &AccountRequest,
    identifiers: &[OrderedIdentifier],
    profile: Option<&str>,
) -> Result<Approved, FlowError> {
    let policy = ctx.policy();
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
    let asked = Request { profile: &name, identifiers: &identifiers, key: None, requester };
    Ok(policy.decide(&asked)?)
}

/// Account keys never expire, so a device's last certificate is what bounds its absence: beyond the profile's grace
/// it has to be let in again by a person, with a token whose account is younger than that certificate's end.
async fn refuse_after_grace(ctx: &Context, request: &AccountRequest, profile: &Profile) -> Result<(), FlowError> {
    let Some(device) = request.device() else { return Ok(()) };
    let (id, name) = (device.id, profile.name.clone());
    let last: Option<CertificateRecord> = ctx
        .store
        .read(async move |tx| Ok::<_, FlowError>(certificates::latest_for_device(tx, id, &name).await?))
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

/// New authorizations, and valid ones of this account that are used again (protocols ORD-7: pending ones never are).
async fn authorize(
    ctx: &Context,
    request: &AccountRequest,
    identifiers: &[OrderedIdentifier],
    approved: &Approved,
    now: Timestamp,
) -> Result<(Vec<Authorization>, Vec<Authorization>), FlowError> {
    let (mut made, mut reused) = (Vec::new(), Vec::new());
    for OrderedIdentifier { identifier, .. } in identifiers {
        let account = request.account().id;
        let proof = approved.proof(identifier);
        let known = match proof {
            Proof::Device => None,
            Proof::Challenge => find_valid(ctx, account, identifier, now).await?,
        };
        // A permission with little life left would make an order that dies under the client's hands.
        if let Some(known) = known.filter(|known| known.expires_at > now + ENOUGH_LIFE) {
            reused.push(known);
            continue;
        }
        let beginning = NewAuthorization {
            account,
            identifier: identifier.clone(),
            proof,
            challenges: &approved.profile().challenges,
            lifetime: ctx.limits.authorization_life,
        };
        let begun = Authorization::new(beginning, now, ctx.entropy.as_ref());
        if proof == Proof::Challenge && begun.challenges.is_empty() {
            let detail = format!("no challenge of profile {} can prove {identifier}", approved.profile().name);
            return Err(FlowError::problem(ProblemKind::RejectedIdentifier, detail));
        }
        made.push(begun);
    }
    Ok((made, reused))
}

async fn find_valid(
    ctx: &Context,
    account: AccountId,
    identifier: &Identifier,
    now: Timestamp,
) -> Result<Option<Authorization>, FlowError> {
    let wanted = identifier.clone();
    let found = ctx
        .store
        .read(async move |tx| Ok::<_, FlowError>(authorizations::find_valid(tx, account, &wanted, now).await?))
        .await?;
    Ok(found.filter(|known| known.proof == Proof::Challenge))
}

/// Reads an order of the account; one whose time ran out reads as invalid.
pub async fn read(ctx: &Context, request: &AccountRequest, id: OrderId) -> Result<Order, FlowError> {
    let owner = request.account().id;
    let found = ctx.store.read(async move |tx| Ok::<_, FlowError>(orders::find(tx, id).await?)).await?;
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
    let account = request.account().id;
    let ids = ctx
        .store
        .read(async move |tx| Ok::<_, FlowError>(orders::list_ids(tx, account, after, ONE_MORE).await?))
        .await?;
    let page: Vec<OrderId> = ids.iter().take(PAGE).copied().collect();
    let next = if ids.len() > PAGE { page.last().copied() } else { None };
    Ok((page, next))
}
