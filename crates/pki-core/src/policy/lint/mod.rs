//! What a policy allows and probably should not: each finding has an id, a sentence and a remedy.
//!
//! A policy with findings is a policy: they are for whoever reviews it. A profile that means what is found says so under
//! `metadata.accepts`, with the reason. docs/policy.md has a paragraph for every id.

mod kinds;
mod overlap;
mod single;

use std::time::Duration;

use serde::Serialize;

use crate::policy::Policy;
use crate::x509::certificate::NameConstraints;

pub use kinds::{KINDS, Kind, Severity};

/// What is known of the CA that would issue.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The names of its CA certificates; empty when they are not known.
    pub issuers: Vec<String>,
    /// What is left of their lives, the shortest.
    pub issuer_life: Option<Duration>,
    /// The longest life that the signer signs.
    pub signer_life: Option<Duration>,
    /// What the CA certificates may issue for.
    pub constraints: Vec<NameConstraints>,
    /// Whether there is an OCSP responder.
    pub has_responder: bool,
}

/// Something in a policy that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// `PL001` and so on; documented, never used for anything else.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The profile.
    pub profile: String,
    /// The file that the profile is in.
    pub file: String,
    /// The member of the document it is about, as `spec.identifiers.dns[0]`.
    pub field: String,
    /// What is so.
    pub sentence: String,
    /// What to do.
    pub remedy: &'static str,
    /// Why the profile means it, when it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// What the checks say, before ids become findings.
struct Remark {
    kind: &'static Kind,
    profile: String,
    field: String,
    sentence: String,
}

/// Looks at all profiles that issue anything. In the order of profiles and ids.
pub fn lint(policy: &Policy, surroundings: &Surroundings) -> Vec<Finding> {
    let mut remarks = Vec::new();
    for profile in policy.profiles().filter(|profile| profile.enabled) {
        single::look(profile, surroundings, &mut remarks);
    }
    overlap::look(policy, &mut remarks);
    let mut findings: Vec<Finding> = remarks.into_iter().map(|remark| finding(policy, remark)).collect();
    let unused = needless(policy, &findings);
    findings.extend(unused);
    findings.sort_by(|one, other| (&one.profile, one.id, &one.field).cmp(&(&other.profile, other.id, &other.field)));
    findings
}

fn finding(policy: &Policy, remark: Remark) -> Finding {
    let document = remark.profile.parse().ok().and_then(|name| policy.document(&name));
    let accepted = document.and_then(|(_, document)| document.metadata.accepts.get(remark.kind.id));
    Finding {
        id: remark.kind.id,
        severity: remark.kind.severity,
        file: document.map(|(file, _)| file.to_owned()).unwrap_or_default(),
        accepted: accepted.cloned(),
        profile: remark.profile,
        field: remark.field,
        sentence: remark.sentence,
        remedy: remark.kind.remedy,
    }
}

/// What profiles accept and nobody found: it hides the next one.
fn needless(policy: &Policy, findings: &[Finding]) -> Vec<Finding> {
    let mut unused = Vec::new();
    for profile in policy.profiles().filter(|profile| profile.enabled) {
        let Some((_, document)) = policy.document(&profile.name) else { continue };
        for id in document.metadata.accepts.keys() {
            let name = profile.name.to_string();
            if !findings.iter().any(|finding| finding.id == id && finding.profile == name) {
                let sentence = format!("it accepts `{id}`, which is not found in it");
                let field = format!("metadata.accepts.{id}");
                unused.push(finding(policy, Remark { kind: &kinds::NEEDLESS, profile: name, field, sentence }));
            }
        }
    }
    unused
}

#[cfg(test)]
mod tests;
