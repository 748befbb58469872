//! `[policies]`: where the profiles are, and when they are read again.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The policy documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// The folder whose `*.yaml` files are read at start and on SIGHUP.
    pub folder: PathBuf,
    /// Whether a change of them is taken up without being told.
    pub watch: bool,
    /// How often the folder is looked at then.
    #[serde(rename = "watch_seconds", with = "super::limits::seconds")]
    pub watch_every: Duration,
    /// A file with the name of the commit they are of. When empty: a file `REVISION` in the folder, or the git checkout
    /// that the folder is in.
    pub revision_file: PathBuf,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            folder: "policies".into(),
            watch: false,
            watch_every: Duration::from_secs(10),
            revision_file: PathBuf::new(),
        }
    }
}
