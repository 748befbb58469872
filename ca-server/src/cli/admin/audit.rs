//! `ca-server audit ...`

use api::admin::AuditView;
use clap::{Args, Subcommand};

use crate::cli::args::Listing;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// List events
    List(List),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    listing: Listing,
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        let Self::List(list) = self;
        let events: Vec<AuditView> =
            Client::of(&list.listing.admin.dir)?.list("/api/v1/audit", None, list.listing.limit).await?;
        let header = ["AT", "ACTOR", "ACTION", "SUBJECT", "DETAILS"];
        output::list(list.listing.admin.output.output, &events, header, |event| {
            let details: Vec<String> = event.details.iter().map(|(key, value)| format!("{key}={value}")).collect();
            [event.at.clone(), event.actor.clone(), event.action.clone(), event.subject.clone(), details.join(" ")]
        })
    }
}
