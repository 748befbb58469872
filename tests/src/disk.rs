//! A small disk that can be filled up: a memory file system, which takes root to mount.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted disk of a few megabytes.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one over an empty folder.
    pub fn mount(folder: &Path, megabytes: u32) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let size = format!("size={megabytes}m,mode=0755");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder).status().unwrap();
        assert!(status.success(), "mounting a small disk takes root and the right to mount");
        Self(folder.to_owned())
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).unwrap();
        for size in [64 * 1024, 4096, 512, 1] {
            while ballast.write(&vec![0; size]).is_ok_and(|written| written == size) {}
        }
    }

    /// Makes room again.
    pub fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
