//! What a device has already, where its profile limits that.

use pki_core::policy::decide::Held;
use pki_core::policy::profile::Profile;
use store::certificates;

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
    let since = profile.limits.issued.map_or(now, |(_, per)| now - per);
    let held = ctx
        .store
        .look(async move |tx| Ok::<_, FlowError>(certificates::count_of_device(tx, id, &name, now, since).await?))
        .await?;
    Ok(Some(held))
}
