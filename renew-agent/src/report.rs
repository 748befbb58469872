//! Telling the CA that a certificate is in service: the first report confirms it.

use api::agent::{Probe, Report};
use pki_core::renewal;
use pki_core::time::Clock;

use crate::acme::{AcmeError, Payload};
use crate::agent::Agent;
use crate::config::CertificateConfig;
use crate::state::{CertificateState, StateError};

const PATH: &str = "/api/v1/agent/report";

/// Why the CA was not told.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It did not take it.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// State could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Agent {
    /// Tells the CA of a certificate that it has not been told of. A CA that takes no reports is told nothing more.
    pub async fn report(&self, config: &CertificateConfig) -> Result<(), ReportError> {
        const ACTION: &str = "report the certificate in service";
        let mut state = self.state(&config.name)?;
        let Some(leaf) = state.unreported.take() else { return Ok(()) };
        let report = self.words(config, &state, leaf);
        let mut client = self.connect().await?;
        let url = client.beside(PATH)?;
        match client.post(ACTION, &url, &Payload::json(&report)?).await {
            Ok(_) => {}
            Err(error) if matches!(error.status(), Some(404 | 405 | 501)) => {
                tracing::debug!(%error, "this CA takes no reports");
            }
            Err(error) => return Err(error.into()),
        }
        failpoint::failpoint!("agent.report.sent");
        Ok(self.remember(&config.name, &state)?)
    }

    fn words(&self, config: &CertificateConfig, state: &CertificateState, leaf: String) -> Report {
        let probe = match (&state.last_probe, config.probes.is_empty()) {
            (_, true) | (None, _) => Probe::NotProbed,
            (Some(probe), _) if probe.seen => Probe::Seen,
            (Some(probe), _) => Probe::Failed { error: probe.detail.clone() },
        };
        Report {
            name: config.name.clone(),
            certificate_sha256: leaf,
            probe,
            clock: self.clock.class(),
            autonomy_days: self.days_of_autonomy(),
            reload_owed: state.debt.is_some(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Whole days until the first certificate in service ends, were the CA gone from now on.
    pub fn days_of_autonomy(&self) -> u32 {
        let ends = self.config.certificates.iter().filter_map(|config| self.live(config).current());
        renewal::days_of_autonomy(ends.map(|current| current.leaf.not_after()), self.clock.now())
    }
}
