//! Publishing revocation lists (RFC 5280 section 5): for each issuing key one complete list and one for each shard.
//!
//! [`look`] tells what is due, [`publish`] makes it: [`build`] reads the revocations once and writes the lists, they are signed
//! here, [`check`] holds them against the ones before, and one transaction puts them in the place of exactly those. What is
//! served stands on the [`shelf`], with a copy in a [`folder`]; [`marks`] notice a database that was restored. The [`root`]'s list
//! comes from a ceremony.

mod authority;
mod build;
mod check;
mod folder;
mod look;
mod marks;
pub mod root;
mod shelf;
mod trouble;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pki_core::ids::{IssuerId, Serial};
use pki_core::issuance::plan::list_url;
use pki_core::x509::crl::{self, Crl, CrlTbs};
use signer::{Purpose, SignError};
pub use store::crls::CrlRecord;
use store::crls::Lists;
use store::revocations::{self, FirstCrl};
use store::{audit, crls};
use tokio::sync::Notify;

use self::authority::{Authority, Living};
use self::build::Built;
use self::folder::Folder;
use self::look::Quiet;
pub use self::look::{look, take_up};
pub use self::marks::Marks;
pub use self::shelf::{Published, Shelf};
pub use self::trouble::{Troubles, report};
use super::record::{With, event};
use super::{Context, FlowError};
use crate::telemetry::crl::Part;

/// What is signed and read again in a thread of its own.
const LONG: usize = 64 * 1024;

/// How lists are published.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Shards that leaves are given; those that were given before stay published.
    pub shards: u32,
    /// Whether there are deltas (CRL-8).
    pub deltas: bool,
    /// From one list to its end.
    pub life: Duration,
    /// How often lists are published without a revocation.
    pub period: Duration,
    /// Where a copy of each list goes.
    pub folder: PathBuf,
}

/// What publication keeps in memory.
#[derive(Debug)]
pub struct CrlDesk {
    /// How.
    pub settings: Settings,
    /// What is served.
    pub shelf: Shelf,
    /// Tells the publisher of a revocation.
    pub wake: Notify,
    marks: Marks,
    quiet: Quiet,
    folder: Folder,
    /// One publication at a time in this process.
    turn: tokio::sync::Mutex<()>,
    /// What is wrong with publication now.
    pub troubles: Troubles,
}

/// Why lists are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// It is time: all of them.
    Scheduled,
    /// Something was revoked: the complete list and its shard.
    Changed,
    /// Somebody asked: all of them.
    Asked,
}

impl Occasion {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Changed => "changed",
            Self::Asked => "asked",
        }
    }
}

impl CrlDesk {
    /// Nothing is on the shelf yet: see [`look`].
    pub fn new(settings: Settings, marks: Marks) -> Self {
        Self {
            folder: Folder::new(settings.folder.clone()),
            settings,
            marks,
            quiet: Quiet::default(),
            shelf: Shelf::default(),
            wake: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            troubles: Troubles::default(),
        }
    }

    /// The shard of a new leaf: its serial number tells, so that they are spread evenly.
    pub fn shard_of(&self, serial: &Serial) -> u32 {
        serial.shard(self.settings.shards)
    }
}

/// Lists that are to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub issuer: IssuerId,
    /// Why.
    pub occasion: Occasion,
    /// The number of the complete list that they were found missing behind, 0 when there is none: with another one in its
    /// place somebody was faster. None when they are made whatever is there.
    pub behind: Option<u64>,
}

/// Publishes the lists of all keys that this CA signs lists with; what is on the shelf then.
pub async fn publish_all(ctx: &Context, occasion: Occasion) -> Result<Vec<Arc<Published>>, FlowError> {
    let (root, issuing, now) = (ctx.root.id, ctx.issuing.id, ctx.now());
    let living = ctx.store.read(async move |tx| Living::read(tx, root, issuing, now).await).await?;
    let mut outcome = Ok(());
    for issuer in authority::signing(ctx, &living).await {
        outcome = outcome.and(publish(ctx, Due { issuer, occasion, behind: None }).await);
    }
    outcome.map(|()| all(ctx))
}

/// Publishes the lists of an issuing key. When another replica was faster, its lists are on the shelf then.
pub async fn publish(ctx: &Context, due: Due) -> Result<(), FlowError> {
    let _turn = ctx.crls.turn.lock().await;
    let Due { issuer, occasion, .. } = due;
    let outcome = try_to_publish(ctx, due).await;
    let told = match &outcome {
        Ok(()) | Err(FlowError::Conflict(_)) => Ok(()),
        Err(FlowError::Unavailable { cause, .. }) => Err(format!("issuer {issuer}: {cause}")),
        Err(error) => Err(format!("issuer {issuer}: {error}")),
    };
    report(ctx, Part::Publish, Some(issuer), told).await;
    match outcome {
        Ok(()) => ctx.metrics.crl.published(occasion.as_str()),
        Err(FlowError::Conflict(_)) => {
            look(ctx).await?;
            // the faster one may not have had what this one was told of
            ctx.crls.wake.notify_one();
        }
        Err(error) => return Err(error),
    }
    settle(ctx).await;
    Ok(())
}

async fn try_to_publish(ctx: &Context, due: Due) -> Result<(), FlowError> {
    let Due { issuer, occasion, .. } = due;
    let authority = Authority::of(ctx, issuer).await?;
    let draft = build::build(ctx, &authority, due).await?;
    let mut made = Vec::new();
    for built in draft.built {
        made.push(make(ctx, &authority, built).await?);
    }
    failpoint::failpoint!("ca.crl.before_commit");
    commit(ctx, issuer, occasion, &made).await?;
    failpoint::failpoint!("ca.crl.after_commit");
    for made in made {
        shelve(ctx, made.list);
    }
    if let Some(since) = draft.oldest {
        ctx.metrics.crl.delayed(ctx.now().since(since));
    }
    ctx.metrics.crl.waiting(issuer, None);
    Ok(())
}

/// Lists of a scope, checked.
#[derive(Debug)]
struct Made {
    list: Published,
    last: Option<CrlRecord>,
}

async fn make(ctx: &Context, authority: &Authority, built: Built) -> Result<Made, FlowError> {
    let Built { record, last, full, delta } = built;
    let full = sign(ctx, authority, full).await?;
    let delta = match delta {
        Some(delta) => Some(sign(ctx, authority, delta).await?),
        None => None,
    };
    if let Some(last) = &last {
        check::check(ctx, last, &record, &full).await?;
    }
    let list = tokio::task::spawn_blocking(move || Published::new(record, full, delta)).await;
    let list = list.map_err(|_| FlowError::Internal("the thread that hashes a revocation list ended".to_owned()))?;
    Ok(Made { list, last })
}

async fn sign(ctx: &Context, authority: &Authority, tbs: CrlTbs) -> Result<Crl, FlowError> {
    let (algorithm, is_long) = (tbs.signature_algorithm(), tbs.tbs().len() > LONG);
    let bytes = Arc::new(tbs);
    let shared = Arc::clone(&bytes);
    // tests have a signer that is too busy for a list; in a release it is never refused here
    if failpoint::refuses("ca.crl.sign") {
        let what = "the signer did not sign a revocation list in time".to_owned();
        return Err(SignError::Retry { what, after: Duration::from_secs(1) }.into());
    }
    let signature = ctx.desk.signer.sign_long(&authority.key, Purpose::Crl, algorithm, shared).await?;
    let fault = |what: &str| FlowError::Internal(format!("a revocation list is not published: {what}"));
    let tbs = Arc::try_unwrap(bytes).map_err(|_| fault("the signer did not let go of it"))?;
    let sealed = if is_long {
        let sealing = tokio::task::spawn_blocking(move || crl::seal(tbs, &signature));
        sealing.await.map_err(|_| fault("the thread that seals it ended"))?
    } else {
        crl::seal(tbs, &signature)
    };
    sealed.map_err(|error| fault(&error.to_string()))
}

/// In the place of exactly the lists that they were made from.
async fn commit(ctx: &Context, issuer: IssuerId, occasion: Occasion, made: &[Made]) -> Result<(), FlowError> {
    let complete = made.iter().find(|made| made.list.record.shard.is_none());
    let first = complete.map(|made| {
        let from = made.last.as_ref().map_or(0, |last| last.covers);
        let list = FirstCrl { number: made.list.record.number, at: made.list.record.this_update };
        ((from, made.list.record.covers), list)
    });
    let done = event(ctx, "system", "crl.publish", format_args!("issuer:{issuer}"))
        .with("number", complete.map_or(0, |made| made.list.record.number))
        .with("occasion", occasion.as_str())
        .with("lists", made.len())
        .with("entries", complete.map_or(0, |made| made.list.record.entries))
        .with("covers", complete.map_or(0, |made| made.list.record.covers));
    let rows: Vec<_> = made.iter().map(row).collect();
    ctx.store
        .write_held(async move |tx| {
            for (record, lists, previous) in &rows {
                crls::publish(tx, record, lists, *previous).await?;
            }
            if let Some((range, list)) = first {
                revocations::mark_first(tx, issuer, range, list).await?;
            }
            audit::append(tx, &done).await?;
            Ok::<_, FlowError>(())
        })
        .await
}

fn row(made: &Made) -> (CrlRecord, Lists, Option<u64>) {
    let Published { record, full, delta, .. } = &made.list;
    let delta = delta.as_ref().map(Crl::shared_der);
    let lists = Lists { number: record.number, full: full.shared_der(), delta };
    (record.clone(), lists, made.last.as_ref().map(|last| last.number))
}

/// The list as it is published now; the root's comes from its last ceremony.
pub fn published(ctx: &Context, issuer: IssuerId, shard: Option<u32>) -> Option<Arc<Published>> {
    if issuer == ctx.root.id {
        return shard.is_none().then(|| of_root(ctx));
    }
    ctx.crls.shelf.get(issuer, shard)
}

/// Every list that is published, the root's first.
pub fn all(ctx: &Context) -> Vec<Arc<Published>> {
    std::iter::once(of_root(ctx)).chain(ctx.crls.shelf.all()).collect()
}

fn of_root(ctx: &Context) -> Arc<Published> {
    ctx.crls.shelf.of_root(ctx.root.id, ctx.root.crl())
}

/// Where a list is fetched.
pub fn url(ctx: &Context, list: &Published) -> String {
    list_url(&ctx.issuing.crl_base, list.record.issuer, list.record.shard, "")
}

/// Serves a list from now on.
fn shelve(ctx: &Context, published: Published) {
    ctx.metrics.crl.serves(&published.record);
    ctx.crls.shelf.put(Arc::new(published));
}

/// Writes down the numbers of what is served, and to the folder what it has not. What fails is tried again with every look.
async fn settle(ctx: &Context) {
    let lists = all(ctx);
    let numbers = lists.iter().map(|list| (marks::scope(list.record.issuer, list.record.shard), list.record.number));
    report(ctx, Part::Marks, None, ctx.crls.marks.raise(numbers).await).await;
    if ctx.crls.folder.has(&lists) {
        report(ctx, Part::Folder, None, Ok(())).await;
        return;
    }
    let folder = ctx.crls.folder.clone();
    let written = tokio::task::spawn_blocking(move || folder.write(&lists)).await;
    let written = written.unwrap_or_else(|_| Err("the writing thread ended".to_owned()));
    report(ctx, Part::Folder, None, written).await;
}

#[cfg(test)]
pub(crate) mod tests {
    use pki_core::time::Timestamp;
    use store::crls::Scheduled;

    use super::CrlRecord;

    /// What is known of an empty complete list of this number that was made at `at`.
    pub(crate) fn record(number: u64, at: Timestamp) -> CrlRecord {
        CrlRecord {
            issuer: "00000000000000000000000000000001".parse().unwrap(),
            shard: None,
            number,
            this_update: at,
            next_update: at,
            entries: 0,
            covers: 0,
            urls: Vec::new(),
            scheduled: Scheduled { number, at, covers: 0 },
        }
    }
}
