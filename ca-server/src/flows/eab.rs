//! External account keys: made for devices and for ordinary ACME clients.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki_core::device::{EabKey, EabKeyState};
use pki_core::ids::{DeviceId, EabKeyId};
use pki_core::random;
use store::{audit, eab_keys};
use zeroize::Zeroizing;

use super::record::{With, event};
use super::{Context, FlowError};

/// A key with its secret, which exists in the clear only here and in what is handed out.
#[derive(Debug)]
pub struct NewKey {
    /// What is stored.
    pub key: EabKey,
    /// 256 bits in base64url; begins with a letter or digit, so that no client takes it for an option (ACC-11).
    pub secret: Zeroizing<String>,
}

/// Makes a key without storing it.
pub(super) fn make(ctx: &Context, device: Option<DeviceId>, life: Option<Duration>) -> NewKey {
    let now = ctx.now();
    let id = EabKeyId::new(now, ctx.entropy.as_ref());
    let (octets, secret) = loop {
        let octets = Zeroizing::new(random::bytes::<32>(ctx.entropy.as_ref()));
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*octets));
        if secret.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            break (octets, secret);
        }
    };
    let sealed_secret = ctx.site_key.seal(&context(id), &*octets);
    let key = EabKey {
        id,
        device,
        state: EabKeyState::Unused { sealed_secret },
        created_at: now,
        expires_at: life.map(|life| now + life),
    };
    NewKey { key, secret }
}

/// The secret of a key that was not used yet.
pub(super) fn open_secret(ctx: &Context, id: EabKeyId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, FlowError> {
    let opened = ctx.site_key.open(&context(id), sealed);
    opened.map(Zeroizing::new).map_err(|_| {
        FlowError::Internal(format!("the secret of external account key {id} does not open under this site key"))
    })
}

fn context(id: EabKeyId) -> String {
    format!("eab:{id}")
}

/// A key for an account that belongs to no device.
pub async fn create(
    ctx: &Context,
    life: Option<Duration>,
    comment: Option<&str>,
    actor: &str,
) -> Result<NewKey, FlowError> {
    let made = make(ctx, None, life);
    let row = made.key.clone();
    let created = event(ctx, actor, "eab-key.create", format_args!("eab-key:{}", row.id))
        .with("comment", comment.unwrap_or_default());
    ctx.store
        .write(async move |tx| {
            eab_keys::insert(tx, &row).await?;
            audit::append(tx, &created).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    Ok(made)
}

/// Withdraws a key; an account bound by it stays.
pub async fn revoke(ctx: &Context, id: EabKeyId, actor: &str) -> Result<(), FlowError> {
    let now = ctx.now();
    let revoked = event(ctx, actor, "eab-key.revoke", format_args!("eab-key:{id}")).with("at", now);
    ctx.store
        .write(async move |tx| {
            if eab_keys::find(tx, id).await?.is_none() {
                return Err(FlowError::not_found("external account key"));
            }
            eab_keys::revoke(tx, id, now).await?;
            audit::append(tx, &revoked).await?;
            Ok(())
        })
        .await
}

/// All keys, newest last.
pub async fn list(ctx: &Context, after: Option<EabKeyId>, limit: u32) -> Result<Vec<EabKey>, FlowError> {
    ctx.store.scan(async move |tx| Ok(eab_keys::list(tx, after, limit).await?)).await
}
