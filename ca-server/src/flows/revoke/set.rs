//! Revoking a set: a plan that tells what it would mean, then stretches of batches, each batch a transaction of its own. What is
//! asked for again finds what is left, so a set that was broken off goes on where it stood.
//!
//! A plan reads what may be a million rows, and a revocation in need does not wait for somebody's searches: both are passes.

use failpoint::failpoint;
use pki_core::acme::problem::Problem;
use pki_core::audit::AuditEvent;
use pki_core::ids::{CertificateId, DeviceName, EventId};
use pki_core::revocation::Reason;
use pki_core::revocation::selection::Selection;
pub use store::certificates::selected::Fate;
use store::certificates::selected::{self, Group, Target};
use store::{Tx, audit};

use super::Why;
use super::sweep::{self, BATCH, Sweep};
use crate::flows::denied::after_commit;
use crate::flows::record::{With, event};
use crate::flows::{Context, FlowError};

/// What the audit log calls the beginning of a set.
const ACTION: &str = "set.revoke";

/// What its events are about.
const SUBJECT: &str = "certificates";

/// So many events of sets, the newest, are looked through for one that was broken off.
const REMEMBERED: u32 = 1000;

/// Devices that a plan names.
const DEVICES: u32 = 20;

/// Certificates of one stretch, ten transactions: a condition like a domain or a label costs each look the reading of all that
/// it fits.
const STRETCH: u32 = 10 * BATCH;

/// What revoking a set would mean.
#[derive(Debug, Default)]
pub struct Plan {
    /// The newest certificate that is looked at; none when there are no certificates at all.
    pub up_to: Option<CertificateId>,
    /// What becomes of how many, by site and profile.
    pub groups: Vec<Group>,
    /// The devices that hold most of what is affected; none is what no device holds.
    pub devices: Vec<(Option<DeviceName>, u64)>,
    /// How many devices hold any of it.
    pub holders: u64,
    /// Whether nothing would be left in force.
    pub is_everything: bool,
    /// The set that this is the rest of; none when it is a new one.
    pub begun: Option<AuditEvent>,
}

impl Plan {
    /// How many certificates have this fate.
    pub fn count(&self, fate: Fate) -> u64 {
        self.groups.iter().filter(|group| group.fate == fate).map(|group| group.count).sum()
    }
}

/// What is to be revoked, as a plan has shown it.
#[derive(Debug)]
pub struct BatchRequest<'a> {
    /// Which certificates.
    pub selection: Selection,
    /// Why, and by whom.
    pub why: Why<'a>,
    /// As the plan said.
    pub up_to: CertificateId,
    /// How many it is about to affect, by whoever asks; wanted when it is everything.
    pub count: Option<u64>,
    /// What the first stretch was answered; none for that one.
    pub set: Option<EventId>,
    /// Where the last stretch ended.
    pub after: Option<CertificateId>,
}

/// What a stretch has done.
#[derive(Debug)]
pub struct Batch {
    /// The name of the whole.
    pub set: EventId,
    /// How many certificates it has revoked.
    pub revoked: usize,
    /// Where it ended; none when nothing is left behind it.
    pub after: Option<CertificateId>,
    /// At the end: how many of the set are being signed at this moment.
    pub planned: u64,
}

/// Looks what a selection means, and changes nothing.
///
/// Whoever has counted and was broken off gives the same number again, and it is less by now; or it is the same again, because
/// what was revoked has been replaced. So a set that was begun with this number goes on as long as anything is left of it, with
/// what was counted then and nothing that was issued since. When nothing is left, the number counts anew.
pub async fn plan(
    ctx: &Context,
    selection: Selection,
    reason: Option<Reason>,
    count: Option<u64>,
) -> Result<Plan, FlowError> {
    let fresh = async || plan_up_to(ctx, selection.clone(), reason, None).await;
    let Some(count) = count else { return fresh().await };
    let Some((begun, up_to)) = find_begun(ctx, &selection, reason, count).await? else { return fresh().await };
    let rest = plan_up_to(ctx, selection.clone(), reason, Some(up_to)).await?;
    let affected = rest.count(Fate::Affected);
    let goes_on = Plan { begun: Some(begun), ..rest };
    if affected >= count {
        // nothing of it was done, or it was undone: that is no rest
        return fresh().await;
    }
    if affected + goes_on.count(Fate::Planned) > 0 {
        return Ok(goes_on);
    }
    let fresh = fresh().await?;
    Ok(if fresh.count(Fate::Affected) == count { fresh } else { goes_on })
}

/// The newest set that was begun so with that many, and its last certificate.
async fn find_begun(
    ctx: &Context,
    selection: &Selection,
    reason: Option<Reason>,
    count: u64,
) -> Result<Option<(AuditEvent, CertificateId)>, FlowError> {
    let newest = async |tx: &mut Tx<'_>| Ok::<_, FlowError>(audit::newest(tx, SUBJECT, REMEMBERED).await?);
    let (selection, reason, count) = (selection.to_string(), Reason::name_of(reason), count.to_string());
    let is_meant = |event: &AuditEvent| {
        let says = |name: &str, value: &str| event.details.get(name).map_or("", String::as_str) == value;
        event.action == ACTION
            && says("where", &selection)
            && says("reason", reason)
            && (says("count", &count) || says("certificates", &count))
    };
    let begun = ctx.store.look(newest).await?.into_iter().find(is_meant);
    Ok(begun.and_then(|event| event.details.get("upTo")?.parse().ok().map(|up_to| (event, up_to))))
}

/// Without a last certificate, of all that there are.
async fn plan_up_to(
    ctx: &Context,
    selection: Selection,
    reason: Option<Reason>,
    last: Option<CertificateId>,
) -> Result<Plan, FlowError> {
    let now = ctx.now();
    ctx.store
        .pass(async move |tx| {
            let newest = selected::newest(tx).await?;
            let Some(up_to) = last.or(newest) else {
                return Ok(Plan::default());
            };
            let target = Target { selection: &selection, reason, now, up_to };
            let groups = selected::count(tx, &target).await?;
            let (devices, holders) = selected::count_by_device(tx, &target, DEVICES).await?;
            let mut plan = Plan { up_to: Some(up_to), groups, devices, holders, ..Plan::default() };
            let affected = plan.count(Fate::Affected);
            plan.is_everything =
                selection.conditions().is_empty() || (affected > 0 && !selected::leaves_any(tx, &target).await?);
            Ok::<_, FlowError>(plan)
        })
        .await
}

/// Revokes the next some of a set.
pub async fn run(ctx: &Context, request: BatchRequest<'_>) -> Result<Batch, FlowError> {
    let (begun, set) = match request.set {
        Some(set) => {
            go_on(ctx, &request, set).await?;
            (None, set)
        }
        None => {
            let begun = begin(ctx, &request).await?;
            let set = begun.id;
            (Some(begun), set)
        }
    };
    let (selection, reason, up_to, now) = (request.selection.clone(), request.why.reason, request.up_to, ctx.now());
    let after = request.after;
    let (ids, next, planned) = ctx
        .store
        .pass(async move |tx| {
            let target = Target { selection: &selection, reason, now, up_to };
            let ids = selected::affected(tx, &target, after, STRETCH).await?;
            let next = sweep::next(&ids, STRETCH);
            let planned = if next.is_none() { selected::count_planned(tx, &target).await? } else { 0 };
            Ok::<_, FlowError>((ids, next, planned))
        })
        .await?;
    let why = request.why;
    let sweep = Sweep::new(ctx, why.reason, why.comment.unwrap_or_default(), why.actor, format!("set:{set}"));
    let mut batches = ids.chunks(usize::try_from(BATCH).unwrap_or(usize::MAX));
    let mut revoked = write(ctx, &sweep, begun, batches.next().unwrap_or_default()).await?;
    for ids in batches {
        revoked += write(ctx, &sweep, None, ids).await?;
    }
    Ok(Batch { set, revoked, after: next, planned })
}

/// One batch, the first one of a set with its beginning; how many it has revoked.
async fn write(
    ctx: &Context,
    sweep: &Sweep,
    begun: Option<AuditEvent>,
    ids: &[CertificateId],
) -> Result<usize, FlowError> {
    let (ids, revoking) = (ids.to_vec(), sweep.clone());
    let revoked = ctx
        .store
        .write_held(async move |tx| {
            if let Some(begun) = &begun {
                audit::append(tx, begun).await?;
            }
            revoking.revoke(tx, &ids).await
        })
        .await?;
    failpoint!("ca.revoke.batch");
    ctx.metrics.revoked(sweep.reason, revoked);
    after_commit(ctx).await;
    Ok(revoked)
}

/// Whoever is about to revoke everything has to know how much that is.
async fn begin(ctx: &Context, request: &BatchRequest<'_>) -> Result<AuditEvent, FlowError> {
    let plan = plan_up_to(ctx, request.selection.clone(), request.why.reason, Some(request.up_to)).await?;
    let affected = plan.count(Fate::Affected);
    let refuse = |detail: String| Err(Problem::conflict(detail).into());
    match request.count {
        // what has ended since somebody counted is no reason to begin again: a busy CA would never come to it
        Some(count) if count < affected => {
            return refuse(format!("the set has {affected} certificates to be revoked, not {count}; look at it again"));
        }
        None if plan.is_everything => {
            return refuse(format!(
                "this revokes every certificate in force, {affected} of them; give that number to have it done"
            ));
        }
        _ => {}
    }
    Ok(event(ctx, request.why.actor, ACTION, SUBJECT)
        .with("where", &request.selection)
        .with("upTo", request.up_to)
        .with("certificates", affected)
        .with("count", request.count.map(|count| count.to_string()).unwrap_or_default())
        .with("reason", Reason::name_of(request.why.reason))
        .with("comment", request.why.comment.unwrap_or_default()))
}

/// What goes on was begun, as it is now: otherwise the name of a set would be a way around its count and the audit log.
async fn go_on(ctx: &Context, request: &BatchRequest<'_>, set: EventId) -> Result<(), FlowError> {
    let begun = ctx.store.look(async move |tx| Ok::<_, FlowError>(audit::find(tx, set).await?)).await?;
    let refuse = |detail: String| Err(Problem::conflict(detail).into());
    let Some(begun) = begun.filter(|event| event.action == ACTION) else {
        return refuse(format!("no set {set} was begun; leave `set` and `after` out to begin one"));
    };
    let reason = Reason::name_of(request.why.reason);
    let same =
        [("where", request.selection.to_string()), ("upTo", request.up_to.to_string()), ("reason", reason.to_owned())];
    let kind = |actor: &str| actor.split(':').next().map(ToOwned::to_owned);
    let is_same = same.iter().all(|(name, value)| begun.details.get(*name).map_or("", String::as_str) == value);
    match is_same && kind(&begun.actor) == kind(request.why.actor) {
        true => Ok(()),
        false => refuse(format!(
            "the set {set} was begun with another `where`, `upTo` or `reason`; send what it was begun with, or leave `set` and \
             `after` out to begin another"
        )),
    }
}
