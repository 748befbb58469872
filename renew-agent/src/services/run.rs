//! Runs one tool: no shell, no input, bounded output, a deadline, and nothing of it left behind.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

/// How much of a tool's output is kept for the message; the rest is read and dropped.
const KEPT: usize = 2048;

/// A program with its arguments and the environment it gets on top of the agent's own.
#[derive(Debug)]
pub(super) struct Tool<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: Vec<&'a str>,
    pub(super) environment: Vec<(&'a str, &'a str)>,
    pub(super) timeout: Duration,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// Exit code 0, with what it printed on standard output.
    Succeeded(String),
    /// Any other end, with the tool's own words.
    Failed(String),
    /// Still running at the deadline; it was killed with its children.
    TimedOut(String),
    /// It could not be started.
    NotStarted(String),
}

impl Tool<'_> {
    /// Runs the tool to its end, at most for its timeout.
    pub(super) async fn run(&self) -> Ran {
        let mut command = tokio::process::Command::new(self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        match command.spawn() {
            Ok(child) => self.finish(child).await,
            Err(error) => Ran::NotStarted(format!("{} did not start: {error}", self.program.display())),
        }
    }

    async fn finish(&self, mut child: Child) -> Ran {
        let group = Group::of(&child);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let whole = async { tokio::join!(keep(stdout, &mut out), keep(stderr, &mut err), child.wait()).2 };
        let ended = tokio::time::timeout(self.timeout, whole).await;
        drop(group);
        let words = said(&err, &out);
        match ended {
            Err(_) => Ran::TimedOut(format!("no end after {} s; it {words}", self.timeout.as_secs())),
            Ok(Ok(status)) if status.success() => Ran::Succeeded(String::from_utf8_lossy(&out).trim().to_owned()),
            Ok(Ok(status)) => Ran::Failed(format!("{status}; it {words}")),
            Ok(Err(error)) => Ran::Failed(format!("waiting for it: {error}")),
        }
    }
}

/// Kills the tool's process group when dropped, so that neither a timeout nor a cancelled reload leaves children behind.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // The group is gone when every member has ended, which is the usual case.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// Reads to the end, keeping the last [`KEPT`] bytes: tools say what failed last.
async fn keep(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = [0; 1024];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
}

/// The tool's words on one line, without control characters that would garble a terminal or a log.
fn said(stderr: &[u8], stdout: &[u8]) -> String {
    let bytes = if stderr.is_empty() { stdout } else { stderr };
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line: String = lines.join(" | ").chars().filter(|character| !character.is_control()).collect();
    if line.is_empty() { "said nothing".to_owned() } else { format!("said: {line}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, timeout: Duration) -> Ran {
        Tool {
            program: Path::new("/bin/sh"),
            arguments: vec!["-c", script],
            environment: vec![("GREETING", "hello")],
            timeout,
        }
        .run()
        .await
    }

    #[tokio::test]
    async fn output_and_exit_code_come_back() {
        let long = Duration::from_secs(20);
        assert_eq!(shell("echo $GREETING", long).await, Ran::Succeeded("hello".to_owned()));
        let Ran::Failed(text) = shell("printf 'bad\\033[31m\\nworse\\n' >&2; exit 3", long).await else {
            panic!("failed")
        };
        assert_eq!(text, "exit status: 3; it said: bad[31m | worse");
    }

    #[tokio::test]
    async fn endless_output_is_bounded() {
        let Ran::Failed(text) =
            shell("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1", Duration::from_secs(20)).await
        else {
            panic!("failed")
        };
        assert!(text.len() < KEPT + 100, "{}", text.len());
    }

    #[tokio::test]
    async fn a_hanging_tool_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let Ran::TimedOut(text) = shell(&script, Duration::from_millis(500)).await else { panic!("timed out") };
        assert!(text.starts_with("no end after 0 s"), "{text}");
        let child = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        // Killed and perhaps not yet reaped by init: gone or a zombie, never sleeping on.
        let gone = || match std::fs::read_to_string(format!("/proc/{child}/stat")) {
            Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
            Err(_) => true,
        };
        for _ in 0..500 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("child {child} survived");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let tool = Tool {
            program: Path::new("/nowhere/tool"),
            arguments: vec![],
            environment: vec![],
            timeout: Duration::from_secs(1),
        };
        let Ran::NotStarted(text) = tool.run().await else { panic!("started") };
        assert!(text.contains("/nowhere/tool"), "{text}");
    }
}
