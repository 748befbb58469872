//! One ca-server a folder: the lock dies with its holder, so a power cut leaves nothing to clean up.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Held for as long as the program runs.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

impl FolderLock {
    /// Takes the lock; the error is a sentence with the remedy.
    pub fn take(dir: &Path) -> Result<Self, String> {
        let path = dir.join("ca-server.lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|error| {
            format!("cannot open {}: {error}; check the space and the rights on the folder", path.display())
        })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(format!(
                "another ca-server runs on {}; stop it first, or use its administration socket",
                dir.display()
            )),
            Err(error) => Err(format!("cannot lock {}: {error}", path.display())),
        }
    }
}
