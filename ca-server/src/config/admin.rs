//! `[admin]`: local administration.

use std::path::PathBuf;

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
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        // sun_path of unix(7), with its zero octet
        const LONGEST: usize = 107;
        let length = self.socket.as_os_str().len();
        if length <= LONGEST {
            return Ok(());
        }
        let why = format!(
            "the path {} has {length} bytes, and sockets have {LONGEST} at most; give a shorter one",
            self.socket.display()
        );
        Err(("admin.socket", why))
    }
}
