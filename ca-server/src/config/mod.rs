//! `ca-server.toml`: one file a section, each a type whose fields can hold good values only.
//!
//! [`Config::load`] reads `DIR/ca-server.toml`; every refusal names the file, the line, the key and the remedy.
//! Relative paths are relative to DIR. Nothing here builds or opens anything but that one file; see `app` for that.

mod acme;
mod admin;
mod ca;
mod crl;
mod database;
mod error;
mod external;
mod keys;
mod limits;
mod listen;
mod log;
mod ocsp;
mod overload;
pub mod passphrase;
mod policies;
mod publication;
mod rates;
mod replica;
mod retention;
mod spans;
mod template;
mod validation;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use acme::Acme;
pub use admin::Admin;
pub use ca::{Ca, Issuing, Root, check_name};
pub use crl::Crl;
pub use database::{Database, DatabaseUrl};
pub use error::ConfigError;
pub use external::{External, ExternalUrl};
pub use keys::Keys;
pub use limits::Limits;
pub use listen::Listen;
pub use log::{Log, LogFormat};
pub use ocsp::Ocsp;
pub use overload::Overload;
pub use policies::Policies;
pub use publication::Publication;
pub use rates::{Limit, Rates};
pub use replica::{Replica, Role};
pub use retention::Retention;
pub use template::{Template, render};
pub use validation::{ResolverAddress, Validation, Zone};

/// The name of the file within DIR.
pub const FILE: &str = "ca-server.toml";

const MAX_FILE: u64 = 1024 * 1024;

/// Everything that `ca-server.toml` says, checked, with defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each section is documented at its type")]
pub struct Config {
    /// The folder everything of this CA lives in.
    #[serde(skip)]
    pub dir: PathBuf,
    #[serde(default)]
    pub listen: Listen,
    pub external: External,
    #[serde(default)]
    pub admin: Admin,
    #[serde(default)]
    pub database: Database,
    #[serde(default)]
    pub acme: Acme,
    #[serde(default)]
    pub validation: Validation,
    pub ca: Ca,
    #[serde(default)]
    pub keys: Keys,
    #[serde(default)]
    pub policies: Policies,
    #[serde(default)]
    pub crl: Crl,
    #[serde(default)]
    pub ocsp: Ocsp,
    #[serde(default)]
    pub replica: Replica,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub retention: Retention,
    #[serde(default)]
    pub log: Log,
}

impl Config {
    /// Reads and checks `DIR/ca-server.toml`.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
        match read {
            Ok(_) => Self::parse(&text, dir),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(ConfigError::Absent { dir: dir.to_owned() })
            }
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    /// Checks `text` as if it were `DIR/ca-server.toml`.
    pub fn parse(text: &str, dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::from_toml(&path, text, &error))?;
        config.check_together().map_err(|(key, why)| ConfigError::value(&path, text, key, why))?;
        config.resolve(dir);
        config.admin.check().map_err(|(key, why)| ConfigError::value(&path, text, key, why))?;
        Ok(config)
    }

    /// The configuration in force, defaults included, as TOML; secrets are not shown.
    pub fn effective(&self) -> String {
        let mut shown = self.clone();
        shown.paths().for_each(|path| {
            if let Ok(inside) = path.strip_prefix(&self.dir) {
                *path = inside.to_owned();
            }
        });
        toml::to_string(&shown).expect("a configuration that was read from TOML can be written as TOML")
    }

    /// What no field can know by itself.
    fn check_together(&self) -> Result<(), (&'static str, String)> {
        self.listen.check()?;
        self.external.check()?;
        self.validation.check(self.external.main.host())?;
        self.ca.issuing.publication.check()?;
        self.check_replica()?;
        self.ocsp.check()?;
        self.crl.check()
    }

    fn check_replica(&self) -> Result<(), (&'static str, String)> {
        match self.replica.has_keys() || self.database.url.is_shared() {
            true => Ok(()),
            false => {
                let why = "a responder works on the database of servers that issue, so it needs PostgreSQL; set `database.url`";
                Err(("replica.role", why.into()))
            }
        }
    }

    fn resolve(&mut self, dir: &Path) {
        self.dir = dir.to_owned();
        // an absolute path stays; an empty one means that there is none
        self.paths().filter(|path| !path.as_os_str().is_empty()).for_each(|path| *path = dir.join(&*path));
    }

    /// Every path in it, as they may be relative to DIR.
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let own =
            [&mut self.admin.socket, &mut self.policies.folder, &mut self.policies.revision_file, &mut self.crl.folder];
        own.into_iter().chain(self.ca.paths()).chain(self.keys.paths())
    }
}

#[cfg(test)]
mod tests;
