//! What a flow can end with besides success.

use std::time::Duration;

use pki_core::acme::jws::JwsError;
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::ids::AccountId;
use pki_core::policy::decide::Denial;
use pki_core::transition::IllegalTransition;
use signer::SignError;
use store::StoreError;

/// Why a flow did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The request is at fault, or the state of what it names.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// The key already belongs to this account (RFC 8555 section 7.3.5).
    #[error("the key belongs to account {0} already")]
    KeyInUse(AccountId),
    /// A part of the CA is busy or away; the same request may succeed later.
    #[error("{what}")]
    Unavailable {
        /// What is away, for the client.
        what: &'static str,
        /// The inside story, for the log.
        cause: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// What was decided on has changed meanwhile; the same request meets the new state when it comes again.
    #[error("{0}")]
    Conflict(String),
    /// A fault of the CA: the client learns nothing but that.
    #[error("{0}")]
    Internal(String),
}

impl FlowError {
    /// A problem without further members.
    pub fn problem(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self::Problem(Problem::new(kind, detail))
    }

    /// The thing does not exist, or belongs to somebody else: the two must look alike (RFC 8555 section 10.5).
    pub fn not_found(thing: &'static str) -> Self {
        Self::Problem(Problem::new(ProblemKind::Malformed, format!("no such {thing}")).with_status(404))
    }
}

impl From<Problem> for FlowError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<IllegalTransition> for FlowError {
    fn from(illegal: IllegalTransition) -> Self {
        Self::Conflict(illegal.to_string())
    }
}

impl From<JwsError> for FlowError {
    fn from(error: JwsError) -> Self {
        Self::Problem(error.problem())
    }
}

impl From<Denial> for FlowError {
    fn from(denial: Denial) -> Self {
        Self::Problem(denial.problem())
    }
}

impl From<StoreError> for FlowError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Conflict { .. } | StoreError::Duplicate { .. }) {
            Self::Conflict(error.to_string())
        } else if error == StoreError::TooSlow {
            // 503, although narrowing is the surer way: what is too slow beside other work may fit in an idle hour
            Self::Unavailable { what: missing(&error), cause: error.to_string(), retry_after: Duration::from_secs(60) }
        } else if error.is_retryable() {
            let retry_after = Duration::from_secs(2);
            Self::Unavailable { what: missing(&error), cause: error.to_string(), retry_after }
        } else {
            Self::Internal(error.to_string())
        }
    }
}

/// What whoever asks may know; the log names the file.
const fn missing(error: &StoreError) -> &'static str {
    match error {
        StoreError::Full { .. } => {
            "no space is left for the CA's database; nothing was changed; free disk space there and try again"
        }
        StoreError::Locked { .. } => {
            "the CA's database is locked by another process; nothing was changed; end that process (the CA's log names the file) and try again"
        }
        StoreError::TooSlow => {
            "reading the CA's database took longer than it may and was stopped; nothing was changed; ask for less (a narrower `--where`, `--name` or `--label`, a smaller `--limit`), or try again when the machine has less to do"
        }
        _ => "the database is busy; try again",
    }
}

impl From<SignError> for FlowError {
    fn from(error: SignError) -> Self {
        let retry_after = Duration::from_secs(5);
        match error {
            SignError::Retry { .. } => {
                Self::Unavailable { what: "the signer is busy; try again", cause: error.to_string(), retry_after }
            }
            SignError::NeedsPerson { .. } => Self::Internal(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when whoever searches too much hears only that the CA failed.
    #[test]
    fn a_search_that_is_too_slow_names_the_way_out() {
        let FlowError::Unavailable { what, retry_after, .. } = StoreError::TooSlow.into() else {
            panic!("it may work later");
        };
        assert!(what.contains("ask for less") && what.contains("nothing was changed"), "{what}");
        assert_eq!(retry_after, Duration::from_secs(60), "no program is to repeat it at once");
    }
}
