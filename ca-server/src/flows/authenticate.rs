//! Who asks: a verified signature, a nonce spent once, and an account that may still act.
//!
//! The results can be made here only. A flow that takes an [`AccountRequest`] cannot be called without one.

use pki_core::acme::account::{Account, AccountStatus};
use pki_core::acme::jwk::Jwk;
use pki_core::acme::jws::{FlatJws, Payload, Verified};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::device::Device;
use pki_core::ids::AccountId;
use store::{Store, accounts, devices, nonces};

use super::nonce::NonceError;
use super::{Context, FlowError};

/// A request signed by the key of an account that may act.
#[derive(Debug)]
pub struct AccountRequest {
    account: Account,
    device: Option<Device>,
    payload: Vec<u8>,
}

impl AccountRequest {
    /// Whose request it is.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The device its account is bound to, as recorded when the request came.
    pub fn device(&self) -> Option<&Device> {
        self.device.as_ref()
    }

    /// The verified payload; empty for POST-as-GET.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// A request signed by the key it carries.
#[derive(Debug)]
pub struct KeyRequest {
    key: Jwk,
    payload: Vec<u8>,
}

impl KeyRequest {
    /// The key that signed.
    pub fn key(&self) -> &Jwk {
        &self.key
    }

    /// The verified payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Verifies a request with `kid`.
pub async fn by_account(ctx: &Context, jws: FlatJws, id: AccountId) -> Result<AccountRequest, FlowError> {
    let found = ctx
        .store
        .look(async move |tx| {
            let account = accounts::find(tx, id).await?;
            let bound = account.as_ref().and_then(|account| account.binding).and_then(|binding| binding.device);
            let device = match bound {
                Some(device) => devices::find(tx, device).await?,
                None => None,
            };
            Ok::<_, FlowError>((account, device))
        })
        .await?;
    let (Some(account), device) = found else {
        return Err(FlowError::problem(ProblemKind::AccountDoesNotExist, "no account with this URL; register first"));
    };
    let payload = spend(ctx, jws.verify(&account.key)?).await?;
    may_act(&account, device.as_ref())?;
    Ok(AccountRequest { account, device, payload })
}

/// Verifies a request with `jwk`.
pub async fn by_key(ctx: &Context, jws: FlatJws, key: Jwk) -> Result<KeyRequest, FlowError> {
    let payload = spend(ctx, jws.verify(&key)?).await?;
    Ok(KeyRequest { key, payload })
}

/// RFC 8555 section 7.3.6; a device out of service takes its accounts with it.
fn may_act(account: &Account, device: Option<&Device>) -> Result<(), FlowError> {
    let refuse = |detail: String| Err(Problem::new(ProblemKind::Unauthorized, detail).with_status(401).into());
    match account.status {
        AccountStatus::Valid => {}
        AccountStatus::Deactivated => return refuse("this account was deactivated by its holder".to_owned()),
        AccountStatus::Revoked => return refuse("this account was revoked by an administrator".to_owned()),
    }
    match device {
        Some(device) if !device.state.is_in_service() => {
            refuse(format!("device {} is out of service; ask the administrator of this CA", device.name))
        }
        _ => Ok(()),
    }
}

/// A nonce stays spent even when the flow that follows fails (protocols NON-5). The answer is the payload.
async fn spend(ctx: &Context, verified: Verified) -> Result<Vec<u8>, FlowError> {
    // acme.sh retries only when it reads these very words (protocols NON-4).
    let bad = || {
        FlowError::problem(ProblemKind::BadNonce, "JWS has an invalid anti-replay nonce; use the one in this answer")
    };
    let now = ctx.now();
    let genuine =
        ctx.nonces.open(verified.protected.nonce.as_deref().unwrap_or_default(), now).map_err(|error| match error {
            NonceError::Malformed => {
                FlowError::problem(ProblemKind::Malformed, "the nonce is not base64url without padding")
            }
            NonceError::Unusable => bad(),
        })?;
    let fresh = match &ctx.spent {
        Some(spent) => spent.spend(&genuine, now),
        None => spend_in_table(&ctx.store, genuine).await?,
    };
    // NON-8: tests have good nonces refused; in a release the second half is always false.
    if !fresh || failpoint::refuses("ca.nonce") {
        return Err(bad());
    }
    Ok(match verified.payload {
        Payload::PostAsGet => Vec::new(),
        Payload::Json(octets) => octets,
    })
}

async fn spend_in_table(store: &Store, nonce: super::nonce::Genuine) -> Result<bool, FlowError> {
    store.write_held(async move |tx| Ok(nonces::spend(tx, &nonce.id(), nonce.expires_at()).await?)).await
}
