//! `ca-server root ...`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pki_core::time::{Clock, SystemClock};

use crate::ceremony::{CeremonyError, RootSignRequest, sign_root_crl};
use crate::cli::args::{Dir, PassphraseFile};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::config::passphrase::{self, Prompt};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Sign the root's CRL anew, for thirteen months, and install it
    Sign(Sign),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Sign {
    #[command(flatten)]
    dir: Dir,
    /// The root key [default: DIR/keys/root.key]
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseFile,
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        let Self::Sign(sign) = self;
        let config = sign.dir.config()?;
        let passphrase = passphrase::find(sign.passphrase.path(), &config.keys.passphrase_file, Prompt::Existing)
            .map_err(CliError::failed)?;
        let request = RootSignRequest {
            config: &config,
            root_key: sign.root_key,
            passphrase: &passphrase,
            now: SystemClock.now(),
        };
        let signed = sign_root_crl(request).await.map_err(|error| match error {
            CeremonyError::Request(why) => CliError::Usage(why),
            other => CliError::failed(other),
        })?;
        output::print(&format!(
            "{}: number {}, valid until {}\n",
            signed.path.display(),
            signed.number,
            signed.next_update
        ))
    }
}
