//! `[keys]`: where the encrypted keys are, and what opens them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// The folder of the key files.
    pub folder: PathBuf,
    /// A file whose first line is the passphrase; empty for none.
    pub passphrase_file: PathBuf,
}

impl Default for Keys {
    fn default() -> Self {
        Self { folder: "keys".into(), passphrase_file: PathBuf::new() }
    }
}

impl Keys {
    /// The file of the site key.
    pub fn site_key(&self) -> PathBuf {
        self.folder.join("site.key")
    }

    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.folder, &mut self.passphrase_file].into_iter()
    }
}
