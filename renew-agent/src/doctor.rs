//! `renew-agent doctor`: looks for what would make the next renewal fail. Changes nothing.

use std::os::unix::fs::MetadataExt;

use pki_core::time::Clock;
use serde::Serialize;

use crate::agent::Agent;
use crate::config::CertificateConfig;
use crate::install::hex;
use crate::probe::Verdict;
use crate::services::Finding;

/// One checked thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The certificate it is about; none for the node itself.
    pub certificate: Option<String>,
    /// Stable name of the check.
    pub id: &'static str,
    /// Whether it passed.
    pub ok: bool,
    /// What was found.
    pub text: String,
    /// What to do about it, when it did not pass.
    pub remedy: Option<String>,
}

impl Check {
    fn node(id: &'static str, result: Result<String, (String, &str)>) -> Self {
        Self::about(None, id, result)
    }

    fn about(certificate: Option<&str>, id: &'static str, result: Result<String, (String, &str)>) -> Self {
        let certificate = certificate.map(str::to_owned);
        match result {
            Ok(text) => Self { certificate, id, ok: true, text, remedy: None },
            Err((text, remedy)) => Self { certificate, id, ok: false, text, remedy: Some(remedy.to_owned()) },
        }
    }

    fn from_finding(certificate: &str, finding: Finding) -> Self {
        let Finding { id, ok, text, remedy } = finding;
        Self { certificate: Some(certificate.to_owned()), id, ok, text, remedy }
    }

    /// For people.
    pub fn line(&self) -> String {
        let mark = if self.ok { "ok  " } else { "BAD " };
        let about = self.certificate.as_ref().map_or_else(String::new, |name| format!("{name}: "));
        let remedy = self.remedy.as_ref().map_or_else(String::new, |remedy| format!("\n     -> {remedy}"));
        format!("{mark} {about}{}{remedy}", self.text)
    }
}

/// Every check of the node and of each certificate.
pub async fn examine(agent: &Agent) -> Vec<Check> {
    let mut checks = vec![clock(agent), storage(agent), ca(agent).await];
    for config in &agent.config.certificates {
        checks.extend(certificate(agent, config).await);
    }
    checks
}

fn clock(agent: &Agent) -> Check {
    let result = match agent.clock.ahead_of_system() {
        Some(floor) => Err((
            format!("this node's clock is behind {floor}, which its own certificates prove"),
            "set the clock (`timedatectl`), or let it synchronise",
        )),
        None => Ok(format!("the clock says {} ({:?})", agent.clock.now(), agent.clock.class())),
    };
    Check::node("clock", result)
}

fn storage(agent: &Agent) -> Check {
    let probe = agent.home.dir().join("state").join(".doctor");
    let dir = agent.home.dir().display();
    let result = std::fs::write(&probe, [0; 65_536]).and_then(|()| std::fs::remove_file(&probe));
    Check::node(
        "storage",
        result.map(|()| format!("{dir} takes new files")).map_err(|error| {
            (format!("{dir} takes no new files: {error}"), "free some space, or mount the file system writable")
        }),
    )
}

async fn ca(agent: &Agent) -> Check {
    let result = agent.connect().await.map(|client| format!("the CA answers at {}", client.directory_url()));
    let remedy = "check network and name resolution; certificates in service stay valid meanwhile";
    Check::node("ca", result.map_err(|error| (error.to_string(), remedy)))
}

async fn certificate(agent: &Agent, config: &CertificateConfig) -> Vec<Check> {
    let name = config.name.as_str();
    let live = agent.live(config);
    let Some(current) = live.current() else {
        let found = "there is no whole certificate".to_owned();
        let remedy = "run `renew-agent once` and look at what it reports";
        return vec![Check::about(Some(name), "certificate", Err((found, remedy)))];
    };
    let now = agent.clock.now();
    let end = current.leaf.not_after();
    let validity = match end > now {
        true => Ok(format!("the certificate is valid until {end}")),
        false => Err((format!("the certificate has expired at {end}"), "run `renew-agent once`")),
    };
    let mut checks = vec![Check::about(Some(name), "certificate", validity), key_access(agent, config)];
    let preflight = config.service.preflight(live.dir()).await;
    checks.extend(preflight.into_iter().map(|finding| Check::from_finding(name, finding)));
    for probe in &config.probes {
        let seen = probe.presented().await.verdict(&current.leaf.sha256());
        let address = probe.address();
        checks.push(Check::about(
            Some(name),
            "probe",
            match seen {
                Verdict::New => Ok(format!("{address} presents it")),
                Verdict::Old { presented } => {
                    let other: Vec<_> = presented.iter().map(|one| hex(one)).collect();
                    let found = format!("{address} presents {} instead", other.join(", "));
                    Err((found, "point the service at `current/` of this certificate and reload it"))
                }
                Verdict::Silent { reason } => Err((
                    format!("{address} completes no handshake: {reason}"),
                    "start the service, or correct the probe",
                )),
            },
        ));
    }
    if config.probes.is_empty() && config.service.kind() != "none" {
        let found = format!("nobody looks whether {} presents it", config.service.kind());
        let remedy = "add a [certificate.probe] with the service's address";
        checks.push(Check::about(Some(name), "probe", Err((found, remedy))));
    }
    checks
}

fn key_access(agent: &Agent, config: &CertificateConfig) -> Check {
    let path = agent.live(config).current_link().join("key.pem");
    let wanted = config.secret;
    let result = match std::fs::metadata(&path) {
        Ok(meta) => {
            let owned =
                wanted.uid.is_none_or(|uid| uid == meta.uid()) && wanted.gid.is_none_or(|gid| gid == meta.gid());
            let (mode, owner) = (meta.mode() & 0o7777, format!("{}:{}", meta.uid(), meta.gid()));
            if owned && mode == wanted.mode {
                Ok(format!("the key has mode {mode:04o} and owner {owner}"))
            } else {
                let found = format!("the key has mode {mode:04o} and owner {owner}, the configuration says otherwise");
                Err((found, "`renew-agent renew NAME` writes it as configured"))
            }
        }
        Err(error) => Err((format!("the key cannot be looked at: {error}"), "run as root")),
    };
    Check::about(Some(&config.name), "key-access", result)
}
