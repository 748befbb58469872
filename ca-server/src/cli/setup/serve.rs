//! `ca-server serve`

use clap::Args;

use crate::cli::args::{Dir, PassphraseFile};
use crate::cli::error::CliError;
use crate::config::passphrase::{self, Prompt};
use crate::serve;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    dir: Dir,
    #[command(flatten)]
    passphrase: PassphraseFile,
}

impl Arguments {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        let config = self.dir.config()?;
        if !config.replica.has_keys() {
            return serve::run_responder(&config.dir).await.map_err(CliError::failed);
        }
        let passphrase = passphrase::find(self.passphrase.path(), &config.keys.passphrase_file, Prompt::Existing);
        serve::run(&config.dir, passphrase.map_err(CliError::failed)?, |_| {}).await.map_err(CliError::failed)
    }
}
