//! Devices: register, hand out tokens, show. They end in [`super::revoke::device`].

use std::time::Duration;

use api::token::{EnrolmentToken, Secret};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::audit::AuditEvent;
use pki_core::device::{Device, EabKeyState, NewDevice};
use pki_core::ids::{DeviceId, DeviceName};
use pki_core::issuance::record::CertificateRecord;
use pki_core::policy::Nameless;
use pki_core::policy::decide::{Request, Requester};
use pki_core::time::Timestamp;
pub use store::devices::Filter;
use store::{audit, certificates, devices, eab_keys, sites};

use super::eab::{self, NewKey};
use super::record::{With, event};
use super::{Context, FlowError};

/// How long a token waits for its first use, when nobody says: devices sit in warehouses.
pub const TOKEN_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// A token, ready to be printed once.
#[derive(Debug)]
pub struct Token {
    /// The device it is for.
    pub device: Device,
    /// The line.
    pub token: EnrolmentToken,
    /// When it can no longer be used first.
    pub expires_at: Option<Timestamp>,
}

/// Registers a device and makes its token.
pub async fn add(ctx: &Context, new: NewDevice, life: Option<Duration>, actor: &str) -> Result<Token, FlowError> {
    let device = Device::new(new, ctx.now(), ctx.entropy.as_ref())
        .map_err(|error| FlowError::problem(ProblemKind::Malformed, error.to_string()))?;
    check_profile(ctx, &device)?;
    let made = eab::make(ctx, Some(device.id), Some(life.unwrap_or(TOKEN_LIFE)));
    let (row, key) = (device.clone(), made.key.clone());
    let added = event(ctx, actor, "device.add", format_args!("device:{}", device.id))
        .with("name", &device.name)
        .with("profile", &device.profile)
        .with("site", &device.site)
        .with("labels", &device.labels);
    ctx.store
        .write(async move |tx| {
            if devices::find_by_name(tx, &row.name).await?.is_some() {
                let detail =
                    format!("device {0} exists; `ca-server device token {0}` makes another token for it", row.name);
                return Err(FlowError::Problem(Problem::conflict(detail)));
            }
            // a site is a name and no more: the first device that stands there makes it
            sites::insert(tx, &row.site, row.created_at).await?;
            devices::insert(tx, &row).await?;
            eab_keys::insert(tx, &key).await?;
            audit::append(tx, &added).await?;
            Ok(())
        })
        .await?;
    Ok(token(ctx, device, made))
}

/// A registration that its own profile would refuse helps nobody at the staging desk.
fn check_profile(ctx: &Context, device: &Device) -> Result<(), FlowError> {
    let policy = ctx.policy();
    // a profile that is not known is what the decision tells then
    let named = policy.profile(&device.profile).map(|profile| profile.names_of(device));
    let identifiers = named.unwrap_or(Ok(Vec::new())).map_err(|nameless| nameless_at_desk(&nameless))?;
    let requester = Requester::Bound { device: Some(device) };
    let asked = Request { profile: &device.profile, identifiers: &identifiers, key: None, requester, held: None };
    Ok(policy.decide(&asked).map(drop)?)
}

fn nameless_at_desk(nameless: &Nameless) -> FlowError {
    let labels: String = nameless.missing.iter().map(|key| format!(", or `--label {key}=VALUE`")).collect();
    FlowError::problem(ProblemKind::Malformed, format!("{nameless}; give `--dns` or `--ip`{labels}"))
}

/// Another token for a known device: for one whose first was lost, or that came back after its grace. Tokens of it
/// that were never used are withdrawn.
pub async fn new_token(
    ctx: &Context,
    name: &DeviceName,
    life: Option<Duration>,
    actor: &str,
) -> Result<Token, FlowError> {
    let device = find(ctx, name).await?;
    if !device.state.is_in_service() {
        return Err(FlowError::problem(ProblemKind::Malformed, format!("device {name} is out of service")));
    }
    let made = eab::make(ctx, Some(device.id), Some(life.unwrap_or(TOKEN_LIFE)));
    let (id, key, now) = (device.id, made.key.clone(), ctx.now());
    let issued = event(ctx, actor, "device.token", format_args!("device:{id}")).with("eab_key", key.id);
    ctx.store
        .write(async move |tx| {
            for old in eab_keys::list_for_device(tx, id).await? {
                if matches!(old.state, EabKeyState::Unused { .. }) {
                    eab_keys::revoke(tx, old.id, now).await?;
                }
            }
            eab_keys::insert(tx, &key).await?;
            audit::append(tx, &issued).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    Ok(token(ctx, device, made))
}

fn token(ctx: &Context, device: Device, made: NewKey) -> Token {
    let token = EnrolmentToken {
        ca: ctx.addresses.clone(),
        root_sha256: ctx.roots.iter().map(|root| data_encoding::HEXLOWER.encode(&root.sha256())).collect(),
        kid: made.key.id.to_string(),
        secret: Secret::new(made.secret.to_string()),
    };
    Token { device, token, expires_at: made.key.expires_at }
}

/// The device of that name.
pub async fn find(ctx: &Context, name: &DeviceName) -> Result<Device, FlowError> {
    let wanted = name.clone();
    let found = ctx.store.read(async move |tx| Ok::<_, FlowError>(devices::find_by_name(tx, &wanted).await?)).await?;
    found.ok_or_else(|| {
        let detail = format!("no device is called {name}; `ca-server device list` shows all");
        FlowError::Problem(Problem::new(ProblemKind::Malformed, detail).with_status(404))
    })
}

/// Devices that are looked for, in the order they were registered.
pub async fn list(
    ctx: &Context,
    filter: Filter,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<Device>, FlowError> {
    ctx.store.scan(async move |tx| Ok(devices::list(tx, &filter, after, limit).await?)).await
}

/// A device with its certificates and whatever was refused in its name.
#[derive(Debug)]
pub struct Detail {
    /// The record.
    pub device: Device,
    /// Its newest certificate by its profile.
    pub newest: Option<CertificateRecord>,
    /// Tokens used again with another key, newest first.
    pub conflicts: Vec<AuditEvent>,
}

/// Everything about one device.
pub async fn show(ctx: &Context, name: &DeviceName) -> Result<Detail, FlowError> {
    let device = find(ctx, name).await?;
    let (id, profile) = (device.id, device.profile.clone());
    ctx.store
        .read(async move |tx| {
            let newest = certificates::latest_for_device(tx, id, &profile).await?;
            let filter =
                audit::Filter { subject: Some(format!("device:{id}")), action: Some("enrolment.conflict".to_owned()) };
            let conflicts = audit::list(tx, &filter, None, 20).await?;
            Ok::<_, FlowError>(Detail { device: device.clone(), newest, conflicts })
        })
        .await
}
