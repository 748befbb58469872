//! `ca-server profile ...`

use api::admin::ProfileView;
use clap::{Args, Subcommand};

use crate::cli::admin::span;
use crate::cli::args::Admin;
use crate::cli::client::{Client, encode};
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// List profiles
    List(List),
    /// Show one profile
    Show(One),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct One {
    /// The profile
    name: String,
    #[command(flatten)]
    admin: Admin,
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::List(list) => list.run().await,
            Self::Show(one) => {
                let path = format!("/api/v1/profiles/{}", encode(&one.name));
                show(&one.admin, &Client::of(&one.admin.dir)?.get(&path).await?)
            }
        }
    }
}

impl List {
    async fn run(self) -> Result<(), CliError> {
        let profiles: Vec<ProfileView> = Client::of(&self.admin.dir)?.list("/api/v1/profiles", None, None).await?;
        let header = ["NAME", "BINDING", "USAGE", "LIFETIME", "DESCRIPTION"];
        output::list(self.admin.output.output, &profiles, header, |profile| {
            [
                profile.name.clone(),
                profile.binding.clone(),
                profile.extended_key_usage.join(" "),
                span(profile.lifetime_seconds),
                profile.description.clone(),
            ]
        })
    }
}

fn show(admin: &Admin, profile: &ProfileView) -> Result<(), CliError> {
    let facts = vec![
        ("name", profile.name.clone()),
        ("description", profile.description.clone()),
        ("switched off", if profile.enabled { String::new() } else { "nothing is issued by it".to_owned() }),
        ("binding", profile.binding.clone()),
        ("role", profile.role.clone().unwrap_or_default()),
        ("usage", profile.extended_key_usage.join(" ")),
        ("lifetime", span(profile.lifetime_seconds)),
        ("backdated", span(profile.backdate_seconds)),
        ("renewed at", format!("{:.1} % of the lifetime", f64::from(profile.renew_at_permille) / 10.0)),
        ("grace", span(profile.grace_seconds)),
        ("rules", profile.rules.join("; ")),
        ("keys", profile.keys.join(", ")),
        ("challenges", profile.challenges.join(" ")),
        ("policy", profile.policy_revision.clone()),
    ];
    output::show(admin.output.output, profile, facts)
}
