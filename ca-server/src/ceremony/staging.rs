//! A folder that comes to be in one step: everything is written beside it and renamed.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use signer::durable::{self, Existing};

use crate::ceremony::CeremonyError;

/// A folder under construction. Dropped before [`publish`](Self::publish), it is removed with all that is in it.
#[derive(Debug)]
pub(super) struct Staging {
    target: PathBuf,
    path: PathBuf,
    /// Holds the lock that tells a leftover from another process at work.
    _lock: File,
    is_published: bool,
}

impl Staging {
    /// Begins a folder that will be `target`, which must be absent or empty.
    pub(super) fn begin(target: &Path) -> Result<Self, CeremonyError> {
        let target = std::path::absolute(target).map_err(CeremonyError::file("find", target))?;
        check_free(&target)?;
        let name = target.file_name().ok_or_else(|| CeremonyError::NotEmpty { path: target.clone() })?;
        let path = target.with_file_name(format!(".{}.init", name.to_string_lossy()));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(CeremonyError::file("make", parent))?;
        }
        remove_leftover(&path)?;
        make_folder(&path)?;
        let lock = lock(&path)?.ok_or_else(|| CeremonyError::Busy { path: path.clone() })?;
        Ok(Self { target, path, _lock: lock, is_published: false })
    }

    /// Where the files go until then.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where they will be.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Makes a folder within, for the owner only.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, CeremonyError> {
        let path = self.path.join(name);
        make_folder(&path)?;
        Ok(path)
    }

    /// Writes a file within.
    pub(super) fn file(&self, name: &str, contents: &[u8], mode: u32) -> Result<(), CeremonyError> {
        let path = self.path.join(name);
        durable::write(&path, contents, mode, Existing::Keep).map_err(CeremonyError::file("write", path))
    }

    /// Renames it all into place: the moment from which the CA exists.
    pub(super) fn publish(mut self) -> Result<(), CeremonyError> {
        sync_tree(&self.path).map_err(CeremonyError::file("write", &self.path))?;
        failpoint::failpoint!("ca.init.before_publish");
        fs::rename(&self.path, &self.target).map_err(CeremonyError::file("make", &self.target))?;
        self.is_published = true;
        durable::sync_folder(&self.target).map_err(CeremonyError::file("write", &self.target))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn check_free(target: &Path) -> Result<(), CeremonyError> {
    match fs::read_dir(target) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(CeremonyError::NotEmpty { path: target.to_owned() }),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CeremonyError::file("read", target)(error)),
    }
}

fn remove_leftover(path: &Path) -> Result<(), CeremonyError> {
    if !path.exists() {
        return Ok(());
    }
    // a process that was killed holds no lock any more
    let _lock = lock(path)?.ok_or_else(|| CeremonyError::Busy { path: path.to_owned() })?;
    fs::remove_dir_all(path).map_err(CeremonyError::file("remove", path))
}

fn lock(path: &Path) -> Result<Option<File>, CeremonyError> {
    let folder = File::open(path).map_err(CeremonyError::file("open", path))?;
    Ok(folder.try_lock().is_ok().then_some(folder))
}

fn make_folder(path: &Path) -> Result<(), CeremonyError> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => CeremonyError::Busy { path: path.to_owned() },
        _ => CeremonyError::file("make", path)(source),
    })
}

fn sync_tree(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_wholly_or_not_at_all() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("deep/ca");
        let staging = Staging::begin(&target).unwrap();
        staging.folder("keys").unwrap();
        staging.file("keys/x", b"x", 0o600).unwrap();
        assert!(!target.exists());
        assert!(matches!(Staging::begin(&target), Err(CeremonyError::Busy { .. })), "one at a time");
        drop(staging);
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 0, "an error leaves nothing");
        // killed: the folder stays without a lock, and the next one clears it away
        fs::create_dir(target.parent().unwrap().join(".ca.init")).unwrap();
        fs::create_dir(&target).unwrap();
        Staging::begin(&target).unwrap().publish().unwrap();
        assert!(target.is_dir());
        fs::write(target.join("mine"), "x").unwrap();
        assert!(matches!(Staging::begin(&target), Err(CeremonyError::NotEmpty { .. })));
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }
}
