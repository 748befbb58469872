//! PostgreSQL that goes away: between transactions, and in the middle of a commit.

use std::path::Path;

use store::{OpenOptions, Store, StoreError, meta};

use crate::postgres::Postgres;
use crate::proxy::Proxy;

async fn set(store: &Store, key: &'static str) -> Result<(), StoreError> {
    store.write(async move |tx| meta::set(tx, key, "1").await).await
}

async fn get(store: &Store, key: &'static str) -> Option<String> {
    store.read(async move |tx| meta::get(tx, key).await).await.unwrap()
}

/// A commit whose answer is lost is neither done nor failed; reading back tells which.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_answer_is_unknown() {
    let server = Postgres::shared();
    let url = server.new_database();
    let direct = Store::open(OpenOptions::new(&url, Path::new("/"))).await.unwrap();
    direct.migrate().await.unwrap();
    let proxy = Proxy::start(server.socket());
    let host = proxy.folder().display().to_string().replace('/', "%2F");
    let (_, database) = url.rsplit_once('/').unwrap();
    let url = format!("postgres://pki@{host}/{database}");
    let store = Store::open(OpenOptions::new(&url, Path::new("/"))).await.unwrap();
    set(&store, "before").await.unwrap();

    proxy.swallow_commit();
    let error = set(&store, "lost").await.unwrap_err();
    assert_eq!(error, StoreError::Unknown);
    assert!(!error.is_retryable(), "it may be done already");
    assert_eq!(get(&store, "lost").await, None);

    proxy.swallow_answer();
    assert_eq!(set(&store, "done").await, Err(StoreError::Unknown));
    // the server may still be at it: taking the row's place waits for it
    set(&store, "done").await.unwrap();
    assert_eq!(get(&direct, "before").await.as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_is_found_again() {
    let server = Postgres::start();
    let store = Store::open(OpenOptions::new(&server.new_database(), Path::new("/"))).await.unwrap();
    store.migrate().await.unwrap();
    set(&store, "before").await.unwrap();
    let store = tokio::task::spawn_blocking(move || {
        server.restart();
        (server, store)
    });
    let (server, store) = store.await.unwrap();
    set(&store, "after").await.unwrap();
    assert_eq!(get(&store, "before").await.as_deref(), Some("1"));
    store.close().await;
    drop(server);
}
