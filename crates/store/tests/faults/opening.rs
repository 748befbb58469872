//! Databases that cannot be opened or used: one clear sentence each, and nothing changed.

use std::path::Path;
use std::time::Duration;

use store::{OpenOptions, Store, StoreError, meta};

use crate::child::Process;
use crate::postgres::Postgres;

async fn open(url: &str, folder: &Path) -> Result<Store, StoreError> {
    Store::open(OpenOptions { patience: Duration::from_millis(100), ..OpenOptions::new(url, folder) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_lock_of_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let store = open("sqlite:test.db", folder.path()).await.unwrap();
    store.migrate().await.unwrap();
    let path = folder.path().join("test.db").display().to_string();
    let mut holder = Process::start("holder", &path);
    holder.next("held").unwrap();
    let write = async || -> Result<(), StoreError> { store.write(async |tx| meta::set(tx, "a", "1").await).await };
    let error = write().await.unwrap_err();
    assert_eq!(error, StoreError::Locked { database: path.clone() });
    assert!(error.to_string().contains("locked by another process") && error.to_string().contains(&path), "{error}");
    assert!(store.health().await.is_err());
    assert!(holder.finish());
    write().await.unwrap();
    store.health().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_another_process_has_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db").display().to_string();
    let mut owner = Process::start("owner", &path);
    owner.next("held").unwrap();
    let error = open("sqlite:test.db", folder.path()).await.unwrap_err();
    assert_eq!(error, StoreError::Locked { database: path });
    assert!(owner.finish());
    open("sqlite:test.db", folder.path()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_cannot_be_files() {
    let folder = tempfile::tempdir().unwrap();
    for (url, says) in [("sqlite:missing/test.db", "folder does not exist"), ("sqlite:.", "check the path")] {
        let error = open(url, folder.path()).await.unwrap_err();
        assert!(matches!(error, StoreError::CannotOpen { .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let text = "this is a letter and no database\n".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let error = open("sqlite:test.db", folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = open("sqlite:test.db", folder.path()).await.unwrap();
    store.migrate().await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let url = Postgres::shared().new_database();
    for url in ["sqlite:test.db", &url] {
        let store = open(url, folder.path()).await.unwrap();
        let error = store.read(async |tx| meta::get(tx, "a").await).await.unwrap_err();
        assert!(matches!(error, StoreError::NotMigrated { .. }) && error.to_string().contains("migrate"), "{error}");
        assert!(!store.pending_migrations().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_not_there_or_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = format!("postgres://pki:s3cret@{}/ca", folder.path().display().to_string().replace('/', "%2F"));
    let error = open(&nowhere, folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }) && error.is_retryable(), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    let url = Postgres::shared().new_database();
    for url in [url.replace("pki@", "nobody@"), format!("{url}-missing")] {
        let error = open(&url, folder.path()).await.unwrap_err();
        assert!(matches!(error, StoreError::CannotOpen { .. }), "{error:?}");
    }
}
