//! `ca-server policy schema`

use clap::Args;
use pki_core::policy::schema;

use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Schema {
    /// That of files of cases
    #[arg(long)]
    cases: bool,
}

impl Schema {
    pub(super) fn run(self) -> Result<(), CliError> {
        output::print(&if self.cases { schema::cases() } else { schema::profile() })
    }
}
