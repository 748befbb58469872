//! `ca-server revocation list`: what is revoked, since when, by whom and why.

use api::admin::{Page, RevocationView};
use clap::{Args, Subcommand};

use crate::cli::args::Admin;
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
    /// The most rows
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    admin: Admin,
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
        let mut conditions = self.conditions.clone();
        conditions.extend(self.since.as_ref().map(|since| format!("revoked-after={since}")));
        let selection = (!conditions.is_empty()).then(|| conditions.join(" "));
        let found = self.fetch(selection).await?;
        let header = ["NUMBER", "SERIAL", "REVOKED", "REASON", "NAMES", "DEVICE", "BY", "COMMENT", "FIRST CRL"];
        output::list(self.admin.output.output, &found, header, |one| {
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

    async fn fetch(&self, selection: Option<String>) -> Result<Vec<RevocationView>, CliError> {
        const PAGE: u32 = 500;
        let client = Client::of(&self.admin.dir)?;
        let wanted = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut path = format!("/api/v1/revocations?limit={}", self.limit.unwrap_or(PAGE).min(PAGE));
        path += &selection.map(|selection| format!("&where={}", encode(&selection))).unwrap_or_default();
        let (mut rows, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let next = cursor.as_ref().map(|cursor| format!("{path}&cursor={}", encode(cursor)));
            let page: Page<RevocationView> = client.get(next.as_ref().unwrap_or(&path)).await?;
            let is_last = page.items.is_empty() || page.next.is_none();
            rows.extend(page.items);
            if is_last || rows.len() >= wanted {
                rows.truncate(wanted);
                return Ok(rows);
            }
            cursor = page.next;
        }
    }
}
