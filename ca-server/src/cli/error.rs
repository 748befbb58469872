//! How a command ends when it does not succeed.

use std::fmt;
use std::process::ExitCode;

/// A command that did not succeed. The text is one sentence with the remedy.
#[derive(Debug)]
pub(super) enum CliError {
    /// The command line makes no sense as a whole: exit code 2.
    Usage(String),
    /// It was understood and failed: exit code 1.
    Failed(String),
    /// Whoever read our output has enough of it, as `head` does.
    ReaderGone,
}

impl CliError {
    pub(super) fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::from(1),
            Self::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) => f.write_str(text),
            Self::ReaderGone => Ok(()),
        }
    }
}
