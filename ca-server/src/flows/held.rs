//! What a device has already, where its profile limits that: counted for the decision, and again where it is recorded.

use pki_core::issuance::record::CertificateRecord;
use pki_core::policy::decide::Held;
use pki_core::policy::profile::Profile;
use pki_core::policy::profile::ProfileLimits;
use pki_core::time::Timestamp;
use store::{Tx, certificates, devices};

use super::authenticate::AccountRequest;
use super::{Context, FlowError};

/// None where nothing is limited, and for accounts that no device stands behind: such profiles are for devices only.
pub(super) async fn count(
    ctx: &Context,
    request: &AccountRequest,
    profile: &Profile,
) -> Result<Option<Held>, FlowError> {
    let Some(device) = request.device().filter(|_| profile.limits.count()) else { return Ok(None) };
    let (id, name, now) = (device.id, profile.name.clone(), ctx.now());
    let since = since(&profile.limits, now);
    let held = ctx
        .store
        .look(async move |tx| Ok::<_, FlowError>(certificates::count_of_device(tx, id, &name, now, since).await?))
        .await?;
    Ok(Some(held))
}

/// Whether the device of a plan may still have it. The device is held alone until the transaction ends, so that of
/// requests that were decided at one moment the second counts what the first has recorded.
pub(super) async fn require_room(
    tx: &mut Tx<'_>,
    plan: &CertificateRecord,
    limits: &ProfileLimits,
    now: Timestamp,
) -> Result<(), FlowError> {
    let Some(device) = plan.device.filter(|_| limits.count()) else { return Ok(()) };
    devices::require_in_service_alone(tx, device).await?;
    let held = certificates::count_of_device(tx, device, &plan.profile, now, since(limits, now)).await?;
    Ok(limits.room(&plan.profile, held)?)
}

fn since(limits: &ProfileLimits, now: Timestamp) -> Timestamp {
    limits.issued.map_or(now, |(_, per)| now - per)
}
