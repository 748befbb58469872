//! Revoking and releasing one certificate, asked for by an administrator. Doing it again changes nothing and says so.

use pki_core::acme::problem::Problem;
use pki_core::device::DeviceState;
use pki_core::ids::{CertificateId, Serial};
use pki_core::issuance::record::CertificateRecord;
use pki_core::revocation::{self, Release, Status};
use store::certificates::many;
use store::{Tx, audit, certificates, devices};

use super::{Why, write};
use crate::flows::denied::after_commit;
use crate::flows::record::{With, event};
use crate::flows::{Context, FlowError};

/// Revokes a certificate; false when it is revoked already and stays as it is.
pub async fn revoke(ctx: &Context, id: CertificateId, why: Why<'_>) -> Result<bool, FlowError> {
    match try_to_revoke(ctx, id, why).await {
        // Somebody else was faster: decided anew, on the certificate as it is now.
        Err(FlowError::Conflict(_)) => try_to_revoke(ctx, id, why).await,
        outcome => outcome,
    }
}

async fn try_to_revoke(ctx: &Context, id: CertificateId, why: Why<'_>) -> Result<bool, FlowError> {
    let record = load(ctx, id).await?;
    let step = revocation::step(&Status::from(&record.state), record.not_after, why.reason, ctx.now());
    let Some(revocation) = step.of_one()? else { return Ok(false) };
    write(ctx, &record, revocation, why.comment, why.actor).await?;
    Ok(true)
}

/// Serial numbers that an answer names.
const NAMED: u32 = 5;

/// The certificates in force that have the key of this one, which is known to others: some of them, and how many they are.
pub async fn others_of_key(ctx: &Context, record: &CertificateRecord) -> Result<(Vec<Serial>, u64), FlowError> {
    let (key, id, now) = (record.spki_sha256, record.id, ctx.now());
    ctx.store.look(async move |tx| Ok::<_, FlowError>(many::others_of_key(tx, &key, id, now, NAMED).await?)).await
}

/// Ends the hold of a certificate; false when it is in force anyway.
pub async fn release(ctx: &Context, id: CertificateId, comment: Option<&str>, actor: &str) -> Result<bool, FlowError> {
    match try_to_release(ctx, id, comment, actor).await {
        Err(FlowError::Conflict(_)) => try_to_release(ctx, id, comment, actor).await,
        outcome => outcome,
    }
}

async fn try_to_release(
    ctx: &Context,
    id: CertificateId,
    comment: Option<&str>,
    actor: &str,
) -> Result<bool, FlowError> {
    let record = load(ctx, id).await?;
    if revocation::release(&Status::from(&record.state))? == Release::InForce {
        return Ok(false);
    }
    let now = ctx.now();
    let released = event(ctx, actor, "certificate.release", format_args!("certificate:{id}"))
        .with("serial", &record.serial)
        .with("comment", comment.unwrap_or_default());
    ctx.store
        .write_held(async move |tx| {
            require_device(tx, &record).await?;
            audit::append(tx, &released).await?;
            certificates::release(tx, &record, now).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    after_commit(ctx).await;
    Ok(true)
}

/// A device that is out of service gets nothing back, also when that happens at the same moment.
async fn require_device(tx: &mut Tx<'_>, record: &CertificateRecord) -> Result<(), FlowError> {
    let Some(device) = record.device else { return Ok(()) };
    if devices::hold(tx, device).await?.is_some_and(DeviceState::is_in_service) {
        return Ok(());
    }
    let detail = "the device of the certificate is out of service; its certificates stay revoked";
    Err(Problem::conflict(detail).into())
}

async fn load(ctx: &Context, id: CertificateId) -> Result<CertificateRecord, FlowError> {
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(certificates::find(tx, id).await?)).await?;
    found.ok_or_else(|| FlowError::not_found("certificate"))
}
