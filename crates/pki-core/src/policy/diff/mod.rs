//! What changes in meaning between two policies: which names become possible or impossible, and what else is otherwise.
//! How a document is written, in which order and with which comments, is no difference.

mod facts;
mod names;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::policy::Policy;
use crate::policy::decide::{Denial, Request};
use crate::policy::profile::Profile;
use facts::{Fact, Meaning};

/// What has become of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileDifference {
    /// The profile.
    pub profile: String,
    /// Whether it is there in both policies.
    pub is: Presence,
    /// What is otherwise, in the order of a document.
    pub changes: Vec<Change>,
}

/// Whether a profile is there in both policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Presence {
    /// Only in the new one.
    New,
    /// Only in the old one.
    Gone,
    /// In both, and not alike.
    Changed,
}

/// One thing that is otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Where it stands in a document, below `spec`, as `identifiers.dns`.
    pub field: &'static str,
    /// Which way.
    pub effect: Effect,
    /// What it was; none of what has become possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is; none of what has become impossible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// Which way something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// It was not, and now is.
    Possible,
    /// It was, and is no more.
    Impossible,
    /// Another value stands in its place.
    Changed,
}

impl Effect {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Impossible => "impossible",
            Self::Changed => "changed",
        }
    }
}

impl Presence {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Changed => "changed",
        }
    }
}

/// What is otherwise in the new policy, by profile; nothing where both mean the same.
pub fn diff(old: &Policy, new: &Policy) -> Vec<ProfileDifference> {
    let names: BTreeSet<_> = old.profiles().chain(new.profiles()).map(|profile| &profile.name).collect();
    let compare = |name| between(old.profile(name).map(AsRef::as_ref), new.profile(name).map(AsRef::as_ref));
    names.into_iter().filter_map(compare).collect()
}

fn between(old: Option<&Profile>, new: Option<&Profile>) -> Option<ProfileDifference> {
    let is = match (old, new) {
        (Some(_), Some(_)) => Presence::Changed,
        (None, _) => Presence::New,
        (_, None) => Presence::Gone,
    };
    let mut changes = names::changes(old, new);
    changes.extend(values(old.map(facts::of).unwrap_or_default(), new.map(facts::of).unwrap_or_default()));
    let profile = old.or(new)?.name.to_string();
    (is != Presence::Changed || !changes.is_empty()).then_some(ProfileDifference { profile, is, changes })
}

/// Facts are the same in number and order, or there are none of a profile that is not there.
fn values(old: Vec<Fact>, new: Vec<Fact>) -> Vec<Change> {
    let fields: Vec<&'static str> = if old.is_empty() { &new } else { &old }.iter().map(|fact| fact.field).collect();
    let (mut old, mut new) = (old.into_iter(), new.into_iter());
    fields.into_iter().flat_map(|field| value(field, old.next(), new.next())).collect()
}

fn value(field: &'static str, old: Option<Fact>, new: Option<Fact>) -> Vec<Change> {
    let (old, new) = (old.map(|fact| fact.meaning), new.map(|fact| fact.meaning));
    match (old, new) {
        (Some(Meaning::Words(old)), Some(Meaning::Words(new))) => words(field, &old, &new),
        (Some(Meaning::Words(old)), _) => words(field, &old, &BTreeSet::new()),
        (_, Some(Meaning::Words(new))) => words(field, &BTreeSet::new(), &new),
        (old, new) if old == new => Vec::new(),
        (old, new) => {
            let (old, new) = (old.and_then(Meaning::into_value), new.and_then(Meaning::into_value));
            let effect = match (&old, &new) {
                (None, None) => return Vec::new(),
                _ => Effect::Changed,
            };
            vec![Change { field, effect, old, new }]
        }
    }
}

fn words(field: &'static str, old: &BTreeSet<String>, new: &BTreeSet<String>) -> Vec<Change> {
    let gone = old.difference(new).map(|word| impossible(field, word.clone()));
    gone.chain(new.difference(old).map(|word| possible(field, word.clone()))).collect()
}

const fn possible(field: &'static str, what: String) -> Change {
    Change { field, effect: Effect::Possible, old: None, new: Some(what) }
}

const fn impossible(field: &'static str, what: String) -> Change {
    Change { field, effect: Effect::Impossible, old: Some(what), new: None }
}

impl Policy {
    /// Why a certificate that exists could not be had again under this policy, by whoever holds it. What was counted
    /// lately is no part of it. Without a key any that the profile allows is taken.
    pub fn denies_renewal(&self, request: &Request<'_>) -> Option<Denial> {
        let usual = || self.profile(request.profile).and_then(|profile| profile.keys.example());
        let asked = Request { key: request.key.or_else(usual), held: Some(Default::default()), ..*request };
        self.decide(&asked).err()
    }

    /// Whether there are keys that `old` allows by a profile of this name and this policy does not.
    pub fn refuses_keys_of(&self, old: &Self) -> bool {
        old.profiles().any(|before| {
            let now = self.profile(&before.name);
            now.is_some_and(|now| now.keys != before.keys || facts::usages(now) != facts::usages(before))
        })
    }
}

#[cfg(test)]
mod tests;
