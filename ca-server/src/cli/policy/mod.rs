//! `ca-server policy ...`: what a folder of profiles means, without a running CA.
//! Only `diff --live` looks into a database, and `explain --recorded` asks a CA that runs.

mod check;
mod diff;
mod explain;
mod live;
mod schema;
mod test;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use pki_core::acme::challenge::ChallengeKind;
use pki_core::policy::Policy;
use pki_core::policy::lint::Surroundings;
use pki_core::time::{Clock, SystemClock};
use signer::Envelope;

use crate::ceremony::CaMaterial;
use crate::cli::args::Dir;
use crate::cli::error::CliError;
use crate::config::{Config, FILE};
use crate::policies;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Check profiles: what is wrong, and what is allowed and dangerous
    Check(check::Check),
    /// Run the cases beside the profiles and compare the decisions
    Test(test::Test),
    /// Tell why a request is allowed or denied
    Explain(Box<explain::Explain>),
    /// Tell what a change of profiles changes in meaning
    Diff(diff::Diff),
    /// Print the JSON Schema of profiles, for editors
    Schema(schema::Schema),
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::Check(check) => check.run(),
            Self::Test(test) => test.run(),
            Self::Explain(explain) => explain.run().await,
            Self::Diff(diff) => diff.run().await,
            Self::Schema(schema) => schema.run(),
        }
    }
}

/// Which profiles.
#[derive(Debug, Args)]
struct Profiles {
    #[command(flatten)]
    dir: Dir,
}

impl Profiles {
    /// The CA's configuration, when there is a CA; a folder in a repository of policies has none.
    fn config(&self) -> Result<Option<Config>, CliError> {
        if self.dir.path().join(FILE).exists() { self.dir.config().map(Some) } else { Ok(None) }
    }

    /// The folder that was named, else the one of the CA.
    fn folder(&self, named: Option<PathBuf>, config: Option<&Config>) -> Result<PathBuf, CliError> {
        named.or_else(|| config.map(|config| config.policies.folder.clone())).ok_or_else(|| {
            CliError::Usage("there is no CA here whose policies could be meant; name the folder, or `--dir`".to_owned())
        })
    }
}

/// Without a CA every challenge counts as switched on.
fn load(folder: &Path, config: Option<&Config>) -> Result<Policy, CliError> {
    let kinds = config.map_or_else(|| ChallengeKind::ALL.to_vec(), |config| config.validation.kinds());
    policies::load(folder, &kinds).map_err(CliError::failed)
}

/// What the CA's certificates say; of a CA that is not here only that its signer has limits.
fn surroundings(config: Option<&Config>) -> Result<Surroundings, CliError> {
    let unknown = Surroundings { signer_life: Some(Envelope::serving().leaf_life), ..Surroundings::default() };
    let Some(config) = config else { return Ok(unknown) };
    let material = CaMaterial::read(config).map_err(CliError::failed)?;
    let now = SystemClock.now();
    let above = || std::iter::once(&material.issuing.certificate).chain(&material.issuing.chain);
    Ok(Surroundings {
        issuers: material.issuing.certificate.common_name().into_iter().collect(),
        issuer_life: above().map(|certificate| certificate.not_after().since(now)).min(),
        constraints: above().filter_map(|certificate| certificate.name_constraints()).collect(),
        has_responder: !material.issuing.ocsp_urls.is_empty(),
        ..unknown
    })
}
