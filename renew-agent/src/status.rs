//! `renew-agent status`: what is kept, what is owed, and how long the node lives without the CA. Reads state only, so
//! it works beside the daemon.

use std::fmt::Write as _;

use pki_core::time::{Clock, Timestamp};
use serde::Serialize;

use crate::agent::Agent;
use crate::config::CertificateConfig;
use crate::schedule;
use crate::state::{self, Contact, StateError};

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Whether every certificate is valid and seen in service; the exit code.
    pub ok: bool,
    /// The device, when the account is bound to one.
    pub device: Option<String>,
    /// Where the CA is.
    pub ca: CaStatus,
    /// Whole days until the first certificate ends, were the CA gone from now on.
    pub days_of_autonomy: u32,
    /// Each certificate.
    pub certificates: Vec<CertificateStatus>,
}

/// How the CA was reached.
#[derive(Debug, Serialize)]
pub struct CaStatus {
    /// Its base addresses.
    pub addresses: Vec<String>,
    /// Its last answer.
    pub reached_at: Option<String>,
    /// Since when there has been none.
    pub unreachable_since: Option<String>,
    /// When it is tried again, while there is none.
    pub next_try: Option<String>,
    /// What the last attempt met.
    pub last_error: Option<String>,
}

/// Where one certificate stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Valid and in service.
    Ok,
    /// Valid; renewal is due or failing.
    Due,
    /// Its service does not present it yet.
    ReloadOwed,
    /// The service refused the new one; the old one serves.
    RolledBack,
    /// Its time is over.
    Expired,
    /// There is none.
    Missing,
}

impl Condition {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Due => "due",
            Self::ReloadOwed => "reload owed",
            Self::RolledBack => "rolled back",
            Self::Expired => "EXPIRED",
            Self::Missing => "MISSING",
        }
    }

    /// Whether somebody should look.
    const fn is_fine(self) -> bool {
        matches!(self, Self::Ok | Self::Due)
    }
}

/// One certificate.
#[derive(Debug, Serialize)]
pub struct CertificateStatus {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub condition: Condition,
    /// The names in it, or the names it shall have.
    pub names: Vec<String>,
    /// Its end.
    pub not_after: Option<String>,
    /// When it is renewed, or tried again.
    pub next_renewal: Option<String>,
    /// The generation in service.
    pub generation: Option<u64>,
    /// SHA-256 of the certificate, hexadecimal.
    pub sha256: Option<String>,
    /// The service adapter.
    pub service: &'static str,
    /// Since when its service has not been seen to present it.
    pub reload_owed_since: Option<String>,
    /// What the last probe saw.
    pub last_probe: Option<String>,
    /// Attempts that failed in a row.
    pub failed_attempts: u32,
    /// What the last one met.
    pub last_error: Option<String>,
}

/// Reads everything.
pub fn read(agent: &Agent) -> Result<Status, StateError> {
    let mut certificates = Vec::new();
    for config in &agent.config.certificates {
        certificates.push(certificate(agent, config)?);
    }
    let contact: Contact = state::load(&agent.home.contact())?.unwrap_or_default();
    let text = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    // Times in this form sort as texts.
    let soonest = certificates.iter().filter_map(|one| one.next_renewal.clone()).min();
    Ok(Status {
        ok: certificates.iter().all(|one| one.condition.is_fine()),
        device: agent.device().map(|device| device.device),
        ca: CaStatus {
            addresses: agent.ca.addresses.clone(),
            reached_at: text(contact.reached_at),
            unreachable_since: text(contact.unreachable_since),
            next_try: soonest.filter(|_| contact.unreachable_since.is_some()),
            last_error: contact.last_error,
        },
        days_of_autonomy: agent.days_of_autonomy(),
        certificates,
    })
}

fn certificate(agent: &Agent, config: &CertificateConfig) -> Result<CertificateStatus, StateError> {
    let state = agent.state(&config.name)?;
    let (current, holder, now) = (agent.live(config).current(), agent.holder(config), agent.clock.now());
    let facts = agent.facts(config, current.as_ref(), &state, &holder);
    let renewal = schedule::renewal_at(&facts, now);
    let condition = match &current {
        None => Condition::Missing,
        Some(current) if current.leaf.not_after() <= now => Condition::Expired,
        Some(_) if state.held.is_some() => Condition::RolledBack,
        Some(_) if state.debt.is_some() => Condition::ReloadOwed,
        Some(_) if schedule::due(&facts, now) <= now => Condition::Due,
        Some(_) => Condition::Ok,
    };
    let leaf = current.as_ref().map(|current| &current.leaf);
    let names = leaf.map_or_else(|| agent.names(config), |leaf| leaf.identifiers().to_vec());
    let trouble = state.debt.as_ref().and_then(|debt| debt.failure.as_ref()).or(state.failure.as_ref());
    Ok(CertificateStatus {
        name: config.name.clone(),
        condition,
        names: names.iter().map(ToString::to_string).collect(),
        not_after: leaf.map(|leaf| leaf.not_after().rfc3339()),
        next_renewal: Some(renewal.rfc3339()),
        generation: current.as_ref().map(|current| current.number),
        sha256: current.as_ref().map(|current| current.leaf_sha256()),
        service: config.service.kind(),
        reload_owed_since: state.debt.as_ref().map(|debt| debt.since.rfc3339()),
        last_probe: state.last_probe.as_ref().map(|probe| format!("{}: {}", probe.at, probe.detail)),
        failed_attempts: trouble.map_or(0, |failure| failure.attempts),
        last_error: trouble.map(|failure| failure.error.clone()),
    })
}

impl Status {
    /// For people.
    pub fn table(&self) -> String {
        let header = ["CERTIFICATE", "CONDITION", "ENDS", "NEXT RENEWAL", "SERVICE", "NAMES"].map(str::to_owned);
        let mut rows = vec![header];
        for one in &self.certificates {
            rows.push([
                one.name.clone(),
                one.condition.word().to_owned(),
                one.not_after.clone().unwrap_or_else(|| "-".to_owned()),
                one.next_renewal.clone().unwrap_or_else(|| "-".to_owned()),
                one.service.to_owned(),
                one.names.join(" "),
            ]);
        }
        let mut text = aligned(&rows);
        for one in &self.certificates {
            if let Some(since) = &one.reload_owed_since {
                let _ = writeln!(text, "\n{}: reload owed since {since}", one.name);
            }
            if let Some(error) = &one.last_error {
                let _ = writeln!(text, "\n{}: {} failed attempt(s), the last: {error}", one.name, one.failed_attempts);
            }
        }
        let _ = writeln!(text, "\n{}", self.ca.sentence());
        let _ = writeln!(text, "Without the CA this node goes on for {} day(s).", self.days_of_autonomy);
        text
    }
}

impl CaStatus {
    fn sentence(&self) -> String {
        match (&self.unreachable_since, &self.reached_at) {
            (Some(since), _) => {
                let next = self.next_try.as_deref().unwrap_or("unknown");
                let error = self.last_error.as_deref().unwrap_or("no reason is known");
                format!("CA unreachable since {since}, next try by {next}: {error}")
            }
            (None, Some(at)) => format!("CA last reached {at}."),
            (None, None) => "The CA was not contacted yet.".to_owned(),
        }
    }
}

fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}
