//! Writes that survive a power cut, and reads that are bounded. Knows nothing of what the files mean.
//!
//! A file is written beside its place, synced, renamed over it, and the folder is synced: after a power cut
//! either the old or the new content stands there, whole (research finding: zero-length files after a rename
//! without fsync).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
pub struct FileError {
    /// What was attempted, as a verb.
    pub action: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; nothing was changed: free some space and try again (the daemon does so by itself)"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; mount the file system writable, or put `state` of [agent] elsewhere",
        io::ErrorKind::PermissionDenied => "; run the agent as root or as the owner of that folder",
        _ => "",
    }
}

/// Attaches what was attempted to an I/O result.
pub(crate) fn on<T>(action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, FileError> {
    result.map_err(|source| FileError { action, path: path.to_owned(), source })
}

/// Who owns a written file, and who may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner, when it is not the agent's own.
    pub uid: Option<u32>,
    /// Numeric group, when it is not the agent's own.
    pub gid: Option<u32>,
}

impl Access {
    /// Readable by the agent's user only.
    pub const SECRET: Self = Self { mode: 0o600, uid: None, gid: None };
    /// Readable by everyone.
    pub const PUBLIC: Self = Self { mode: 0o644, uid: None, gid: None };
}

/// Writes a new file with its final owner and mode, and syncs it. A file of that name must not exist.
pub(crate) fn write_new(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    // Opened with 0600 whatever the final mode: nobody else reads a key between creation and chown.
    let mut file = on("create", path, OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))?;
    on("write", path, file.write_all(bytes))?;
    if access.uid.is_some() || access.gid.is_some() {
        on("change the owner of", path, chown(path, access.uid, access.gid))?;
    }
    on("set the mode of", path, file.set_permissions(fs::Permissions::from_mode(access.mode)))?;
    on("sync", path, file.sync_all())
}

/// Replaces the content of `path` as one step.
pub fn replace(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let staged = beside(path);
    remove_if_there(&staged)?;
    write_new(&staged, bytes, access).inspect_err(|_| {
        // A half-written file would hold the space that may be missing.
        let _ = fs::remove_file(&staged);
    })?;
    on("rename into place", path, fs::rename(&staged, path))?;
    sync_parent(path)
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.new"))
}

/// Points the symbolic link `link` at `target` as one step.
pub(crate) fn point(link: &Path, target: &str) -> Result<(), FileError> {
    let staged = beside(link);
    remove_if_there(&staged)?;
    on("create the link", &staged, std::os::unix::fs::symlink(target, &staged))?;
    on("rename into place", link, fs::rename(&staged, link))?;
    sync_parent(link)
}

/// Removes a file; absent is fine.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => on("remove", path, other),
    }
}

/// Makes a folder and its missing parents; the folder itself gets `mode`.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    on("create the folder", path, fs::create_dir_all(path))?;
    on("set the mode of", path, fs::set_permissions(path, fs::Permissions::from_mode(mode)))?;
    sync_parent(path)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), FileError> {
    on("sync the folder", path, File::open(path).and_then(|dir| dir.sync_all()))
}

fn sync_parent(path: &Path) -> Result<(), FileError> {
    path.parent().map_or(Ok(()), sync_dir)
}

/// Reads a file of at most `limit` bytes; `None` when it is not there.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => on("open", path, other)?,
    };
    let mut bytes = Vec::new();
    on("read", path, file.take(limit.saturating_add(1)).read_to_end(&mut bytes))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        return Ok(Some(bytes));
    }
    on("read", path, Err(io::Error::other(format!("it is larger than {limit} bytes, which such a file never is"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_leaves_the_new_content_its_mode_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        fs::write(dir.path().join(".x.json.new"), "left over by a power cut").unwrap();
        replace(&path, b"one", Access::PUBLIC).unwrap();
        replace(&path, b"two", Access::SECRET).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn reading_is_bounded_and_absence_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert!(read(&path, 10).unwrap().is_none());
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap().len(), 10);
        assert!(read(&path, 9).unwrap_err().to_string().contains("larger than 9 bytes"));
    }

    #[test]
    fn a_link_moves_in_one_step() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("current");
        point(&link, "g-1").unwrap();
        point(&link, "g-2").unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("g-2"));
    }
}
