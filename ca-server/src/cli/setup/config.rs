//! `ca-server config ...`

use clap::{Args, Subcommand};

use crate::ceremony::CaMaterial;
use crate::cli::args::Dir;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::config::FILE;
use crate::policies;
use crate::policies::folder::Source;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Check the configuration, the policies and the CA's files, and print what is in force
    Check(Check),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    dir: Dir,
}

impl Command {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let Self::Check(check) = self;
        let config = check.dir.config()?;
        let look = Source::of(&config.policies, &config.dir).look().map_err(CliError::failed)?;
        policies::check(&look, &config.validation.kinds()).map_err(CliError::failed)?;
        CaMaterial::read(&config).map_err(CliError::failed)?;
        output::print(&format!(
            "# {} is in order; in force:\n\n{}",
            config.dir.join(FILE).display(),
            config.effective()
        ))
    }
}
