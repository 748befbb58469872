//! Revoking or releasing a set: stretches of batches, each batch a transaction of its own. What is asked for again finds what is
//! left, so a set that was broken off goes on where it stood.

use failpoint::failpoint;
use pki_core::acme::problem::Problem;
use pki_core::audit::AuditEvent;
use pki_core::ids::{CertificateId, EventId};
use store::audit;
use store::certificates::selected::{self, Target};

use super::lift::Lift;
use super::plan::{Aim, Fate, Order, SUBJECT, plan_up_to, says};
use super::sweep::{self, BATCH, Sweep};
use crate::flows::denied::after_commit;
use crate::flows::record::{With, event};
use crate::flows::{Context, FlowError};

/// Certificates of one stretch, ten transactions: a condition like a domain or a label costs each look the reading of all that
/// it fits.
const STRETCH: u32 = 10 * BATCH;

/// What is to be done, as a plan has shown it.
#[derive(Debug)]
pub struct BatchRequest<'a> {
    /// What is to become of which certificates.
    pub order: Order,
    /// Why, for the audit log.
    pub comment: Option<&'a str>,
    /// Who asked.
    pub actor: &'a str,
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
    /// How many certificates it has revoked or released.
    pub done: usize,
    /// Where it ended; none when nothing is left behind it.
    pub after: Option<CertificateId>,
    /// At the end of a revocation: how many of the set are being signed at this moment.
    pub planned: u64,
}

/// What is done to each batch.
#[derive(Debug, Clone)]
enum Change {
    Revoke(Sweep),
    Release(Lift),
}

/// Does the next some of a set.
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
    let (order, up_to, after, now) = (request.order.clone(), request.up_to, request.after, ctx.now());
    let (ids, next, planned) = ctx
        .store
        .pass(async move |tx| {
            let target = Target { selection: &order.selection, aim: order.aim, now, up_to };
            let ids = selected::affected(tx, &target, after, STRETCH).await?;
            let next = sweep::next(&ids, STRETCH);
            let is_end = next.is_none() && order.aim != Aim::Release;
            let planned = if is_end { selected::count_planned(tx, &target).await? } else { 0 };
            Ok::<_, FlowError>((ids, next, planned))
        })
        .await?;
    let (comment, cause) = (request.comment.unwrap_or_default(), format!("set:{set}"));
    let change = match request.order.aim {
        Aim::Revoke(reason) => Change::Revoke(Sweep::new(ctx, reason, comment, request.actor, cause)),
        Aim::Release => Change::Release(Lift::new(ctx, comment, request.actor, &cause)),
    };
    let mut batches = ids.chunks(usize::try_from(BATCH).unwrap_or(usize::MAX));
    let mut done = write(ctx, &change, begun, batches.next().unwrap_or_default()).await?;
    for ids in batches {
        done += write(ctx, &change, None, ids).await?;
    }
    Ok(Batch { set, done, after: next, planned })
}

/// One batch, the first one of a set with its beginning; how many it has changed.
async fn write(
    ctx: &Context,
    change: &Change,
    begun: Option<AuditEvent>,
    ids: &[CertificateId],
) -> Result<usize, FlowError> {
    let (ids, changing) = (ids.to_vec(), change.clone());
    let done = ctx
        .store
        .write_held(async move |tx| {
            if let Some(begun) = &begun {
                audit::append(tx, begun).await?;
            }
            match &changing {
                Change::Revoke(sweep) => sweep.revoke(tx, &ids).await,
                Change::Release(lift) => lift.release(tx, &ids).await,
            }
        })
        .await?;
    failpoint!("ca.revoke.batch");
    if let Change::Revoke(sweep) = change {
        ctx.metrics.revoked(sweep.reason, done);
    }
    after_commit(ctx).await;
    Ok(done)
}

/// Whoever is about to revoke everything has to know how much that is.
async fn begin(ctx: &Context, request: &BatchRequest<'_>) -> Result<AuditEvent, FlowError> {
    let plan = plan_up_to(ctx, &request.order, Some(request.up_to)).await?;
    let affected = plan.count(Fate::Affected);
    let refuse = |detail: String| Err(Problem::conflict(detail).into());
    match request.count {
        // what has ended since somebody counted is no reason to begin again: a busy CA would never come to it
        Some(count) if count < affected => {
            let verb = if request.order.aim == Aim::Release { "released" } else { "revoked" };
            return refuse(format!("the set has {affected} certificates to be {verb}, not {count}; look at it again"));
        }
        None if plan.is_everything => {
            return refuse(format!(
                "this revokes every certificate in force, {affected} of them; give that number to have it done"
            ));
        }
        _ => {}
    }
    let begun = event(ctx, request.actor, request.order.action(), SUBJECT)
        .with("upTo", request.up_to)
        .with("certificates", affected)
        .with("count", request.count.map(|count| count.to_string()).unwrap_or_default())
        .with("comment", request.comment.unwrap_or_default());
    Ok(request.order.details().into_iter().fold(begun, |begun, (name, value)| begun.with(name, value)))
}

/// What goes on was begun, as it is now: otherwise the name of a set would be a way around its count and the audit log.
async fn go_on(ctx: &Context, request: &BatchRequest<'_>, set: EventId) -> Result<(), FlowError> {
    let begun = ctx.store.look(async move |tx| Ok::<_, FlowError>(audit::find(tx, set).await?)).await?;
    let refuse = |detail: String| Err(Problem::conflict(detail).into());
    let Some(begun) = begun.filter(|event| event.action == request.order.action()) else {
        return refuse(format!("no set {set} was begun; leave `set` and `after` out to begin one"));
    };
    let kind = |actor: &str| actor.split(':').next().map(ToOwned::to_owned);
    let is_same = request.order.began_with(&begun) && says(&begun, "upTo", &request.up_to.to_string());
    match is_same && kind(&begun.actor) == kind(request.actor) {
        true => Ok(()),
        false => refuse(format!(
            "the set {set} was begun with another `where`, `upTo` or `reason`; send what it was begun with, or leave `set` and \
             `after` out to begin another"
        )),
    }
}
