//! What revoking or releasing a set would mean, and whether it is the rest of one that was broken off.
//!
//! A plan reads what may be a million rows, and a revocation in need does not wait for somebody's searches: it is a pass.

use pki_core::audit::AuditEvent;
use pki_core::ids::{CertificateId, DeviceName};
use pki_core::revocation::Reason;
use pki_core::revocation::selection::Selection;
use store::certificates::selected::{self, Group, Target};
pub use store::certificates::selected::{Aim, Fate};
use store::{Tx, audit};

use crate::flows::{Context, FlowError};

/// What the events of sets are about.
pub(super) const SUBJECT: &str = "certificates";

/// So many of them, the newest, are looked through for a set that was broken off.
const REMEMBERED: u32 = 1000;

/// Devices that a plan names.
const DEVICES: u32 = 20;

/// What is to become of which certificates.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which certificates.
    pub selection: Selection,
    /// What is to become of them.
    pub aim: Aim,
}

impl Order {
    /// What the audit log calls its beginning.
    pub(super) const fn action(&self) -> &'static str {
        match self.aim {
            Aim::Revoke(_) => "set.revoke",
            Aim::Release => "set.release",
        }
    }

    /// What the audit log keeps of it.
    pub(super) fn details(&self) -> [(&'static str, String); 2] {
        let reason = match self.aim {
            Aim::Revoke(reason) => Reason::name_of(reason),
            Aim::Release => "",
        };
        [("where", self.selection.to_string()), ("reason", reason.to_owned())]
    }

    /// Whether an event is the beginning of such a set.
    pub(super) fn began_with(&self, event: &AuditEvent) -> bool {
        event.action == self.action() && self.details().iter().all(|(name, value)| says(event, name, value))
    }
}

/// Whether an event has this detail; an empty one is none.
pub(super) fn says(event: &AuditEvent, name: &str, value: &str) -> bool {
    event.details.get(name).map_or("", String::as_str) == value
}

/// What it would mean.
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

/// Looks what an order means, and changes nothing.
///
/// Whoever has counted and was broken off gives the same number again, and it is less by now; or it is the same again, because
/// what was revoked has been replaced. So a set that was begun with this number goes on as long as anything is left of it, with
/// what was counted then and nothing that was issued since. When nothing is left, the number counts anew.
pub async fn plan(ctx: &Context, order: Order, count: Option<u64>) -> Result<Plan, FlowError> {
    let fresh = async || plan_up_to(ctx, &order, None).await;
    let Some(count) = count else { return fresh().await };
    let Some((begun, up_to)) = find_begun(ctx, &order, count).await? else { return fresh().await };
    let rest = plan_up_to(ctx, &order, Some(up_to)).await?;
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
    order: &Order,
    count: u64,
) -> Result<Option<(AuditEvent, CertificateId)>, FlowError> {
    let newest = async |tx: &mut Tx<'_>| Ok::<_, FlowError>(audit::newest(tx, SUBJECT, REMEMBERED).await?);
    let count = count.to_string();
    let is_meant = |event: &AuditEvent| {
        order.began_with(event) && (says(event, "count", &count) || says(event, "certificates", &count))
    };
    let begun = ctx.store.look(newest).await?.into_iter().find(is_meant);
    Ok(begun.and_then(|event| event.details.get("upTo")?.parse().ok().map(|up_to| (event, up_to))))
}

/// Without a last certificate, of all that there are.
pub(super) async fn plan_up_to(ctx: &Context, order: &Order, last: Option<CertificateId>) -> Result<Plan, FlowError> {
    let (now, order) = (ctx.now(), order.clone());
    ctx.store
        .pass(async move |tx| {
            let newest = selected::newest(tx).await?;
            let Some(up_to) = last.or(newest) else { return Ok(Plan::default()) };
            let target = Target { selection: &order.selection, aim: order.aim, now, up_to };
            let groups = selected::count(tx, &target).await?;
            let (devices, holders) = selected::count_by_device(tx, &target, DEVICES).await?;
            let mut plan = Plan { up_to: Some(up_to), groups, devices, holders, ..Plan::default() };
            plan.is_everything = match order.aim {
                Aim::Revoke(_) if order.selection.conditions().is_empty() => true,
                Aim::Revoke(_) => plan.count(Fate::Affected) > 0 && !selected::leaves_any(tx, &target).await?,
                Aim::Release => false,
            };
            Ok::<_, FlowError>(plan)
        })
        .await
}
