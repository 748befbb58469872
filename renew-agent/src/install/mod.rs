//! Generations on disk: a key and its certificate are published by one rename, or not at all.
//!
//! `live/NAME/g-N/` holds the files of one certificate, `live/NAME/current` points at the one in service.
//! Services point at `current`. Nothing here knows how certificates are obtained or services reloaded.

pub mod generation;
pub mod recover;

use std::path::{Path, PathBuf};

use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;

use crate::files::{self, Access, FileError};
use crate::keys::KeyError;

/// Generations that are kept, the current one included (agents.md failure 10: at least two good ones).
const KEEP: usize = 3;

/// Why a certificate could not be put in place.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The files could not be described.
    #[error("cannot describe the new generation of `{name}`: {detail}")]
    Describe {
        /// Which certificate.
        name: String,
        /// Why not.
        detail: String,
    },
    /// The state could not be written.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
    /// The key could not be read back.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The folder of one certificate's generations.
#[derive(Debug, Clone)]
pub struct Live {
    name: String,
    dir: PathBuf,
    secret: Access,
    mode_of_dir: u32,
}

/// A complete generation, as read back from disk.
#[derive(Debug, Clone)]
pub struct Generation {
    /// Its number, counted up for ever.
    pub number: u64,
    /// The node's certificate.
    pub leaf: Certificate,
    /// When it was written.
    pub written_at: Timestamp,
}

impl Generation {
    /// SHA-256 of the leaf, hexadecimal: how state, probe and CA speak of it.
    pub fn leaf_sha256(&self) -> String {
        hex(&self.leaf.sha256())
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Live {
    /// Names the folder; nothing is touched.
    pub fn new(name: &str, dir: PathBuf, secret: Access, mode_of_dir: u32) -> Self {
        Self { name: name.to_owned(), dir, secret, mode_of_dir }
    }

    /// The folder, which services and adapters know.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The link that services point at.
    pub fn current_link(&self) -> PathBuf {
        self.dir.join("current")
    }

    fn generation_dir(&self, number: u64) -> PathBuf {
        self.dir.join(format!("g-{number}"))
    }

    /// The number that `current` points at, whatever stands there.
    pub fn current_number(&self) -> Option<u64> {
        let target = std::fs::read_link(self.current_link()).ok()?;
        number_of(target.to_str()?)
    }

    /// The certificate in service, when its generation is whole.
    pub fn current(&self) -> Option<Generation> {
        self.current_number().and_then(|number| self.read(number).ok())
    }

    /// Points `current` at a generation: the one step in which services see something new.
    pub fn swap_to(&self, number: u64) -> Result<(), InstallError> {
        Ok(files::point(&self.current_link(), &format!("g-{number}"))?)
    }

    /// Every number that has a folder, whole or not, in rising order.
    fn numbers(&self) -> Result<Vec<u64>, FileError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => files::on("list", &self.dir, other)?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let entry = files::on("list", &self.dir, entry)?;
            numbers.extend(entry.file_name().to_str().and_then(number_of));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn number_of(folder: &str) -> Option<u64> {
    let digits = folder.strip_prefix("g-")?;
    // One spelling only, so that `g-07` is nobody's generation.
    digits.parse().ok().filter(|number: &u64| number.to_string() == digits)
}

#[cfg(test)]
pub(crate) mod tests;
