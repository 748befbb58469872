//! Reads the policy folder: every `*.yaml` in it, all or nothing.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use pki_core::acme::challenge::ChallengeKind;
use pki_core::policy::Policy;
use pki_core::policy::document::ProfileDocument;
use pki_core::policy::profile::Profile;
use signer::Envelope;

use crate::yaml;

/// A profile is a page of text.
const MAX_FILE: u64 = 256 * 1024;

/// More files than a person can review are a mistake.
const MAX_FILES: usize = 1000;

/// Why the folder holds no policy. The text has one line a fault, each with its file.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFolderError {
    /// The folder cannot be read.
    #[error("cannot read the policy folder {}: {source}; check `policies.folder` and the rights on it", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It has no profile.
    #[error("the policy folder {} has no *.yaml file: without a profile nothing can be issued", .0.display())]
    Empty(PathBuf),
    /// Files that are not valid profiles.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// Reads and checks the folder. `kinds` are the challenges that this CA validates.
pub fn load(folder: &Path, kinds: &[ChallengeKind]) -> Result<Policy, PolicyFolderError> {
    let files = list(folder).map_err(|source| PolicyFolderError::Folder { folder: folder.to_owned(), source })?;
    if files.is_empty() {
        return Err(PolicyFolderError::Empty(folder.to_owned()));
    }
    let (mut documents, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        match read(&file) {
            Ok(document) => documents.push((file.display().to_string(), document)),
            Err(fault) => faults.push(format!("{}: {fault}", file.display())),
        }
    }
    if !faults.is_empty() {
        return Err(PolicyFolderError::Invalid(faults));
    }
    let policy = Policy::from_documents(documents)
        .map_err(|errors| PolicyFolderError::Invalid(errors.iter().map(ToString::to_string).collect()))?;
    let faults: Vec<String> = policy.profiles().flat_map(|profile| beyond_this_ca(profile, kinds)).collect();
    if faults.is_empty() { Ok(policy) } else { Err(PolicyFolderError::Invalid(faults)) }
}

/// What a profile promises and this program would refuse only when a certificate is asked for.
fn beyond_this_ca(profile: &Profile, kinds: &[ChallengeKind]) -> Vec<String> {
    let mut faults = Vec::new();
    if !profile.enabled {
        return faults;
    }
    let most = Envelope::serving().leaf_life;
    if profile.lifetime > most && profile.ca.is_none() {
        let days = most.as_secs() / 86_400;
        faults.push(format!(
            "profile {}: `lifetime` is more than the {days} days the signer allows; shorten it",
            profile.name
        ));
    }
    for kind in profile.challenges.iter().filter(|kind| !kinds.contains(kind)) {
        let (name, kind) = (&profile.name, kind.as_str());
        let switch = kind.trim_end_matches("-01").replace('-', "_");
        faults.push(format!(
            "profile {name}: the challenge {kind} is switched off; set `{switch} = true` under `[validation]`, or leave it out"
        ));
    }
    faults
}

fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)?.take(MAX_FILES) {
        let path = entry?.path();
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_yaml && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<ProfileDocument, String> {
    let mut text = String::new();
    let source = fs::File::open(file).map_err(|error| error.to_string())?;
    source.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(format!("it is larger than {} kB; a profile is a page of text", MAX_FILE / 1024));
    }
    yaml::read(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Validation;

    const PROFILE: &str = "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata: { name: x }\nspec:\n  identifiers: { dns: [{ suffix: test }] }\n  usage: { extendedKeyUsage: [serverAuth] }\n  lifetime: LIFE\n  backdate: 1h\n  renewal: { at: 0.5, grace: 1d }\n  requires: { binding: none, challenges: [KIND] }\n";

    fn load_one(life: &str, kind: &str) -> Result<Policy, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.yaml"), PROFILE.replace("LIFE", life).replace("KIND", kind)).unwrap();
        load(folder.path(), &Validation::default().kinds()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_could_never_be_issued_is_refused_when_it_is_read() {
        assert!(load_one("90d", "http-01").is_ok());
        assert!(load_one("500d", "http-01").unwrap_err().contains("398 days"));
        for kind in ["dns-01", "tls-alpn-01"] {
            assert!(load_one("90d", kind).is_ok(), "{kind}");
        }
        assert!(load_one("90d", "dns-persist-01").unwrap_err().contains("set `dns_persist = true`"));
        assert!(load_one("90d", "http-01, dns-account-01").unwrap_err().contains("set `dns_account = true`"));
    }
}
