//! The labels of a device: changed by people, used by its profile from the next decision on.

use pki_core::acme::problem::ProblemKind;
use pki_core::device::{Device, LabelChange};
use pki_core::ids::DeviceName;
use store::{audit, devices};

use super::record::{With, event};
use super::{Context, FlowError, device};

/// Makes changes; the device as it is then. What changes nothing is no event.
pub async fn change(
    ctx: &Context,
    name: &DeviceName,
    changes: &[LabelChange],
    actor: &str,
) -> Result<Device, FlowError> {
    match try_to_change(ctx, name, changes, actor).await {
        // the device changed under our hands: made to what it is now
        Err(FlowError::Conflict(_)) => try_to_change(ctx, name, changes, actor).await,
        outcome => outcome,
    }
}

async fn try_to_change(
    ctx: &Context,
    name: &DeviceName,
    changes: &[LabelChange],
    actor: &str,
) -> Result<Device, FlowError> {
    let device = device::find(ctx, name).await?;
    let refused = |error| FlowError::problem(ProblemKind::Malformed, format!("device {name}: {error}"));
    let labels = device.labels.changed(changes.iter().cloned()).map_err(refused)?;
    if labels == device.labels {
        return Ok(device);
    }
    let changed = event(ctx, actor, "device.label", format_args!("device:{}", device.id))
        .with("name", name)
        .with("before", &device.labels)
        .with("labels", &labels);
    let (id, row, known) = (device.id, labels.clone(), device.version);
    let version = ctx
        .store
        .write_held(async move |tx| {
            let version = devices::set_labels(tx, id, &row, known).await?;
            audit::append(tx, &changed).await?;
            Ok::<_, FlowError>(version)
        })
        .await?;
    Ok(Device { labels, version, ..device })
}
