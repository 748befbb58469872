//! Who asks: a verified signature, a nonce spent once, and an account that may still act.
//!
//! The results can be made here only. A flow that takes an [`AccountRequest`] cannot be called without one.

use pki_core::acme::account::{Account, AccountStatus};
use pki_core::acme::jwk::Jwk;
use pki_core::acme::jws::{FlatJws, JwsError, Payload, Verified};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::device::Device;
use pki_core::ids::AccountId;
use pki_core::revocation::denied::Subject;

use super::nonce::NonceError;
use super::turnstile::{Holder, Passed};
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
    account: Option<Account>,
    payload: Vec<u8>,
}

impl KeyRequest {
    /// The key that signed.
    pub fn key(&self) -> &Jwk {
        &self.key
    }

    /// The account that has this key already, as recorded when the request came.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// The verified payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Verifies a request with `kid`.
pub async fn by_account(ctx: &Context, jws: FlatJws, id: AccountId) -> Result<AccountRequest, FlowError> {
    let (holder, verified) = verify(ctx, jws, id).await?;
    refuse_denied(ctx, &holder)?;
    let (payload, passed) = spend(ctx, verified, Some(&holder)).await?;
    let Holder { account, device } = match passed {
        Passed::Outdated => again(ctx, &holder).await?,
        _ => holder,
    };
    may_act(&account, device.as_ref())?;
    // the nonce may have taken a while
    ctx.denied.refuse(&names(&account, device.as_ref()))?;
    Ok(AccountRequest { account, device, payload })
}

/// Whose request it is, as far as this process knows: a key that was changed elsewhere is asked for once more.
async fn verify(ctx: &Context, jws: FlatJws, id: AccountId) -> Result<(Holder, Verified), FlowError> {
    if let Some(known) = ctx.turnstile.recall(id)
        && let Ok(verified) = jws.clone().verify(&known.account.key)
    {
        return Ok((known, verified));
    }
    let holder = load(ctx, id).await?;
    let verified = jws.verify(&holder.account.key)?;
    Ok((holder, verified))
}

/// The account has changed since it was remembered: the signature counts if its key is still the same.
async fn again(ctx: &Context, outdated: &Holder) -> Result<Holder, FlowError> {
    let holder = load(ctx, outdated.account.id).await?;
    if holder.account.key == outdated.account.key { Ok(holder) } else { Err(JwsError::Signature.into()) }
}

async fn load(ctx: &Context, id: AccountId) -> Result<Holder, FlowError> {
    let found = Holder::load(&ctx.store, id).await?;
    let holder = found.ok_or_else(|| {
        FlowError::problem(ProblemKind::AccountDoesNotExist, "no account with this URL; register first")
    })?;
    ctx.turnstile.remember(&holder);
    Ok(holder)
}

/// Verifies a request with `jwk`. It may be the key of an account, and who is denied as that is denied here too.
pub async fn by_key(ctx: &Context, jws: FlatJws, key: Jwk) -> Result<KeyRequest, FlowError> {
    let verified = jws.verify(&key)?;
    let holder = Holder::of_key(&ctx.store, key.thumbprint()).await?;
    holder.iter().try_for_each(|holder| refuse_denied(ctx, holder))?;
    let (payload, _) = spend(ctx, verified, None).await?;
    holder.iter().try_for_each(|holder| refuse_denied(ctx, holder))?;
    Ok(KeyRequest { key, account: holder.map(|holder| holder.account), payload })
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

/// A stolen device shall not keep the database busy, where a spent nonce may be a row: whoever is denied spends none. Not before
/// the signature is verified: who has not the key would learn from the answer what became of an account.
fn refuse_denied(ctx: &Context, holder: &Holder) -> Result<(), FlowError> {
    let Holder { account, device } = holder;
    // none of these ever changes for an account: one that is remembered from before has them too
    let names = names(account, device.as_ref());
    if !ctx.denied.denies(&names) {
        return Ok(());
    }
    // its row says more, where that is as new as the set
    may_act(account, device.as_ref())?;
    ctx.denied.refuse(&names)
}

/// As whom the request comes.
fn names(account: &Account, device: Option<&Device>) -> Vec<Subject> {
    let mut names = vec![Subject::Account(account.id), Subject::Site(account.site.clone())];
    names.extend(device.into_iter().flat_map(|it| [Subject::Device(it.id), Subject::Site(it.site.clone())]));
    names
}

/// A nonce stays spent even when the flow that follows fails (protocols NON-5). The answer is the payload.
async fn spend(ctx: &Context, verified: Verified, holder: Option<&Holder>) -> Result<(Vec<u8>, Passed), FlowError> {
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
    let passed = ctx.turnstile.pass(&ctx.store, (&genuine, now), holder).await?;
    // NON-8: tests have good nonces refused; in a release the second half is always false.
    if passed == Passed::Replayed || failpoint::refuses("ca.nonce") {
        return Err(bad());
    }
    let payload = match verified.payload {
        Payload::PostAsGet => Vec::new(),
        Payload::Json(octets) => octets,
    };
    Ok((payload, passed))
}
