//! The policy in files: read as of one moment, checked all or nothing, and read again when it changes.
//!
//! [`folder`] looks at the files, [`revision`] finds the commit they are of, [`watch`] looks again. What a profile means is
//! decided in `pki_core::policy`; what a change does is in `flows::policy`.

pub mod folder;
mod revision;
pub mod watch;

use std::path::{Path, PathBuf};

use pki_core::acme::challenge::ChallengeKind;
use pki_core::policy::document::ProfileDocument;
use pki_core::policy::profile::Profile;
use pki_core::policy::{Policy, PolicyError};
use signer::Envelope;

use self::folder::{Snapshot, Source};
use crate::yaml;

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
    /// It has more than anybody reviews.
    #[error("the policy folder {} has {what}; keep profiles only in it", folder.display())]
    TooMuch {
        /// Which.
        folder: PathBuf,
        /// More than what.
        what: String,
    },
    /// It changed at every look.
    #[error("the policy folder {} changes while it is read; it is read again when it rests", .0.display())]
    Restless(PathBuf),
    /// What says the commit says none.
    #[error("cannot take the commit of the policies from {}: {why}; {remedy}", file.display())]
    Revision {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Files that are not valid profiles.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// Reads and checks the folder, once. `kinds` are the challenges that this CA validates.
pub fn load(folder: &Path, kinds: &[ChallengeKind]) -> Result<Policy, PolicyFolderError> {
    check(&Source::folder(folder).look()?, kinds)
}

/// The policy that a folder held when it was looked at, if all of its files hold.
pub fn check(snapshot: &Snapshot, kinds: &[ChallengeKind]) -> Result<Policy, PolicyFolderError> {
    let policy = Policy::from_documents(documents(snapshot)?)
        .map_err(|errors| PolicyFolderError::Invalid(errors.iter().map(|error| placed(snapshot, error)).collect()))?;
    let faults: Vec<String> = policy.profiles().flat_map(|profile| beyond_this_ca(profile, kinds)).collect();
    if faults.is_empty() {
        Ok(policy.at_commit(snapshot.commit().cloned()))
    } else {
        Err(PolicyFolderError::Invalid(faults))
    }
}

/// An error with the line of its field.
fn placed(snapshot: &Snapshot, error: &PolicyError) -> String {
    let PolicyError { source_name, field, problem } = error;
    let file = snapshot.files().find(|(file, _)| file.display().to_string() == *source_name);
    let text = file.and_then(|(_, content)| std::str::from_utf8(content.ok()?).ok());
    match text.and_then(|text| yaml::line_of(text, field)) {
        Some(line) => format!("{source_name}: line {line}: {field}: {problem}"),
        None => error.to_string(),
    }
}

/// The documents as they are written, each with its file's name.
pub fn documents(snapshot: &Snapshot) -> Result<Vec<(String, ProfileDocument)>, PolicyFolderError> {
    let (mut documents, mut faults) = (Vec::new(), Vec::new());
    for (file, content) in snapshot.files() {
        let name = file.display().to_string();
        match content.and_then(document) {
            Ok(document) => documents.push((name, document)),
            Err(fault) => faults.push(format!("{name}: {fault}")),
        }
    }
    if faults.is_empty() { Ok(documents) } else { Err(PolicyFolderError::Invalid(faults)) }
}

fn document(content: &[u8]) -> Result<ProfileDocument, String> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let line = 1 + content.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
        format!("line {line} is not UTF-8; save the file in that encoding")
    })?;
    yaml::read(text)
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

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
