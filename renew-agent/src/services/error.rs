//! What can go wrong when a service is told to reload, and whether waiting helps.

use std::fmt;

/// A reload that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It may work when tried again: the service is starting, busy or away.
    #[error("{0}")]
    Retry(Fault),
    /// It will fail the same way until a person changes something.
    #[error("{0}")]
    NeedsPerson(Fault),
}

/// The parts of the message: what was attempted and on which thing, what came of it, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The action with the thing it was done to, such as `reloading unit nginx.service`.
    pub attempted: String,
    /// What was observed, with the tool's own words.
    pub cause: String,
    /// What a person does about it.
    pub remedy: String,
}

impl ServiceError {
    pub(super) fn retry(attempted: impl Into<String>, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Retry(Fault { attempted: attempted.into(), cause: cause.into(), remedy: remedy.into() })
    }

    pub(super) fn person(attempted: impl Into<String>, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::NeedsPerson(Fault { attempted: attempted.into(), cause: cause.into(), remedy: remedy.into() })
    }

    /// The parts of the message.
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Retry(fault) | Self::NeedsPerson(fault) => fault,
        }
    }

    /// Whether waiting cannot help. The agent still tries again, but says so louder.
    pub fn needs_person(&self) -> bool {
        matches!(self, Self::NeedsPerson(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}; {}", self.attempted, self.cause, self.remedy)
    }
}
