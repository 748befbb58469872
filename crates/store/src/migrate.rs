//! Migrations: read from `migrations/` at build time, applied in order, each in one transaction with its record.

use data_encoding::HEXLOWER;
use sqlx::migrate::{Migration, Migrator};

use crate::dialect;
use crate::error::StoreError;
use crate::store::{Engine, Store};
use crate::tx::Tx;
use crate::value::{Row, Value};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

const TABLE: &str = "schema_migration";

/// A form that a migration once had, with what a later one does already done in it. Databases that were made by it exist.
struct Former {
    version: i64,
    contains: i64,
    /// SHA-384 in hexadecimal, as [`Migration::checksum`].
    checksum: &'static str,
}

/// One of SQLite, one of PostgreSQL: the first migration made challenges a text of their authorization for a while.
const FORMER: [Former; 2] = [
    Former {
        version: 1,
        contains: 3,
        checksum: "ce3c2cdf4ca16108f9cb30d4d52cbfa8c77f598af2b87fcd92ec8c52816fb107\
                   2469af73e4c315b38c9de23576a7111f",
    },
    Former {
        version: 1,
        contains: 3,
        checksum: "26debf176198c52188529c5434d856392bcd4a0f09b72e771315e52088d3b199\
                   47c44c6892184bfbccf6811886f42f20",
    },
];

/// The key of PostgreSQL's advisory lock: `pilotlit` in ASCII.
const LOCK: i64 = 0x7069_6c6f_746c_6974;

/// Applies what is pending; the names of those applied.
pub(crate) async fn run(engine: &Engine) -> Result<Vec<String>, StoreError> {
    let mut applied = Vec::new();
    // one transaction each; whoever comes second finds the work done
    while let Some(name) = match engine {
        Engine::Sqlite(sqlite) => sqlite.write(apply_next).await?,
        Engine::Postgres(postgres) => postgres.exclusive(LOCK, apply_next).await?,
    } {
        tracing::info!(migration = name, "migrated the database");
        applied.push(name);
    }
    Ok(applied)
}

/// The names of those not applied; an error when the database is not one of this program's.
pub(crate) async fn pending(store: &Store) -> Result<Vec<String>, StoreError> {
    store.read(async |tx: &mut Tx<'_>| Ok(open(tx).await?.iter().map(|migration| name(migration)).collect())).await
}

async fn apply_next(tx: &mut Tx<'_>) -> Result<Option<String>, StoreError> {
    let Some(migration) = open(tx).await?.into_iter().next() else { return Ok(None) };
    let bytes = dialect::bytes(tx);
    let table = format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (version BIGINT PRIMARY KEY, description TEXT NOT NULL, checksum {bytes} NOT NULL)"
    );
    tx.execute(table, &[]).await?;
    tx.script(sql(migration)).await?;
    tx.execute(
        format!("INSERT INTO {TABLE} (version, description, checksum) VALUES ($1, $2, $3)"),
        &[migration.version.into(), Value::text(&migration.description), (&*migration.checksum).into()],
    )
    .await?;
    Ok(Some(name(migration)))
}

/// The migrations to apply, oldest first, after the applied ones were compared with this program's.
async fn open(tx: &mut Tx<'_>) -> Result<Vec<&'static Migration>, StoreError> {
    let known = if tx.is_postgres() { &POSTGRES } else { &SQLITE };
    if tx.row(dialect::table_exists(tx), &[TABLE.into()]).await?.is_none() {
        return Ok(known.iter().collect());
    }
    let applied = tx.rows(format!("SELECT version, checksum FROM {TABLE} ORDER BY version"), &[]).await?;
    let applied = applied.into_iter().map(record).collect::<Result<Vec<_>, _>>()?;
    compare(known.iter().collect(), &applied)
}

fn record(row: Row) -> Result<(i64, Vec<u8>), StoreError> {
    let mut fields = row.fields(TABLE);
    Ok((fields.int()?, fields.bytes()?))
}

fn compare<'m>(known: Vec<&'m Migration>, applied: &[(i64, Vec<u8>)]) -> Result<Vec<&'m Migration>, StoreError> {
    let mut done: Vec<i64> = Vec::new();
    for (version, checksum) in applied {
        done.push(*version);
        match known.iter().find(|migration| migration.version == *version) {
            Some(migration) if *migration.checksum == **checksum => {}
            Some(_) => match former(*version, checksum) {
                Some(former) => done.push(former.contains),
                None => return Err(StoreError::ChangedMigration { version: *version }),
            },
            None => {
                let known = known.last().map_or(0, |migration| migration.version);
                return Err(StoreError::NewerSchema { found: *version, known });
            }
        }
    }
    Ok(known.into_iter().filter(|migration| !done.contains(&migration.version)).collect())
}

fn former(version: i64, checksum: &[u8]) -> Option<&'static Former> {
    let checksum = HEXLOWER.encode(checksum);
    FORMER.iter().find(|former| former.version == version && former.checksum == checksum)
}

fn name(migration: &Migration) -> String {
    format!("{:04} {}", migration.version, migration.description)
}

fn sql(migration: &'static Migration) -> &'static str {
    migration.sql.as_str()
}
