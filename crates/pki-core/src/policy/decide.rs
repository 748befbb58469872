//! The decision: one request against one profile. What no rule allows is denied.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::acme::authorization::Proof;
use crate::acme::challenge::ChallengeKind;
use crate::acme::problem::{Problem, ProblemKind, Subproblem};
use crate::device::Device;
use crate::ids::ProfileName;
use crate::policy::Policy;
use crate::policy::profile::{BindingRule, Profile};
use crate::x509::key::PublicKey;
use crate::x509::name::Identifier;

/// Somebody wants a certificate.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// By this profile.
    pub profile: &'a ProfileName,
    /// For these names.
    pub identifiers: &'a [Identifier],
    /// For this key; not known yet when an order is made.
    pub key: Option<&'a PublicKey>,
    /// Who.
    pub requester: Requester<'a>,
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

/// The proof that policy allows a certificate; only [`Policy::decide`] makes one.
#[derive(Debug, Clone)]
#[must_use]
pub struct Approved {
    profile: Arc<Profile>,
    identifiers: Vec<Identifier>,
    proof: Proof,
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

    /// What proves the account's right to this name. An account bound to a device gets names of the device's record
    /// only, so it is the same for all names. Of an administrator nothing is asked, whatever this says.
    pub fn proof(&self, _identifier: &Identifier) -> Proof {
        self.proof
    }
}

#[cfg(test)]
impl Approved {
    /// An approval without a decision, for the tests of what comes after.
    pub(crate) fn for_test(profile: Arc<Profile>, identifiers: Vec<Identifier>) -> Self {
        Self { profile, identifiers, proof: Proof::Challenge }
    }
}

/// A request that no rule allows, and the rule that was missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail} (rule {rule})")]
pub struct Denial {
    /// The rule, as `requires.binding`.
    pub rule: &'static str,
    /// The type of problem to answer with.
    pub kind: ProblemKind,
    /// What was asked for, why not, and what to do.
    pub detail: String,
    /// Each name at fault and what is wrong with it.
    pub identifiers: Vec<(Identifier, String)>,
}

impl Denial {
    fn new(rule: &'static str, kind: ProblemKind, detail: String) -> Self {
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
        check_standing(request.requester)?;
        let profile = self.profile(request.profile).ok_or_else(|| self.unknown(request.profile))?;
        check_binding(profile, request.requester)?;
        check_identifiers(profile, request)?;
        check_key(profile, request.key)?;
        Ok(Approved {
            profile: Arc::clone(profile),
            identifiers: request.identifiers.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
            proof: if bound_device(request.requester).is_some() { Proof::Device } else { Proof::Challenge },
        })
    }

    /// The profile of a request that names none: that of the device's record, else `server`, else the only one this
    /// requester can use.
    pub fn default_profile_for(&self, requester: Requester<'_>) -> Option<&Arc<Profile>> {
        if let Some(device) = bound_device(requester) {
            return self.profile(&device.profile);
        }
        let usable = |profile: &&Arc<Profile>| check_binding(profile, requester).is_ok();
        self.fallback().filter(usable).or_else(|| {
            let mut all = self.profiles().filter(usable);
            all.next().filter(|_| all.next().is_none())
        })
    }

    fn unknown(&self, name: &ProfileName) -> Denial {
        let known: Vec<&str> = self.profiles().map(|profile| profile.name.as_str()).collect();
        let detail = format!("this CA has no profile `{name}`; it has {}", known.join(", "));
        Denial::new("profile.known", ProblemKind::InvalidProfile, detail)
    }
}

const fn bound_device<'a>(requester: Requester<'a>) -> Option<&'a Device> {
    match requester {
        Requester::Bound { device } => device,
        Requester::Unbound | Requester::Administrator => None,
    }
}

/// A retired or compromised device gets nothing, whatever its account key still signs.
fn check_standing(requester: Requester<'_>) -> Result<(), Denial> {
    match bound_device(requester) {
        Some(device) if !device.state.is_in_service() => Err(Denial::new(
            "device.inService",
            ProblemKind::Unauthorized,
            format!(
                "the device `{}` is out of service; an administrator has to bring it back or add it anew",
                device.name
            ),
        )),
        _ => Ok(()),
    }
}

fn check_binding(profile: &Profile, requester: Requester<'_>) -> Result<(), Denial> {
    let needed = match (profile.binding, requester) {
        (BindingRule::None, _) | (_, Requester::Administrator) => return Ok(()),
        (BindingRule::ExternalAccount, Requester::Bound { .. }) => return Ok(()),
        (BindingRule::Device, Requester::Bound { device: Some(device) }) if device.profile == profile.name => {
            return Ok(());
        }
        (BindingRule::Device, Requester::Bound { device: Some(device) }) => {
            format!("the device `{}` is registered for the profile `{}`", device.name, device.profile)
        }
        (BindingRule::Device, _) => {
            "it needs an account that is bound to a device: enrol with a token of `ca-server device add`".to_owned()
        }
        (BindingRule::ExternalAccount, Requester::Unbound) => {
            "it needs an account with external account binding: register with a key of `ca-server eab create`"
                .to_owned()
        }
    };
    let detail = format!("this account may not use the profile `{}`: {needed}", profile.name);
    Err(Denial::new("requires.binding", ProblemKind::InvalidProfile, detail))
}

fn check_identifiers(profile: &Profile, request: &Request<'_>) -> Result<(), Denial> {
    if request.identifiers.is_empty() {
        let detail = "a certificate without names was asked for; name at least one identifier".to_owned();
        return Err(Denial::new("identifiers.present", ProblemKind::Malformed, detail));
    }
    let outside = faults(request.identifiers, |identifier| outside_profile(profile, identifier));
    refuse_names("identifiers.allowed", profile, outside)?;
    if let Some(device) = bound_device(request.requester) {
        let foreign = faults(request.identifiers, |identifier| outside_record(device, identifier));
        return refuse_names("device.names", profile, foreign);
    }
    if matches!(request.requester, Requester::Administrator) {
        return Ok(());
    }
    let unprovable = faults(request.identifiers, |identifier| unprovable(profile, identifier));
    refuse_names("requires.challenges", profile, unprovable)
}

fn faults(identifiers: &[Identifier], fault: impl Fn(&Identifier) -> Option<String>) -> Vec<(Identifier, String)> {
    identifiers.iter().filter_map(|identifier| Some((identifier.clone(), fault(identifier)?))).collect()
}

fn refuse_names(rule: &'static str, profile: &Profile, faults: Vec<(Identifier, String)>) -> Result<(), Denial> {
    let [(first, reason), rest @ ..] = faults.as_slice() else { return Ok(()) };
    let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
    let detail = format!("`{first}` can not be had by the profile `{}`: {reason}{more}", profile.name);
    Err(Denial { identifiers: faults, ..Denial::new(rule, ProblemKind::RejectedIdentifier, detail) })
}

fn outside_profile(profile: &Profile, identifier: &Identifier) -> Option<String> {
    if profile.identifiers.allows(identifier) {
        return None;
    }
    Some(if identifier.is_wildcard() && !profile.identifiers.wildcards {
        "it allows no wildcards; ask for each name".to_owned()
    } else {
        format!(
            "none of its rules for `{}` identifiers allows it; ask for another name, or have it added to the profile",
            identifier.kind()
        )
    })
}

fn outside_record(device: &Device, identifier: &Identifier) -> Option<String> {
    let reason =
        || format!("it is not in the record of the device `{}`, and a bound account gets no other name", device.name);
    (!device.has(identifier)).then(reason)
}

fn unprovable(profile: &Profile, identifier: &Identifier) -> Option<String> {
    let offered = profile.challenges.iter().any(|kind| kind.can_prove(identifier));
    let kinds = || profile.challenges.iter().map(|kind| ChallengeKind::as_str(*kind)).collect::<Vec<_>>().join(", ");
    (!offered).then(|| format!("none of its challenges ({}) can prove control of it", kinds()))
}

fn check_key(profile: &Profile, key: Option<&PublicKey>) -> Result<(), Denial> {
    match key.map(PublicKey::algorithm) {
        Some(algorithm) if !profile.keys.allows(algorithm) => {
            let detail = format!(
                "the profile `{}` does not allow a key of type {algorithm}; make one of type {} and send a new CSR",
                profile.name, profile.keys
            );
            Err(Denial::new("keys.allowed", ProblemKind::BadCsr, detail))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
