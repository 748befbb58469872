//! `ca-server policy explain`

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::admin::{DeviceState, DeviceView};
use clap::{Args, ValueEnum};
use pki_core::policy::Policy;
use pki_core::policy::cases::{By, DeviceDocument, RequestDocument};
use pki_core::policy::explain::Explanation;

use super::{Profiles, load, test};
use crate::cli::args::{self, Dir, Format, Output};
use crate::cli::client::{Client, encode};
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Explain {
    /// Folder with the profiles [default: the one of the CA]
    folder: Option<PathBuf>,
    /// Take the request of a case from this file
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    case: Option<PathBuf>,
    /// Which case of the file [default: all of them]
    #[arg(long, value_name = "NAME", requires = "case")]
    name: Option<String>,
    /// The profile that is asked for
    #[arg(long, required_unless_present = "case")]
    profile: Option<String>,
    #[command(flatten)]
    names: Names,
    #[command(flatten)]
    requester: Requester,
    #[command(flatten)]
    profiles: Profiles,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Names {
    /// A DNS name that is asked for
    #[arg(long, value_name = "NAME")]
    dns: Vec<String>,
    /// An IP address that is asked for
    #[arg(long, value_name = "ADDRESS")]
    ip: Vec<String>,
    /// A URI in the CSR
    #[arg(long)]
    uri: Vec<String>,
    /// An e-mail address in the CSR
    #[arg(long, value_name = "ADDRESS")]
    email: Vec<String>,
    /// A permanent identifier in the CSR
    #[arg(long, value_name = "VALUE")]
    permanent_identifier: Vec<String>,
    /// The key in the CSR: `ECDSA P-256`, `Ed25519`, `RSA 3072`
    #[arg(long)]
    key: Option<String>,
}

#[derive(Debug, Args)]
struct Requester {
    /// Who asks
    #[arg(long, value_enum, default_value_t = Who::Anyone)]
    by: Who,
    /// Take what is known of the device that asks, its labels too, from the running CA
    #[arg(long, value_name = "NAME", conflicts_with_all = ["device", "case"])]
    recorded: Option<String>,
    /// The name of the device that asks
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Where the device stands
    #[arg(long, requires = "device")]
    site: Option<String>,
    /// The profile that the device is registered for [default: the one asked for]
    #[arg(long, value_name = "PROFILE", requires = "device")]
    registered_for: Option<String>,
    /// A label of the device
    #[arg(long, value_name = "KEY=VALUE", requires = "device", value_parser = args::label)]
    label: Vec<(String, String)>,
    /// A DNS name in the device's record [default: the names asked for]
    #[arg(long, value_name = "NAME", requires = "device")]
    record_dns: Vec<String>,
    /// An address in the device's record [default: the addresses asked for]
    #[arg(long, value_name = "ADDRESS", requires = "device")]
    record_ip: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Who {
    /// Any ACME account
    Anyone,
    /// An account with an external account key
    ExternalAccount,
    /// An account of the device
    Device,
    /// An administrator
    Administrator,
}

impl Explain {
    pub(super) async fn run(self) -> Result<(), CliError> {
        let config = self.profiles.config()?;
        let folder = self.profiles.folder(self.folder.clone(), config.as_ref())?;
        let policy = load(&folder, config.as_ref())?;
        let format = self.output.output;
        let recorded = match &self.requester.recorded {
            Some(name) => Some(recorded(&self.profiles.dir, name).await?),
            None => None,
        };
        let explained =
            self.requests(recorded)?.iter().map(|request| explain(&policy, request)).collect::<Result<Vec<_>, _>>()?;
        match format {
            Format::Json => match explained.as_slice() {
                [only] => output::json(only),
                all => output::json(all),
            },
            Format::Table => output::print(&explained.iter().map(text).collect::<Vec<_>>().join("\n")),
        }
    }

    fn requests(self, recorded: Option<DeviceDocument>) -> Result<Vec<RequestDocument>, CliError> {
        let Some(file) = self.case else { return Ok(vec![self.request(recorded)]) };
        let cases = test::read(&file)?.cases.into_iter();
        let wanted = |name: &str| self.name.as_deref().is_none_or(|wanted| wanted == name);
        let found: Vec<_> = cases.filter(|case| wanted(&case.name)).map(|case| case.request).collect();
        if found.is_empty() {
            return Err(CliError::Failed(format!("{} has no case of that name", file.display())));
        }
        Ok(found)
    }

    fn request(self, recorded: Option<DeviceDocument>) -> RequestDocument {
        let (names, who) = (self.names, self.requester);
        let described = who.device.map(|name| DeviceDocument {
            name,
            site: who.site,
            profile: who.registered_for,
            labels: who.label.into_iter().collect::<BTreeMap<_, _>>(),
            dns: if who.record_dns.is_empty() { names.dns.clone() } else { who.record_dns },
            ip: if who.record_ip.is_empty() { names.ip.clone() } else { who.record_ip },
            retired: false,
        });
        let device = recorded.or(described);
        let by = match who.by {
            Who::Anyone if device.is_some() => By::Device,
            Who::Anyone => By::Anyone,
            Who::ExternalAccount => By::ExternalAccount,
            Who::Device => By::Device,
            Who::Administrator => By::Administrator,
        };
        RequestDocument {
            profile: self.profile.unwrap_or_default(),
            dns: names.dns,
            ip: names.ip,
            uri: names.uri,
            email: names.email,
            permanent_identifier: names.permanent_identifier,
            key: names.key,
            by,
            device,
            held: None,
        }
    }
}

/// The record of a device of the running CA.
async fn recorded(dir: &Dir, name: &str) -> Result<DeviceDocument, CliError> {
    let path = format!("/api/v1/devices/{}", encode(name));
    let known: DeviceView = Client::of(dir)?.get(&path).await?;
    Ok(DeviceDocument {
        name: known.name,
        site: Some(known.site),
        profile: Some(known.profile),
        labels: known.labels,
        dns: known.dns,
        ip: known.ips,
        retired: matches!(known.state, DeviceState::Retired | DeviceState::Compromised),
    })
}

fn explain(policy: &Policy, request: &RequestDocument) -> Result<Explanation, CliError> {
    request.explain(policy).map_err(|why| CliError::Failed(format!("the request cannot be read: {why}")))
}

/// The verdict, the names with their rules, and every question with its answer.
fn text(explained: &Explanation) -> String {
    let verdict = match (&explained.rule, &explained.problem) {
        (Some(rule), Some(problem)) => format!("denied by {rule} (an ACME client is told `{problem}`)"),
        _ => "allowed".to_owned(),
    };
    let names = explained.names.iter().map(|name| {
        let rule = name.rule.clone().unwrap_or_else(|| "no rule".to_owned());
        [name.kind.clone(), name.name.clone(), rule]
    });
    let names = if explained.names.is_empty() { String::new() } else { output::table(["TYPE", "NAME", "RULE"], names) };
    let steps = explained.steps.iter().map(|step| {
        let answer = if step.holds { "yes" } else { "NO" };
        [step.rule.clone(), answer.to_owned(), step.detail.clone()]
    });
    let steps = output::table(["QUESTION", "KEPT", "WHY"], steps);
    format!("profile {}: {verdict}\n\n{names}\n{steps}", explained.profile)
}
