//! External account keys (RFC 8555 section 7.3.4). The state is the guard: a key goes from unused to bound once.

use pki_core::device::{EabKey, EabKeyState};
use pki_core::ids::{AccountId, DeviceId, EabKeyId};
use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::tx::Tx;
use crate::value::{Fields, Row, Value};

const TABLE: &str = "eab_key";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, device_id, state, state_at, sealed_secret, account_id, created_at, expires_at FROM eab_key ",
            $rest
        )
    };
}

/// Adds a key.
pub async fn insert(tx: &mut Tx<'_>, key: &EabKey) -> Result<(), StoreError> {
    let (state, since, secret, account) = match &key.state {
        EabKeyState::Unused { sealed_secret } => ("unused", None, Some(sealed_secret.as_slice()), None),
        EabKeyState::Bound { account, at } => ("bound", Some(*at), None, Some(account)),
        EabKeyState::Revoked { at } => ("revoked", Some(*at), None, None),
    };
    tx.execute(
        "INSERT INTO eab_key (id, device_id, state, state_at, sealed_secret, account_id, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            Value::text(key.id),
            Value::maybe(key.device),
            state.into(),
            since.into(),
            secret.into(),
            Value::maybe(account),
            key.created_at.into(),
            key.expires_at.into(),
        ],
    )
    .await
    .map(drop)
}

/// The key of that id.
pub async fn find(tx: &mut Tx<'_>, id: EabKeyId) -> Result<Option<EabKey>, StoreError> {
    tx.row(select!("WHERE id = $1"), &[Value::text(id)]).await?.map(load).transpose()
}

/// Spends an unused key on an account, and erases its secret.
pub async fn bind(tx: &mut Tx<'_>, id: EabKeyId, account: AccountId, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE eab_key SET state = 'bound', state_at = $3, account_id = $2, sealed_secret = NULL \
               WHERE id = $1 AND state = 'unused'";
    let touched = tx.execute(sql, &[Value::text(id), Value::text(account), at.into()]).await?;
    crate::guard(touched, TABLE, id)
}

/// Withdraws a key, used or not, and erases its secret.
pub async fn revoke(tx: &mut Tx<'_>, id: EabKeyId, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE eab_key SET state = 'revoked', state_at = $2, account_id = NULL, sealed_secret = NULL \
               WHERE id = $1 AND state <> 'revoked'";
    crate::guard(tx.execute(sql, &[Value::text(id), at.into()]).await?, TABLE, id)
}

/// The keys behind `after`, oldest first.
pub async fn list(tx: &mut Tx<'_>, after: Option<EabKeyId>, limit: u32) -> Result<Vec<EabKey>, StoreError> {
    let sql = select!("WHERE id > $1 ORDER BY id LIMIT $2");
    tx.rows(sql, &[crate::after(after), limit.into()]).await?.into_iter().map(load).collect()
}

/// The keys of a device, oldest first.
pub async fn list_for_device(tx: &mut Tx<'_>, device: DeviceId) -> Result<Vec<EabKey>, StoreError> {
    let rows = tx.rows(select!("WHERE device_id = $1 ORDER BY created_at, id"), &[Value::text(device)]).await?;
    rows.into_iter().map(load).collect()
}

fn load(row: Row) -> Result<EabKey, StoreError> {
    let mut fields = row.fields(TABLE);
    Ok(EabKey {
        id: fields.id()?,
        device: fields.maybe_parse()?,
        state: load_state(&mut fields)?,
        created_at: fields.time()?,
        expires_at: fields.maybe_time()?,
    })
}

fn load_state(fields: &mut Fields) -> Result<EabKeyState, StoreError> {
    let (word, since) = (fields.text()?, fields.maybe_time()?);
    let (secret, account) = (fields.maybe_bytes()?, fields.maybe_parse()?);
    match (word.as_str(), since, secret, account) {
        ("unused", None, Some(sealed_secret), None) => Ok(EabKeyState::Unused { sealed_secret }),
        ("bound", Some(at), None, Some(account)) => Ok(EabKeyState::Bound { account, at }),
        ("revoked", Some(at), None, None) => Ok(EabKeyState::Revoked { at }),
        (word, since, secret, account) => Err(fields.corrupt(format!(
            "state `{word}` {} time, {} secret and {} account",
            crate::with(since.is_some()),
            crate::with(secret.is_some()),
            crate::with(account.is_some())
        ))),
    }
}
