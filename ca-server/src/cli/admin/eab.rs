//! `ca-server eab ...`

use std::time::Duration;

use api::admin::{EabRequest, EabSecretView, EabView};
use clap::{Args, Subcommand};

use crate::cli::args::{self, Admin, Listing};
use crate::cli::client::{Client, encode};
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Make a key for an ACME client such as certbot or cert-manager; its secret is shown once
    Create(Create),
    /// List keys
    List(List),
    /// Withdraw a key that was not used yet
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// How long it may wait for its use: 12h, 30d
    #[arg(long, value_name = "SPAN", value_parser = args::duration)]
    expires: Option<Duration>,
    /// What it is for, for the audit log
    #[arg(long)]
    comment: Option<String>,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Revoke {
    /// The key's `kid`
    kid: String,
    #[command(flatten)]
    admin: Admin,
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Revoke(revoke) => {
                let path = format!("/api/v1/eab-keys/{}/revoke", encode(&revoke.kid));
                Client::of(&revoke.admin.dir)?.tell(&path, &serde_json::json!({})).await
            }
        }
    }
}

impl Create {
    async fn run(self) -> Result<(), CliError> {
        let request = EabRequest { expires_seconds: self.expires.map(|span| span.as_secs()), comment: self.comment };
        let made: EabSecretView = Client::of(&self.admin.dir)?.post("/api/v1/eab-keys", &request).await?;
        let facts = vec![
            ("kid", made.kid.clone()),
            ("hmac key", made.hmac_key.expose().to_owned()),
            ("directory", made.directory.clone()),
            ("first use until", output::maybe(made.expires_at.as_ref())),
        ];
        output::show(self.admin.output.output, &made, facts)
    }
}

impl List {
    async fn run(self) -> Result<(), CliError> {
        let keys: Vec<EabView> =
            Client::of(&self.listing.admin.dir)?.list("/api/v1/eab-keys", None, self.listing.limit).await?;
        let header = ["KID", "STATE", "DEVICE", "ACCOUNT", "CREATED", "EXPIRES"];
        output::list(self.listing.admin.output.output, &keys, header, |key| {
            [
                key.kid.clone(),
                output::word(&key.state),
                output::maybe(key.device.as_ref()),
                output::maybe(key.account.as_ref()),
                key.created_at.clone(),
                output::maybe(key.expires_at.as_ref()),
            ]
        })
    }
}
