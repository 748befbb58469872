//! keyChange (RFC 8555 section 7.3.5): the account keeps its URL, orders and authorizations; the old key is dead at once.

use pki_core::acme::account::Account;
use pki_core::acme::jwk::{Jwk, Thumbprint};
use pki_core::acme::jws::{FlatJws, KeyRef, Payload};
use pki_core::acme::problem::ProblemKind;
use pki_core::ids::AccountId;
use serde_json::{Map, Value};
use store::{accounts, audit};

use super::authenticate::AccountRequest;
use super::record::{With, event};
use super::{Context, FlowError};

/// `url` is keyChange's own, `account_url` the one the inner payload has to name.
pub async fn change(
    ctx: &Context,
    request: &AccountRequest,
    url: &str,
    account_url: &str,
) -> Result<Account, FlowError> {
    let new_key = verify_inner(request, url, account_url)?;
    let thumbprint = new_key.thumbprint();
    if let Some(holder) = holder(ctx, thumbprint).await? {
        return Err(FlowError::KeyInUse(holder));
    }
    let account = request.account().clone().rekey(new_key)?;
    let row = account.clone();
    let changed = event(
        ctx,
        format_args!("account:{}", account.id),
        "account.key-change",
        format_args!("account:{}", account.id),
    )
    .with("thumbprint", thumbprint);
    let outcome = ctx
        .store
        .write(async move |tx| {
            accounts::update(tx, &row).await?;
            audit::append(tx, &changed).await?;
            Ok::<_, FlowError>(())
        })
        .await;
    match outcome {
        Ok(()) => Ok(account),
        // Somebody else was faster with the same key, or with this account.
        Err(conflict @ FlowError::Conflict(_)) => {
            Err(holder(ctx, thumbprint).await?.map_or(conflict, FlowError::KeyInUse))
        }
        Err(error) => Err(error),
    }
}

/// The account that has this key already.
async fn holder(ctx: &Context, key: Thumbprint) -> Result<Option<AccountId>, FlowError> {
    let found =
        ctx.store.read(async move |tx| Ok::<_, FlowError>(accounts::find_by_thumbprint(tx, &key).await?)).await?;
    Ok(found.map(|account| account.id))
}

/// The checks of section 7.3.5 on the inner signature; it carries no nonce.
fn verify_inner(request: &AccountRequest, url: &str, account_url: &str) -> Result<Jwk, FlowError> {
    let malformed = |detail: &str| FlowError::problem(ProblemKind::Malformed, detail);
    let jws = FlatJws::parse_inner(request.payload())?;
    if jws.protected().url != url {
        return Err(malformed("the inner `url` differs from the outer one"));
    }
    let KeyRef::Jwk(new_key) = jws.protected().key.clone() else {
        return Err(malformed("the inner protected header wants `jwk`: the new key"));
    };
    let verified = jws.verify(&new_key)?;
    let Payload::Json(payload) = verified.payload else {
        return Err(malformed("the inner payload is empty"));
    };
    let wanted = || malformed("the inner payload is an object with `account` and `oldKey`");
    let inner: Map<String, Value> = serde_json::from_slice(&payload).map_err(|_| wanted())?;
    let (Some(account), Some(old_key)) = (inner.get("account"), inner.get("oldKey")) else { return Err(wanted()) };
    if account.as_str() != Some(account_url) {
        return Err(malformed("the inner `account` is not the account that signed"));
    }
    let old_key = Jwk::parse(old_key).map_err(|error| FlowError::Problem(error.problem()))?;
    if old_key.thumbprint() != request.account().thumbprint {
        return Err(malformed("the inner `oldKey` is not the account's key"));
    }
    Ok(new_key)
}
