//! `ca-server device ...`

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::admin::{
    DeviceRequest, DeviceView, EnrolmentConflict, LabelRequest, RevokeDevice, TakenOutView, TokenRequest, TokenView,
};
use clap::{Args, Subcommand};
use pki_core::device::{LabelChange, LabelSelector, Labels};
use signer::durable::{self, Existing};

use crate::cli::args::{self, Admin, Format, Listing};
use crate::cli::client::{Client, encode};
use crate::cli::error::CliError;
use crate::cli::output;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Register a device and print the token line it enrols with
    Add(Add),
    /// List devices
    List(List),
    /// Show one device
    Show(One),
    /// Set and remove labels of a device, from which its profile may make names
    Label(Label),
    /// Make another token for a device; one that was not used yet ends
    Token(Token),
    /// Take a device out of service; its certificates are revoked
    Retire(One),
    /// Take out a device that is in wrong hands, with its certificates, accounts, open orders and tokens
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// Its name: lower-case letters, digits, '-', '_' and '.'
    name: String,
    /// The profile of its certificates
    #[arg(long)]
    profile: String,
    /// A DNS name it may have without challenge; may be given several times, or left out where the profile makes one
    #[arg(long = "dns", value_name = "NAME")]
    dns: Vec<String>,
    /// An IP address it may have without challenge; may be given several times
    #[arg(long = "ip", value_name = "IP")]
    ips: Vec<String>,
    /// A label, of which its profile may make names; may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = args::label)]
    labels: Vec<(String, String)>,
    /// Where it stands: a name of your choice, for sets such as `cert revoke --where site=NAME` [default: home]
    #[arg(long)]
    site: Option<String>,
    #[command(flatten)]
    token: TokenOptions,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
struct TokenOptions {
    /// How long the token may wait for its first use: 12h, 30d
    #[arg(long, value_name = "SPAN", value_parser = args::duration)]
    expires: Option<Duration>,
    /// Write the token into a new file, mode 0600, instead of printing it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only this name, or names that begin with it when it ends in '*'
    #[arg(long)]
    name: Option<String>,
    /// Only devices with this label; may be given several times, for devices with all of them
    #[arg(long = "label", value_name = "KEY[=VALUE]", value_parser = selector)]
    labels: Vec<String>,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct One {
    /// The device
    name: String,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Label {
    /// The device
    name: String,
    /// KEY=VALUE sets a label, KEY- removes one
    #[arg(required = true, value_name = "KEY=VALUE|KEY-")]
    changes: Vec<LabelChange>,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Token {
    /// The device
    name: String,
    #[command(flatten)]
    token: TokenOptions,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Revoke {
    /// The device
    name: String,
    /// What it is from now on: compromised or retired
    #[arg(long, default_value = "compromised", value_parser = ["compromised", "retired"])]
    state: String,
    /// Reason of RFC 5280 for its certificates [default: keyCompromise, or cessationOfOperation when it is retired]
    #[arg(long)]
    reason: Option<String>,
    /// Why, for the audit log
    #[arg(long)]
    comment: Option<String>,
    #[command(flatten)]
    admin: Admin,
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::Add(add) => add.run().await,
            Self::List(list) => list.run().await,
            Self::Show(one) => show(&one.admin, &one.client()?.get(&path(&one.name, "")).await?),
            Self::Label(label) => label.run().await,
            Self::Token(token) => token.run().await,
            Self::Retire(one) => {
                let out: TakenOutView = one.client()?.post(&path(&one.name, "/retire"), &serde_json::json!({})).await?;
                tell(&one.admin, &out)
            }
            Self::Revoke(revoke) => {
                let Revoke { name, state, reason, comment, admin } = revoke;
                let body = RevokeDevice { state: Some(state), reason, comment };
                let out: TakenOutView = Client::of(&admin.dir)?.post(&path(&name, "/revoke"), &body).await?;
                tell(&admin, &out)
            }
        }
    }
}

/// What was taken out, and that nothing was.
fn tell(admin: &Admin, out: &TakenOutView) -> Result<(), CliError> {
    if !out.changed {
        let state = output::word(&out.device.state);
        let since = output::maybe(out.device.state_since.as_ref());
        output::note(&format!("nothing was changed: {} is {state} since {since}", out.device.name));
    }
    if out.goes_on {
        output::note("it is out of service; the rest of its certificates is being revoked in the background");
    }
    if admin.output.output == Format::Json {
        return output::json(out);
    }
    show(admin, &out.device)?;
    let TakenOutView { certificates, accounts, orders, .. } = out;
    let [certificates, accounts, orders] =
        [(certificates, "certificate"), (accounts, "account"), (orders, "open order")]
            .map(|(count, thing)| output::many(*count, thing));
    output::print(&format!("revoked: {certificates}; ended: {accounts}, {orders}\n"))
}

impl Add {
    async fn run(self) -> Result<(), CliError> {
        self.token.check()?;
        // a label that is given twice is found here: an object of JSON has each member once
        Labels::parse(self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .map_err(CliError::failed)?;
        let request = DeviceRequest {
            name: self.name,
            profile: self.profile,
            site: self.site,
            dns: self.dns,
            ips: self.ips,
            labels: self.labels.into_iter().collect(),
            token_seconds: self.token.expires.map(|span| span.as_secs()),
        };
        let made: TokenView = Client::of(&self.admin.dir)?.post("/api/v1/devices", &request).await?;
        self.token.hand_out(self.admin.output.output, &made)
    }
}

impl Label {
    async fn run(self) -> Result<(), CliError> {
        // as above, and one that is both set and removed
        Labels::default().changed(self.changes.iter().cloned()).map_err(CliError::failed)?;
        let mut request = LabelRequest::default();
        for change in self.changes {
            match change {
                LabelChange::Set(key, value) => {
                    request.set.insert(key.to_string(), value.as_str().to_owned());
                }
                LabelChange::Remove(key) => request.remove.push(key.to_string()),
            }
        }
        let device: DeviceView = Client::of(&self.admin.dir)?.post(&path(&self.name, "/labels"), &request).await?;
        show(&self.admin, &device)
    }
}

impl Token {
    async fn run(self) -> Result<(), CliError> {
        self.token.check()?;
        let request = TokenRequest { token_seconds: self.token.expires.map(|span| span.as_secs()) };
        let made: TokenView = Client::of(&self.admin.dir)?.post(&path(&self.name, "/token"), &request).await?;
        self.token.hand_out(self.admin.output.output, &made)
    }
}

impl TokenOptions {
    /// A token is shown once, so a file that cannot take it is found out before the token exists.
    fn check(&self) -> Result<(), CliError> {
        let Some(path) = &self.token_file else { return Ok(()) };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match (path.symlink_metadata(), folder.is_dir()) {
            (Ok(_), _) => {
                Err(CliError::Failed(format!("{} exists already; give --token-file a new name", path.display())))
            }
            (Err(_), false) => Err(CliError::Failed(format!("there is no folder {}; make it first", folder.display()))),
            (Err(_), true) => Ok(()),
        }
    }

    fn hand_out(&self, format: Format, made: &TokenView) -> Result<(), CliError> {
        let line = format!("{}\n", made.token.expose());
        match (&self.token_file, format) {
            (Some(path), _) => {
                let written = durable::write(path, line.as_bytes(), 0o600, Existing::Keep);
                let name = &made.device.name;
                written.map_err(|error| {
                    let path = path.display();
                    CliError::Failed(format!(
                        "cannot write {path}: {error}; make another token with `ca-server device token {name}`"
                    ))
                })?;
            }
            (None, Format::Json) => output::json(made)?,
            (None, Format::Table) => output::print(&line)?,
        }
        if output::is_watched() {
            let until = made.expires_at.as_ref().map(|at| format!(", at the latest at {at}")).unwrap_or_default();
            output::note(&format!(
                "{} enrols once with this token{until}: `renew-agent enroll --token-file FILE`",
                made.device.name
            ));
        }
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<(), CliError> {
        let path = match self.labels.as_slice() {
            [] => "/api/v1/devices".to_owned(),
            labels => format!("/api/v1/devices?label={}", encode(&labels.join(","))),
        };
        let devices: Vec<DeviceView> =
            Client::of(&self.listing.admin.dir)?.list(&path, self.name, self.listing.limit).await?;
        let header = ["NAME", "STATE", "PROFILE", "SITE", "NAMES", "LABELS", "LAST SEEN"];
        output::list(self.listing.admin.output.output, &devices, header, |device| {
            [
                device.name.clone(),
                output::word(&device.state),
                device.profile.clone(),
                device.site.clone(),
                names(device),
                labels(device),
                output::maybe(device.last_seen_at.as_ref()),
            ]
        })
    }
}

impl One {
    fn client(&self) -> Result<Client, CliError> {
        Client::of(&self.admin.dir)
    }
}

fn path(name: &str, verb: &str) -> String {
    format!("/api/v1/devices/{}{verb}", encode(name))
}

fn names(device: &DeviceView) -> String {
    [device.dns.as_slice(), &device.ips].concat().join(" ")
}

fn labels(device: &DeviceView) -> String {
    device.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn selector(text: &str) -> Result<String, String> {
    let read: Result<LabelSelector, _> = text.parse();
    read.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn show(admin: &Admin, device: &DeviceView) -> Result<(), CliError> {
    let mut facts = vec![
        ("name", device.name.clone()),
        ("id", device.id.clone()),
        ("state", output::word(&device.state)),
        ("since", output::maybe(device.state_since.as_ref())),
        ("profile", device.profile.clone()),
        ("site", device.site.clone()),
        ("names", names(device)),
        ("labels", labels(device)),
        ("registered", device.created_at.clone()),
        ("last seen", output::maybe(device.last_seen_at.as_ref())),
        ("certified until", output::maybe(device.certificate_until.as_ref())),
    ];
    let conflict = |conflict: &EnrolmentConflict| {
        format!("{}: its token was used again with another key ({})", conflict.at, conflict.offered_key)
    };
    facts.extend(device.conflicts.iter().map(|found| ("refused", conflict(found))));
    output::show(admin.output.output, device, facts)
}
