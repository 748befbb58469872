//! nginx: the configuration is tested, then the master reloads it; old workers finish their connections.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::access::Reader;
use super::command::Command;
use super::run::{Ran, Tool};
use super::signal::{self, SignalName};
use super::systemd::{self, UnitAction, UnitName};
use super::{Finding, ServiceError};

/// `nginx -t` resolves host names of upstreams, which can be slow on a node without network.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// `type = "nginx"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawNginx")]
pub struct Nginx {
    via: Via,
    test: Option<Test>,
}

/// How the master is reached.
#[derive(Debug, Clone)]
enum Via {
    Unit(UnitName),
    PidFile(PathBuf),
    Command(Command),
}

/// What `nginx -t` needs.
#[derive(Debug, Clone)]
struct Test {
    binary: PathBuf,
    config: Option<PathBuf>,
    prefix: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNginx {
    unit: Option<UnitName>,
    pid_file: Option<PathBuf>,
    command: Option<Vec<String>>,
    binary: Option<PathBuf>,
    config: Option<PathBuf>,
    prefix: Option<PathBuf>,
}

impl TryFrom<RawNginx> for Nginx {
    type Error = String;

    fn try_from(raw: RawNginx) -> Result<Self, String> {
        let via = match (raw.unit, raw.pid_file, raw.command) {
            (None, None, None) => Via::Unit(UnitName::nginx()),
            (Some(unit), None, None) => Via::Unit(unit),
            (None, Some(pid_file), None) => Via::PidFile(pid_file),
            (None, None, Some(argv)) => Via::Command(Command::new(argv, TEST_TIMEOUT)?),
            _ => return Err("nginx is reached in one way: give one of `unit`, `pid_file` and `command`".to_owned()),
        };
        let test = match raw.binary {
            Some(binary) => Some(Test { binary, config: raw.config, prefix: raw.prefix }),
            None if raw.config.is_some() || raw.prefix.is_some() => {
                return Err("`config` and `prefix` are for testing the configuration: give `binary` too, such as /usr/sbin/nginx".to_owned());
            }
            None => None,
        };
        Ok(Self { via, test })
    }
}

impl Nginx {
    /// Tests the configuration first: a master that cannot read its files keeps the old ones and says so only in its log.
    pub(super) async fn reload(&self) -> Result<(), ServiceError> {
        if let Some(test) = &self.test {
            test.passes().await?;
        }
        match &self.via {
            Via::Unit(unit) => systemd::ask(unit, UnitAction::Reload).await,
            Via::PidFile(pid_file) => signal::send(pid_file, Some("nginx"), SignalName::Hup),
            Via::Command(command) => command.reload().await,
        }
    }

    pub(super) async fn preflight(&self, live: &Path) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(test) = &self.test {
            findings.extend(test.findings(live).await);
        }
        match &self.via {
            Via::Unit(unit) => findings.extend(systemd::check(unit, UnitAction::Reload).await),
            Via::PidFile(pid_file) => {
                findings.push(signal::check(pid_file, Some("nginx")));
                findings.extend(master(pid_file).map(|reader| reader.finding(&live.join("current/key.pem"))));
            }
            Via::Command(command) => findings.extend(command.preflight()),
        }
        findings
    }
}

/// The user of the master process: it reads keys, the workers do not.
fn master(pid_file: &Path) -> Option<Reader> {
    let pid = std::fs::read_to_string(pid_file).ok()?;
    let pid: u32 = pid.trim().parse().ok()?;
    Reader::of_process(&pid.to_string())
}

impl Test {
    async fn passes(&self) -> Result<(), ServiceError> {
        let attempted = format!("testing the configuration of {}", self.binary.display());
        match self.run("-tq").await {
            Ran::Succeeded(_) => Ok(()),
            Ran::Failed(cause) => Err(ServiceError::person(
                attempted,
                cause,
                "correct nginx's configuration; it serves on with the old certificate until then",
            )),
            Ran::TimedOut(cause) => {
                Err(ServiceError::retry(attempted, cause, "see whether nginx's upstream names resolve"))
            }
            Ran::NotStarted(cause) => {
                Err(ServiceError::person(attempted, cause, "correct `binary` in the agent's configuration"))
            }
        }
    }

    async fn findings(&self, live: &Path) -> Vec<Finding> {
        match self.run("-T").await {
            Ran::Succeeded(dump) => {
                vec![
                    Finding::good("nginx-config", "nginx -t accepts the configuration"),
                    points_through_current(&dump, live),
                ]
            }
            Ran::Failed(cause) | Ran::TimedOut(cause) | Ran::NotStarted(cause) => vec![Finding::bad(
                "nginx-config",
                format!("nginx -t fails: {cause}"),
                "correct nginx's configuration, or `binary` and `config` in the agent's",
            )],
        }
    }

    async fn run(&self, option: &str) -> Ran {
        let mut arguments = vec![option.to_owned()];
        for (name, path) in [("-c", &self.config), ("-p", &self.prefix)] {
            if let Some(path) = path {
                arguments.extend([name.to_owned(), path.display().to_string()]);
            }
        }
        let arguments = arguments.iter().map(String::as_str).collect();
        Tool { program: &self.binary, arguments, environment: vec![("LC_ALL", "C")], timeout: TEST_TIMEOUT }.run().await
    }
}

/// A configuration that names a generation's own folder would serve that generation for ever.
fn points_through_current(dump: &str, live: &Path) -> Finding {
    let id = "nginx-paths";
    let current = live.join("current");
    let wanted = current.display().to_string();
    let uses = |directive: &str| {
        dump.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(directive)
                && words.next().is_some_and(|path| path.trim_matches(['"', '\'']).starts_with(&wanted))
        })
    };
    match (uses("ssl_certificate"), uses("ssl_certificate_key")) {
        (true, true) => Finding::good(id, format!("nginx reads certificate and key through {wanted}")),
        _ => Finding::bad(
            id,
            format!("nginx does not read both ssl_certificate and ssl_certificate_key through {wanted}"),
            format!("set ssl_certificate {wanted}/fullchain.pem; and ssl_certificate_key {wanted}/key.pem;"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_through_current_survive_a_rotation() {
        let live = Path::new("/var/lib/renew-agent/live/web");
        let dump = |folder: &str| {
            format!(
                "server {{\n  ssl_certificate  {folder}/fullchain.pem;\n  ssl_certificate_key \"{folder}/key.pem\";\n}}"
            )
        };
        assert!(points_through_current(&dump("/var/lib/renew-agent/live/web/current"), live).ok);
        let generation = points_through_current(&dump("/var/lib/renew-agent/live/web/g-7"), live);
        assert!(!generation.ok && generation.remedy.unwrap().contains("current/fullchain.pem"));
        assert!(!points_through_current("", live).ok);
    }

    #[tokio::test]
    async fn a_configuration_that_fails_its_test_stops_the_reload_and_needs_a_person() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("nginx.conf");
        std::fs::write(
            &config,
            "events {}\nhttp { server { listen 127.0.0.1:1 ssl; ssl_certificate missing.pem; } }\n",
        )
        .unwrap();
        let text = format!(
            "pid_file = '/nowhere/nginx.pid'\nbinary = '/usr/sbin/nginx'\nconfig = '{}'\nprefix = '{}'",
            config.display(),
            folder.path().display()
        );
        let nginx: Nginx = toml::from_str(&text).unwrap();
        let error = nginx.reload().await.unwrap_err();
        assert!(error.needs_person(), "{error}");
        assert!(error.to_string().contains("ssl_certificate"), "nginx's own words are there: {error}");
        let findings = nginx.preflight(Path::new("/nowhere")).await;
        assert!(findings.iter().all(|finding| !finding.ok), "{findings:?}");
    }
}
