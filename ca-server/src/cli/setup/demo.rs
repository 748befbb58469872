//! What `quickstart --demo` starts: this program again, as the agent and as the service.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cli::error::CliError;
use crate::demo;

#[derive(Debug, Args)]
pub(in crate::cli) struct Agent {
    /// The agent's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Service {
    /// The demo's folder
    folder: PathBuf,
    /// Where it listens
    address: SocketAddr,
}

impl Agent {
    /// Ends as the agent itself would.
    pub(in crate::cli) fn run(self) -> ExitCode {
        renew_agent::cli::run(std::iter::once(OsString::from("renew-agent")).chain(self.arguments))
    }
}

impl Service {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        demo::serve(&self.folder, self.address).await.map_err(CliError::failed)
    }
}
