//! `ca-server cert ...`

mod revoke;
mod set;

use std::time::Duration;

use api::admin::{CertificateView, ReplaceAllRequest, ReplaceAllView};
use clap::{Args, Subcommand};

use crate::cli::args::{Admin, Format, Listing, duration};
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// List certificates
    List(List),
    /// Show one certificate, with its chain in PEM
    Show(One),
    /// Revoke a certificate, or every one of a set
    Revoke(revoke::Revoke),
    /// End the hold of a certificate that was revoked with the reason certificateHold, or of every one of a set
    Release(revoke::Release),
    /// Ask all clients to renew what they have now, before an issuer is rotated or after a mishap
    ReplaceAll(ReplaceAll),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only certificates with this name, or names that begin with it when it ends in '*'
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct One {
    /// Its serial number (hexadecimal or decimal), its SHA-256 fingerprint, or a file with it (PEM or DER)
    certificate: String,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ReplaceAll {
    /// Spread the renewals over this long
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = duration)]
    within: Duration,
    /// Why, for the audit log
    #[arg(long)]
    comment: Option<String>,
    #[command(flatten)]
    admin: Admin,
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::List(list) => list.run().await,
            Self::Show(one) => {
                let path = revoke::Named::read(&one.certificate)?.path("");
                show(&one.admin, &Client::of(&one.admin.dir)?.get(&path).await?)
            }
            Self::Revoke(revoke) => revoke.run().await,
            Self::Release(release) => release.run().await,
            Self::ReplaceAll(all) => {
                let body = ReplaceAllRequest { within_seconds: all.within.as_secs(), comment: all.comment };
                let view: ReplaceAllView = Client::of(&all.admin.dir)?.post("/api/v1/replace-all", &body).await?;
                let facts = vec![("from", view.from.clone()), ("until", view.until.clone())];
                output::show(all.admin.output.output, &view, facts)
            }
        }
    }
}

impl List {
    async fn run(self) -> Result<(), CliError> {
        let found: Vec<CertificateView> =
            Client::of(&self.listing.admin.dir)?.list("/api/v1/certificates", self.name, self.listing.limit).await?;
        let header = ["SERIAL", "STATE", "PROFILE", "NAMES", "DEVICE", "NOT AFTER"];
        output::list(self.listing.admin.output.output, &found, header, |certificate| {
            [
                certificate.serial.clone(),
                output::word(&certificate.state),
                certificate.profile.clone(),
                names(certificate),
                output::maybe(certificate.device.as_ref()),
                certificate.not_after.clone(),
            ]
        })
    }
}

fn names(certificate: &CertificateView) -> String {
    certificate.identifiers.iter().map(|identifier| identifier.value.as_str()).collect::<Vec<_>>().join(" ")
}

fn show(admin: &Admin, certificate: &CertificateView) -> Result<(), CliError> {
    output::show(admin.output.output, certificate, facts(certificate))?;
    match (admin.output.output, &certificate.pem) {
        (Format::Table, Some(pem)) => output::print(&format!("\n{pem}")),
        _ => Ok(()),
    }
}

/// What people are told of a certificate; its bytes are apart.
fn facts(certificate: &CertificateView) -> Vec<(&'static str, String)> {
    let first = |number: u64| match &certificate.first_crl_at {
        Some(at) => format!("number {number} of {at}"),
        None => format!("number {number}"),
    };
    vec![
        ("serial", certificate.serial.clone()),
        ("state", output::word(&certificate.state)),
        ("revoked", output::maybe(certificate.revoked_at.as_ref())),
        ("reason", output::maybe(certificate.reason.as_ref())),
        ("revoked by", output::maybe(certificate.revoked_by.as_ref())),
        ("revoked with", output::maybe(certificate.revoked_with.as_ref())),
        ("comment", output::maybe(certificate.comment.as_ref())),
        ("first CRL", certificate.first_crl.map(first).unwrap_or_default()),
        ("names", names(certificate)),
        ("profile", certificate.profile.clone()),
        ("policy", certificate.policy_revision.clone()),
        ("policy commit", output::maybe(certificate.policy_commit.as_ref())),
        ("device", output::maybe(certificate.device.as_ref())),
        ("account", output::maybe(certificate.account.as_ref())),
        ("source", certificate.source.clone()),
        ("not before", certificate.not_before.clone()),
        ("not after", certificate.not_after.clone()),
        ("seen in use", output::maybe(certificate.confirmed_at.as_ref())),
        ("SHA-256", output::maybe(certificate.sha256.as_ref())),
        ("key SHA-256", certificate.spki_sha256.clone()),
        ("issuer", certificate.issuer.clone()),
    ]
}
