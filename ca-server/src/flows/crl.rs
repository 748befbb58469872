//! Publishing revocation lists (RFC 5280 section 5): for each issuing key one complete list and one for each shard.
//!
//! [`look`] tells what is due, [`publish`] makes it: [`build`] reads the revocations once and writes the lists, they are signed
//! here, [`check`] holds them against the ones before, and one transaction puts them in the place of exactly those. What is
//! served stands on the [`shelf`], with a copy in a [`folder`]; [`marks`] notice a database that was restored.

mod build;
mod check;
mod folder;
mod marks;
mod shelf;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pki_core::audit::AuditEvent;
use pki_core::ids::{IssuerId, Serial};
use pki_core::x509::certificate::Certificate;
use pki_core::x509::crl::{self, Crl, CrlTbs};
use signer::{KeyId, Purpose};
use store::crls::{CrlRecord, Lists};
use store::issuers::{self, IssuerState};
use store::revocations::{self, FirstCrl};
use store::{audit, crls};
use tokio::sync::Notify;

use self::build::Built;
use self::folder::Folder;
pub use self::marks::Marks;
pub use self::shelf::{Published, Shelf};
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
    folder: Folder,
    /// One publication at a time in this process.
    turn: tokio::sync::Mutex<()>,
    troubles: Mutex<Vec<(Part, String)>>,
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

/// A key that signs lists.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    id: IssuerId,
    certificate: Certificate,
    key: KeyId,
    /// What stands before `/crl/`.
    base: String,
}

impl CrlDesk {
    /// Nothing is on the shelf yet: see [`look`].
    pub fn new(settings: Settings, marks: Marks) -> Self {
        Self {
            folder: Folder::new(settings.folder.clone()),
            settings,
            marks,
            shelf: Shelf::default(),
            wake: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            troubles: Mutex::default(),
        }
    }

    /// The shard of a new leaf: its serial number tells, so that they are spread evenly.
    pub fn shard_of(&self, serial: &Serial) -> u32 {
        serial.shard(self.settings.shards)
    }

    /// What is wrong with publication now, a line each.
    pub fn troubles(&self) -> Vec<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.iter().map(|(_, what)| what.clone()).collect()
    }

    /// Whether `what` is news.
    fn set_trouble(&self, part: Part, what: Option<String>) -> bool {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let before = troubles.iter().position(|(of, _)| *of == part).map(|place| troubles.remove(place).1);
        let is_new = what.is_some() && before != what;
        troubles.extend(what.map(|what| (part, what)));
        is_new
    }
}

/// Tells of something that went wrong with a part of publication, or that it goes well again: metric, readiness, and what is
/// new also in the log and, as far as it can be written, in the audit log.
pub async fn report(ctx: &Context, part: Part, outcome: Result<(), String>) {
    ctx.metrics.crl.went(part, outcome.is_ok());
    let what = outcome.err();
    let detail = what.clone().unwrap_or_default();
    if !ctx.crls.set_trouble(part, what) {
        return;
    }
    tracing::error!(part = part.as_str(), error = detail, "revocation lists: what was published stays in force");
    let failed = event(ctx, "system", "crl.fail", format_args!("issuer:{}", ctx.issuing.id))
        .with("part", part.as_str())
        .with("error", detail);
    append(ctx, failed).await;
}

async fn append(ctx: &Context, event: AuditEvent) {
    let written = ctx.store.write(async move |tx| Ok::<_, FlowError>(audit::append(tx, &event).await?)).await;
    if let Err(error) = written {
        tracing::warn!(%error, "the audit log does not hold this");
    }
}

/// Looks at the database: takes newer lists of other replicas onto the shelf, and tells what is due.
pub async fn look(ctx: &Context) -> Result<Vec<(IssuerId, Occasion)>, FlowError> {
    let (records, issuers, head) = ctx
        .store
        .read(async |tx| {
            Ok::<_, FlowError>((crls::list(tx).await?, issuers::list(tx).await?, revocations::head(tx).await?))
        })
        .await?;
    for record in &records {
        if ctx.crls.shelf.number(record.issuer, record.shard).is_none_or(|shelved| shelved < record.number) {
            take_up(ctx, record).await?;
        }
    }
    let standing = marks::hold_against(ctx, &records, head).await?;
    let mut due = Vec::new();
    for issuer in signing(ctx, &issuers).await {
        let own: Vec<&CrlRecord> = records.iter().filter(|record| record.issuer == issuer).collect();
        if standing.behind.contains(&issuer) {
            due.push((issuer, Occasion::Asked));
        } else if let Some(occasion) = due_of(ctx, issuer, &own, standing.head).await? {
            due.push((issuer, occasion));
        }
    }
    Ok(due)
}

/// The keys that this CA signs lists with; one that it should and cannot is told of.
async fn signing(ctx: &Context, all: &[issuers::IssuerRecord]) -> Vec<IssuerId> {
    let mine = all.iter().filter(|issuer| issuer.id != ctx.root.id && issuer.state != IssuerState::Compromised);
    let (open, closed): (Vec<_>, Vec<_>) = mine.partition(|issuer| {
        issuer.id == ctx.issuing.id || issuer.key_id.parse().is_ok_and(|key| ctx.desk.signer.holds(&key))
    });
    let told = closed.iter().map(|issuer| format!("`{}` (key {}, issuer {})", issuer.name, issuer.key_id, issuer.id));
    let told: Vec<String> = told.collect();
    let outcome = if told.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "the lists of {} are not signed any more: name the key in `crl.keys`, or declare the issuer compromised",
            told.join(", ")
        ))
    };
    report(ctx, Part::Key, outcome).await;
    open.into_iter().map(|issuer| issuer.id).collect()
}

async fn due_of(ctx: &Context, issuer: IssuerId, own: &[&CrlRecord], head: u64) -> Result<Option<Occasion>, FlowError> {
    let (now, settings) = (ctx.now(), &ctx.crls.settings);
    let is_there = |shard: Option<u32>| own.iter().any(|record| record.shard == shard);
    let wanted = if issuer == ctx.issuing.id { settings.shards } else { 0 };
    let is_over = own.iter().any(|record| now >= record.scheduled.at + settings.period);
    if is_over || !is_there(None) || !(0..wanted).all(|shard| is_there(Some(shard))) {
        return Ok(Some(Occasion::Scheduled));
    }
    let covers = own.iter().find(|record| record.shard.is_none()).map_or(0, |record| record.covers);
    if head <= covers {
        return Ok(None);
    }
    let since = ctx
        .store
        .look(async move |tx| Ok::<_, FlowError>(revocations::oldest_since(tx, issuer, covers).await?))
        .await?;
    ctx.metrics.crl.waiting(issuer, since);
    Ok(since.map(|_| Occasion::Changed))
}

/// Puts on the shelf what the database has.
async fn take_up(ctx: &Context, record: &CrlRecord) -> Result<(), FlowError> {
    let (issuer, shard) = (record.issuer, record.shard);
    let Some(lists) = ctx.store.scan(async move |tx| Ok::<_, FlowError>(crls::lists(tx, issuer, shard).await?)).await?
    else {
        return Ok(());
    };
    if lists.number != record.number {
        return Ok(()); // another one came in between: the next look takes that
    }
    let full = Crl::from_der(lists.full).map_err(|error| damaged(record, &error))?;
    let delta = lists.delta.map(Crl::from_der).transpose().map_err(|error| damaged(record, &error))?;
    shelve(ctx, Published::new(record.clone(), full, delta)).await;
    Ok(())
}

fn damaged(record: &CrlRecord, error: &crl::CrlError) -> FlowError {
    FlowError::Internal(format!("the list {} of issuer {} in the database: {error}", record.number, record.issuer))
}

async fn shelve(ctx: &Context, published: Published) {
    let published = Arc::new(published);
    ctx.metrics.crl.serves(&published.record);
    ctx.crls.shelf.put(Arc::clone(&published));
    let noted =
        ctx.crls.marks.raise(marks::scope(published.record.issuer, published.record.shard), published.record.number);
    report(ctx, Part::Marks, noted).await;
    copy(ctx).await;
}

/// Writes to the folder what it has not.
async fn copy(ctx: &Context) {
    let (folder, lists) = (ctx.crls.folder.clone(), all(ctx));
    let written = tokio::task::spawn_blocking(move || folder.write(&lists)).await;
    let written = written.unwrap_or_else(|_| Err("the writing thread ended".to_owned()));
    report(ctx, Part::Folder, written).await;
}

/// Publishes the lists of an issuing key; what is on the shelf then. When another replica was faster, that is its lists.
pub async fn publish(ctx: &Context, issuer: IssuerId, occasion: Occasion) -> Result<Vec<Arc<Published>>, FlowError> {
    let _turn = ctx.crls.turn.lock().await;
    let outcome = try_to_publish(ctx, issuer, occasion).await;
    let told = match &outcome {
        Ok(()) | Err(FlowError::Conflict(_)) => Ok(()),
        Err(FlowError::Unavailable { cause, .. }) => Err(format!("issuer {issuer}: {cause}")),
        Err(error) => Err(format!("issuer {issuer}: {error}")),
    };
    report(ctx, Part::Publish, told).await;
    match outcome {
        Ok(()) => ctx.metrics.crl.published(occasion.as_str()),
        Err(FlowError::Conflict(_)) => drop(look(ctx).await?),
        Err(error) => return Err(error),
    }
    Ok(all(ctx).into_iter().filter(|list| list.record.issuer == issuer).collect())
}

async fn try_to_publish(ctx: &Context, issuer: IssuerId, occasion: Occasion) -> Result<(), FlowError> {
    let authority = authority(ctx, issuer).await?;
    let draft = build::build(ctx, &authority, occasion).await?;
    let mut made = Vec::new();
    for built in draft.built {
        made.push(make(ctx, &authority, built).await?);
    }
    failpoint::failpoint!("ca.crl.before_commit");
    commit(ctx, issuer, occasion, &made).await?;
    failpoint::failpoint!("ca.crl.after_commit");
    for made in made {
        let Made { record, full, delta, .. } = made;
        shelve(ctx, Published::new(record, full, delta)).await;
    }
    if let Some(since) = draft.oldest {
        ctx.metrics.crl.delayed(ctx.now().since(since));
    }
    ctx.metrics.crl.waiting(issuer, None);
    Ok(())
}

/// Lists of a scope, checked.
#[derive(Debug, Clone)]
struct Made {
    record: CrlRecord,
    last: Option<CrlRecord>,
    full: Crl,
    delta: Option<Crl>,
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
    Ok(Made { record, last, full, delta })
}

async fn sign(ctx: &Context, authority: &Authority, tbs: CrlTbs) -> Result<Crl, FlowError> {
    let (algorithm, is_long) = (tbs.signature_algorithm(), tbs.tbs().len() > LONG);
    let bytes = Arc::new(tbs);
    let shared = Arc::clone(&bytes);
    let signature = ctx.desk.signer.sign_long(&authority.key, Purpose::Crl, algorithm, shared).await?;
    let held = || FlowError::Internal("the signer did not let go of a revocation list".to_owned());
    let tbs = Arc::try_unwrap(bytes).map_err(|_| held())?;
    let sealed = if is_long {
        tokio::task::spawn_blocking(move || crl::seal(tbs, &signature)).await.map_err(|_| held())?
    } else {
        crl::seal(tbs, &signature)
    };
    sealed.map_err(|error| FlowError::Internal(format!("the revocation list is not published: {error}")))
}

/// In the place of exactly the lists that they were made from.
async fn commit(ctx: &Context, issuer: IssuerId, occasion: Occasion, made: &[Made]) -> Result<(), FlowError> {
    let complete = made.iter().find(|made| made.record.shard.is_none());
    let first = complete.map(|made| {
        let from = made.last.as_ref().map_or(0, |last| last.covers);
        let list = FirstCrl { number: made.record.number, at: made.record.this_update };
        ((from, made.record.covers), list)
    });
    let done = event(ctx, "system", "crl.publish", format_args!("issuer:{issuer}"))
        .with("number", complete.map_or(0, |made| made.record.number))
        .with("occasion", occasion.as_str())
        .with("lists", made.len())
        .with("entries", complete.map_or(0, |made| made.record.entries))
        .with("covers", complete.map_or(0, |made| made.record.covers));
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
    let delta = made.delta.as_ref().map(Crl::shared_der);
    let lists = Lists { number: made.record.number, full: made.full.shared_der(), delta };
    (made.record.clone(), lists, made.last.as_ref().map(|last| last.number))
}

async fn authority(ctx: &Context, issuer: IssuerId) -> Result<Authority, FlowError> {
    let base = ctx.issuing.crl_base.trim_end_matches('/').to_owned();
    if issuer == ctx.issuing.id {
        let (certificate, key) = (ctx.issuing.certificate.clone(), ctx.desk.key.clone());
        return Ok(Authority { id: issuer, certificate, key, base });
    }
    let found = ctx
        .store
        .read(async move |tx| {
            Ok::<_, FlowError>((issuers::find(tx, issuer).await?, issuers::list_certificates(tx, issuer).await?))
        })
        .await?;
    let unknown = || FlowError::Internal(format!("issuer {issuer} has no key or no certificate in the database"));
    let key = found.0.and_then(|record| record.key_id.parse().ok()).ok_or_else(unknown)?;
    let newest = found.1.first().and_then(|row| Certificate::parse(&row.der).ok());
    Ok(Authority { id: issuer, certificate: newest.ok_or_else(unknown)?, key, base })
}

impl Authority {
    /// Where a list is fetched: in leaves and in the list itself.
    fn url(&self, shard: Option<u32>) -> String {
        address(&self.base, self.id, shard, "")
    }

    fn delta_url(&self, shard: Option<u32>) -> String {
        address(&self.base, self.id, shard, "-delta")
    }
}

fn address(base: &str, issuer: IssuerId, shard: Option<u32>, suffix: &str) -> String {
    match shard {
        Some(shard) => format!("{base}/crl/{issuer}/{shard}{suffix}.crl"),
        None => format!("{base}/crl/{issuer}{suffix}.crl"),
    }
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
    address(ctx.issuing.crl_base.trim_end_matches('/'), list.record.issuer, list.record.shard, "")
}
