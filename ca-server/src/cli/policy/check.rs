//! `ca-server policy check`

use std::path::PathBuf;

use clap::Args;
use pki_core::policy::lint::{Finding, Severity, lint};
use serde::Serialize;

use super::{Profiles, load, surroundings};
use crate::cli::args::{Format, Output};
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// Folder with the profiles [default: the one of the CA]
    folder: Option<PathBuf>,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    profiles: Profiles,
    #[command(flatten)]
    output: Output,
}

/// What was found.
#[derive(Serialize)]
struct Report {
    revision: String,
    profiles: usize,
    findings: Vec<Finding>,
}

impl Check {
    pub(super) fn run(self) -> Result<(), CliError> {
        let config = self.profiles.config()?;
        let folder = self.profiles.folder(self.folder, config.as_ref())?;
        let policy = load(&folder, config.as_ref())?;
        let findings = lint(&policy, &surroundings(config.as_ref())?);
        let least = if self.strict { Severity::Warning } else { Severity::Danger };
        let open = |finding: &&Finding| finding.accepted.is_none();
        let failing = findings.iter().filter(open).filter(|finding| finding.severity >= least).count();
        let report = Report { revision: policy.revision().to_owned(), profiles: policy.profiles().len(), findings };
        match self.output.output {
            Format::Json => output::json(&report)?,
            Format::Table => output::print(&text(&report))?,
        }
        match failing {
            0 => Ok(()),
            _ => Err(CliError::Failed(format!(
                "{failing} of the findings are not accepted; mend the profiles, or say under `metadata.accepts` why they \
                 are meant so"
            ))),
        }
    }
}

fn text(report: &Report) -> String {
    let mut text: String = report.findings.iter().map(paragraph).collect();
    let accepted = report.findings.iter().filter(|finding| finding.accepted.is_some()).count();
    let (profiles, findings) = (report.profiles, report.findings.len());
    let revision: String = report.revision.chars().take(12).collect();
    text.push_str(&format!(
        "profiles: {profiles}, findings: {findings}, of them accepted: {accepted}, revision: {revision}\n"
    ));
    text
}

fn paragraph(finding: &Finding) -> String {
    let Finding { id, severity, profile, file, field, sentence, remedy, accepted } = finding;
    let last = match accepted {
        Some(reason) => format!("accepted: {reason}"),
        None => format!("remedy: {remedy}"),
    };
    let lines = [format!("{id} {}  {profile}  {file}: {field}", severity.as_str()), sentence.clone(), last];
    let lines = lines.map(|line| line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>());
    lines.join("\n    ") + "\n"
}
