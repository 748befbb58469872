//! Migrations: other versions of this program, and several servers at once.

use std::path::Path;

use sha2::{Digest, Sha384};
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

/// What stood in rows of their own before migration 3.
const OLD_CHALLENGES: &str = r#"
    INSERT INTO account (id, site_id, thumbprint, jwk, contacts, status, created_at, version)
        VALUES ('000000000000000000000000000000aa', 'home', 't', '{}', '[]', 'valid', 0, 0);
    INSERT INTO acme_authorization (id, account_id, kind, value, status, proof, created_at, expires_at, version)
        VALUES ('00000000000000000000000000000001', '000000000000000000000000000000aa', 'dns', 'a.site.test', 'pending', 'challenge', 0, 1, 0);
    INSERT INTO challenge (id, authorization_id, position, kind, token, state, validated_at, error) VALUES
        ('y', '00000000000000000000000000000001', 1, 'dns-01', 'second', 'valid', 5, NULL),
        ('x', '00000000000000000000000000000001', 0, 'http-01', 'first', 'processing', NULL, NULL);
    INSERT INTO job (id, kind, subject, run_at, attempts, created_at) VALUES ('x', 'validate-challenge', 'x', 0, 0, 0);
"#;

fn records(bytes: &str) -> String {
    format!(
        "CREATE TABLE schema_migration (version BIGINT PRIMARY KEY, description TEXT NOT NULL, checksum {bytes} NOT NULL);"
    )
}

fn applied(version: i64, checksum: &[u8], bytes: &str) -> String {
    let checksum = data_encoding::HEXLOWER.encode(checksum);
    let literal = if bytes == "BLOB" { format!("x'{checksum}'") } else { format!("'\\x{checksum}'") };
    format!("INSERT INTO schema_migration VALUES ({version}, 'old', {literal});")
}

async fn execute(url: &str, sql: String) {
    match url.strip_prefix("sqlite:") {
        Some(path) => rusqlite::Connection::open(path).unwrap().execute_batch(&sql).unwrap(),
        None => {
            let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(url).await.unwrap();
            sqlx::Executor::execute(&mut connection, sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
        }
    }
}

/// A database as it was after the first two migrations, with [`OLD_CHALLENGES`] in it.
async fn old_database(url: &str, migrations: sqlx::migrate::Migrator, bytes: &str) {
    let mut sql = records(bytes);
    for migration in migrations.iter().take(2) {
        sql += &format!("{}; {}", migration.sql.as_str(), applied(migration.version, &migration.checksum, bytes));
    }
    execute(url, sql + OLD_CHALLENGES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_of_an_older_database_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("test.db").display());
    let postgres = Postgres::shared().new_database();
    old_database(&sqlite, sqlx::migrate!("../../migrations/sqlite"), "BLOB").await;
    old_database(&postgres, sqlx::migrate!("../../migrations/postgres"), "BYTEA").await;
    for url in [sqlite, postgres] {
        let store = open(&url, &folder).await.unwrap();
        assert!(store.migrate().await.unwrap().iter().any(|name| name.contains("challenges")), "{url}");
        let id = "00000000000000000000000000000001".parse().unwrap();
        let read = store.read(async move |tx| {
            Ok::<_, StoreError>((store::authorizations::find(tx, id).await?, store::jobs::count(tx).await?))
        });
        let (authorization, jobs) = read.await.unwrap();
        let challenges = authorization.unwrap().challenges;
        let kept: Vec<_> = challenges.iter().map(|one| (one.kind.as_str(), &*one.token, one.state.as_str())).collect();
        assert_eq!(kept, [("http-01", "first", "pending"), ("dns-01", "second", "valid")], "{url}");
        assert_eq!(jobs, (0, 0));
    }
}

/// The first migration as it once was, made from the present one: challenges were a column of their authorization.
fn former(present: &str) -> String {
    let (before, table) = present.split_once("CREATE TABLE acme_authorization (").unwrap();
    let (columns, after) = table.split_once("    created_at").unwrap();
    let (between, challenge) = after.split_once("CREATE TABLE challenge (").unwrap();
    let (_, rest) = challenge.split_once("\n\n").unwrap();
    let text = columns.lines().last().unwrap().trim().strip_prefix("proof      ").unwrap();
    format!(
        "{before}-- `challenges` is one text: they are read and changed together, and three rows with indexes of their own were a \
         third of\n-- what an order takes.\nCREATE TABLE acme_authorization ({columns}    challenges {text}\n    \
         created_at{between}{rest}"
    )
}

/// Databases of the time in which the first migration made challenges a text of their authorization go on without the third,
/// which does the same to others. Fails when a checksum that stands in `migrate.rs` is not theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_by_the_former_first_migration_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("test.db").display());
    let postgres = Postgres::shared().new_database();
    let (of_sqlite, of_postgres) =
        (sqlx::migrate!("../../migrations/sqlite"), sqlx::migrate!("../../migrations/postgres"));
    for (url, migrations, bytes) in [(sqlite, of_sqlite, "BLOB"), (postgres, of_postgres, "BYTEA")] {
        let text = former(migrations.iter().next().unwrap().sql.as_str());
        execute(&url, format!("{} {text}; {}", records(bytes), applied(1, &Sha384::digest(&text), bytes))).await;
        let store = open(&url, &folder).await.unwrap();
        let migrated = store.migrate().await.unwrap();
        assert!(migrated.len() > 3 && !migrated.iter().any(|name| name.contains("challenges")), "{url}: {migrated:?}");
        let id = "00000000000000000000000000000001".parse().unwrap();
        let found = store.read(async move |tx| Ok::<_, StoreError>(store::authorizations::find(tx, id).await?)).await;
        assert_eq!(found, Ok(None), "its columns are there");
        assert_eq!(store.pending_migrations().await, Ok(vec![]));
        store.close().await;
    }
}

/// What stood in certificates, accounts and devices before migration 8.
const OLD_REVOCATIONS: &str = r#"
    INSERT INTO account (id, site_id, thumbprint, jwk, contacts, status, created_at, version) VALUES
        ('a1', 'home', 't1', '{}', '[]', 'valid', 7, 0), ('a2', 'home', 't2', '{}', '[]', 'revoked', 8, 0),
        ('a3', 'home', 't3', '{}', '[]', 'deactivated', 9, 0);
    INSERT INTO device (id, site_id, name, profile, state, state_at, created_at, version) VALUES
        ('d1', 'home', 'd1', 'p', 'enrolled', 5, 1, 0), ('d2', 'home', 'd2', 'p', 'compromised', 6, 1, 0);
    INSERT INTO certificate (id, issuer_id, serial, site_id, source, profile, policy_revision, epoch, identifiers,
        spki_sha256, not_before, not_after, lineage_id, generation, shard, crl_urls, state, der, revoked_at,
        revocation_reason, created_at, version)
    SELECT id, '00000000000000000000000000000011', serial, 'home', 'acme', 'p', 'r', 1, '[]', CAST('k' AS BYTES), 0, 99000, 'l', 1, 2, '[]',
        state, CAST('c' AS BYTES), revoked_at, reason, 0, 0
    FROM (
        SELECT '000000000000000000000000000000c1' AS id, '4000000000000000000000000000aaaa' AS serial,
            'revoked' AS state, 6000 AS revoked_at, NULL AS reason
        UNION ALL SELECT '000000000000000000000000000000c2', '7f', 'revoked', 5000, 1
        UNION ALL SELECT '000000000000000000000000000000c3', '80', 'issued', NULL, NULL
    ) AS old;
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_before_revocations_were_numbered_is_numbered() {
    use store::revocations::{self, Event};
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("test.db").display());
    let postgres = Postgres::shared().new_database();
    for (url, migrations, bytes) in [
        (sqlite, sqlx::migrate!("../../migrations/sqlite"), "BLOB"),
        (postgres, sqlx::migrate!("../../migrations/postgres"), "BYTEA"),
    ] {
        let mut sql = records(bytes);
        for migration in migrations.iter().filter(|migration| migration.version < 8) {
            sql += &format!("{}; {}", migration.sql.as_str(), applied(migration.version, &migration.checksum, bytes));
        }
        execute(&url, sql + &OLD_REVOCATIONS.replace("BYTES", bytes)).await;
        let store = open(&url, &folder).await.unwrap();
        store.migrate().await.unwrap();
        let read = store
            .read(async |tx| Ok::<_, StoreError>((revocations::since(tx, 0, 99).await?, revocations::head(tx).await?)));
        let (events, head) = read.await.unwrap();
        let told: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Certificate(entry) => (entry.number, entry.change.serial.to_string(), entry.change.shard),
                Event::Denial(denial) => (denial.number, denial.subject.clone(), denial.is_denied.into()),
            })
            .collect();
        let expected =
            [(1, "7f", 2), (2, "4000000000000000000000000000aaaa", 2), (3, "d2", 1), (4, "a2", 1), (5, "a3", 1)];
        assert_eq!(told, expected.map(|(number, what, shard)| (number, what.to_owned(), shard)), "{url}");
        assert_eq!(head, 5);
        store.close().await;
    }
}

/// OCS-5 and OCS-11 after an upgrade: fails when a database from before migration 10 has no place for what responders ask
/// for, or says something else of the certificates in it.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_5_and_11_certificates_of_an_older_database_have_their_states() {
    use pki_core::revocation::Reason;
    use store::certificates;
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("test.db").display());
    let postgres = Postgres::shared().new_database();
    for (url, migrations, bytes) in [
        (sqlite, sqlx::migrate!("../../migrations/sqlite"), "BLOB"),
        (postgres, sqlx::migrate!("../../migrations/postgres"), "BYTEA"),
    ] {
        let mut sql = records(bytes);
        for migration in migrations.iter().filter(|migration| migration.version < 8) {
            sql += &format!("{}; {}", migration.sql.as_str(), applied(migration.version, &migration.checksum, bytes));
        }
        execute(&url, sql + &OLD_REVOCATIONS.replace("BYTES", bytes)).await;
        let store = open(&url, &folder).await.unwrap();
        let done = store.migrate().await.unwrap();
        assert!(done.iter().any(|name| name.contains("ocsp responder")), "{done:?}");
        let issuer = "00000000000000000000000000000011".parse().unwrap();
        let status = async |serial: &str| {
            let serial = serial.parse().unwrap();
            let found = store.read(async move |tx| certificates::status(tx, issuer, &serial).await).await;
            found.unwrap().map(|status| status.revocation.map(|it| (it.at.unix_millis(), it.reason)))
        };
        assert_eq!(status("4000000000000000000000000000aaaa").await, Some(Some((6000, None))), "{url}");
        assert_eq!(status("7f").await, Some(Some((5000, Some(Reason::KeyCompromise)))), "{url}");
        assert_eq!((status("80").await, status("81").await), (Some(None), None), "{url}");
        let row = "INSERT INTO ocsp_responder (id, issuer_id, replica, spki, proof, state, created_at, version) \
                   VALUES ('r', 'i', 'here', $1, $1, 'requested', 0, 1)";
        let kept = store.write(async move |tx| tx.execute(row, &[vec![1_u8].as_slice().into()]).await).await;
        assert_eq!(kept, Ok(1), "{url}");
        store.close().await;
    }
}

/// Lists as they stood before migration 9: their bytes, and nothing of what they cover.
const OLD_LISTS: &str = r#"
    INSERT INTO issuer (id, site_id, name, key_id, algorithm, spki_sha256, state, created_at)
        VALUES ('00000000000000000000000000000011', 'home', 'i', 'k', 'a', CAST('s' AS BYTES), 'active', 0);
    INSERT INTO crl (issuer_id, shard, number, this_update, next_update, der) VALUES
        ('00000000000000000000000000000011', -1, 1700000000, 5000, 9000, CAST('complete' AS BYTES)),
        ('00000000000000000000000000000011', 0, 1700000007, 6000, 9500, CAST('shard' AS BYTES));
"#;

/// Fails when a list of an older version is lost, when its number is forgotten and could be given again, or when it is taken
/// for one that covers revocations or need not be made anew.
#[tokio::test(flavor = "multi_thread")]
async fn crl_2_lists_of_an_older_database_keep_their_numbers_and_are_due() {
    use store::crls::{self, Lists};
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("test.db").display());
    let postgres = Postgres::shared().new_database();
    for (url, migrations, bytes) in [
        (sqlite, sqlx::migrate!("../../migrations/sqlite"), "BLOB"),
        (postgres, sqlx::migrate!("../../migrations/postgres"), "BYTEA"),
    ] {
        let mut sql = records(bytes);
        for migration in migrations.iter().filter(|migration| migration.version < 9) {
            sql += &format!("{}; {}", migration.sql.as_str(), applied(migration.version, &migration.checksum, bytes));
        }
        execute(&url, sql + &OLD_LISTS.replace("BYTES", bytes)).await;
        let store = open(&url, &folder).await.unwrap();
        store.migrate().await.unwrap();
        let issuer = "00000000000000000000000000000011".parse().unwrap();
        let read = store.read(async move |tx| {
            let complete = crls::lists(tx, issuer, None).await?;
            Ok::<_, StoreError>((crls::list(tx).await?, complete))
        });
        let (records, complete) = read.await.unwrap();
        let known: Vec<_> = records.iter().map(|one| (one.shard, one.number, one.this_update.unix_millis())).collect();
        assert_eq!(known, [(None, 1_700_000_000, 5000), (Some(0), 1_700_000_007, 6000)], "{url}");
        for record in &records {
            assert_eq!((record.covers, record.scheduled.number, record.scheduled.covers), (0, 0, 0), "{url}");
            assert!(record.scheduled.at.unix_millis() == 0 && record.urls.is_empty(), "due at once: {record:?}");
        }
        let lists = Lists { number: 1_700_000_000, full: b"complete".to_vec().into(), delta: None };
        assert_eq!(complete, Some(lists), "{url}");
        // the next one takes its place, by the number that was kept
        let next = store::crls::CrlRecord { number: 1_700_000_001, ..records.first().unwrap().clone() };
        let lists = Lists { number: next.number, full: b"next".to_vec().into(), delta: None };
        let published = async |previous: u64| {
            let (next, lists) = (next.clone(), lists.clone());
            store.write(async move |tx| crls::publish(tx, &next, &lists, Some(previous)).await).await
        };
        assert!(matches!(published(1_699_999_999).await, Err(StoreError::Conflict { .. })), "{url}");
        published(1_700_000_000).await.unwrap();
        store.close().await;
    }
}
