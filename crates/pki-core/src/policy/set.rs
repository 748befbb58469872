//! All profiles in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::ids::ProfileName;
use crate::policy::check::{self, PolicyError};
use crate::policy::commit::Commit;
use crate::policy::document::ProfileDocument;
use crate::policy::profile::Profile;

/// The name of the profile that is taken when a request names none and no device record does.
const DEFAULT: &str = "server";

/// The profiles in force, together: a request is decided by one such value, never by half of the old and half of
/// the new.
#[derive(Debug, Clone)]
pub struct Policy {
    profiles: BTreeMap<ProfileName, Arc<Profile>>,
    documents: BTreeMap<ProfileName, (String, ProfileDocument)>,
    revision: String,
    commit: Option<Commit>,
}

impl Policy {
    /// Checks all documents together; each comes with the name of the file it is from. Either all of them hold or
    /// none does, and then every error is told.
    pub fn from_documents(documents: Vec<(String, ProfileDocument)>) -> Result<Self, Vec<PolicyError>> {
        let mut profiles = BTreeMap::new();
        let mut known: BTreeMap<ProfileName, (String, ProfileDocument)> = BTreeMap::new();
        let mut errors = Vec::new();
        if documents.is_empty() {
            errors.push(empty());
        }
        let revision = revision(&documents);
        for (source_name, document) in documents {
            let checked = check::profile(&source_name, &document);
            // a name that two documents have is told also when neither of them holds
            if let Ok(name) = document.metadata.name.parse::<ProfileName>() {
                match known.get(&name) {
                    Some((other, _)) => errors.push(duplicate(&source_name, other, &name)),
                    None => drop(known.insert(name, (source_name, document))),
                }
            }
            match checked {
                Err(found) => errors.extend(found),
                Ok(profile) => drop(profiles.insert(profile.name.clone(), Arc::new(profile))),
            }
        }
        if errors.is_empty() { Ok(Self { profiles, documents: known, revision, commit: None }) } else { Err(errors) }
    }

    /// The document that a profile was checked from, and the name of the file it is from.
    pub fn document(&self, name: &ProfileName) -> Option<(&str, &ProfileDocument)> {
        self.documents.get(name).map(|(source_name, document)| (source_name.as_str(), document))
    }

    /// The profile of that name.
    pub fn profile(&self, name: &ProfileName) -> Option<&Arc<Profile>> {
        self.profiles.get(name)
    }

    /// All profiles, by name.
    pub fn profiles(&self) -> impl ExactSizeIterator<Item = &Arc<Profile>> {
        self.profiles.values()
    }

    /// SHA-256 in hexadecimal over the content of all documents; the files' names, comments and order do not count.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The same policy, known to be of this commit.
    #[must_use]
    pub fn at_commit(self, commit: Option<Commit>) -> Self {
        Self { commit, ..self }
    }

    /// The commit it was taken from, when its source says one.
    pub fn commit(&self) -> Option<&Commit> {
        self.commit.as_ref()
    }

    /// The profile taken when nothing else says which.
    pub(super) fn fallback(&self) -> Option<&Arc<Profile>> {
        self.profiles.values().find(|profile| profile.name.as_str() == DEFAULT)
    }
}

fn revision(documents: &[(String, ProfileDocument)]) -> String {
    let mut texts: Vec<Vec<u8>> = documents
        .iter()
        .map(|(_, document)| {
            serde_json::to_vec(document).expect("structs of texts, numbers and lists always serialise")
        })
        .collect();
    texts.sort_unstable();
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text);
        // JSON holds no raw line feed, so this separates documents beyond doubt
        hash.update(b"\n");
    }
    HEXLOWER.encode(&hash.finalize())
}

fn duplicate(source_name: &str, other: &str, name: &ProfileName) -> PolicyError {
    PolicyError {
        source_name: source_name.to_owned(),
        field: "metadata.name".to_owned(),
        problem: format!("`{name}` is already the name of the profile in {other}; rename one of them"),
    }
}

fn empty() -> PolicyError {
    PolicyError {
        source_name: "policies".to_owned(),
        field: "metadata.name".to_owned(),
        problem: "there is no profile at all, so nothing could be issued; add at least one document".to_owned(),
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
