//! `ca-server crl ...`

use api::admin::{CrlView, Page};
use clap::{Args, Subcommand};

use crate::cli::args::Admin;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Show the published revocation lists
    Show(Arguments),
    /// Sign and publish every revocation list now
    Publish(Arguments),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    admin: Admin,
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::Show(arguments) => {
                let lists: Vec<CrlView> = Client::of(&arguments.admin.dir)?.list("/api/v1/crl", None, None).await?;
                show(&arguments.admin, &lists)
            }
            Self::Publish(arguments) => {
                let client = Client::of(&arguments.admin.dir)?;
                let page: Page<CrlView> = client.post("/api/v1/crl/publish", &serde_json::json!({})).await?;
                show(&arguments.admin, &page.items)
            }
        }
    }
}

fn show(admin: &Admin, lists: &[CrlView]) -> Result<(), CliError> {
    let header = ["SCOPE", "NUMBER", "REVOKED", "COVERS", "SIGNED", "VALID UNTIL", "URL"];
    output::list(admin.output.output, lists, header, |list| {
        [
            list.shard.map_or_else(|| "complete".to_owned(), |shard| format!("shard {shard}")),
            list.number.to_string(),
            list.entries.to_string(),
            list.covers.map(|covers| covers.to_string()).unwrap_or_default(),
            list.this_update.clone(),
            list.next_update.clone(),
            list.url.clone(),
        ]
    })
}
