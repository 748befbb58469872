//! Signals to the process that a pid file names, after making sure that it is still that process.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

use super::{Finding, ServiceError};

/// `type = "signal"`: the service reloads on a signal.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendSignal {
    /// Where the service writes its process id.
    pub pid_file: PathBuf,
    /// Which signal makes it reload.
    pub signal: SignalName,
    /// The process name it must have (as in `/proc/PID/comm`); a stale pid file then cannot hit a stranger.
    pub process: Option<String>,
}

/// The signals that services use for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SignalName {
    /// Reload, by custom.
    #[serde(rename = "HUP")]
    Hup,
    /// Apache httpd's graceful restart, among others.
    #[serde(rename = "USR1")]
    Usr1,
    /// HAProxy's master reload, among others.
    #[serde(rename = "USR2")]
    Usr2,
    /// End; a supervisor starts the service again.
    #[serde(rename = "TERM")]
    Term,
}

impl SignalName {
    fn word(self) -> &'static str {
        match self {
            Self::Hup => "SIGHUP",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
            Self::Term => "SIGTERM",
        }
    }

    fn signal(self) -> Signal {
        match self {
            Self::Hup => Signal::SIGHUP,
            Self::Usr1 => Signal::SIGUSR1,
            Self::Usr2 => Signal::SIGUSR2,
            Self::Term => Signal::SIGTERM,
        }
    }
}

impl SendSignal {
    pub(super) fn reload(&self) -> Result<(), ServiceError> {
        send(&self.pid_file, self.process.as_deref(), self.signal)
    }

    pub(super) fn preflight(&self) -> Vec<Finding> {
        vec![check(&self.pid_file, self.process.as_deref())]
    }
}

/// Sends `name` to the process in `pid_file`, which must be called `process` when that is given.
pub(super) fn send(pid_file: &Path, process: Option<&str>, name: SignalName) -> Result<(), ServiceError> {
    let attempted = format!("sending {} to the process in {}", name.word(), pid_file.display());
    let pid = find(pid_file, process, &attempted)?;
    // Between look and signal lie microseconds; a pid is not given out again before the whole range was used.
    kill(pid, name.signal()).map_err(|errno| match errno {
        Errno::ESRCH => gone(&attempted, pid),
        errno => ServiceError::person(
            attempted,
            format!("process {pid} refused it: {}", errno.desc()),
            "run the agent as root or as the service's user, or reload through systemd",
        ),
    })
}

/// Whether a signal would find its process.
pub(super) fn check(pid_file: &Path, process: Option<&str>) -> Finding {
    match find(pid_file, process, &format!("finding the process in {}", pid_file.display())) {
        Ok(pid) => Finding::good("pid-file", format!("{} names the running process {pid}", pid_file.display())),
        Err(error) => Finding::from_fault("pid-file", &error),
    }
}

/// The process that the file names, when it runs and is called `process`.
fn find(pid_file: &Path, process: Option<&str>, attempted: &str) -> Result<Pid, ServiceError> {
    let pid = read_pid(pid_file, attempted)?;
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).map_err(|_| gone(attempted, pid))?;
    match process {
        Some(wanted) if comm.trim() != wanted => Err(ServiceError::retry(
            attempted,
            format!("process {pid} is {:?}, not {wanted:?}: the pid file is stale", comm.trim()),
            "start the service, or correct pid_file in the agent's configuration",
        )),
        _ => Ok(pid),
    }
}

fn read_pid(pid_file: &Path, attempted: &str) -> Result<Pid, ServiceError> {
    let mut text = String::new();
    fs::File::open(pid_file).and_then(|file| file.take(64).read_to_string(&mut text)).map_err(|error| {
        ServiceError::retry(
            attempted,
            format!("{} cannot be read: {error}", pid_file.display()),
            "start the service, or correct pid_file in the agent's configuration",
        )
    })?;
    // 1 is init and below are process groups: a pid file never means those.
    text.trim().parse().ok().filter(|number| *number > 1).map(Pid::from_raw).ok_or_else(|| {
        ServiceError::retry(
            attempted,
            format!("{} holds {:?}, which is no process id", pid_file.display(), text.trim()),
            "restart the service so that it writes its pid file anew",
        )
    })
}

fn gone(attempted: &str, pid: Pid) -> ServiceError {
    ServiceError::retry(
        attempted,
        format!("process {pid} is not running"),
        "start the service; the agent reloads it again until the new certificate is seen",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(content: &str, process: Option<&str>) -> (tempfile::TempDir, SendSignal) {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("service.pid");
        fs::write(&pid_file, content).unwrap();
        (folder, SendSignal { pid_file, signal: SignalName::Term, process: process.map(str::to_owned) })
    }

    #[test]
    fn a_signal_reaches_the_named_process_and_no_other() {
        let mut child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
        // The parent of a vfork runs on a moment before the child has its new name.
        while fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap().trim() != "sleep" {
            std::thread::yield_now();
        }
        let (_folder, wrong) = service(&child.id().to_string(), Some("nginx"));
        let error = wrong.reload().unwrap_err();
        assert!(error.to_string().contains("stale") && !error.needs_person(), "{error}");
        assert!(child.try_wait().unwrap().is_none(), "a stranger was signalled");

        let (_folder, right) = service(&format!("{}\n", child.id()), Some("sleep"));
        assert!(right.preflight().iter().all(|finding| finding.ok));
        right.reload().unwrap();
        assert!(!child.wait().unwrap().success());

        let error = right.reload().unwrap_err();
        assert!(error.to_string().contains("not running"), "{error}");
        assert!(!right.preflight().iter().any(|finding| finding.ok));
    }

    #[test]
    fn a_pid_file_that_means_init_or_everyone_is_refused() {
        for content in ["", "0", "1", "-1", "abc", "99999999999999999999", "12 34"] {
            let (_folder, signal) = service(content, None);
            let error = signal.reload().unwrap_err().to_string();
            assert!(error.contains("no process id"), "{content:?}: {error}");
        }
    }

    #[test]
    fn an_absent_pid_file_is_named() {
        let signal = SendSignal { pid_file: "/nowhere/x.pid".into(), signal: SignalName::Hup, process: None };
        let error = signal.reload().unwrap_err().to_string();
        assert!(error.contains("SIGHUP") && error.contains("/nowhere/x.pid"), "{error}");
    }
}
