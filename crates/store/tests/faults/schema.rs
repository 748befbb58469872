//! Migrations: newer and edited ones, and several servers at once.

use std::path::Path;

use store::{OpenOptions, Store, StoreError};
use tempfile::TempDir;

use crate::child::Process;
use crate::postgres::Postgres;

async fn open(url: &str, folder: &TempDir) -> Result<Store, StoreError> {
    Store::open(OpenOptions::new(url, folder.path())).await
}

async fn both(folder: &TempDir) -> [String; 2] {
    let urls = ["sqlite:test.db".to_owned(), Postgres::shared().new_database()];
    for url in &urls {
        let store = open(url, folder).await.unwrap();
        let pending = store.pending_migrations().await.unwrap();
        assert_eq!(store.migrate().await, Ok(pending));
        store.close().await;
    }
    urls
}

async fn alter(url: &str, folder: &TempDir, sql: &'static str) {
    let store = open(url, folder).await.unwrap();
    let altered: Result<u64, StoreError> = store.write(async move |tx| tx.execute(sql, &[]).await).await;
    assert_eq!(altered, Ok(1));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for url in both(&folder).await {
        let sql = "INSERT INTO schema_migration (version, description, checksum) SELECT 9999, 'tomorrow', checksum FROM schema_migration WHERE version = 1";
        alter(&url, &folder, sql).await;
        let error = open(&url, &folder).await.unwrap_err();
        assert!(matches!(error, StoreError::NewerSchema { found: 9999, .. }), "{error:?}");
        assert!(error.to_string().contains("written by a newer version"), "{error}");
        assert!(error.to_string().contains("install that version or restore a backup"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_migration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for url in both(&folder).await {
        alter(&url, &folder, "UPDATE schema_migration SET checksum = substr(checksum, 2) WHERE version = 1").await;
        assert_eq!(open(&url, &folder).await.unwrap_err(), StoreError::ChangedMigration { version: 1 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_migrate_at_once() {
    let url = Postgres::shared().new_database();
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("test.db").display());
    for url in [url, sqlite] {
        let applied = tokio::task::spawn_blocking({
            let url = url.clone();
            move || {
                let mut servers: Vec<_> = (0..4).map(|_| Process::start("migrator", &url)).collect();
                servers.iter_mut().for_each(|server| drop(server.next("ready").unwrap()));
                servers.iter_mut().for_each(Process::release);
                let applied =
                    servers.iter_mut().map(|server| server.next("applied ").unwrap().parse::<usize>().unwrap());
                let applied: usize = applied.sum();
                assert!(servers.into_iter().all(Process::finish));
                applied
            }
        });
        let store = Store::open(OpenOptions::new(&url, Path::new("/"))).await.unwrap();
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite")).unwrap().count();
        assert_eq!(applied.await.unwrap(), files, "each once");
        assert_eq!(store.pending_migrations().await, Ok(vec![]));
        store.health().await.unwrap();
    }
}

/// Whoever finds the file just going over to its write-ahead log waits, as for every other lock.
#[tokio::test(flavor = "multi_thread")]
async fn several_servers_open_a_new_database_at_once() {
    for _ in 0..25 {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let mut servers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let url = url.clone();
            servers.spawn(async move { Store::open(OpenOptions::new(&url, Path::new("/"))).await.map(drop) });
        }
        assert_eq!(servers.join_all().await, vec![Ok(()); 8]);
    }
}

/// Both folders make the same tables and columns, by the same numbers and names.
#[tokio::test(flavor = "multi_thread")]
async fn both_databases_have_the_same_schema() {
    let folder = tempfile::tempdir().unwrap();
    let [sqlite, postgres] = both(&folder).await;
    let columns = async |url: &str, sql: &'static str| {
        let store = open(url, &folder).await.unwrap();
        let rows: Result<_, StoreError> = store.read(async move |tx| tx.rows(sql, &[]).await).await;
        let columns = rows.unwrap().into_iter().map(|row| {
            let mut fields = row.fields("column");
            let (table, column, kind) = (fields.text().unwrap(), fields.text().unwrap(), fields.text().unwrap());
            (table, column, kind, fields.int().unwrap())
        });
        let mut columns: Vec<_> = columns.collect();
        columns.sort();
        columns
    };
    let in_sqlite = columns(
        &sqlite,
        "SELECT t.name, c.name, CASE c.type WHEN 'BIGINT' THEN 'INTEGER' ELSE c.type END, c.\"notnull\" OR c.pk > 0 \
         FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'",
    )
    .await;
    let in_postgres = columns(
        &postgres,
        "SELECT table_name::text, column_name::text, CASE data_type WHEN 'bigint' THEN 'INTEGER' WHEN 'bytea' THEN 'BLOB' \
         WHEN 'text' THEN 'TEXT' ELSE data_type END, CASE is_nullable WHEN 'NO' THEN 1 ELSE 0 END \
         FROM information_schema.columns WHERE table_schema = 'public'",
    )
    .await;
    assert_eq!(in_sqlite, in_postgres);
    assert!(in_sqlite.len() > 100);
}
