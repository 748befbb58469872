//! Accounts (RFC 8555 section 7.1.2).

use std::collections::HashMap;

use pki_core::acme::account::{Account, AccountStatus, Binding};
use pki_core::acme::jwk::{Jwk, Thumbprint};
use pki_core::ids::{AccountId, DeviceId};

use crate::dialect;
use crate::error::StoreError;
use crate::sql;
use crate::text;
use crate::tx::{Touch, Tx};
use crate::value::{Fields, Row, Value};

const TABLE: &str = "account";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, site_id, thumbprint, jwk, contacts, status, device_id, eab_key_id, terms_agreed, created_at, \
             version FROM account ",
            $rest
        )
    };
}

/// Adds an account. [`StoreError::Duplicate`] when its key has one already.
pub async fn insert(tx: &mut Tx<'_>, account: &Account) -> Result<(), StoreError> {
    let binding = account.binding.as_ref();
    tx.execute(
        "INSERT INTO account (id, site_id, thumbprint, jwk, contacts, status, device_id, eab_key_id, terms_agreed, \
         created_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            Value::text(account.id),
            account.site.as_str().into(),
            Value::text(account.thumbprint),
            account.key.canonical_json().into(),
            text::json(&account.contacts),
            account.status.as_str().into(),
            Value::maybe(binding.and_then(|binding| binding.device)),
            Value::maybe(binding.map(|binding| binding.key)),
            account.terms_agreed.as_deref().into(),
            account.created_at.into(),
            account.version.into(),
        ],
    )
    .await
    .map(drop)
}

/// The account of that id.
pub async fn find(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<Account>, StoreError> {
    tx.row(select!("WHERE id = $1"), &[Value::text(id)]).await?.map(load).transpose()
}

/// Where the account of that id stands; it stays so until the transaction ends.
pub async fn hold(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<AccountStatus>, StoreError> {
    let sql = format!("SELECT status FROM account WHERE id = $1{}", dialect::shared(tx));
    tx.row(sql, &[Value::text(id)]).await?.map(|row| load_status(&mut row.fields(TABLE))).transpose()
}

/// Holds the account of that id, which must be valid.
pub async fn require_valid(tx: &mut Tx<'_>, id: AccountId) -> Result<(), StoreError> {
    let sql = format!("SELECT 1 FROM account WHERE id = $1 AND status = 'valid'{}", dialect::shared(tx));
    tx.put((TABLE, id), Touch::Held, sql, &[Value::text(id)]).await
}

/// The versions of accounts and of the devices they are bound to; of those that exist.
pub async fn list_versions(
    tx: &mut Tx<'_>,
    ids: &[AccountId],
) -> Result<HashMap<AccountId, (i64, Option<i64>)>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let select = format!(
        "SELECT a.id, a.version, d.version FROM account a LEFT JOIN device d ON d.id = a.device_id WHERE a.id IN ({})",
        sql::repeated("$1", ids.len())
    );
    let values: Vec<Value<'_>> = sql::padded(ids).map(Value::text).collect();
    let rows = tx.rows(select, &values).await?;
    let versions = rows.into_iter().map(|row| {
        let mut fields = row.fields(TABLE);
        Ok((fields.id()?, (fields.int()?, fields.maybe_int()?)))
    });
    versions.collect()
}

/// The account of a key.
pub async fn find_by_thumbprint(tx: &mut Tx<'_>, key: &Thumbprint) -> Result<Option<Account>, StoreError> {
    tx.row(select!("WHERE thumbprint = $1"), &[Value::text(key)]).await?.map(load).transpose()
}

/// Every account that was ever bound to a device, oldest first.
pub async fn list_for_device(tx: &mut Tx<'_>, device: DeviceId) -> Result<Vec<Account>, StoreError> {
    let rows = tx.rows(select!("WHERE device_id = $1 ORDER BY id"), &[Value::text(device)]).await?;
    rows.into_iter().map(load).collect()
}

/// Writes key, contacts, status and the terms agreed to; the new version.
pub async fn update(tx: &mut Tx<'_>, account: &Account) -> Result<i64, StoreError> {
    let touched = tx
        .execute(
            "UPDATE account SET thumbprint = $3, jwk = $4, contacts = $5, status = $6, terms_agreed = $7, \
             version = version + 1 WHERE id = $1 AND version = $2",
            &[
                Value::text(account.id),
                account.version.into(),
                Value::text(account.thumbprint),
                account.key.canonical_json().into(),
                text::json(&account.contacts),
                account.status.as_str().into(),
                account.terms_agreed.as_deref().into(),
            ],
        )
        .await?;
    crate::guard(touched, TABLE, account.id)?;
    Ok(account.version + 1)
}

fn load(row: Row) -> Result<Account, StoreError> {
    let mut fields = row.fields(TABLE);
    let id = fields.id()?;
    let (site, thumbprint) = (fields.parse()?, fields.parse()?);
    let key = fields.text()?;
    let key = Jwk::from_canonical_json(&key).map_err(|error| fields.corrupt(format!("its key: {error}")))?;
    let contacts = text::strings(&mut fields)?;
    let status = load_status(&mut fields)?;
    let binding = match (fields.maybe_parse()?, fields.maybe_parse()?) {
        (device, Some(key)) => Some(Binding { key, device }),
        (None, None) => None,
        (Some(_), None) => return Err(fields.corrupt("it has a device but no key that bound it")),
    };
    let terms_agreed = fields.maybe_text()?;
    let (created_at, version) = (fields.time()?, fields.int()?);
    Ok(Account { id, site, key, thumbprint, contacts, status, binding, terms_agreed, created_at, version })
}

fn load_status(fields: &mut Fields) -> Result<AccountStatus, StoreError> {
    match fields.text()?.as_str() {
        "valid" => Ok(AccountStatus::Valid),
        "deactivated" => Ok(AccountStatus::Deactivated),
        "revoked" => Ok(AccountStatus::Revoked),
        other => Err(fields.corrupt(format!("no status is called `{other}`"))),
    }
}
