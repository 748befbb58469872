//! One look at the policy folder: every `*.yaml` in it, as bytes, all of one moment.
//!
//! Folders are changed under a reader's hands in two ways. Kubernetes and git-sync prepare a new folder, turn one symlink to
//! it and then delete the old one: the symlink is resolved once, everything is read behind it, and the look counts when the
//! symlink still leads there afterwards, since nothing is deleted before it is turned. People and `git pull` write file
//! after file: [`Source::settle`] looks until two looks in a row saw the same.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pki_core::policy::Commit;
use ring::digest;

use super::{PolicyFolderError, revision};
use crate::config::Policies;

/// A profile is a page of text.
const MAX_FILE: u64 = 256 * 1024;

/// More files than a person can review are a mistake.
const MAX_FILES: usize = 1000;

/// Other files may lie there too, within reason.
const MAX_ENTRIES: usize = 10_000;

/// All files together.
const MAX_TOTAL: usize = 16 * 1024 * 1024;

/// How often a look is tried again whose symlink was turned meanwhile.
const MAX_TURNS: u32 = 100;

/// What is the same before and after this rests.
const PAUSE: Duration = Duration::from_millis(250);

/// Looks before a folder is called restless.
const MAX_LOOKS: u32 = 40;

/// Where the policy is.
#[derive(Debug, Clone)]
pub struct Source {
    /// The folder with the profiles.
    folder: PathBuf,
    /// The file that says the commit; else a file `REVISION` in the folder, or a git checkout around it.
    revision_file: Option<PathBuf>,
    /// Above this folder no checkout is searched.
    home: Option<PathBuf>,
}

impl Source {
    /// A folder without anything else around it.
    pub fn folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), revision_file: None, home: None }
    }

    /// What the configuration of the CA in `home` says. A policy folder within that is not of a checkout further up: a CA
    /// that is tried out in somebody's working copy has a policy of its own.
    pub fn of(policies: &Policies, home: &Path) -> Self {
        let revision_file = Some(policies.revision_file.clone()).filter(|file| !file.as_os_str().is_empty());
        Self { folder: policies.folder.clone(), revision_file, home: Some(home.to_owned()) }
    }

    /// Where it is, as configured.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Looks once. The files are all of one folder, whatever a symlink on the way is turned to meanwhile.
    pub fn look(&self) -> Result<Snapshot, PolicyFolderError> {
        let cannot = |source| PolicyFolderError::Folder { folder: self.folder.clone(), source };
        for _ in 0..MAX_TURNS {
            let target = self.target().map_err(cannot)?;
            let seen = self.look_into(&target);
            if self.target().is_ok_and(|now| now == target) {
                return seen;
            }
        }
        Err(PolicyFolderError::Restless(self.folder.clone()))
    }

    /// Looks until nothing changes any more.
    pub async fn settle(&self) -> Result<Snapshot, PolicyFolderError> {
        let settled = settle(|| self.look_aside(), || tokio::time::sleep(PAUSE)).await;
        settled.unwrap_or_else(|| Err(PolicyFolderError::Restless(self.folder.clone())))
    }

    /// [`Source::look`] where it holds up nobody: the folder may lie on another machine.
    pub(super) async fn look_aside(&self) -> Result<Snapshot, PolicyFolderError> {
        let source = self.clone();
        let looked = tokio::task::spawn_blocking(move || source.look()).await;
        looked.unwrap_or_else(|gone| {
            Err(PolicyFolderError::Folder { folder: self.folder.clone(), source: io::Error::other(gone) })
        })
    }

    /// The folder that the files are really in: in a mounted ConfigMap each of them is a symlink through `..data`.
    fn target(&self) -> io::Result<PathBuf> {
        match fs::canonicalize(self.folder.join("..data")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::canonicalize(&self.folder),
            found => found,
        }
    }

    fn look_into(&self, target: &Path) -> Result<Snapshot, PolicyFolderError> {
        let too_much = |what| PolicyFolderError::TooMuch { folder: self.folder.clone(), what };
        let names =
            names(target).map_err(|source| PolicyFolderError::Folder { folder: self.folder.clone(), source })?;
        let names = names.ok_or_else(|| too_much(format!("more than {MAX_ENTRIES} entries")))?;
        if names.is_empty() {
            return Err(PolicyFolderError::Empty(self.folder.clone()));
        }
        if names.len() > MAX_FILES {
            return Err(too_much(format!("more than {MAX_FILES} *.yaml files")));
        }
        let (mut files, mut total) = (Vec::new(), 0);
        for name in names {
            let content = read(&target.join(&name), MAX_FILE);
            total += content.as_ref().map_or(0, Vec::len);
            if total > MAX_TOTAL {
                return Err(too_much(format!("more than {} MB of profiles", MAX_TOTAL / 1024 / 1024)));
            }
            files.push((self.folder.join(name), content));
        }
        let commit = revision::find(target, self.revision_file.as_deref(), self.home.as_deref())?;
        Ok(Snapshot { digest: digest_of(&files), files, commit })
    }
}

/// What the folder held at one moment.
#[derive(Debug)]
pub struct Snapshot {
    files: Vec<(PathBuf, Result<Vec<u8>, String>)>,
    digest: [u8; 32],
    commit: Option<Commit>,
}

impl Snapshot {
    /// The files by name, as they would be written from where the folder is configured; or why one cannot be read.
    pub fn files(&self) -> impl Iterator<Item = (&Path, Result<&[u8], String>)> {
        self.files
            .iter()
            .map(|(path, content)| (path.as_path(), content.as_ref().map(Vec::as_slice).map_err(Clone::clone)))
    }

    /// SHA-256 over names and bytes: other than the policy's revision it changes with comments, and broken files have one.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The commit it is of, when something there says so.
    pub fn commit(&self) -> Option<&Commit> {
        self.commit.as_ref()
    }
}

/// Looks until two looks in a row saw the same; none when that never happens.
async fn settle<L, P>(mut look: impl FnMut() -> L, pause: impl Fn() -> P) -> Option<Result<Snapshot, PolicyFolderError>>
where
    L: Future<Output = Result<Snapshot, PolicyFolderError>>,
    P: Future<Output = ()>,
{
    let mut before = look().await;
    for _ in 1..MAX_LOOKS {
        pause().await;
        let now = look().await;
        if identity(&before) == identity(&now) {
            return Some(now);
        }
        before = now;
    }
    None
}

/// What makes a look differ from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// These bytes, of this commit.
    Files([u8; 32], Option<Commit>),
    /// No files, for this reason.
    Unreadable(String),
}

pub(super) fn identity(look: &Result<Snapshot, PolicyFolderError>) -> Identity {
    match look {
        Ok(snapshot) => Identity::Files(snapshot.digest, snapshot.commit.clone()),
        Err(error) => Identity::Unreadable(error.to_string()),
    }
}

/// The profiles' file names in order; none when the folder has too many entries. Names that begin with a dot are those of
/// editors, of git and of Kubernetes.
fn names(target: &Path) -> io::Result<Option<BTreeSet<PathBuf>>> {
    let mut names = BTreeSet::new();
    for (number, entry) in fs::read_dir(target)?.enumerate() {
        if number >= MAX_ENTRIES {
            return Ok(None);
        }
        let name = PathBuf::from(entry?.file_name());
        let is_yaml = name.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_yaml && !name.as_os_str().as_encoded_bytes().starts_with(b".") {
            names.insert(name);
        }
    }
    Ok(Some(names))
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    open(path).and_then(|file| file.take(most + 1).read_to_end(&mut content)).map_err(|error| error.to_string())?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > most {
        return Err(format!("it is larger than {} kB; a profile is a page of text", most / 1024));
    }
    Ok(content)
}

/// Opens what is really a file: a pipe would be waited for.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

fn digest_of(files: &[(PathBuf, Result<Vec<u8>, String>)]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    // lengths in front: no two lists of files look alike
    let mut add = |bytes: &[u8]| {
        hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    };
    for (path, content) in files {
        add(path.as_os_str().as_encoded_bytes());
        match content {
            Ok(content) => add(content),
            Err(fault) => add(fault.as_bytes()),
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(hash.finish().as_ref());
    digest
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
