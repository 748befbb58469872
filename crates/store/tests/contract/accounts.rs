//! Accounts.

use std::sync::Arc;

use pki_core::acme::account::{AccountStatus, Binding};
use store::{Store, StoreError, accounts, devices, eab_keys};

use crate::fixtures::{account, device, eab_key, key, read, stored_account, write};

crate::on_both! { comes_back_as_it_was, one_key_one_account, update_is_guarded, binding_comes_back, inconsistent_rows_are_named }

async fn comes_back_as_it_was(store: &Store) {
    let account = stored_account(store).await;
    let (id, thumbprint) = (account.id, account.thumbprint);
    assert_eq!(read(store, async move |tx| accounts::find(tx, id).await).await.as_ref(), Some(&account));
    assert_eq!(read(store, async move |tx| accounts::find_by_thumbprint(tx, &thumbprint).await).await, Some(account));
    let other = key().thumbprint();
    assert_eq!(read(store, async move |tx| accounts::find_by_thumbprint(tx, &other).await).await, None);
}

async fn one_key_one_account(store: &Store) {
    let mut second = stored_account(store).await;
    second.id = account().id;
    let error = write(store, async move |tx| accounts::insert(tx, &second).await).await.unwrap_err();
    assert!(error.is_duplicate(), "{error}");
}

async fn update_is_guarded(store: &Store) {
    let mut changed = stored_account(store).await;
    let before = changed.clone();
    changed.key = key();
    changed.thumbprint = changed.key.thumbprint();
    changed.contacts.clear();
    changed.status = AccountStatus::Deactivated;
    changed.terms_agreed = Some("https://ca.site.test/terms".to_owned());
    let to_store = changed.clone();
    changed.version = write(store, async move |tx| accounts::update(tx, &to_store).await).await.unwrap();
    assert_eq!(changed.version, 1);
    let id = changed.id;
    assert_eq!(read(store, async move |tx| accounts::find(tx, id).await).await, Some(changed));
    let error = write(store, async move |tx| accounts::update(tx, &before).await).await.unwrap_err();
    assert_eq!(error, StoreError::Conflict { table: "account", id: id.to_string() });
    assert!(error.is_retryable());
}

async fn binding_comes_back(store: &Store) {
    let gateway = Arc::new(device("gw-1"));
    let eab = eab_key(Some(gateway.id));
    let mut bound = account();
    bound.binding = Some(Binding { key: eab.id, device: Some(gateway.id) });
    let (id, device) = (bound.id, gateway.id);
    let to_store = bound.clone();
    write(store, async move |tx| {
        devices::insert(tx, &gateway).await?;
        eab_keys::insert(tx, &eab).await?;
        accounts::insert(tx, &to_store).await
    })
    .await
    .unwrap();
    assert_eq!(read(store, async move |tx| accounts::find(tx, id).await).await.as_ref(), Some(&bound));
    assert_eq!(read(store, async move |tx| accounts::list_for_device(tx, device).await).await, [bound]);
}

async fn inconsistent_rows_are_named(store: &Store) {
    let id = stored_account(store).await.id;
    let sql = "UPDATE account SET status = 'tired' WHERE id = $1";
    write(store, async move |tx| tx.execute(sql, &[store::Value::text(id)]).await).await.unwrap();
    let error = store.read(async move |tx| accounts::find(tx, id).await).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { table: "account", id: found, .. } if *found == id.to_string()),
        "{error}"
    );
    assert!(error.to_string().contains("tired"), "{error}");
}
