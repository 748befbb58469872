//! Files that are either wholly there or not at all, also after a power cut.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What happens when the file is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced in one step.
    Replace,
    /// It stays, and the call fails with [`io::ErrorKind::AlreadyExists`].
    Keep,
}

/// Writes a file beside its place, syncs it, renames it and syncs the folder.
pub fn write(path: &Path, bytes: &[u8], mode: u32, existing: Existing) -> io::Result<()> {
    if existing == Existing::Keep && path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    // a name of this process: who writes the same file at the same time shall not rename half of this one
    let beside = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = write_beside(&beside, bytes, mode).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written?;
    sync_folder(path)
}

fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    // a service's umask may be narrower than what is meant for everybody; a file system without modes refuses
    let _ = file.set_permissions(fs::Permissions::from_mode(mode));
    file.sync_all()
}

/// The file that was being written when a cut left a file of this name beside it. Nobody else takes it away: another process has
/// another name.
pub fn leftover(name: &OsStr) -> Option<&str> {
    let (of, process) = name.to_str()?.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let is_number = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !of.is_empty()).then_some(of)
}

/// Makes renames within the folder of `path` durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when what a cut leaves is not known again, or a file of somebody else is taken for that.
    #[test]
    fn knows_what_a_cut_leaves() {
        let of = |name: &'static str| leftover(OsStr::new(name));
        assert_eq!([of(".a.crl.4711.tmp"), of(".a.1.tmp")], [Some("a.crl"), Some("a")]);
        for other in
            ["a.crl.4711.tmp", ".a.crl.tmp", ".a.crl.x1.tmp", ".a.crl..tmp", "..1.tmp", ".a.crl.4711", ".nfs0001"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn writes_with_its_mode_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write(&path, b"one", 0o600, Existing::Keep).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write(&path, b"two", 0o600, Existing::Keep).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write(&path, b"two", 0o600, Existing::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
