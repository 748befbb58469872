//! `ca-server migrate` and `ca-server db ...`

use clap::{Args, Subcommand};
use store::{OpenOptions, Store};

use crate::cli::args::Dir;
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Migrate {
    #[command(flatten)]
    dir: Dir,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Open the database, read and write it once, and say whether migrations are pending
    Check(Check),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    dir: Dir,
}

impl Migrate {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        let store = open(&self.dir).await?;
        let applied = store.migrate().await.map_err(CliError::failed)?;
        let text = match applied.as_slice() {
            [] => format!("{} is up to date\n", store.name()),
            applied => applied.iter().map(|name| format!("applied {name}\n")).collect(),
        };
        store.close().await;
        output::print(&text)
    }
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        let Self::Check(check) = self;
        let store = open(&check.dir).await?;
        let checked = check_store(&store).await;
        store.close().await;
        output::print(&checked?)
    }
}

async fn check_store(store: &Store) -> Result<String, CliError> {
    let pending = store.pending_migrations().await.map_err(CliError::failed)?;
    if !pending.is_empty() {
        let names = pending.join(", ");
        return Err(CliError::Failed(format!(
            "{} waits for migrations ({names}); run `ca-server migrate`",
            store.name()
        )));
    }
    store.health().await.map_err(CliError::failed)?;
    Ok(format!("{} is up to date, and can be read and written\n", store.name()))
}

async fn open(dir: &Dir) -> Result<Store, CliError> {
    let config = dir.config()?;
    Store::open(OpenOptions::new(config.database.url.expose(), &config.dir)).await.map_err(CliError::failed)
}
