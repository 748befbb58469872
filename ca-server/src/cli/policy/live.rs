//! `ca-server policy diff --live`: the certificates in force that a change of policy strands, gathered by holder.

use std::collections::BTreeMap;

use indicatif::{ProgressBar, ProgressStyle};
use pki_core::policy::Policy;
use pki_core::time::{Clock, SystemClock, Timestamp};
use serde::Serialize;
use store::{OpenOptions, Store};

use crate::cli::error::CliError;
use crate::cli::output;
use crate::config::Config;
use crate::flows::what_if::{self, Unrenewable};

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Live {
    /// Certificates that were asked about.
    certificates: u64,
    /// Those that could not be renewed.
    unrenewable: u64,
    /// Of them those that the old policy denies too.
    denied_already: u64,
    /// How many by profile and rule.
    by_rule: Vec<ByRule>,
    /// Who holds them; the devices first, by name. As many as were asked for.
    holders: Vec<Holder>,
    /// Whether there are more holders.
    more_holders: bool,
}

/// How many certificates of a profile a rule denies.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ByRule {
    profile: String,
    rule: &'static str,
    certificates: u64,
}

/// Somebody who could not renew certificates of a profile.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    /// The device; none of whom no device is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    profile: String,
    certificates: u64,
    /// When the first of them ends.
    ends: String,
    /// The serial number of that one.
    serial: String,
    /// The names of that one.
    names: Vec<String>,
    rule: &'static str,
    detail: String,
    denied_already: bool,
}

/// Devices come first; what no device holds is told by certificate.
type Key = (bool, String, String);

/// Gathers what is found, with no more detail than was asked for.
#[derive(Default)]
struct Gathered {
    limit: usize,
    live: Live,
    by_rule: BTreeMap<(String, &'static str), u64>,
    holders: BTreeMap<Key, (Timestamp, Holder)>,
}

/// Asks of every certificate in force.
pub(super) async fn look(config: &Config, old: &Policy, new: &Policy, limit: usize) -> Result<Live, CliError> {
    let options = OpenOptions::new(config.database.url.expose(), &config.dir);
    let store = Store::open(options).await.map_err(CliError::failed)?;
    let looked = ask(&store, old, new, limit).await;
    store.close().await;
    looked
}

async fn ask(store: &Store, old: &Policy, new: &Policy, limit: usize) -> Result<Live, CliError> {
    let pending = store.pending_migrations().await.map_err(CliError::failed)?;
    if !pending.is_empty() {
        let told = format!("{} waits for migrations; run `ca-server migrate`", store.name());
        return Err(CliError::Failed(told));
    }
    let now = SystemClock.now();
    let bar = bar(what_if::count(store, now).await.map_err(CliError::failed)?);
    let mut gathered = Gathered { limit, ..Gathered::default() };
    let asked = what_if::look(store, old, new, now, |read, found| {
        bar.inc(read);
        found.into_iter().for_each(|one| gathered.add(one));
    });
    let asked = asked.await.map_err(CliError::failed);
    bar.finish_and_clear();
    Ok(gathered.into_live(asked?))
}

/// Drawn on standard error, and only where somebody waits.
fn bar(certificates: u64) -> ProgressBar {
    if !output::is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} certificates, {eta} left");
    ProgressBar::new(certificates).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Gathered {
    fn add(&mut self, found: Unrenewable) {
        self.live.unrenewable += 1;
        self.live.denied_already += u64::from(found.is_denied_already);
        *self.by_rule.entry((found.profile.to_string(), found.rule)).or_default() += 1;
        let holder = found.device.as_ref().map_or_else(|| found.serial.to_string(), ToString::to_string);
        let key = (found.device.is_none(), holder, found.profile.to_string());
        match self.holders.get_mut(&key) {
            Some((ends, holder)) => {
                let count = holder.certificates + 1;
                if found.not_after < *ends {
                    (*ends, *holder) = (found.not_after, Holder::of(&found));
                }
                holder.certificates = count;
            }
            None => {
                self.holders.insert(key, (found.not_after, Holder::of(&found)));
                if self.holders.len() > self.limit {
                    self.live.more_holders = true;
                    self.holders.pop_last();
                }
            }
        }
    }

    fn into_live(self, certificates: u64) -> Live {
        let by_rule = self.by_rule.into_iter();
        Live {
            certificates,
            by_rule: by_rule.map(|((profile, rule), certificates)| ByRule { profile, rule, certificates }).collect(),
            holders: self.holders.into_values().map(|(_, holder)| holder).collect(),
            ..self.live
        }
    }
}

impl Holder {
    fn of(found: &Unrenewable) -> Self {
        Self {
            device: found.device.as_ref().map(ToString::to_string),
            profile: found.profile.to_string(),
            certificates: 1,
            ends: found.not_after.to_string(),
            serial: found.serial.to_string(),
            names: found.identifiers.iter().map(ToString::to_string).collect(),
            rule: found.rule,
            detail: found.detail.clone(),
            denied_already: found.is_denied_already,
        }
    }
}

impl Live {
    pub(super) fn text(&self) -> String {
        let Self { certificates, unrenewable, denied_already, .. } = self;
        let mut text = format!(
            "certificates in force: {certificates}, of them not renewable under the new policy: {unrenewable}, under the \
             old neither: {denied_already}\n"
        );
        if self.holders.is_empty() {
            return text;
        }
        let rules =
            self.by_rule.iter().map(|one| [one.profile.clone(), one.rule.to_owned(), one.certificates.to_string()]);
        text.push_str(&output::table(["PROFILE", "RULE", "CERTIFICATES"], rules));
        text.push('\n');
        let header = ["DEVICE", "PROFILE", "CERTIFICATES", "FIRST END", "NAMES", "WHY"];
        text.push_str(&output::table(header, self.holders.iter().map(row)));
        if self.more_holders {
            text.push_str("there are more holders; `--limit` tells more of them\n");
        }
        text
    }
}

fn row(holder: &Holder) -> [String; 6] {
    [
        holder.device.clone().unwrap_or_else(|| "-".to_owned()),
        holder.profile.clone(),
        holder.certificates.to_string(),
        holder.ends.clone(),
        holder.names.join(" "),
        format!("{}: {}", holder.rule, holder.detail),
    ]
}
