//! Processes that end with the test that started them.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::wait;

/// Waits until its input ends, which it does when the test program is gone in whatever way, then kills the group.
const WATCH: &str = r#"trap "" INT TERM HUP; cat >/dev/null; kill -KILL "-$1" 2>/dev/null"#;

/// A running program and its children, all killed on drop; its output is shown when the test fails.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: std::process::Child,
    watch: std::process::Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in a process group of its own, with its output in `log`.
    pub fn start(name: &str, command: &mut Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {command:?} did not start: {error}"));
        let mut watch = Command::new("sh");
        watch.args(["-c", WATCH, "sh", &child.id().to_string()]).stdin(Stdio::piped()).process_group(0);
        let watch = watch.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { name: name.to_owned(), child, watch, log }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has said.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Fails when it has ended, with what it said.
    pub fn must_run(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended with {status}:\n{}", self.name, tail(&self.log));
        }
    }

    /// Sends it, and not its children, a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Asks it to end by SIGTERM, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        if self.ended().is_none() {
            self.signal(Signal::SIGTERM);
        }
        self.wait_end(60).await
    }

    /// Waits until it ends by itself.
    pub async fn wait_end(&mut self, seconds: u64) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait::until(&what, seconds, async || self.ended()).await
    }

    /// Kills it and its children at once, as a power cut would; nothing of them runs or listens any more afterwards.
    pub fn kill(&mut self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
        while group_runs(self.pid()) {
            std::thread::yield_now();
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        // Before its input ends: the group's number may belong to somebody else by then.
        let _ = self.watch.kill();
        let _ = self.watch.wait();
        if std::thread::panicking() {
            eprintln!("---- the end of what {} said ----\n{}", self.name, tail(&self.log));
        }
    }
}

/// Whether a process group has members of which more than a zombie is left.
fn group_runs(leader: Pid) -> bool {
    let group = leader.to_string();
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // After the name, which may contain anything, from the state on: proc_pid_stat(5).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let (state, member, threads) = (fields.first(), fields.get(2), fields.get(17));
        // A process is a zombie as soon as its first thread has ended; the others may still hold its files and locks.
        let has_ended = matches!(state, Some(&("Z" | "X"))) && matches!(threads, Some(&("0" | "1")));
        member == Some(&group.as_str()) && !has_ended
    })
}

fn tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// What a program that ran to its end left behind.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// The program succeeded; its standard output.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, 0, "{self}");
        self.stdout
    }

    /// Whether SIGKILL ended it, as a fail point does.
    pub fn was_killed(&self) -> bool {
        self.code == 128 + 9
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}\n-- stdout\n{}\n-- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Runs a program to its end, at most a minute.
pub async fn run(command: &mut Command) -> Ran {
    run_for(command, Duration::from_secs(60)).await
}

/// Runs a program to its end within `limit`.
pub async fn run_for(command: &mut Command, limit: Duration) -> Ran {
    let started = Instant::now();
    command.stdin(Stdio::null());
    let mut command = tokio::process::Command::from(std::mem::replace(command, Command::new("true")));
    command.kill_on_drop(true);
    let Ok(output) = tokio::time::timeout(limit, command.output()).await else {
        panic!("{command:?} did not end within {} s", started.elapsed().as_secs())
    };
    output.map(ran).unwrap_or_else(|error| panic!("{command:?} did not start: {error}"))
}

fn ran(output: Output) -> Ran {
    use std::os::unix::process::ExitStatusExt;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let code = output.status.code().or(output.status.signal().map(|signal| 128 + signal)).unwrap();
    Ran { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folders::Folder;

    #[tokio::test]
    async fn a_dropped_process_takes_its_children_along() {
        let folder = Folder::new();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let process = Process::start("sh", &mut command, folder.path().join("log"));
        let child = wait::until("the child's id", 10, async || process.log().trim().parse::<i32>().ok()).await;
        drop(process);
        wait::until_true("the end of the child", 10, async || {
            match std::fs::read_to_string(format!("/proc/{child}/stat")) {
                Ok(stat) => stat.contains(") Z "),
                Err(_) => true,
            }
        })
        .await;
    }

    #[tokio::test]
    async fn the_end_of_the_test_program_is_the_end_of_its_processes() {
        let folder = Folder::new();
        let mut process = Process::start("sleep", Command::new("sleep").arg("600"), folder.path().join("log"));
        // What the kernel does to this pipe when the test program is killed.
        drop(process.watch.stdin.take());
        assert!(!process.wait_end(10).await.success());
    }

    #[tokio::test]
    async fn output_and_exit_code_are_kept_apart() {
        let ran = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).await;
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (3, "out\n", "err\n"));
        assert!(run(Command::new("sh").args(["-c", "kill -9 $$"])).await.was_killed());
    }
}
