//! `[admin]`: local administration.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The socket that administration commands of this machine use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// A Unix socket, mode 0600.
    pub socket: PathBuf,
}

impl Default for Admin {
    fn default() -> Self {
        Self { socket: "admin.sock".into() }
    }
}

impl Admin {
    pub(super) fn resolve(&mut self, dir: &Path) {
        super::within(dir, &mut self.socket);
    }
}
