//! Database addresses: `sqlite:PATH`, or `postgres://USER@HOST/DATABASE`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use crate::engine::Database;
use crate::error::StoreError;

/// An address, understood.
pub(crate) enum Location {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>, Database),
}

/// Parameters that the PostgreSQL driver knows; it only warns about others, and writes their values to the log.
const POSTGRES_PARAMETERS: [&str; 19] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
    "",
];

impl Location {
    /// Reads an address; a relative path starts at `base`.
    pub(crate) fn parse(url: &str, base: &Path) -> Result<Self, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return sqlite(path.strip_prefix("//").unwrap_or(path), base);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return postgres(url);
        }
        Err(bad("it begins with neither `sqlite:` nor `postgres://`"))
    }
}

fn sqlite(path: &str, base: &Path) -> Result<Location, StoreError> {
    if path.is_empty() || path.ends_with('/') {
        return Err(bad("the path of the SQLite file is missing"));
    }
    if path.contains(":memory:") {
        return Err(bad("a CA cannot forget: databases in memory are not supported"));
    }
    if path.contains('?') {
        return Err(bad("options after `?` are not supported for SQLite"));
    }
    Ok(Location::Sqlite(base.join(path)))
}

/// Errors of the driver are not shown: they may repeat parts of the address.
fn postgres(url: &str) -> Result<Location, StoreError> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let unknown = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key));
    if let Some(key) =
        unknown.into_iter().find(|key| !POSTGRES_PARAMETERS.contains(key) && !key.starts_with("options["))
    {
        return Err(bad(format!("the parameter `{:.40}` is not known", key)));
    }
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| bad("it cannot be read; write special characters in the password as %XX"))?;
    let options = options.application_name("ca-server");
    let socket = options.get_socket().map(|folder| folder.display().to_string().replace('/', "%2F"));
    let host = socket.unwrap_or_else(|| options.get_host().to_owned());
    let database = options.get_database().unwrap_or(options.get_username());
    let shown = format!("postgres://{}@{host}:{}/{database}", options.get_username(), options.get_port());
    Ok(Location::Postgres(Box::new(options), Database(shown)))
}

fn bad(reason: impl Into<String>) -> StoreError {
    StoreError::BadUrl { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Location, StoreError> {
        Location::parse(url, Path::new("/base"))
    }

    #[test]
    fn sqlite_paths_start_at_the_folder() {
        for (url, path) in
            [("sqlite:a.db", "/base/a.db"), ("sqlite:/x/a.db", "/x/a.db"), ("sqlite:///x/a.db", "/x/a.db")]
        {
            assert!(matches!(parse(url), Ok(Location::Sqlite(found)) if found == Path::new(path)), "{url}");
        }
        for url in ["sqlite:", "sqlite::memory:", "sqlite:a.db?mode=ro", "mysql://x/y", "a.db", ""] {
            assert!(matches!(parse(url), Err(StoreError::BadUrl { .. })), "{url}");
        }
    }

    #[test]
    fn passwords_never_appear() {
        let Ok(Location::Postgres(_, shown)) = parse("postgres://pki:s3cret@db.test:5433/ca?sslmode=require") else {
            panic!("a good address is refused")
        };
        assert_eq!(shown.to_string(), "postgres://pki@db.test:5433/ca");
        for url in
            ["postgres://pki:s3cret@db.test:x/ca", "postgres://pki:s3cret@[db/ca", "postgres://h/ca?passwd=s3cret"]
        {
            let error = parse(url).err().expect("refused");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }
}
