//! The decision: one request against one profile. What no rule allows is denied, and either answer names its rule.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::acme::authorization::Proof;
use crate::acme::problem::{Problem, ProblemKind, Subproblem};
use crate::device::Device;
use crate::ids::ProfileName;
use crate::policy::Policy;
use crate::policy::checks::{self, Case};
use crate::policy::profile::{IdentifierRule, Profile};
use crate::x509::key::KeyAlgorithm;
use crate::x509::name::Identifier;

/// Somebody wants a certificate.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// By this profile.
    pub profile: &'a ProfileName,
    /// For these names.
    pub identifiers: &'a [Identifier],
    /// For a key of this type; not known yet when an order is made.
    pub key: Option<KeyAlgorithm>,
    /// Who.
    pub requester: Requester<'a>,
    /// What the requester has by this profile already; needed with a key, where [`Profile::limits`] says so.
    pub held: Option<Held>,
}

/// What a device or an account has by one profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Certificates that are valid now.
    pub active: u64,
    /// Certificates issued within the time that the profile's limit is about.
    pub issued: u64,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub enum Requester<'a> {
    /// An account that nothing binds.
    Unbound,
    /// An account bound by an external account key.
    Bound {
        /// The record, as it is now, of the device it is bound to; none when the key was for no device.
        device: Option<&'a Device>,
    },
    /// An administrator, who answers for the names; profiles limit administrators like all others.
    Administrator,
}

impl<'a> Requester<'a> {
    /// The device that asks, if one does.
    pub const fn device(self) -> Option<&'a Device> {
        match self {
            Requester::Bound { device } => device,
            Requester::Unbound | Requester::Administrator => None,
        }
    }
}

/// The proof that policy allows a certificate; only [`Policy::decide`] makes one.
#[derive(Debug, Clone)]
#[must_use]
pub struct Approved {
    profile: Arc<Profile>,
    identifiers: Vec<Identifier>,
    /// As many as names, in the same order: where the rule stands in the profile.
    rules: Vec<String>,
    proof: Proof,
    subject: SubjectWish,
}

/// What the profile says of the subject, filled in for this requester.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectWish {
    /// CN.
    pub common_name: Option<String>,
    /// O.
    pub organization: Option<String>,
    /// OU.
    pub organizational_unit: Option<String>,
}

impl Approved {
    /// The profile it is issued by.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The names it carries, sorted, without duplicates.
    pub fn identifiers(&self) -> &[Identifier] {
        &self.identifiers
    }

    /// The rule of the profile that allows this name, as `dns[1] suffix site.test`.
    pub fn rule(&self, identifier: &Identifier) -> Option<&str> {
        let place = self.identifiers.iter().position(|one| one == identifier)?;
        self.rules.get(place).map(String::as_str)
    }

    /// What proves the account's right to this name. An account bound to a device gets names of the device's record
    /// only, so it is the same for all names. Of an administrator nothing is asked, whatever this says.
    pub fn proof(&self, _identifier: &Identifier) -> Proof {
        self.proof
    }

    /// The subject, when the profile says one; none leaves it to the names.
    pub fn subject(&self) -> Option<&SubjectWish> {
        self.profile.subject.is_some().then_some(&self.subject)
    }
}

#[cfg(test)]
impl Approved {
    /// An approval without a decision, for the tests of what comes after.
    pub(crate) fn for_test(profile: Arc<Profile>, identifiers: Vec<Identifier>) -> Self {
        Self { profile, identifiers, rules: Vec::new(), proof: Proof::Challenge, subject: SubjectWish::default() }
    }
}

/// Why policy denies a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail} (rule {rule})")]
pub struct Denial {
    /// The rule that decided, as `identifiers.allowed`.
    pub rule: &'static str,
    /// What it is in ACME's words.
    pub kind: ProblemKind,
    /// What is wrong and what to do.
    pub detail: String,
    /// Each name at fault, and what is wrong with it.
    pub identifiers: Vec<(Identifier, String)>,
}

impl Denial {
    pub(super) fn new(rule: &'static str, kind: ProblemKind, detail: String) -> Self {
        Self { rule, kind, detail, identifiers: Vec::new() }
    }

    /// What the client is told (RFC 8555 section 6.7.1): the rule is named, so that an administrator finds it.
    pub fn problem(&self) -> Problem {
        let mut problem = Problem::new(self.kind, self.to_string());
        problem.subproblems =
            self.identifiers.iter().map(|(identifier, reason)| self.subproblem(identifier, reason)).collect();
        problem
    }

    fn subproblem(&self, identifier: &Identifier, reason: &str) -> Subproblem {
        Subproblem {
            kind: self.kind,
            detail: reason.to_owned(),
            identifier_type: identifier.kind().to_owned(),
            identifier_value: identifier.value(),
        }
    }
}

impl Policy {
    /// Whether this requester may have this certificate. Asked at newOrder and again at finalize, with what is known
    /// then: policy and device records change in between.
    pub fn decide(&self, request: &Request<'_>) -> Result<Approved, Denial> {
        checks::standing(request.requester)?;
        let profile = self.profile(request.profile).ok_or_else(|| self.unknown(request.profile))?;
        let case = Case { profile, request };
        checks::ALL.iter().try_for_each(|check| (check.ask)(&case))?;
        let identifiers: Vec<_> = request.identifiers.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        let rule = |identifier: &Identifier| case.allowing(identifier).map(IdentifierRule::to_string);
        let rules = identifiers.iter().map(|identifier| rule(identifier).unwrap_or_default()).collect();
        Ok(Approved {
            profile: Arc::clone(profile),
            subject: checks::fill_subject(&case)?,
            rules,
            identifiers,
            proof: if request.requester.device().is_some() { Proof::Device } else { Proof::Challenge },
        })
    }

    /// The profile of a request that names none: that of the device's record, else `server`, else the only one this
    /// requester can use.
    pub fn default_profile_for(&self, requester: Requester<'_>) -> Option<&Arc<Profile>> {
        if let Some(device) = requester.device() {
            return self.profile(&device.profile);
        }
        let usable = |profile: &&Arc<Profile>| profile.is_offered() && checks::may_use(profile, requester);
        self.fallback().filter(usable).or_else(|| {
            let mut all = self.profiles().filter(usable);
            all.next().filter(|_| all.next().is_none())
        })
    }

    pub(super) fn unknown(&self, name: &ProfileName) -> Denial {
        let known: Vec<&str> = self.profiles().map(|profile| profile.name.as_str()).collect();
        let detail = format!("this CA has no profile `{name}`; it has {}", known.join(", "));
        Denial::new("profile.known", ProblemKind::InvalidProfile, detail)
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
