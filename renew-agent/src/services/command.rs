//! A program of the operator's that makes a service reload.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::run::{Ran, Tool};
use super::{Finding, ServiceError};

/// `type = "command"`: an argument list, run as it stands; no shell ever reads it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawCommand")]
pub struct Command {
    argv: Vec<String>,
    timeout: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCommand {
    argv: Vec<String>,
    #[serde(default = "default_timeout")]
    timeout_seconds: u64,
}

fn default_timeout() -> u64 {
    60
}

impl TryFrom<RawCommand> for Command {
    type Error = String;

    fn try_from(raw: RawCommand) -> Result<Self, String> {
        if !(1..=600).contains(&raw.timeout_seconds) {
            return Err(format!("timeout_seconds is {}; give a value between 1 and 600", raw.timeout_seconds));
        }
        Command::new(raw.argv, Duration::from_secs(raw.timeout_seconds))
    }
}

impl Command {
    /// A checked argument list: the program by its absolute path, so that no PATH decides what runs.
    pub(super) fn new(argv: Vec<String>, timeout: Duration) -> Result<Self, String> {
        let absolute = argv.first().is_some_and(|program| program.starts_with('/'));
        if !absolute || argv.iter().any(|argument| argument.contains('\0')) {
            return Err(
                "the command must begin with the absolute path of a program, then one list element for each argument"
                    .to_owned(),
            );
        }
        Ok(Self { argv, timeout })
    }

    pub(super) async fn reload(&self) -> Result<(), ServiceError> {
        let Some((program, arguments)) = self.argv.split_first() else { return Ok(()) };
        let tool = Tool {
            program: Path::new(program),
            arguments: arguments.iter().map(String::as_str).collect(),
            environment: Vec::new(),
            timeout: self.timeout,
        };
        let attempted = format!("running {}", self.argv.join(" "));
        match tool.run().await {
            Ran::Succeeded(_) => Ok(()),
            Ran::Failed(cause) | Ran::TimedOut(cause) => Err(ServiceError::retry(
                attempted,
                cause,
                "run it by hand and mend what it reports; the agent tries again",
            )),
            Ran::NotStarted(cause) => {
                Err(ServiceError::person(attempted, cause, "correct the path, or make the file executable"))
            }
        }
    }

    pub(super) fn preflight(&self) -> Vec<Finding> {
        let Some(program) = self.argv.first() else { return Vec::new() };
        let remedy = "correct the path in the agent's configuration, or make the file executable";
        vec![match std::fs::metadata(program) {
            Ok(meta)
                if meta.is_file()
                    && meta.permissions().mode() & 0o111 != 0
                    && meta.permissions().mode() & 0o002 == 0 =>
            {
                Finding::good("command", format!("{program} is executable"))
            }
            Ok(meta) if meta.permissions().mode() & 0o002 != 0 => Finding::bad(
                "command",
                format!("anyone may write {program}, which the agent runs"),
                format!("chmod o-w {program}"),
            ),
            Ok(_) => Finding::bad("command", format!("{program} is not an executable file"), remedy),
            Err(error) => Finding::bad("command", format!("{program} cannot be looked at: {error}"), remedy),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(argv: &[&str]) -> Command {
        Command::new(argv.iter().map(|&argument| argument.to_owned()).collect(), Duration::from_secs(20)).unwrap()
    }

    #[tokio::test]
    async fn arguments_arrive_as_written_and_no_shell_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("$(touch x); a b");
        command(&["/usr/bin/touch", file.to_str().unwrap()]).reload().await.unwrap();
        assert!(file.exists());
    }

    #[tokio::test]
    async fn failure_carries_the_tools_words_and_the_remedy() {
        let error = command(&["/bin/ls", "/nowhere/at/all"]).reload().await.unwrap_err();
        assert!(!error.needs_person());
        let text = error.to_string();
        assert!(
            text.contains("/nowhere/at/all") && text.contains("No such file") && text.contains("by hand"),
            "{text}"
        );
        assert!(command(&["/nowhere/tool"]).reload().await.unwrap_err().needs_person());
        assert!(!command(&["/nowhere/tool"]).preflight().iter().any(|finding| finding.ok));
        assert!(command(&["/bin/ls"]).preflight().iter().all(|finding| finding.ok));
    }
}
