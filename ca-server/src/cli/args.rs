//! Arguments that many commands share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use pki_core::device::LabelChange;

use crate::cli::error::CliError;
use crate::config::{Config, FILE};

/// Where a CA is looked for when nobody says: where quickstart makes one, here, and where packages put one.
const PLACES: [&str; 3] = ["pilotlight-data", ".", "/var/lib/pilotlight"];

/// The CA's folder.
#[derive(Debug, Args)]
pub(super) struct Dir {
    /// Folder of the CA [default: the first of ./pilotlight-data, . and /var/lib/pilotlight that holds one]
    #[arg(long, value_name = "DIR", env = "PILOTLIGHT_DIR", global = true)]
    dir: Option<PathBuf>,
}

impl Dir {
    pub(super) fn path(&self) -> PathBuf {
        let found = || PLACES.iter().map(PathBuf::from).find(|place| place.join(FILE).exists());
        self.dir.clone().or_else(found).unwrap_or_else(|| ".".into())
    }

    pub(super) fn config(&self) -> Result<Config, CliError> {
        Config::load(&self.path()).map_err(CliError::failed)
    }
}

/// What opens the keys.
#[derive(Debug, Args)]
pub(super) struct PassphraseFile {
    /// File whose first line is the passphrase of the keys [default: keys.passphrase_file, then a systemd credential,
    /// then a prompt]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseFile {
    pub(super) fn path(&self) -> Option<&Path> {
        self.passphrase_file.as_deref()
    }
}

/// How listings are written.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Format::Table, global = true)]
    pub(super) output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// The folder and the format: what every administration command has.
#[derive(Debug, Args)]
pub(super) struct Admin {
    #[command(flatten)]
    pub(super) dir: Dir,
    #[command(flatten)]
    pub(super) output: Output,
}

/// What every command has that lists.
#[derive(Debug, Args)]
pub(super) struct Listing {
    /// The most rows
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,
    #[command(flatten)]
    pub(super) admin: Admin,
}

/// Reads `KEY=VALUE`, a label of a device.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.parse() {
        Ok(LabelChange::Set(key, value)) => Ok((key.to_string(), value.as_str().to_owned())),
        Ok(LabelChange::Remove(_)) => Err("write KEY=VALUE".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads `90s`, `15m`, `12h`, `30d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is not a time span; write 90s, 15m, 12h or 30d");
    let unit = text.chars().next_back().ok_or_else(refuse)?;
    let number = text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok()).ok_or_else(refuse)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(refuse()),
    };
    match number.checked_mul(seconds) {
        Some(total) if total > 0 => Ok(Duration::from_secs(total)),
        _ => Err(refuse()),
    }
}
