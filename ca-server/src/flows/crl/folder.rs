//! A copy of every list in a folder, for static servers and for carrying them on a stick: names as in the addresses, and an
//! index that says what each file is.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pki_core::ids::IssuerId;
use serde::Serialize;
use signer::durable::{self, Existing};

use super::Published;

/// The name of the index.
const INDEX: &str = "index.json";

/// With each so many looks the files are looked at too: others may have removed or cut them.
const LOOKS: u32 = 10;

/// The folder, and what this process wrote to it.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    written: Arc<Mutex<BTreeMap<String, u64>>>,
    looks: Arc<AtomicU32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    file: String,
    issuer: String,
    /// `complete` or `shard 3`, and whether it is a delta.
    scope: String,
    number: u64,
    this_update: String,
    next_update: String,
    entries: u64,
    /// The number of the last revocation that it covers.
    covers: u64,
    sha256: &'a str,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, written: Arc::default(), looks: Arc::default() }
    }

    /// Where the root's list is copied to.
    pub(super) fn of_root(&self, root: IssuerId) -> PathBuf {
        self.path.join(format!("{root}.crl"))
    }

    /// Whether everything is there, as far as this process wrote it; now and then it is not believed, so that [`Self::write`]
    /// looks, which may block.
    pub(super) fn has(&self, lists: &[Arc<Published>]) -> bool {
        if self.looks.fetch_add(1, Ordering::Relaxed) % LOOKS == LOOKS - 1 {
            return false;
        }
        let Ok(written) = self.written.try_lock() else { return false };
        let is_there = |list: &Published, (name, _): (String, &[u8])| {
            written.get(&name).is_some_and(|number| *number >= list.record.number)
        };
        lists.iter().all(|list| files(list).into_iter().all(|file| is_there(list, file)))
    }

    /// Writes the files that are older than these lists, gone or cut short, and then the index.
    pub(super) fn write(&self, lists: &[Arc<Published>]) -> Result<(), String> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_empty() {
            sweep(&self.path, true);
        }
        let mut is_changed = !self.path.join(INDEX).is_file();
        for list in lists {
            for (name, bytes) in files(list) {
                let path = self.path.join(&name);
                let is_done = |number: &u64| match number.cmp(&list.record.number) {
                    Greater => true,
                    Equal => path.metadata().is_ok_and(|file| usize::try_from(file.len()) == Ok(bytes.len())),
                    Less => false,
                };
                if written.get(&name).is_some_and(is_done) {
                    continue;
                }
                put(&path, bytes).map_err(|error| {
                    format!(
                        "cannot write the copy {}: {error}; check the space and the rights on that folder",
                        path.display()
                    )
                })?;
                written.insert(name, list.record.number);
                is_changed = true;
            }
            if list.delta.is_none() {
                // one that was written while there were deltas would run out beside the list
                let _ = std::fs::remove_file(self.path.join(name(list, "-delta")));
            }
        }
        if is_changed {
            let index: Vec<Line<'_>> = lists.iter().flat_map(|list| lines(list)).collect();
            let text = serde_json::to_vec_pretty(&index).map_err(|error| error.to_string())?;
            let path = self.path.join(INDEX);
            put(&path, &text).map_err(|error| {
                written.clear();
                format!("cannot write {}: {error}; check the space and the rights on that folder", path.display())
            })?;
        }
        Ok(())
    }
}

/// Takes away what a cut during an earlier write has left here and in the folders of issuers, which others mirror; what cannot be
/// taken away harms nobody.
fn sweep(folder: &Path, has_issuers: bool) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_issuer = || name.to_str().is_some_and(|name| name.parse::<IssuerId>().is_ok());
        if durable::leftover(&name).is_some_and(|file| file == INDEX || file.ends_with(".crl")) {
            let _ = std::fs::remove_file(entry.path());
        } else if has_issuers && is_issuer() {
            sweep(&entry.path(), false);
        }
    }
}

fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
        std::fs::create_dir_all(folder)?;
        // who serves or copies them is another user, and the umask of the service shuts everybody else out
        let _ = std::fs::set_permissions(folder, Permissions::from_mode(0o755));
    }
    durable::write(path, bytes, 0o644, Existing::Replace)
}

fn name(list: &Published, suffix: &str) -> String {
    let issuer = list.record.issuer;
    match list.record.shard {
        Some(shard) => format!("{issuer}/{shard}{suffix}.crl"),
        None => format!("{issuer}{suffix}.crl"),
    }
}

fn files(list: &Published) -> Vec<(String, &[u8])> {
    let delta = list.delta.iter().map(|delta| (name(list, "-delta"), delta.der()));
    std::iter::once((name(list, ""), list.full.der())).chain(delta).collect()
}

fn lines(list: &Published) -> Vec<Line<'_>> {
    let record = &list.record;
    let scope = record.shard.map_or_else(|| "complete".to_owned(), |shard| format!("shard {shard}"));
    let line = |file: String, scope: String, entries: u64, sha256| Line {
        file,
        issuer: record.issuer.to_string(),
        scope,
        number: record.number,
        this_update: record.this_update.rfc3339(),
        next_update: record.next_update.rfc3339(),
        entries,
        covers: record.covers,
        sha256,
    };
    let full = line(name(list, ""), scope.clone(), record.entries, list.sha256.as_str());
    let delta = list.delta.as_ref().map(|delta| {
        let entries = u64::try_from(delta.entry_count()).unwrap_or(u64::MAX);
        line(name(list, "-delta"), format!("{scope}, delta"), entries, list.delta_sha256.as_str())
    });
    std::iter::once(full).chain(delta).collect()
}

#[cfg(test)]
mod tests {
    use pki_core::time::Timestamp;
    use pki_core::x509::crl::Crl;

    use super::super::tests::record;
    use super::*;

    fn list(number: u64) -> Arc<Published> {
        let der = include_bytes!("../../../../fuzz/corpus/crl/entries.der");
        let record = record(number, Timestamp::from_unix_seconds(1_800_000_000));
        Arc::new(Published::new(record, Crl::parse(der).unwrap(), None))
    }

    /// Fails when a copy that somebody removed or cut short is missed until the next list, or an older list takes the place
    /// of a newer one.
    #[test]
    fn what_others_take_away_is_written_again() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("crl"));
        let (old, new) = ([list(1)], [list(2)]);
        let path = folder.path.join(name(&new[0], ""));
        let whole = |path: &Path| std::fs::read(path).is_ok_and(|bytes| bytes == new[0].full.der());
        folder.write(&new).unwrap();
        assert!(whole(&path) && folder.has(&new));
        for damage in [|path: &Path| std::fs::remove_file(path), |path: &Path| std::fs::write(path, b"0")] {
            damage(&path).unwrap();
            folder.write(&old).unwrap();
            assert!(!whole(&path), "an older list is not the remedy");
            assert!((0..LOOKS).any(|_| !folder.has(&new)), "it is looked after");
            folder.write(&new).unwrap();
            assert!(whole(&path));
        }
        std::fs::remove_dir_all(&folder.path).unwrap();
        folder.write(&new).unwrap();
        assert!(whole(&path) && folder.path.join(INDEX).is_file());
    }
}
