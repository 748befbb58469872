//! A real `renew-agent` on a node of its own.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::certificate::{Leaf, pair_matches};
use crate::folders::{Folder, write};
use crate::process::{Process, Ran, run};
use crate::programs::Programs;

/// A node: its configuration, its state, and the daemon when it runs.
pub struct Agent {
    process: Option<Process>,
    folder: Folder,
}

impl Agent {
    /// A node that has never heard of any CA.
    pub fn new() -> Self {
        let agent = Self { process: None, folder: Folder::new() };
        agent.configure("");
        agent
    }

    /// Writes the configuration: the state folder and these `[[certificate]]` sections.
    pub fn configure(&self, sections: &str) {
        let text = format!("[agent]\nstate = \"{}\"\nlog = \"debug\"\n\n{sections}", self.state().display());
        write(&self.config(), text, 0o600);
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The folder of one certificate, which holds the `current` link.
    pub fn live(&self, name: &str) -> PathBuf {
        self.state().join("live").join(name)
    }

    /// The leaf that is current now.
    pub fn leaf(&self, name: &str) -> Leaf {
        Leaf::from_file(&self.live(name).join("current/cert.pem"))
    }

    /// Fails unless the current key and certificate belong together, when there are any.
    #[track_caller]
    pub fn pair_must_match(&self, name: &str) {
        let current = self.live(name).join("current");
        assert!(!current.exists() || pair_matches(&current), "key and certificate of {name} do not belong together");
    }

    /// What the daemon has said, all starts together.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default()
    }

    /// A command of the program on this node.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&Programs::get().renew_agent);
        command.env_remove("PILOTLIGHT_FAILPOINT").env("NO_COLOR", "1");
        command.arg("--config").arg(self.config()).args(arguments);
        command
    }

    /// Runs a command to its end.
    pub async fn command(&self, arguments: &[&str]) -> Ran {
        run(&mut self.program(arguments)).await
    }

    /// Runs a command with a fail point armed.
    pub async fn command_with_failpoint(&self, arguments: &[&str], point: &str) -> Ran {
        run(self.program(arguments).env("PILOTLIGHT_FAILPOINT", point)).await
    }

    /// Enrols; the token comes from a file, as it should.
    pub async fn enroll(&self, token: &str) -> Ran {
        run(&mut self.enroll_command(token)).await
    }

    /// Enrols with a fail point armed.
    pub async fn enroll_with_failpoint(&self, token: &str, point: &str) -> Ran {
        run(self.enroll_command(token).env("PILOTLIGHT_FAILPOINT", point)).await
    }

    fn enroll_command(&self, token: &str) -> Command {
        let file = self.folder.path().join("token");
        write(&file, format!("{token}\n"), 0o600);
        let mut command = self.program(&["enroll"]);
        command.arg("--token-file").arg(file);
        command
    }

    /// Does what is due, once.
    pub async fn once(&self) -> Ran {
        self.command(&["once"]).await
    }

    /// Starts the daemon.
    pub fn run(&mut self) {
        assert!(self.process.is_none(), "the agent runs already");
        let log = self.folder.path().join("agent.log");
        self.process = Some(Process::start("renew-agent", &mut self.program(&["run"]), log));
    }

    /// Fails when the daemon has ended.
    pub fn must_run(&mut self) {
        self.process.as_mut().unwrap().must_run();
    }

    /// Ends the daemon as systemd would.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let status = process.stop().await;
        assert!(status.success(), "{status}\n{}", process.log());
    }

    /// Ends the daemon as a power cut would.
    pub fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// What `status` says, whatever its exit code.
    pub async fn status(&self) -> Value {
        let ran = self.command(&["status", "--output", "json"]).await;
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}\n{ran}"))
    }

    /// What `status` says about one certificate.
    pub async fn certificate_status(&self, name: &str) -> Value {
        let status = self.status().await;
        let all = status["certificates"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {status:#}")).clone()
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}
