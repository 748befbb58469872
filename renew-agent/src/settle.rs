//! Closing the loop: the service is told, and the debt is cleared only when the certificate was seen on the wire.
//!
//! A service that stops shaking hands with the new certificate gets the old one back while that is still valid.

use pki_core::time::Clock;

use crate::agent::Agent;
use crate::config::CertificateConfig;
use crate::install::recover::roll_back;
use crate::install::{Generation, InstallError, hex};
use crate::probe::Verdict;
use crate::schedule;
use crate::services::{ServiceError, Settle};
use crate::state::{CertificateState, Debt, Failure, ProbeRecord, StateError};

/// Why a debt could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// State could not be written.
    #[error(transparent)]
    State(#[from] StateError),
    /// Going back was not possible.
    #[error(transparent)]
    Install(#[from] InstallError),
}

/// How an attempt to clear a debt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Nothing was owed.
    NothingOwed,
    /// The service presents the certificate, or was told and nobody looks.
    Cleared,
    /// Still owed; tried again later.
    Owed {
        /// What stands in the way.
        reason: String,
    },
    /// The service stopped shaking hands; it has its old certificate back.
    RolledBack {
        /// What the probe met.
        reason: String,
        /// Whether the service recovered with the old one.
        recovered: bool,
    },
}

/// What one reload came to.
enum Outcome {
    Seen(String),
    NotSeen(String),
    Silent(String),
}

impl Agent {
    /// Tells the service, looks at the wire, and clears the debt or remembers why not.
    pub async fn settle(&self, config: &CertificateConfig) -> Result<Settled, SettleError> {
        let mut state = self.state(&config.name)?;
        let Some(debt) = state.debt.clone() else { return Ok(Settled::NothingOwed) };
        match self.reload_and_look(config, &debt).await {
            Outcome::Seen(detail) => self.clear(config, &mut state, &debt, detail),
            Outcome::NotSeen(reason) => self.owe(config, &mut state, &debt, reason),
            Outcome::Silent(reason) => match self.way_back(config, &debt) {
                Some(old) => self.go_back(config, &mut state, &old, reason).await,
                None => self.owe(config, &mut state, &debt, reason),
            },
        }
    }

    async fn reload_and_look(&self, config: &CertificateConfig, debt: &Debt) -> Outcome {
        failpoint::failpoint!("agent.reload.before");
        let live = self.live(config);
        let told = config.service.reload(live.dir()).await;
        failpoint::failpoint!("agent.reload.done");
        let seen = self.look(config, debt, told.is_ok()).await;
        match (told, seen) {
            (Ok(()), seen) => seen,
            // A restart that failed leaves a service down: only the wire knows.
            (Err(error), Outcome::Silent(reason)) => Outcome::Silent(format!("{}; {reason}", complaint(&error))),
            (Err(_), Outcome::Seen(detail)) if !config.probes.is_empty() => Outcome::Seen(detail),
            (Err(error), _) => Outcome::NotSeen(complaint(&error)),
        }
    }

    /// Every probe must see the leaf on every connection.
    async fn look(&self, config: &CertificateConfig, debt: &Debt, told: bool) -> Outcome {
        let Some(leaf) = fingerprint(&debt.leaf_sha256) else {
            return Outcome::NotSeen("the state file does not say which certificate is owed".to_owned());
        };
        let patience = config.service.settle();
        // A service that was not told has no reason to change its mind.
        let patience = if told { patience } else { Settle { deadline: patience.silence, ..patience } };
        for probe in &config.probes {
            let address = probe.address();
            match probe.wait_for(&leaf, patience).await {
                Verdict::New => {}
                Verdict::Old { presented } => {
                    let presented: Vec<_> = presented.iter().map(|one| hex(one)).collect();
                    return Outcome::NotSeen(format!("{address} still presents {}", presented.join(", ")));
                }
                Verdict::Silent { reason } => {
                    return Outcome::Silent(format!("{address} completes no handshake: {reason}"));
                }
            }
        }
        Outcome::Seen(match config.probes.len() {
            0 => "no probe is configured".to_owned(),
            count => format!("seen by {count} probe(s)"),
        })
    }

    fn clear(
        &self,
        config: &CertificateConfig,
        state: &mut CertificateState,
        debt: &Debt,
        detail: String,
    ) -> Result<Settled, SettleError> {
        failpoint::failpoint!("agent.reload.seen");
        let name = config.name.as_str();
        let (generation, service) = (debt.generation, config.service.kind());
        match config.probes.is_empty() {
            true => tracing::debug!(certificate = name, generation, service, "{detail}"),
            false => tracing::info!(certificate = name, generation, service, "{detail}"),
        }
        // The old generation that was put back clears its debt, not the doubt about the new one.
        state.held.take_if(|held| debt.generation >= held.generation);
        state.debt = None;
        state.unreported = Some(debt.leaf_sha256.clone());
        state.last_probe = self.record(config, true, detail);
        self.remember(name, state)?;
        failpoint::failpoint!("agent.reload.cleared");
        Ok(Settled::Cleared)
    }

    fn owe(
        &self,
        config: &CertificateConfig,
        state: &mut CertificateState,
        debt: &Debt,
        reason: String,
    ) -> Result<Settled, SettleError> {
        let name = config.name.as_str();
        let current = self.live(config).current();
        let before = debt.failure.as_ref();
        let (holder, now) = (self.holder(config), self.clock.now());
        let failure = schedule::failed(before, current.as_ref(), &holder, reason.clone(), None, now);
        let (attempts, next) = (failure.attempts, failure.next_attempt);
        if attempts >= 3 {
            let since = debt.since;
            tracing::error!(certificate = name, attempts, %since, %next, "the service does not present its certificate: {reason}");
        } else {
            tracing::warn!(certificate = name, attempts, %next, "the service does not present its certificate yet: {reason}");
        }
        state.last_probe = self.record(config, false, reason.clone());
        state.debt = Some(Debt { failure: Some(failure), ..debt.clone() });
        self.remember(name, state)?;
        Ok(Settled::Owed { reason })
    }

    /// The generation to go back to: only when the service was well before the swap and the old one is still valid.
    fn way_back(&self, config: &CertificateConfig, debt: &Debt) -> Option<Generation> {
        if debt.served_before != Some(true) {
            return None;
        }
        let old = debt.came_from.and_then(|number| self.live(config).read(number).ok());
        old.filter(|old| old.leaf.not_after() > self.clock.now())
    }

    async fn go_back(
        &self,
        config: &CertificateConfig,
        state: &mut CertificateState,
        old: &Generation,
        reason: String,
    ) -> Result<Settled, SettleError> {
        let name = config.name.as_str();
        let now = self.clock.now();
        tracing::error!(
            certificate = name,
            generation = old.number,
            until = %old.leaf.not_after(),
            "the service stopped shaking hands with its new certificate; going back to the old one: {reason}"
        );
        let words = format!("the service refused the new certificate: {reason}");
        let holder = self.holder(config);
        // Every try takes the service down for a moment, so these lie further apart than other attempts.
        let refusals = state.held.as_ref().map_or(0, |held| held.refusals);
        let before =
            Failure { attempts: refusals.saturating_add(3), since: now, next_attempt: now, error: String::new() };
        state.failure = Some(schedule::failed(Some(&before), Some(old), &holder, words, None, now));
        roll_back(&self.home, &self.live(config), state, old, now)?;
        let Some(debt) = state.debt.clone() else { return Ok(Settled::RolledBack { reason, recovered: false }) };
        let recovered = match self.reload_and_look(config, &debt).await {
            Outcome::Seen(detail) => {
                self.clear(config, state, &debt, detail)?;
                true
            }
            Outcome::NotSeen(again) | Outcome::Silent(again) => {
                self.owe(config, state, &debt, again)?;
                false
            }
        };
        Ok(Settled::RolledBack { reason, recovered })
    }

    fn record(&self, config: &CertificateConfig, seen: bool, detail: String) -> Option<ProbeRecord> {
        (!config.probes.is_empty()).then(|| ProbeRecord { at: self.clock.now(), seen, detail })
    }
}

fn complaint(error: &ServiceError) -> String {
    error.to_string()
}

fn fingerprint(hexadecimal: &str) -> Option<[u8; 32]> {
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let octets: Option<Vec<_>> = hexadecimal.as_bytes().chunks(2).map(octet).collect();
    octets?.try_into().ok()
}

#[cfg(test)]
mod tests;
