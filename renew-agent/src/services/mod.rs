//! Typed adapters: how each kind of service takes up a new certificate.
//!
//! Owns the wording of the `[service]` section, the reload itself and the preflight checks of `doctor`. Must not know
//! ACME, keys or the schedule; whether the service really presents the new leaf is for [`crate::probe`] to say.

mod access;
mod command;
mod error;
mod nginx;
mod rabbitmq;
mod run;
mod signal;
mod systemd;

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

pub use command::Command;
pub use error::{Fault, ServiceError};
pub use nginx::Nginx;
pub use rabbitmq::RabbitMq;
pub use signal::{SendSignal, SignalName};
pub use systemd::{Systemd, UnitAction, UnitName};

/// The service that uses a certificate, as its configuration section describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Service {
    /// nginx: checked with `nginx -t`, then reloaded; old workers drain.
    Nginx(Nginx),
    /// RabbitMQ: its PEM cache is cleared, or waited out.
    Rabbitmq(RabbitMq),
    /// Any systemd unit: reload or restart.
    Systemd(Systemd),
    /// A program that makes the service reload; never a shell line.
    Command(Command),
    /// A signal to the process in a pid file.
    Signal(SendSignal),
    /// Nothing to do: the service reads its files at every handshake, or nobody serves the certificate.
    None(NoService),
}

/// The empty section of [`Service::None`]; it exists so that unknown keys are refused there too.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoService {}

impl Default for Service {
    fn default() -> Self {
        Service::None(NoService::default())
    }
}

/// How long the probe waits for the new leaf after a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settle {
    /// By then every connection must show the new leaf.
    pub deadline: Duration,
    /// A service that completes no handshake at all for this long is down, not slow.
    pub silence: Duration,
}

/// One answer of the preflight, as `renew-agent doctor` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable name of the check, such as `nginx-config`.
    pub id: &'static str,
    /// Whether the check passed.
    pub ok: bool,
    /// What was found.
    pub text: String,
    /// What to do about it, when the check did not pass.
    pub remedy: Option<String>,
}

impl Finding {
    fn good(id: &'static str, text: impl Into<String>) -> Self {
        Self { id, ok: true, text: text.into(), remedy: None }
    }

    fn bad(id: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { id, ok: false, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn from_fault(id: &'static str, error: &ServiceError) -> Self {
        let fault = error.fault();
        Self::bad(id, format!("{} failed: {}", fault.attempted, fault.cause), fault.remedy.clone())
    }
}

impl Service {
    /// Makes the service take up the files behind `live/current`; `live` is the certificate's directory.
    ///
    /// `Ok` means the service was told, not that it obeyed: only the probe knows that.
    pub async fn reload(&self, live: &Path) -> Result<(), ServiceError> {
        match self {
            Service::Nginx(nginx) => nginx.reload().await,
            Service::Rabbitmq(broker) => broker.reload(live).await,
            Service::Systemd(unit) => unit.reload().await,
            Service::Command(command) => command.reload().await,
            Service::Signal(signal) => signal.reload(),
            Service::None(_) => Ok(()),
        }
    }

    /// Looks for what would make a reload fail; changes nothing.
    pub async fn preflight(&self, live: &Path) -> Vec<Finding> {
        match self {
            Service::Nginx(nginx) => nginx.preflight(live).await,
            Service::Rabbitmq(broker) => broker.preflight(live).await,
            Service::Systemd(unit) => unit.preflight().await,
            Service::Command(command) => command.preflight(),
            Service::Signal(signal) => signal.preflight(),
            Service::None(_) => Vec::new(),
        }
    }

    /// How patient the probe is after [`reload`](Self::reload).
    pub fn settle(&self) -> Settle {
        let seconds = |deadline, silence| Settle {
            deadline: Duration::from_secs(deadline),
            silence: Duration::from_secs(silence),
        };
        match self {
            Service::Nginx(_) | Service::Signal(_) => seconds(30, 10),
            Service::Rabbitmq(broker) => broker.settle(),
            Service::Systemd(unit) => unit.settle(),
            Service::Command(_) => seconds(60, 30),
            Service::None(_) => seconds(10, 5),
        }
    }

    /// The word of the configuration for this kind of service.
    pub fn kind(&self) -> &'static str {
        match self {
            Service::Nginx(_) => "nginx",
            Service::Rabbitmq(_) => "rabbitmq",
            Service::Systemd(_) => "systemd",
            Service::Command(_) => "command",
            Service::Signal(_) => "signal",
            Service::None(_) => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Service, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_reads_from_its_section() {
        let samples = [
            ("nginx", "type = 'nginx'"),
            (
                "nginx",
                "type = 'nginx'\npid_file = '/run/nginx.pid'\nbinary = '/usr/sbin/nginx'\nconfig = '/etc/nginx/nginx.conf'",
            ),
            ("nginx", "type = 'nginx'\ncommand = ['/usr/bin/docker', 'kill', '-s', 'HUP', 'web']"),
            ("rabbitmq", "type = 'rabbitmq'"),
            ("rabbitmq", "type = 'rabbitmq'\nnode = 'rabbit@gw-1'\nclear_pem_cache = true\nhome = '/var/lib/rabbitmq'"),
            ("systemd", "type = 'systemd'\nunit = 'haproxy.service'\naction = 'restart'"),
            ("command", "type = 'command'\nargv = ['/usr/local/bin/reload-it']\ntimeout_seconds = 5"),
            ("signal", "type = 'signal'\npid_file = '/run/mosquitto.pid'\nsignal = 'HUP'"),
            ("none", "type = 'none'"),
        ];
        for (kind, text) in samples {
            assert_eq!(parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).kind(), kind);
        }
    }

    #[test]
    fn unknown_keys_are_refused_in_every_kind() {
        let sections = [
            "type = 'nginx'",
            "type = 'rabbitmq'",
            "type = 'systemd'\nunit = 'a.service'",
            "type = 'command'\nargv = ['/bin/true']",
            "type = 'signal'\npid_file = '/run/x.pid'\nsignal = 'HUP'",
            "type = 'none'",
        ];
        for section in sections {
            let error = parse(&format!("{section}\nsurprise = 1")).expect_err(section);
            assert!(error.contains("surprise"), "{section}: {error}");
        }
    }

    #[test]
    fn impossible_values_are_refused_with_the_remedy() {
        let refused = [
            (
                "type = 'nginx'\nunit = 'nginx.service'\npid_file = '/run/nginx.pid'",
                "one of `unit`, `pid_file` and `command`",
            ),
            ("type = 'nginx'\nconfig = '/etc/nginx/nginx.conf'", "`binary`"),
            ("type = 'systemd'\nunit = '--now'", "unit name"),
            ("type = 'command'\nargv = []", "absolute path"),
            ("type = 'command'\nargv = ['reload; rm']", "absolute path"),
            ("type = 'command'\nargv = ['/bin/true']\ntimeout_seconds = 0", "between 1 and 600"),
            ("type = 'signal'\npid_file = '/run/x.pid'\nsignal = 'KILL'", "HUP"),
            ("type = 'rabbitmq'\nnode = '-x'", "node name"),
        ];
        for (text, wanted) in refused {
            let error = parse(text).expect_err(text);
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn the_probe_outlasts_the_pem_cache_only_when_it_is_waited_out() {
        let waiting = parse("type = 'rabbitmq'").unwrap().settle();
        let clearing = parse("type = 'rabbitmq'\nclear_pem_cache = true").unwrap().settle();
        assert_eq!(waiting.deadline, Duration::from_secs(180));
        assert!(clearing.deadline < Duration::from_secs(120));
    }
}
