//! `ca-server policy diff`

use std::path::PathBuf;

use clap::Args;
use pki_core::policy::Policy;
use pki_core::policy::diff::{ProfileDifference, diff};
use serde::Serialize;

use super::live::{self, Live};
use super::{Profiles, load};
use crate::cli::args::{Format, Output};
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Diff {
    /// Folder with the profiles as they are
    old: PathBuf,
    /// Folder with the profiles as they would be
    new: PathBuf,
    /// Also tell which certificates in force could not be renewed, by device; reads the database of the CA
    #[arg(long)]
    live: bool,
    /// How many holders of such certificates to tell; all are counted
    #[arg(long, value_name = "NUMBER", requires = "live", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    profiles: Profiles,
    #[command(flatten)]
    output: Output,
}

/// What is otherwise.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    old_revision: String,
    new_revision: String,
    profiles: Vec<ProfileDifference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Live>,
}

impl Diff {
    pub(super) async fn run(self) -> Result<(), CliError> {
        let config = self.profiles.config()?;
        let (old, new) = (load(&self.old, config.as_ref())?, load(&self.new, config.as_ref())?);
        let live = match (self.live, &config) {
            (false, _) => None,
            (true, Some(config)) => Some(live::look(config, &old, &new, self.limit).await?),
            (true, None) => {
                let told = "there is no CA here whose certificates could be meant; name its folder with `--dir`";
                return Err(CliError::Usage(told.to_owned()));
            }
        };
        let report = report(&old, &new, live);
        match self.output.output {
            Format::Json => output::json(&report),
            Format::Table => output::print(&text(&report)),
        }
    }
}

fn report(old: &Policy, new: &Policy, live: Option<Live>) -> Report {
    Report {
        old_revision: old.revision().to_owned(),
        new_revision: new.revision().to_owned(),
        profiles: diff(old, new),
        live,
    }
}

fn text(report: &Report) -> String {
    let mut text = if report.profiles.is_empty() {
        "nothing changes: both mean the same\n".to_owned()
    } else {
        output::table(["PROFILE", "IS", "WHAT", "EFFECT", "OLD", "NEW"], report.profiles.iter().flat_map(rows))
    };
    if let Some(live) = &report.live {
        text.push('\n');
        text.push_str(&live.text());
    }
    text
}

fn rows(profile: &ProfileDifference) -> Vec<[String; 6]> {
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
    let row = |change: &pki_core::policy::diff::Change| {
        let (name, is) = (profile.profile.clone(), profile.is.as_str().to_owned());
        let effect = change.effect.as_str().to_owned();
        [name, is, change.field.to_owned(), effect, side(&change.old), side(&change.new)]
    };
    profile.changes.iter().map(row).collect()
}
