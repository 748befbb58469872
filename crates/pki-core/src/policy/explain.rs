//! Why a request is allowed or denied: every question with its answer, as plain data.

use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::policy::checks::{self, Case, IN_SERVICE, KNOWN};
use crate::policy::decide::{Denial, Request};
use crate::policy::profile::IdentifierRule;

/// A decision with everything that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The profile that was asked for.
    pub profile: String,
    /// Whether the certificate would be issued.
    pub allowed: bool,
    /// The rule that denied it; none when it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The ACME problem of the denial, as `rejectedIdentifier`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Each name, and the rule of the profile that allows it, if one does.
    pub names: Vec<NameRule>,
    /// Every question, in the order in which they decide; those behind a profile that does not exist are not asked.
    pub steps: Vec<Step>,
}

/// A name and the rule for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NameRule {
    /// Its type, as `dns`.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The rule of the profile that allows it, as `dns[1] suffix site.test`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The rule, as `requires.binding`.
    pub rule: String,
    /// Whether it was kept.
    pub holds: bool,
    /// What is so, or what is wrong and what to do.
    pub detail: String,
}

impl Step {
    fn new(rule: &str, sentence: &str, outcome: Result<(), Denial>) -> Self {
        let holds = outcome.is_ok();
        let detail = outcome.map_or_else(|denial| denial.detail, |()| sentence.to_owned());
        Self { rule: rule.to_owned(), holds, detail }
    }
}

impl Policy {
    /// The same decision as [`Policy::decide`], with all questions answered, also those behind the one that decides.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let mut steps = vec![Step::new(IN_SERVICE.0, IN_SERVICE.1, checks::standing(request.requester))];
        let mut names = Vec::new();
        match self.profile(request.profile) {
            None => steps.push(Step::new(KNOWN.0, KNOWN.1, Err(self.unknown(request.profile)))),
            Some(profile) => {
                let case = Case { profile, request };
                steps.push(Step::new(KNOWN.0, KNOWN.1, Ok(())));
                steps.extend(checks::ALL.iter().map(|check| Step::new(check.rule, check.sentence, (check.ask)(&case))));
                names.extend(request.identifiers.iter().map(|identifier| NameRule {
                    kind: identifier.kind().to_owned(),
                    name: identifier.value(),
                    rule: case.allowing(identifier).map(IdentifierRule::to_string),
                }));
            }
        }
        let denial = self.decide(request).err();
        Explanation {
            profile: request.profile.to_string(),
            allowed: denial.is_none(),
            problem: denial.as_ref().map(|denial| denial.kind.name().to_owned()),
            rule: denial.map(|denial| denial.rule.to_owned()),
            names,
            steps,
        }
    }
}
