//! A copy of every list in a folder, for static servers and for carrying them on a stick: names as in the addresses, and an
//! index that says what each file is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use signer::durable::{self, Existing};

use super::Published;

/// The name of the index.
const INDEX: &str = "index.json";

/// The folder, and what this process wrote to it.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    written: Arc<Mutex<BTreeMap<String, u64>>>,
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
        Self { path, written: Arc::default() }
    }

    /// Whether everything is there, as far as this process wrote it.
    pub(super) fn has(&self, lists: &[Arc<Published>]) -> bool {
        let Ok(written) = self.written.try_lock() else { return false };
        let is_there = |list: &Published, (name, _): (String, &[u8])| {
            written.get(&name).is_some_and(|number| *number >= list.record.number)
        };
        lists.iter().all(|list| files(list).into_iter().all(|file| is_there(list, file)))
    }

    /// Writes the files that are older than these lists, and then the index.
    pub(super) fn write(&self, lists: &[Arc<Published>]) -> Result<(), String> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_changed = false;
        for list in lists {
            for (name, bytes) in files(list) {
                if written.get(&name).is_some_and(|number| *number >= list.record.number) {
                    continue;
                }
                let path = self.path.join(&name);
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

fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
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
