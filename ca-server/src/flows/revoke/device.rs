//! Taking a device out of service: it is refused from one transaction on, together with its accounts, its open orders, its
//! tokens and its certificates. Doing it again changes nothing and says so.

use std::time::Duration;

use failpoint::failpoint;
use pki_core::acme::account::{Account, AccountStatus};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::audit::AuditEvent;
use pki_core::device::{Device, DeviceState, EabKeyState, End};
use pki_core::ids::{CertificateId, DeviceId, DeviceName, JobId};
use pki_core::revocation::Reason;
use pki_core::time::Timestamp;
use store::certificates::many;
use store::jobs::{self, Job, Lease};
use store::revocations::denials::{self, Subject};
use store::{Tx, accounts, audit, devices, eab_keys, orders};

use super::Why;
use super::sweep::{self, BATCH, Sweep};
use crate::flows::denied::after_commit;
use crate::flows::owed::Work;
use crate::flows::record::{With, event};
use crate::flows::{Context, FlowError, device};

/// Open orders of one account that end with it; whatever is beyond ends by its time, and nothing can be done with it.
const MOST_ORDERS: u32 = 1000;

/// How long the rest of many certificates may keep whoever asked waiting, which is less than a lease; the job goes on with
/// it then.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the audit log calls it.
const fn action(end: End) -> &'static str {
    match end {
        End::Retired => "device.retire",
        End::Compromised => "device.revoke",
    }
}

/// What was taken out.
#[derive(Debug, Clone, Copy, Default)]
pub struct TakenOut {
    /// False when the device was out already and nothing was left to do.
    pub changed: bool,
    /// Certificates that were revoked.
    pub certificates: usize,
    /// Accounts that have ended.
    pub accounts: usize,
    /// Orders that have become invalid.
    pub orders: usize,
    /// Whether certificates are left that are being revoked.
    pub goes_on: bool,
}

/// Takes a device out of service.
pub async fn take_out(ctx: &Context, name: &DeviceName, end: End, why: Why<'_>) -> Result<TakenOut, FlowError> {
    match try_to_take_out(ctx, name, end, why).await {
        // one of its accounts or orders changed under our hands: decided anew
        Err(FlowError::Conflict(_)) => try_to_take_out(ctx, name, end, why).await,
        outcome => outcome,
    }
}

async fn try_to_take_out(ctx: &Context, name: &DeviceName, end: End, why: Why<'_>) -> Result<TakenOut, FlowError> {
    let device = device::find(ctx, name).await?;
    let state = device.end(end, ctx.now())?;
    let reason = why.reason.unwrap_or(end.reason());
    if reason == Reason::CertificateHold {
        let detail = "a device is not put on hold; hold its certificates: `ca-server cert revoke --where device=NAME \
                      --reason certificateHold`";
        return Err(FlowError::problem(ProblemKind::BadRevocationReason, detail));
    }
    let id = device.id;
    let taken = event(ctx, why.actor, action(end), format_args!("device:{id}"))
        .with("name", name)
        .with("reason", reason.name())
        .with("comment", why.comment.unwrap_or_default());
    let first = FirstTransaction {
        state,
        taken,
        sweep: sweep_of(ctx, id, reason, why.comment.unwrap_or_default(), why.actor),
        job: JobId::new(ctx.now(), ctx.entropy.as_ref()),
        lease: ctx.handover.lease(ctx.now()),
        reason,
        now: ctx.now(),
        device,
    };
    let sweep = first.sweep.clone();
    let (mut out, rest) = ctx.store.write_held(async move |tx| first.take(tx).await).await?;
    failpoint!("ca.device.out");
    ctx.metrics.revoked(Some(reason), out.certificates);
    after_commit(ctx).await;
    if let Some(rest) = rest {
        let done = complete(ctx, id, sweep, rest).await?;
        out.certificates += done.unwrap_or(0);
        out.goes_on = done.is_none();
    }
    Ok(out)
}

/// Revokes the rest while somebody waits; none when that takes too long or fails: the job goes on with it.
async fn complete(ctx: &Context, device: DeviceId, sweep: Sweep, rest: Rest) -> Result<Option<usize>, FlowError> {
    let (job, now) = (rest.job, ctx.now());
    let outcome = match tokio::time::timeout(PATIENCE, finish(ctx, device, sweep, Some(rest.after))).await {
        Ok(finished) => finished.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it took longer than {} seconds", PATIENCE.as_secs())),
    };
    let done = ctx
        .store
        .write_held(async move |tx| match &outcome {
            Ok(revoked) => {
                jobs::finish(tx, job.id).await?;
                Ok(Some(*revoked))
            }
            Err(why) => {
                jobs::retry(tx, &job, now, why).await?;
                Ok::<_, FlowError>(None)
            }
        })
        .await?;
    ctx.work.notify_one();
    Ok(done)
}

fn sweep_of(ctx: &Context, device: DeviceId, reason: Reason, comment: &str, actor: &str) -> Sweep {
    Sweep::new(ctx, Some(reason), comment, actor, format!("device:{device}"))
}

/// What the first transaction has left over.
struct Rest {
    after: CertificateId,
    job: Job,
}

/// The first transaction, and the one that counts.
struct FirstTransaction {
    device: Device,
    state: Option<DeviceState>,
    taken: AuditEvent,
    sweep: Sweep,
    job: JobId,
    lease: Lease,
    reason: Reason,
    now: Timestamp,
}

impl FirstTransaction {
    /// The device's row is changed first. Whoever issues to it holds that row, so a certificate is either in sight here or
    /// is not released any more. What is numbered comes last (`store::revocations`).
    async fn take(&self, tx: &mut Tx<'_>) -> Result<(TakenOut, Option<Rest>), FlowError> {
        let id = self.device.id;
        if let Some(state) = self.state {
            devices::update(tx, &Device { state, ..self.device.clone() }).await?;
        }
        let ended = self.end_accounts(tx).await?;
        let orders = self.end_orders(tx).await?;
        let keys = self.end_keys(tx).await?;
        let ids = many::ids_of_device(tx, id, None, BATCH).await?;
        let rest = match sweep::next(&ids, BATCH) {
            Some(after) => {
                let work = Work::RevokeDevice(id, self.reason);
                Some(Rest { after, job: work.begin_as(tx, self.job, &self.lease, self.now).await? })
            }
            None => None,
        };
        if self.state.is_some() {
            audit::append(tx, &self.taken).await?;
        }
        let certificates = self.sweep.revoke(tx, &ids).await?;
        for account in &ended {
            denials::deny(tx, &Subject::Account(account.id), self.now).await?;
        }
        if self.state.is_some() {
            denials::deny(tx, &Subject::Device(id), self.now).await?;
        }
        let changed = self.state.is_some() || certificates + orders + keys + ended.len() > 0;
        Ok((TakenOut { changed, certificates, accounts: ended.len(), orders, goes_on: false }, rest))
    }

    async fn end_accounts(&self, tx: &mut Tx<'_>) -> Result<Vec<Account>, FlowError> {
        let mut ended = Vec::new();
        for account in accounts::list_for_device(tx, self.device.id).await? {
            if account.status != AccountStatus::Revoked {
                accounts::update(tx, &account.clone().revoke()?).await?;
                ended.push(account);
            }
        }
        Ok(ended)
    }

    /// Orders that are being processed fail when their certificate would be released (`super::issue`).
    async fn end_orders(&self, tx: &mut Tx<'_>) -> Result<usize, FlowError> {
        let detail = format!("device {} was taken out of service", self.device.name);
        let mut ended = 0;
        for account in accounts::list_for_device(tx, self.device.id).await? {
            for order in orders::hold_open_of_account(tx, account.id, MOST_ORDERS).await? {
                let problem = Problem::new(ProblemKind::Unauthorized, detail.clone());
                orders::update(tx, &order.fail(problem)?).await?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    async fn end_keys(&self, tx: &mut Tx<'_>) -> Result<usize, FlowError> {
        let mut ended = 0;
        for key in eab_keys::list_for_device(tx, self.device.id).await? {
            if matches!(key.state, EabKeyState::Unused { .. }) {
                eab_keys::revoke(tx, key.id, self.now).await?;
                ended += 1;
            }
        }
        Ok(ended)
    }
}

/// Goes on after a crash: who asked, and why, stands in the audit event.
pub async fn resume(ctx: &Context, device: DeviceId, reason: Reason) -> Result<(), FlowError> {
    // an end that says more comes later, and counts
    let (actions, subject) = ([End::Compromised, End::Retired].map(action), format!("device:{device}"));
    let begun = ctx
        .store
        .look(async move |tx| {
            Ok::<_, FlowError>(audit::newest_of(tx, &actions, std::slice::from_ref(&subject)).await?.remove(&subject))
        })
        .await?;
    let actor = begun.as_ref().map_or("system", |event| event.actor.as_str());
    let comment = begun.as_ref().and_then(|event| event.details.get("comment")).map_or("", String::as_str);
    finish(ctx, device, sweep_of(ctx, device, reason, comment, actor), None).await.map(drop)
}

/// Revokes whatever a device has behind `after`, batch by batch.
async fn finish(
    ctx: &Context,
    device: DeviceId,
    sweep: Sweep,
    mut after: Option<CertificateId>,
) -> Result<usize, FlowError> {
    let mut revoked = 0;
    loop {
        let sweep = sweep.clone();
        let reason = sweep.reason;
        let (done, next) = ctx
            .store
            .write_held(async move |tx| {
                let ids = many::ids_of_device(tx, device, after, BATCH).await?;
                Ok::<_, FlowError>((sweep.revoke(tx, &ids).await?, sweep::next(&ids, BATCH)))
            })
            .await?;
        failpoint!("ca.device.batch");
        ctx.metrics.revoked(reason, done);
        revoked += done;
        after_commit(ctx).await;
        after = next;
        if after.is_none() {
            return Ok(revoked);
        }
    }
}
