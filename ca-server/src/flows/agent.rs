//! What agents ask and tell beside ACME.

use pki_core::acme::problem::ProblemKind;
use pki_core::device::Device;
use pki_core::ids::DeviceId;
use pki_core::issuance::record::CertificateRecord;
use pki_core::policy::profile::Profile;
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;
use ring::digest::{SHA256, digest};
use std::sync::Arc;
use store::certificates::{Filter, StateFilter};
use store::{audit, certificates, devices};

use super::authenticate::AccountRequest;
use super::record::{With, event};
use super::{Context, FlowError};

/// What an agent needs to keep its certificate.
#[derive(Debug)]
pub struct Configuration {
    /// The device of the request.
    pub device: Device,
    /// The profile that it is registered for.
    pub profile: Arc<Profile>,
    /// Its names; none when neither record nor profile gives one, and the agent has to know some itself.
    pub names: Vec<Identifier>,
}

/// The device of the request with its profile and names.
pub async fn configuration(ctx: &Context, request: &AccountRequest) -> Result<Configuration, FlowError> {
    let device = bound(request)?.clone();
    let policy = ctx.policy();
    let profile = policy.profile(&device.profile).cloned().ok_or_else(|| {
        let detail = format!("profile {} of device {} is not in the policy any more", device.profile, device.name);
        FlowError::problem(ProblemKind::InvalidProfile, detail)
    })?;
    let (id, now) = (device.id, ctx.now());
    ctx.store.write(async move |tx| Ok::<_, FlowError>(devices::touch_last_seen(tx, id, now).await?)).await?;
    let names = profile.names_of(&device).unwrap_or_default();
    Ok(Configuration { device, profile, names })
}

/// Stores what an agent saw. The first report of a certificate confirms it.
pub async fn report(ctx: &Context, request: &AccountRequest, sha256: [u8; 32], outcome: &str) -> Result<(), FlowError> {
    let (owner, now) = (request.account().id, ctx.now());
    let device = bound(request)?.id;
    let record = find_of_device(ctx, device, sha256, now).await?;
    let confirmed =
        event(ctx, format_args!("account:{owner}"), "certificate.confirm", format_args!("certificate:{}", record.id))
            .with("probe", outcome);
    ctx.store
        .write(async move |tx| {
            devices::touch_last_seen(tx, device, now).await?;
            if record.confirmed_at.is_none() {
                certificates::confirm(tx, record.id, now).await?;
                audit::append(tx, &confirmed).await?;
            }
            Ok::<_, FlowError>(())
        })
        .await
}

/// One of the device's living certificates, by fingerprint: there are few of them.
async fn find_of_device(
    ctx: &Context,
    device: DeviceId,
    sha256: [u8; 32],
    now: Timestamp,
) -> Result<CertificateRecord, FlowError> {
    const MOST: u32 = 200;
    let filter =
        Filter { device: Some(device), state: Some(StateFilter::Issued), expires_from: Some(now), ..Filter::default() };
    let living =
        ctx.store.read(async move |tx| Ok::<_, FlowError>(certificates::list(tx, &filter, None, MOST).await?)).await?;
    let is_it =
        |record: &CertificateRecord| record.state.der().is_some_and(|der| digest(&SHA256, der).as_ref() == sha256);
    living.into_iter().find(is_it).ok_or_else(|| FlowError::not_found("certificate"))
}

fn bound(request: &AccountRequest) -> Result<&Device, FlowError> {
    request.device().ok_or_else(|| {
        let detail = "this account is not bound to a device; enrol with a token of `ca-server device add`";
        FlowError::problem(ProblemKind::Unauthorized, detail)
    })
}
