//! Whether those who hold a certificate still have their right to it, held until the transaction ends.

use pki_core::acme::account::AccountStatus;
use pki_core::device::DeviceState;
use pki_core::ids::CertificateId;
use pki_core::issuance::record::{CertificateRecord, Revocation};
use pki_core::revocation::Reason;
use pki_core::revocation::denied::Subject;
use pki_core::time::Timestamp;
use store::{Tx, accounts, certificates, devices};

use super::FlowError;

/// Both the recording and the releasing transaction hold who asked: a revocation in between wins. The device comes before
/// its account, as it does when a device is taken out: in another order the two would wait for each other.
pub(super) async fn require_active(tx: &mut Tx<'_>, plan: &CertificateRecord) -> Result<(), FlowError> {
    if let Some(device) = plan.device {
        devices::require_in_service(tx, device).await?;
    }
    if let Some(account) = plan.account {
        accounts::require_valid(tx, account).await?;
    }
    Ok(())
}

/// Who of device and account is out of service, held in that order.
pub(super) async fn find_inactive(
    tx: &mut Tx<'_>,
    plan: &CertificateRecord,
) -> Result<Option<&'static str>, FlowError> {
    if let Some(id) = plan.device
        && !devices::hold(tx, id).await?.is_some_and(DeviceState::is_in_service)
    {
        return Ok(Some("device"));
    }
    if let Some(id) = plan.account
        && accounts::hold(tx, id).await? != Some(AccountStatus::Valid)
    {
        return Ok(Some("account"));
    }
    Ok(None)
}

/// Who is denied with a certificate: its account, its device, its site.
pub(super) fn holders(plan: &CertificateRecord) -> Vec<Subject> {
    let account = plan.account.map(Subject::Account);
    let device = plan.device.map(Subject::Device);
    account.into_iter().chain(device).chain([Subject::Site(plan.site.clone())]).collect()
}

/// Revokes a certificate that is never handed out; with which reason: the key of a device in wrong hands is not certified
/// again. Comes last in its transaction (`store::revocations`).
pub(super) async fn withdraw(tx: &mut Tx<'_>, id: CertificateId, now: Timestamp) -> Result<Reason, FlowError> {
    let record = certificates::find(tx, id).await?;
    let record = record.ok_or_else(|| FlowError::Internal(format!("certificate {id} vanished")))?;
    let state = match record.device {
        Some(device) => devices::hold(tx, device).await?,
        None => None,
    };
    let reason = match state {
        Some(DeviceState::Compromised { .. }) => Reason::KeyCompromise,
        _ => Reason::CessationOfOperation,
    };
    certificates::revoke(tx, &record, &Revocation { at: now, reason: Some(reason) }).await?;
    Ok(reason)
}
