//! The temporary folder of one test.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder that goes away with the test; other users may pass through it, since services change their user.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// Makes one.
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// Makes one in another place than the usual.
    pub fn within(place: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("pilotlight-").tempdir_in(place).unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A folder in it, made when absent.
    pub fn sub(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes a file with a mode, whole before it has its name.
pub fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
    let beside = path.with_extension("new");
    let _ = std::fs::remove_file(&beside);
    std::fs::write(&beside, content).unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::rename(&beside, path).unwrap();
}
