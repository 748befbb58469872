//! Which commit a folder is of: what a file there says, or the git checkout around it. No git program is asked, and nothing
//! but the names of commits is read: whether files were changed since is what the hash of the content tells.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use pki_core::policy::Commit;

use super::PolicyFolderError;
use super::folder::open;

/// The file beside the profiles.
const FILE: &str = "REVISION";

/// A file with a name in it.
const MAX_FILE: u64 = 4096;

/// All names of a repository.
const MAX_PACKED: u64 = 16 * 1024 * 1024;

/// Folders above the policy folder that may be a checkout, and references to references.
const MAX_STEPS: usize = 32;

/// The commit of `folder`, which no symlink leads to any more. A file that is there to say it must do so; a checkout that
/// is none, or has no commit yet, is no fault of a policy.
pub(super) fn find(
    folder: &Path,
    configured: Option<&Path>,
    home: Option<&Path>,
) -> Result<Option<Commit>, PolicyFolderError> {
    if let Some(file) = configured {
        let remedy = "write it there, or leave `policies.revision_file` empty";
        return written(file, remedy)?
            .map(Some)
            .ok_or_else(|| cannot(file, "the file does not exist".to_owned(), remedy));
    }
    match written(&folder.join(FILE), "write one line with it, or delete the file")? {
        Some(commit) => Ok(Some(commit)),
        None => Ok(checkout(folder, home).and_then(|git| head(&git))),
    }
}

fn cannot(file: &Path, why: String, remedy: &'static str) -> PolicyFolderError {
    PolicyFolderError::Revision { file: file.to_owned(), why, remedy }
}

/// What a file says that is there to say it; none when there is no such file.
fn written(file: &Path, remedy: &'static str) -> Result<Option<Commit>, PolicyFolderError> {
    let text = match line(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| cannot(file, error.to_string(), remedy))?,
    };
    text.parse().map(Some).map_err(|error: pki_core::policy::NoCommit| cannot(file, error.to_string(), remedy))
}

/// The first line of a small file.
fn line(file: &Path) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(open(file)?.take(MAX_FILE)).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// The git folder of the checkout that `folder` is in.
fn checkout(folder: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let home = home.and_then(|home| fs::canonicalize(home).ok()).filter(|home| folder.starts_with(home));
    let within = |level: &&Path| home.as_ref().is_none_or(|home| level.starts_with(home));
    folder.ancestors().take_while(within).take(MAX_STEPS).find_map(git_folder)
}

/// `.git` is a folder, or in further work trees a file that names one (gitrepository-layout(5)).
fn git_folder(level: &Path) -> Option<PathBuf> {
    let git = level.join(".git");
    let metadata = fs::metadata(&git).ok()?;
    if metadata.is_dir() {
        return Some(git);
    }
    let named = line(&git).ok()?;
    Some(level.join(named.strip_prefix("gitdir:")?.trim()))
}

/// The commit that HEAD leads to.
fn head(git: &Path) -> Option<Commit> {
    // a further work tree has a HEAD of its own and shares everything else
    let common = line(&git.join("commondir")).map_or_else(|_| git.to_owned(), |common| git.join(common));
    let mut value = line(&git.join("HEAD")).ok()?;
    for _ in 0..MAX_STEPS {
        let Some(name) = value.strip_prefix("ref:") else { return object(&value) };
        let name = Some(name.trim()).filter(|name| is_reference(name))?;
        let loose = line(&git.join(name)).or_else(|_| line(&common.join(name)));
        value = loose.ok().or_else(|| packed(&common.join("packed-refs"), name))?;
    }
    None
}

/// A name that leads nowhere but into the repository.
fn is_reference(name: &str) -> bool {
    name.starts_with("refs/") && !name.split('/').any(|part| part.is_empty() || part == "." || part == "..")
}

/// SHA-1 or SHA-256 in hexadecimal.
fn object(text: &str) -> Option<Commit> {
    let is_hash = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.parse().ok()).flatten()
}

/// Lines of a hash and a name; others are about tags.
fn packed(file: &Path, name: &str) -> Option<String> {
    let lines = BufReader::new(open(file).ok()?.take(MAX_PACKED)).lines();
    lines.map_while(Result::ok).find_map(|line| {
        let (hash, found) = line.split_once(' ')?;
        (found.trim_end() == name).then(|| hash.to_owned())
    })
}

#[cfg(test)]
#[path = "revision_tests.rs"]
mod tests;
