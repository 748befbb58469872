//! A small disk that can be filled up, which takes root: a memory file system of its own, or, where nothing may be
//! mounted, the memory file system that a container has at `/dev/shm`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::statvfs::statvfs;

use crate::folders::Folder;

/// The common disk of a container; one test at a time fills it.
const COMMON: &str = "/dev/shm";
static COMMON_TAKEN: Mutex<()> = Mutex::new(());

/// What a container has there is 64 MB; a disk of gigabytes is memory that the machine needs.
const LARGEST: u64 = 512 << 20;

/// A disk of a few megabytes.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
    ballast: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Mounted,
    /// Is removed, and given to the next test, on drop.
    Common((Folder, MutexGuard<'static, ()>)),
}

impl SmallDisk {
    /// Makes the folder `at` one, which must be absent or empty.
    pub fn mount(at: &Path, megabytes: u32) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m,mode=0755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(at).stderr(Stdio::null());
        if mount.status().unwrap().success() {
            return Self { at: at.to_owned(), ballast: at.join("ballast"), kind: Kind::Mounted };
        }
        let common = statvfs(COMMON).unwrap();
        let free = common.blocks_free() * common.fragment_size();
        assert!(
            free <= LARGEST,
            "a small disk takes root and the right to mount, or a small {COMMON}; it has {free} bytes"
        );
        let turn = COMMON_TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = Folder::within(COMMON.as_ref());
        std::fs::remove_dir(at).unwrap();
        std::os::unix::fs::symlink(folder.sub("disk"), at).unwrap();
        let ballast = folder.path().join("ballast");
        Self { at: at.to_owned(), ballast, kind: Kind::Common((folder, turn)) }
    }

    /// Moves a folder with all that is in it onto one.
    pub fn take_over(folder: &Path, megabytes: u32) -> Self {
        let aside = folder.with_file_name("aside");
        std::fs::rename(folder, &aside).unwrap();
        let disk = Self::mount(folder, megabytes);
        let copied = Command::new("cp").args(["-a", "--"]).arg(aside.join(".")).arg(folder).status().unwrap();
        assert!(copied.success());
        disk
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut ballast = std::fs::File::create(&self.ballast).unwrap();
        for size in [64 * 1024, 4096, 512, 1] {
            while ballast.write(&vec![0; size]).is_ok_and(|written| written == size) {}
        }
    }

    /// Lets nobody write to it. What is there can be read on, by its path without links.
    pub fn close(&self) {
        match &self.kind {
            Kind::Mounted => self.remount("ro"),
            // nobody can make a file there either
            Kind::Common(_) => self.lead_to(Path::new("/proc")),
        }
    }

    /// Lets everybody write to it again.
    pub fn open(&self) {
        match &self.kind {
            Kind::Mounted => self.remount("rw"),
            Kind::Common((folder, _)) => self.lead_to(&folder.sub("disk")),
        }
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.at).status().unwrap().success());
    }

    fn lead_to(&self, place: &Path) {
        std::fs::remove_file(&self.at).unwrap();
        std::os::unix::fs::symlink(place, &self.at).unwrap();
    }

    /// Makes room again.
    pub fn empty(&self) {
        std::fs::remove_file(&self.ballast).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        match self.kind {
            Kind::Mounted => drop(Command::new("umount").arg("-l").arg(&self.at).status()),
            Kind::Common(_) => drop(std::fs::remove_file(&self.at)),
        }
    }
}
