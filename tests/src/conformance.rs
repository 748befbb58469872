//! docs/acme-conformance.md, made from what is required (`tests/conformance/requirements.toml`) and from what a run of the
//! tests said. [`requirements`] reads the one, [`outcomes`] the other, [`page`] writes, and [`findings`] says what is missing.

mod outcomes;
mod page;
mod requirements;
#[cfg(test)]
mod tests;

pub use outcomes::{Outcome, Outcomes};
pub use page::page;
pub use requirements::{Requirement, Requirements, Section, Strength};

/// Whether a MUST without a test, and a SHOULD with neither test nor reason, is a fault; otherwise they are only listed.
pub const WHOLE: bool = true;

/// What a look at requirements and outcomes finds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What makes the page untrue.
    pub faults: Vec<String>,
    /// Requirements that nothing shows: faults as well, where everything has to be [`WHOLE`].
    pub missing: Vec<String>,
}

/// Holds requirements and outcomes against each other.
#[must_use]
pub fn findings(requirements: &Requirements, outcomes: &Outcomes) -> Findings {
    let mut found = Findings::default();
    for (id, tests) in outcomes.unknown(requirements) {
        found.faults.push(format!("{tests} names {id}, which is no requirement"));
    }
    for requirement in requirements.all() {
        let shown = requirements.shown(requirement, outcomes);
        for outcome in shown.iter().filter(|outcome| !outcome.passed) {
            found.faults.push(format!("{}: {} failed", requirement.id, outcome.test));
        }
        let reason = requirements.reason(&requirement.id);
        match (shown.is_empty(), reason) {
            (false, Some(_)) => {
                found.faults.push(format!("{} has a test, and a reason why it has none", requirement.id))
            }
            (true, Some(_)) if requirement.strength == Strength::Must => {
                found.faults.push(format!("{} is a MUST: no reason is good enough", requirement.id));
            }
            (true, None) => found.missing.push(format!("{} ({}) has no test", requirement.id, requirement.strength)),
            _ => {}
        }
    }
    found
}
