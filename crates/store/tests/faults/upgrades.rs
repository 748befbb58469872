//! Databases that older versions of this program left, taken over by this one.

use pki_core::revocation::Reason;
use sha2::{Digest, Sha384};
use sqlx::migrate::Migrator;
use store::crls::{self, CrlRecord, Lists};
use store::revocations::{self, Event};
use store::{OpenOptions, Store, StoreError, authorizations, certificates, jobs};
use tempfile::TempDir;

use crate::postgres::Postgres;

/// A new database, and how its engine says things.
struct Engine {
    url: String,
    migrations: Migrator,
    bytes: &'static str,
    folder: TempDir,
}

/// A database that was made by an older version and has been migrated by this one.
struct Upgraded {
    url: String,
    store: Store,
    done: Vec<String>,
    _folder: TempDir,
}

fn engines() -> [Engine; 2] {
    let [of_sqlite, of_postgres] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let sqlite = format!("sqlite:{}", of_sqlite.path().join("test.db").display());
    let postgres = Postgres::shared().new_database();
    let migrations = sqlx::migrate!("../../migrations/sqlite");
    let sqlite = Engine { url: sqlite, migrations, bytes: "BLOB", folder: of_sqlite };
    let migrations = sqlx::migrate!("../../migrations/postgres");
    [sqlite, Engine { url: postgres, migrations, bytes: "BYTEA", folder: of_postgres }]
}

/// Databases of both engines as they were before a migration, with these rows in them, `BYTES` standing for the type.
async fn upgraded_from_before(migration: i64, rows: &str) -> Vec<Upgraded> {
    let mut upgraded = Vec::new();
    for engine in engines() {
        let older = engine.migrations.iter().filter(|one| one.version < migration);
        let older: Vec<_> = older.map(|one| (one.version, one.sql.as_str().to_owned())).collect();
        upgraded.push(engine.upgrade(&older, rows).await);
    }
    upgraded
}

impl Engine {
    /// Makes the database by these migrations of an older version, adds the rows, and has this version migrate it.
    async fn upgrade(self, older: &[(i64, String)], rows: &str) -> Upgraded {
        let mut sql = format!(
            "CREATE TABLE schema_migration (version BIGINT PRIMARY KEY, description TEXT NOT NULL, checksum {} NOT NULL);",
            self.bytes
        );
        for (version, text) in older {
            let checksum = self.literal(&Sha384::digest(text));
            sql += &format!("{text}; INSERT INTO schema_migration VALUES ({version}, 'old', {checksum});");
        }
        self.execute(sql + &rows.replace("BYTES", self.bytes)).await;
        let store = Store::open(OpenOptions::new(&self.url, self.folder.path())).await.unwrap();
        let done = store.migrate().await.unwrap();
        assert_eq!(store.pending_migrations().await, Ok(vec![]), "{}", self.url);
        Upgraded { url: self.url, store, done, _folder: self.folder }
    }

    fn literal(&self, octets: &[u8]) -> String {
        let octets = data_encoding::HEXLOWER.encode(octets);
        if self.bytes == "BLOB" { format!("x'{octets}'") } else { format!("'\\x{octets}'") }
    }

    async fn execute(&self, sql: String) {
        match self.url.strip_prefix("sqlite:") {
            Some(path) => rusqlite::Connection::open(path).unwrap().execute_batch(&sql).unwrap(),
            None => {
                let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&self.url).await.unwrap();
                sqlx::Executor::execute(&mut connection, sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
            }
        }
    }
}

impl Upgraded {
    /// Whether a migration with this in its name was applied.
    fn has_done(&self, name: &str) -> bool {
        self.done.iter().any(|done| done.contains(name))
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn challenges_of_an_older_database_are_kept() {
    for old in upgraded_from_before(3, OLD_CHALLENGES).await {
        assert!(old.has_done("challenges"), "{}", old.url);
        let id = "00000000000000000000000000000001".parse().unwrap();
        let read = old
            .store
            .read(async move |tx| Ok::<_, StoreError>((authorizations::find(tx, id).await?, jobs::count(tx).await?)));
        let (authorization, jobs) = read.await.unwrap();
        let challenges = authorization.unwrap().challenges;
        let kept: Vec<_> = challenges.iter().map(|one| (one.kind.as_str(), &*one.token, one.state.as_str())).collect();
        assert_eq!(kept, [("http-01", "first", "pending"), ("dns-01", "second", "valid")], "{}", old.url);
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
    for engine in engines() {
        let text = former(engine.migrations.iter().next().unwrap().sql.as_str());
        let old = engine.upgrade(&[(1, text)], "").await;
        assert!(old.done.len() > 3 && !old.has_done("challenges"), "{}: {:?}", old.url, old.done);
        let id = "00000000000000000000000000000001".parse().unwrap();
        let found = old.store.read(async move |tx| Ok::<_, StoreError>(authorizations::find(tx, id).await?)).await;
        assert_eq!(found, Ok(None), "its columns are there");
        old.store.close().await;
    }
}

/// What stood in certificates, accounts and devices before migration 8.
const OLD_REVOCATIONS: &str = r#"
    INSERT INTO account (id, site_id, thumbprint, jwk, contacts, status, created_at, version) VALUES
        ('000000000000000000000000000000a1', 'home', 't1', '{}', '[]', 'valid', 7, 0),
        ('000000000000000000000000000000a2', 'home', 't2', '{}', '[]', 'revoked', 8, 0),
        ('000000000000000000000000000000a3', 'home', 't3', '{}', '[]', 'deactivated', 9, 0);
    INSERT INTO device (id, site_id, name, profile, state, state_at, created_at, version) VALUES
        ('000000000000000000000000000000d1', 'home', 'd1', 'p', 'enrolled', 5, 1, 0),
        ('000000000000000000000000000000d2', 'home', 'd2', 'p', 'compromised', 6, 1, 0);
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
    for old in upgraded_from_before(8, OLD_REVOCATIONS).await {
        let read = old
            .store
            .read(async |tx| Ok::<_, StoreError>((revocations::since(tx, 0, 99).await?, revocations::head(tx).await?)));
        let (events, head) = read.await.unwrap();
        let told: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Certificate(entry) => (entry.number, entry.change.serial.to_string(), entry.change.shard),
                Event::Denial(denial) => {
                    (denial.number, format!("{:?}", denial.subject.as_ref().unwrap()), denial.is_denied.into())
                }
            })
            .collect();
        let expected = [
            (1, "7f", 2),
            (2, "4000000000000000000000000000aaaa", 2),
            (3, "Device(DeviceId(000000000000000000000000000000d2))", 1),
            (4, "Account(AccountId(000000000000000000000000000000a2))", 1),
            (5, "Account(AccountId(000000000000000000000000000000a3))", 1),
        ];
        assert_eq!(told, expected.map(|(number, what, shard)| (number, what.to_owned(), shard)), "{}", old.url);
        assert_eq!(head, 5);
        old.store.close().await;
    }
}

/// OCS-5 and OCS-11 after an upgrade: fails when a database from before migration 10 has no place for what responders ask
/// for, or says something else of the certificates in it.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_5_and_11_certificates_of_an_older_database_have_their_states() {
    for old in upgraded_from_before(8, OLD_REVOCATIONS).await {
        assert!(old.has_done("ocsp responder"), "{:?}", old.done);
        let issuer = "00000000000000000000000000000011".parse().unwrap();
        let status = async |serial: &str| {
            let serial = serial.parse().unwrap();
            let found = old.store.read(async move |tx| certificates::status(tx, issuer, &serial).await).await;
            found.unwrap().map(|status| status.revocation.map(|it| (it.at.unix_millis(), it.reason)))
        };
        assert_eq!(status("4000000000000000000000000000aaaa").await, Some(Some((6000, None))), "{}", old.url);
        assert_eq!(status("7f").await, Some(Some((5000, Some(Reason::KeyCompromise)))), "{}", old.url);
        assert_eq!((status("80").await, status("81").await), (Some(None), None), "{}", old.url);
        let row = "INSERT INTO ocsp_responder (id, issuer_id, replica, spki, proof, state, created_at, version) \
                   VALUES ('r', 'i', 'here', $1, $1, 'requested', 0, 1)";
        let kept = old.store.write(async move |tx| tx.execute(row, &[vec![1_u8].as_slice().into()]).await).await;
        assert_eq!(kept, Ok(1), "{}", old.url);
        old.store.close().await;
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
    for old in upgraded_from_before(9, OLD_LISTS).await {
        let issuer = "00000000000000000000000000000011".parse().unwrap();
        let read = old.store.read(async move |tx| {
            let complete = crls::lists(tx, issuer, None).await?;
            Ok::<_, StoreError>((crls::list(tx).await?, complete))
        });
        let (records, complete) = read.await.unwrap();
        let known: Vec<_> = records.iter().map(|one| (one.shard, one.number, one.this_update.unix_millis())).collect();
        assert_eq!(known, [(None, 1_700_000_000, 5000), (Some(0), 1_700_000_007, 6000)], "{}", old.url);
        for record in &records {
            assert_eq!((record.covers, record.scheduled.number, record.scheduled.covers), (0, 0, 0), "{}", old.url);
            assert!(record.scheduled.at.unix_millis() == 0 && record.urls.is_empty(), "due at once: {record:?}");
        }
        let lists = Lists { number: 1_700_000_000, full: b"complete".to_vec().into(), delta: None };
        assert_eq!(complete, Some(lists), "{}", old.url);
        // the next one takes its place, by the number that was kept
        let next = CrlRecord { number: 1_700_000_001, ..records.first().unwrap().clone() };
        let lists = Lists { number: next.number, full: b"next".to_vec().into(), delta: None };
        let published = async |previous: u64| {
            let (next, lists) = (next.clone(), lists.clone());
            old.store.write(async move |tx| crls::publish(tx, &next, &lists, Some(previous)).await).await
        };
        assert!(matches!(published(1_699_999_999).await, Err(StoreError::Conflict { .. })), "{}", old.url);
        published(1_700_000_000).await.unwrap();
        old.store.close().await;
    }
}
