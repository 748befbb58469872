//! RabbitMQ: Erlang keeps PEM files in a cache, which is cleared through `rabbitmqctl` or waited out.

use std::collections::BTreeMap;
use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::access::Reader;
use super::run::{Ran, Tool};
use super::{Finding, ServiceError, Settle};

/// The Erlang virtual machine of the command line tools needs seconds to start on small hardware.
const TIMEOUT: Duration = Duration::from_secs(60);

/// `type = "rabbitmq"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RabbitMq {
    /// The node, such as `rabbit@gw-1`; the tool's own default otherwise.
    node: Option<NodeName>,
    /// Clear the cache at once. This takes the Erlang cookie, which is full control of the broker, so it is off
    /// unless asked for; the cache then drops by itself within its two minutes.
    #[serde(default)]
    clear_pem_cache: bool,
    /// The command line tool.
    #[serde(default = "default_tool")]
    rabbitmqctl: PathBuf,
    /// The home folder that holds `.erlang.cookie`, when the tool does not know it by itself.
    home: Option<PathBuf>,
    /// Further environment of the tool, such as `ERL_EPMD_PORT`.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// The user the broker runs as, who must be able to read the key.
    #[serde(default = "default_user")]
    user: String,
}

/// `name@host`, which cannot be taken for an option.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct NodeName(String);

impl TryFrom<String> for NodeName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let allowed = |character: char| character.is_ascii_alphanumeric() || "@-_.".contains(character);
        if text.is_empty() || text.len() > 255 || text.starts_with('-') || !text.chars().all(allowed) {
            return Err(format!(
                "{text:?} is not a node name; write it as `rabbitmqctl status` shows it, such as rabbit@gw-1"
            ));
        }
        Ok(Self(text))
    }
}

fn default_tool() -> PathBuf {
    PathBuf::from("/usr/sbin/rabbitmqctl")
}

fn default_user() -> String {
    "rabbitmq".to_owned()
}

impl RabbitMq {
    pub(super) async fn reload(&self, live: &Path) -> Result<(), ServiceError> {
        if self.clear_pem_cache { self.clear().await } else { self.freshen(live) }
    }

    pub(super) fn settle(&self) -> Settle {
        let (deadline, silence) = if self.clear_pem_cache { (30, 15) } else { (180, 30) };
        Settle { deadline: Duration::from_secs(deadline), silence: Duration::from_secs(silence) }
    }

    pub(super) async fn preflight(&self, live: &Path) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(Reader::of_user(&self.user).map(|reader| reader.finding(&live.join("current/key.pem"))));
        if self.clear_pem_cache {
            findings.push(match self.evaluate("node().").await {
                Ok(node) => Finding::good("rabbitmqctl", format!("node {node} answers")),
                Err(error) => Finding::from_fault("rabbitmqctl", &error),
            });
        }
        findings
    }

    async fn clear(&self) -> Result<(), ServiceError> {
        let answer = self.evaluate("ssl:clear_pem_cache().").await?;
        if answer == "ok" {
            return Ok(());
        }
        Err(ServiceError::retry(
            format!("clearing the PEM cache of {}", self.subject()),
            format!("the node answered {answer:?} instead of ok"),
            "without `clear_pem_cache` the agent waits until the cache drops by itself",
        ))
    }

    /// Erlang's cache drops a file only when its modification time is later than the cache's last sweep. A generation
    /// that was written long before it became current (a power cut in between, a roll-back) would never be read.
    fn freshen(&self, live: &Path) -> Result<(), ServiceError> {
        let current = live.join("current");
        for name in ["cert.pem", "chain.pem", "fullchain.pem", "key.pem", "bundle.pem", "roots.pem"] {
            let path = current.join(name);
            match File::options().append(true).open(&path).and_then(|file| touch(&file)) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(ServiceError::retry(
                        format!("renewing the modification time of {} for {}", path.display(), self.subject()),
                        error.to_string(),
                        "let the agent own this file, or set clear_pem_cache = true",
                    ));
                }
            }
        }
        Ok(())
    }

    async fn evaluate(&self, expression: &str) -> Result<String, ServiceError> {
        let mut arguments = vec!["--quiet"];
        if let Some(node) = &self.node {
            arguments.extend(["--node", &node.0]);
        }
        arguments.extend(["eval", expression]);
        let home = self.home.as_ref().map(|home| home.display().to_string());
        let mut environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        environment.extend(home.as_deref().map(|home| ("HOME", home)));
        let tool = Tool { program: &self.rabbitmqctl, arguments, environment, timeout: TIMEOUT };
        let attempted = format!("asking {} for {expression}", self.subject());
        match tool.run().await {
            Ran::Succeeded(answer) => Ok(answer),
            Ran::Failed(cause) => Err(self.unanswered(attempted, cause)),
            Ran::TimedOut(cause) => Err(ServiceError::retry(attempted, cause, "see the broker's log")),
            Ran::NotStarted(cause) => {
                Err(ServiceError::person(attempted, cause, "correct `rabbitmqctl` in the agent's configuration"))
            }
        }
    }

    /// The tool prints a page of possible reasons; the two that differ for the agent are told apart here.
    fn unanswered(&self, attempted: String, cause: String) -> ServiceError {
        if cause.contains("Erlang distribution failed") {
            return ServiceError::person(
                attempted,
                "the node is up, but refuses the tool: the Erlang cookies differ",
                "set `home` to the folder with the broker's .erlang.cookie, or leave clear_pem_cache off",
            );
        }
        if cause.contains("unable to perform an operation on node") || cause.contains("Current node details") {
            return ServiceError::retry(
                attempted,
                "the node does not answer",
                "start the broker, or correct `node` in the agent's configuration",
            );
        }
        ServiceError::retry(attempted, cause, "run rabbitmqctl by hand and mend what it reports")
    }

    fn subject(&self) -> String {
        self.node.as_ref().map_or_else(|| "RabbitMQ".to_owned(), |node| format!("RabbitMQ node {}", node.0))
    }
}

fn touch(file: &File) -> std::io::Result<()> {
    use pki_core::time::{Clock, SystemClock};
    let now = u64::try_from(SystemClock.now().unix_millis()).unwrap_or(0);
    file.set_times(FileTimes::new().set_modified(std::time::UNIX_EPOCH + Duration::from_millis(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(text: &str) -> RabbitMq {
        toml::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn waiting_makes_old_files_look_new_to_erlangs_cache() {
        let live = tempfile::tempdir().unwrap();
        let generation = live.path().join("g-1");
        std::fs::create_dir(&generation).unwrap();
        std::os::unix::fs::symlink("g-1", live.path().join("current")).unwrap();
        let key = generation.join("key.pem");
        std::fs::write(&key, "the key").unwrap();
        let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::options().append(true).open(&key).unwrap().set_times(FileTimes::new().set_modified(long_ago)).unwrap();

        broker("").reload(live.path()).await.unwrap();
        assert!(std::fs::metadata(&key).unwrap().modified().unwrap() > long_ago + Duration::from_secs(1_000_000_000));
        assert_eq!(std::fs::read_to_string(&key).unwrap(), "the key");
    }

    #[tokio::test]
    async fn the_tools_page_becomes_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let tool = folder.path().join("rabbitmqctl");
        let write = |script: &str| {
            std::fs::write(&tool, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::os::unix::fs::PermissionsExt::set_mode(&mut std::fs::metadata(&tool).unwrap().permissions(), 0o755);
            std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        };
        let broker = broker(&format!(
            "node = 'rabbit@gw-1'\nclear_pem_cache = true\nhome = '/nowhere'\nrabbitmqctl = '{}'\nenvironment = {{ ERL_EPMD_PORT = '7' }}",
            tool.display()
        ));
        write(
            "echo 'Error: unable to perform an operation on node' >&2; echo ' * TCP connection succeeded but Erlang distribution failed ' >&2; exit 69",
        );
        let error = broker.reload(folder.path()).await.unwrap_err();
        assert!(error.needs_person() && error.to_string().contains(".erlang.cookie"), "{error}");

        write("echo 'Error: unable to perform an operation on node' >&2; exit 69");
        let error = broker.reload(folder.path()).await.unwrap_err();
        assert!(!error.needs_person() && error.to_string().contains("rabbit@gw-1"), "{error}");

        write("echo 'not ok'");
        assert!(broker.reload(folder.path()).await.unwrap_err().to_string().contains("not ok"));

        write(
            "[ \"$HOME:$ERL_EPMD_PORT\" = /nowhere:7 ] && [ \"$*\" = '--quiet --node rabbit@gw-1 eval ssl:clear_pem_cache().' ] && echo ok",
        );
        broker.reload(folder.path()).await.unwrap();
    }
}
