//! `ca-server status`

use api::admin::{PolicyView, Status};
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
        facts.extend(status.policy.iter().flat_map(policy));
        output::show(self.admin.output.output, &status, facts)
    }
}

/// How the policy came to be in force, and whether the files hold another one that cannot be.
fn policy(policy: &PolicyView) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("policy commit", output::maybe(policy.commit.as_ref())),
        ("policy since", policy.since.clone()),
        ("policy files good", output::maybe(policy.last_success.as_ref())),
    ];
    if let Some(failure) = &policy.last_failure {
        let until = failure.over.as_ref().map_or("still".to_owned(), |over| format!("until {over}"));
        facts.push(("policy files broken", format!("from {}, {until}", failure.at)));
        facts.extend(failure.message.lines().map(|line| ("", line.to_owned())));
    }
    facts
}
