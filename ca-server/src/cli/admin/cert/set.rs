//! `ca-server cert revoke|release --where ...`: a plan first, then batch after batch.

use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use api::admin::{RunRequest, RunView, SetPlan, SetRequest};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::args::{Admin, Format};
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output;

/// How often certificates that were being signed are looked for again, and how long after each other.
const ROUNDS: usize = 60;
const PAUSE: Duration = Duration::from_millis(500);

/// How long an answer may take: the CA gives the reading of all its certificates ten minutes.
const PATIENCE: Duration = Duration::from_secs(660);

#[derive(Debug, Args)]
pub(in crate::cli) struct Set {
    /// Every certificate that fits all conditions: issuer, profile, site, device, label.KEY, name, key, reason =VALUE or
    /// !=VALUE; issued-, expires- and revoked-, each with after or before =TIME; or the word all
    #[arg(long = "where", value_name = "CONDITIONS", id = "conditions")]
    conditions: Vec<String>,
    /// Show what it would mean, and change nothing
    #[arg(long, requires = "conditions", conflicts_with_all = ["yes", "count"])]
    plan: bool,
    /// Do not ask; to revoke everything in force takes --count
    #[arg(long, requires = "conditions")]
    yes: bool,
    /// Do not ask, and do nothing unless it is this many; one that was broken off goes on with the same number
    #[arg(long, requires = "conditions", value_name = "N")]
    count: Option<u64>,
}

/// What is to become of a set.
#[derive(Debug, Clone)]
pub(super) enum Aim {
    /// It is revoked, with a reason.
    Revoke(Option<String>),
    /// It is released from its hold.
    Release,
}

impl Aim {
    const fn verb(&self) -> &'static str {
        if self.is_release() { "release" } else { "revoke" }
    }

    const fn done(&self) -> &'static str {
        if self.is_release() { "released" } else { "revoked" }
    }

    const fn is_release(&self) -> bool {
        matches!(self, Self::Release)
    }

    fn reason(&self) -> Option<String> {
        if let Self::Revoke(reason) = self { reason.clone() } else { None }
    }
}

/// The plan and what came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    plan: SetPlan,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    revoked: u64,
    released: u64,
    under_way: u64,
}

/// What was done.
#[derive(Debug, Default)]
struct Done {
    set: Option<String>,
    certificates: u64,
    under_way: u64,
}

impl Set {
    /// Its options say something about sets only.
    pub(super) fn must_be_empty(&self) -> Result<(), CliError> {
        match self.plan || self.yes || self.count.is_some() {
            true => Err(CliError::Usage("--plan, --yes and --count belong to --where".to_owned())),
            false => Ok(()),
        }
    }

    pub(super) async fn run(self, admin: &Admin, aim: Aim, comment: Option<String>) -> Result<(), CliError> {
        let client = Client::of(&admin.dir)?.waiting(PATIENCE);
        let (selection, reason, release) = (self.conditions.join(" "), aim.reason(), aim.is_release());
        let request = SetRequest { selection, reason, release, count: self.count };
        let plan: SetPlan = client.post("/api/v1/revocations/plan", &request).await?;
        let format = admin.output.output;
        if self.plan {
            return if format == Format::Json { output::json(&plan) } else { output::print(&sheet(&plan, &aim)) };
        }
        output::note(&sheet(&plan, &aim));
        let up_to = match &plan.up_to {
            Some(up_to) if plan.affected + plan.under_way > 0 => up_to.clone(),
            _ => return finish(format, &aim, plan, Done::default()),
        };
        let count = self.confirm(&plan, &aim)?;
        let SetRequest { selection, reason, release, .. } = request;
        let set = plan.set.clone();
        let order = RunRequest { selection, reason, release, comment, up_to, count, set, after: None };
        let done = execute(&client, order, &plan, &aim).await?;
        finish(format, &aim, plan, done)
    }

    /// What is known of the count, once it is settled that it is to be done.
    fn confirm(&self, plan: &SetPlan, aim: &Aim) -> Result<Option<u64>, CliError> {
        let affected = plan.affected;
        if let Some(count) = self.count {
            // the rest of a set that was begun with this number
            return match count == affected || plan.set.is_some() {
                true => Ok(Some(count)),
                false => Err(CliError::Failed(format!(
                    "nothing was done: it is {}, not {count}",
                    output::many(affected, "certificate")
                ))),
            };
        }
        if self.yes && !plan.everything {
            return Ok(None);
        }
        if self.yes || !std::io::stdin().is_terminal() {
            let wanted = if plan.everything { "--count with the number of certificates" } else { "--yes or --count" };
            let why = if plan.everything { "this revokes everything in force" } else { "nobody can be asked" };
            return Err(CliError::Usage(format!("nothing was done: {why}; give {wanted}")));
        }
        let wanted = if plan.everything { affected.to_string() } else { "yes".to_owned() };
        output::note(&match plan.everything {
            true => "This revokes EVERY certificate in force. Type their number to have it done:".to_owned(),
            false => format!("Type `yes` to {} {}:", aim.verb(), output::many(affected, "certificate")),
        });
        let mut typed = String::new();
        std::io::stdin().lock().read_line(&mut typed).map_err(CliError::failed)?;
        match typed.trim() == wanted {
            true => Ok(plan.everything.then_some(affected)),
            false => Err(CliError::Failed(format!("nothing was done: that was not `{wanted}`"))),
        }
    }
}

/// Batch after batch, and again for what was being signed meanwhile.
async fn execute(client: &Client, mut order: RunRequest, plan: &SetPlan, aim: &Aim) -> Result<Done, CliError> {
    let bar = bar(plan.affected, aim);
    let (mut certificates, mut under_way) = (0, 0);
    for _ in 0..ROUNDS {
        let (before, mut batches) = (certificates, 0);
        loop {
            batches += 1;
            let done: RunView = client.post("/api/v1/revocations/run", &order).await.map_err(|error| {
                CliError::Failed(format!(
                    "{error}\nuntil then at least {} {}; the same command goes on",
                    were(certificates),
                    aim.done()
                ))
            })?;
            certificates += done.revoked + done.released;
            under_way = done.under_way;
            bar.set_position(certificates);
            order.set = Some(done.set);
            order.after = done.next;
            if order.after.is_none() {
                break;
            }
        }
        // what was being signed while an early batch passed it is found by another round
        if under_way == 0 && (batches == 1 || certificates == before) {
            break;
        }
        if under_way > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    bar.finish_and_clear();
    Ok(Done { set: order.set, certificates, under_way })
}

fn finish(format: Format, aim: &Aim, plan: SetPlan, done: Done) -> Result<(), CliError> {
    if plan.affected + plan.under_way == 0 {
        output::note(&nothing(&plan, aim));
    }
    let mut facts = vec![(aim.done(), done.certificates.to_string())];
    facts.extend(match aim {
        Aim::Revoke(_) => vec![("revoked before", plan.already.to_string())],
        Aim::Release => vec![("revoked for good", plan.kept.to_string()), ("not on hold", plan.already.to_string())],
    });
    facts.extend([("expired", plan.expired.to_string()), ("set", done.set.clone().unwrap_or_default())]);
    let Done { set, certificates, under_way } = done;
    let (revoked, released) = if aim.is_release() { (0, certificates) } else { (certificates, 0) };
    output::show(format, &Outcome { plan, set, revoked, released, under_way }, facts)?;
    match under_way {
        0 => Ok(()),
        left => Err(CliError::Failed(format!(
            "still being signed of the set: {}; run it again",
            output::many(left, "certificate")
        ))),
    }
}

/// Why nothing is to be done.
fn nothing(plan: &SetPlan, aim: &Aim) -> String {
    let done = aim.done();
    match &plan.begun {
        Some(at) => format!(
            "nothing is left to be {done} of the set that was begun with this number at {at}; what was issued since is no part \
             of it: leave --count out to see all that fits now"
        ),
        None if plan.already + plan.kept + plan.expired > 0 => format!("nothing is left to be {done}"),
        None => "no certificate fits; `ca-server cert list` and `device list` show what there is".to_owned(),
    }
}

fn bar(certificates: u64, aim: &Aim) -> ProgressBar {
    if !output::is_watched() {
        return ProgressBar::hidden();
    }
    let form = format!("{{wide_bar}} {{human_pos}} of {{human_len}} {}, {{eta}} left", aim.done());
    let style = ProgressStyle::with_template(&form);
    ProgressBar::new(certificates).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What a plan means, for people.
fn sheet(plan: &SetPlan, aim: &Aim) -> String {
    let mut left = match aim {
        Aim::Revoke(_) => vec![format!("{} revoked already", plan.already)],
        Aim::Release => vec![format!("{} revoked for good", plan.kept), format!("{} not on hold", plan.already)],
    };
    left.push(format!("{} expired", plan.expired));
    if plan.under_way > 0 {
        left.push(format!("{} being signed, revoked too", plan.under_way));
    }
    let affected = output::many(plan.affected, "certificate");
    let everything = if plan.everything { "NOTHING WOULD BE LEFT IN FORCE\n" } else { "" };
    let (selection, done, left) = (&plan.selection, aim.done(), left.join(", "));
    let mut text = format!("{selection}\n{affected} to be {done} (besides: {left})\n{everything}");
    if let Some(at) = &plan.begun {
        text += &format!(
            "goes on with the set that was begun with this number at {at}; nothing issued since is part of it\n"
        );
    }
    if plan.affected == 0 {
        return text;
    }
    let rows = plan.groups.iter().map(|group| [group.site.clone(), group.profile.clone(), group.count.to_string()]);
    text += &format!("\n{}", output::table(["SITE", "PROFILE", "CERTIFICATES"], rows));
    let none = "(no device)".to_owned();
    let rows = plan.devices.iter().map(|one| [one.name.clone().unwrap_or(none.clone()), one.count.to_string()]);
    text += &format!("\n{}", output::table(["DEVICE", "CERTIFICATES"], rows));
    let shown = u64::try_from(plan.devices.len()).unwrap_or(u64::MAX);
    if plan.device_count > shown {
        text += &format!("... and {} more\n", plan.device_count - shown);
    }
    text
}

fn were(revoked: u64) -> String {
    format!("{} {}", output::many(revoked, "certificate"), if revoked == 1 { "was" } else { "were" })
}
