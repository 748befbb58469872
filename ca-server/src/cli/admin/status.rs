//! `ca-server status`

use api::admin::Status;
use clap::Args;

use crate::cli::args::Admin;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    admin: Admin,
}

impl Arguments {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        let status: Status = Client::of(&self.admin.dir)?.get("/api/v1/status").await?;
        let mut facts = vec![("version", status.version.clone()), ("directory", status.directory.clone())];
        facts.extend(status.roots_sha256.iter().map(|root| ("root SHA-256", root.clone())));
        let issuer =
            |issuer: &api::admin::IssuerView| format!("{} ({}) until {}", issuer.subject, issuer.key, issuer.not_after);
        facts.extend(status.issuers.iter().map(|found| ("issuer", issuer(found))));
        facts.push(("policy", status.policy_revision.clone()));
        output::show(self.admin.output.output, &status, facts)
    }
}
