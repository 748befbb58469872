//! `ca-server cert revoke --where ...`: a plan first, then batch after batch.

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
    /// Do not ask; everything in force is revoked with --count only
    #[arg(long, requires = "conditions")]
    yes: bool,
    /// Do not ask, and do nothing unless it is this many; one that was broken off goes on with the same number
    #[arg(long, requires = "conditions", value_name = "N")]
    count: Option<u64>,
}

/// The plan and what came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    plan: SetPlan,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    revoked: u64,
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

    pub(super) async fn run(
        self,
        admin: &Admin,
        reason: Option<String>,
        comment: Option<String>,
    ) -> Result<(), CliError> {
        let client = Client::of(&admin.dir)?.waiting(PATIENCE);
        let request = SetRequest { selection: self.conditions.join(" "), reason: reason.clone(), count: self.count };
        let plan: SetPlan = client.post("/api/v1/revocations/plan", &request).await?;
        let format = admin.output.output;
        if self.plan {
            return if format == Format::Json { output::json(&plan) } else { output::print(&sheet(&plan)) };
        }
        output::note(&sheet(&plan));
        let up_to = match &plan.up_to {
            Some(up_to) if plan.affected + plan.under_way > 0 => up_to.clone(),
            _ => return finish(format, Outcome { plan, set: None, revoked: 0, under_way: 0 }),
        };
        let count = self.confirm(&plan)?;
        let (selection, set) = (request.selection, plan.set.clone());
        let order = RunRequest { selection, reason, comment, up_to, count, set, after: None };
        let (set, revoked, under_way) = execute(&client, order, &plan).await?;
        finish(format, Outcome { plan, set: Some(set), revoked, under_way })
    }

    /// What is known of the count, once it is settled that it is to be done.
    fn confirm(&self, plan: &SetPlan) -> Result<Option<u64>, CliError> {
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
            false => format!("Type `yes` to revoke {}:", output::many(affected, "certificate")),
        });
        let mut typed = String::new();
        std::io::stdin().lock().read_line(&mut typed).map_err(CliError::failed)?;
        match typed.trim() == wanted {
            true => Ok(plan.everything.then_some(affected)),
            false => Err(CliError::Failed(format!("nothing was done: that was not `{wanted}`"))),
        }
    }
}

/// Batch after batch, and again for what was being signed meanwhile: the set's name, how many, how many are left.
async fn execute(client: &Client, mut order: RunRequest, plan: &SetPlan) -> Result<(String, u64, u64), CliError> {
    let bar = bar(plan.affected);
    let (mut revoked, mut under_way) = (0, 0);
    for _ in 0..ROUNDS {
        let (before, mut batches) = (revoked, 0);
        loop {
            batches += 1;
            let done: RunView = client.post("/api/v1/revocations/run", &order).await.map_err(|error| {
                CliError::Failed(format!(
                    "{error}\nuntil then at least {} revoked; the same command goes on",
                    were(revoked)
                ))
            })?;
            revoked += done.revoked;
            under_way = done.under_way;
            bar.set_position(revoked);
            order.set = Some(done.set);
            order.after = done.next;
            if order.after.is_none() {
                break;
            }
        }
        // what was being signed while an early batch passed it is found by another round
        if under_way == 0 && (batches == 1 || revoked == before) {
            break;
        }
        if under_way > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    bar.finish_and_clear();
    Ok((order.set.unwrap_or_default(), revoked, under_way))
}

fn finish(format: Format, outcome: Outcome) -> Result<(), CliError> {
    if outcome.plan.affected + outcome.plan.under_way == 0 {
        output::note(&nothing(&outcome.plan));
    }
    let facts = vec![
        ("revoked", outcome.revoked.to_string()),
        ("revoked before", outcome.plan.already.to_string()),
        ("expired", outcome.plan.expired.to_string()),
        ("set", outcome.set.clone().unwrap_or_default()),
    ];
    let left = outcome.under_way;
    output::show(format, &outcome, facts)?;
    match left {
        0 => Ok(()),
        left => Err(CliError::Failed(format!(
            "still being signed of the set: {}; run it again",
            output::many(left, "certificate")
        ))),
    }
}

/// Why nothing is to be done.
fn nothing(plan: &SetPlan) -> String {
    match &plan.begun {
        Some(at) => format!(
            "nothing is left to be revoked of the set that was begun with this number at {at}; what was issued since is no part \
             of it: leave --count out to see all that fits now"
        ),
        None if plan.already + plan.expired > 0 => "nothing is left to be revoked".to_owned(),
        None => "no certificate fits; `ca-server cert list` and `device list` show what there is".to_owned(),
    }
}

fn bar(certificates: u64) -> ProgressBar {
    if !output::is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} revoked, {eta} left");
    ProgressBar::new(certificates).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What a plan means, for people.
fn sheet(plan: &SetPlan) -> String {
    let mut left = vec![format!("{} revoked already", plan.already), format!("{} expired", plan.expired)];
    if plan.under_way > 0 {
        left.push(format!("{} being signed, revoked too", plan.under_way));
    }
    let affected = output::many(plan.affected, "certificate");
    let everything = if plan.everything { "NOTHING WOULD BE LEFT IN FORCE\n" } else { "" };
    let mut text = format!("{}\n{affected} to be revoked (besides: {})\n{everything}", plan.selection, left.join(", "));
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
