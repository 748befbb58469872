//! `ca-server revocation list`: what is revoked, since when, by whom and why.

use api::admin::RevocationView;
use clap::{Args, Subcommand};

use crate::cli::args::Listing;
use crate::cli::client::{Client, encode};
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// List what is revoked, in the order of its last change
    List(List),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only what fits all conditions, as `cert revoke --where` takes them
    #[arg(long = "where", value_name = "CONDITIONS")]
    conditions: Vec<String>,
    /// Only what was revoked at this time or later: 2026-03-01 or 2026-03-01T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::List(list) => list.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), CliError> {
        let mut conditions = self.conditions;
        conditions.extend(self.since.map(|since| format!("revoked-after={since}")));
        let path = match conditions.join(" ").as_str() {
            "" => "/api/v1/revocations".to_owned(),
            selection => format!("/api/v1/revocations?where={}", encode(selection)),
        };
        let client = Client::of(&self.listing.admin.dir)?;
        let found: Vec<RevocationView> = client.list(&path, None, self.listing.limit).await?;
        let header = ["NUMBER", "SERIAL", "REVOKED", "REASON", "NAMES", "DEVICE", "BY", "COMMENT", "FIRST CRL"];
        output::list(self.listing.admin.output.output, &found, header, |one| {
            [
                one.number.to_string(),
                one.serial.clone(),
                one.revoked_at.clone(),
                output::maybe(one.reason.as_ref()),
                one.names.join(" "),
                output::maybe(one.device.as_ref()),
                output::maybe(one.by.as_ref()),
                output::maybe(one.comment.as_ref()),
                one.first_crl.map(|number| number.to_string()).unwrap_or_default(),
            ]
        })
    }
}
