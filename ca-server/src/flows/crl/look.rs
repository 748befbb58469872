//! Looking at the database: what other replicas have published, and what is due here.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use pki_core::ids::IssuerId;
use pki_core::revocation::succession::AHEAD;
use pki_core::x509::crl::{Crl, CrlError};
use store::crls::{self, CrlRecord, Lists};
use store::revocations;

use super::authority::{self, Living};
use super::{Context, Due, FlowError, LONG, Occasion, Published, marks, report, settle, shelve};
use crate::telemetry::crl::Part;

/// Up to which revocation nothing of an issuer waits for a list, though no list covers it: all of it was another issuer's.
/// The list of a former issuer is made once a day, and the next look need not go through what this one went through.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<HashMap<IssuerId, (u64, u64)>>);

impl Quiet {
    /// The revocation behind which changes may wait for the list after this one. A restored database may be at another
    /// list, or behind what was seen.
    fn after(&self, list: &CrlRecord, head: u64) -> u64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&list.issuer).copied();
        known.filter(|(number, seen)| *number == list.number && *seen <= head).map_or(list.covers, |(_, seen)| seen)
    }

    /// Numbers mean something else from now on.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn remember(&self, list: &CrlRecord, head: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(list.issuer, (list.number, head));
    }
}

/// Takes newer lists of other replicas onto the shelf, and tells what is due.
pub async fn look(ctx: &Context) -> Result<Vec<Due>, FlowError> {
    let marked = ctx.crls.marks.known();
    let (records, living, head) = stored(ctx).await?;
    let damaged = take_up_of(ctx, &marked, &records, &living).await?;
    let standing = marks::hold_against(ctx, &marked, &records, head).await?;
    settle(ctx).await;
    report(ctx, Part::Clock, None, clock(ctx, &records)).await;
    let mut due = Vec::new();
    for issuer in authority::signing(ctx, &living).await {
        let own: Vec<&CrlRecord> = records.iter().filter(|record| record.issuer == issuer).collect();
        let occasion = match standing.behind.contains(&issuer) || damaged.contains(&issuer) {
            true => Some(Occasion::Asked),
            false => due_of(ctx, issuer, &own, standing.head).await?,
        };
        let newest = own.iter().find(|record| record.shard.is_none()).map_or(0, |record| record.number);
        due.extend(occasion.map(|occasion| Due { issuer, occasion, behind: Some(newest) }));
    }
    Ok(due)
}

/// Takes what the database has onto the shelf, and nothing else: before anything is served, and where nothing is signed.
pub async fn take_up(ctx: &Context) -> Result<(), FlowError> {
    let marked = ctx.crls.marks.known();
    let (records, living, _) = stored(ctx).await?;
    take_up_of(ctx, &marked, &records, &living).await?;
    settle(ctx).await;
    Ok(())
}

/// The lists in the database, whose are to be renewed, and the number of the last revocation.
async fn stored(ctx: &Context) -> Result<(Vec<CrlRecord>, Living, u64), FlowError> {
    let (root, issuing, now) = (ctx.root.id, ctx.issuing.id, ctx.now());
    ctx.store
        .read(async move |tx| {
            let living = Living::read(tx, root, issuing, now).await?;
            Ok::<_, FlowError>((crls::list(tx).await?, living, revocations::head(tx).await?))
        })
        .await
}

/// Lists that are older than what was published once, which a restored database has, are not served again. The last lists of
/// issuers whose time is over stay served, and nobody is alarmed about them. Answers whose lists cannot be read: they are
/// made anew, and keep nobody else waiting.
async fn take_up_of(
    ctx: &Context,
    marked: &marks::Known,
    records: &[CrlRecord],
    living: &Living,
) -> Result<BTreeSet<IssuerId>, FlowError> {
    let mut damaged = BTreeSet::new();
    for record in records {
        let shelved = ctx.crls.shelf.number(record.issuer, record.shard);
        let is_news = shelved.is_none_or(|shelved| shelved < record.number) && !marked.is_beyond(record);
        if is_news && matches!(fetch(ctx, record).await?, Fetched::Damaged) {
            damaged.insert(record.issuer);
        }
    }
    for issuer in ctx.crls.troubles.issuers().into_iter().filter(|issuer| !living.has(*issuer)) {
        report(ctx, Part::Publish, Some(issuer), Ok(())).await;
    }
    ctx.metrics.crl.keep(|issuer| living.has(issuer));
    Ok(damaged)
}

/// What came of a list in the database.
enum Fetched {
    /// It is on the shelf, or another one has come in between, which the next look takes.
    Served,
    /// It is no list.
    Damaged,
}

/// Puts on the shelf what the database has.
async fn fetch(ctx: &Context, record: &CrlRecord) -> Result<Fetched, FlowError> {
    let (issuer, shard) = (record.issuer, record.shard);
    let Some(lists) = ctx.store.pass(async move |tx| Ok::<_, FlowError>(crls::lists(tx, issuer, shard).await?)).await?
    else {
        return Ok(Fetched::Served);
    };
    if lists.number != record.number {
        return Ok(Fetched::Served);
    }
    let (is_long, of) = (lists.full.len() > LONG, record.clone());
    let read = move || read(of, lists);
    let read = if is_long {
        tokio::task::spawn_blocking(read).await.map_err(|_| FlowError::Internal("a reading thread ended".to_owned()))?
    } else {
        read()
    };
    match read {
        Ok(published) => shelve(ctx, published),
        Err(error) => {
            let what = format!("issuer {issuer}: the list {} in the database is damaged: {error}", record.number);
            report(ctx, Part::Publish, Some(issuer), Err(what)).await;
            return Ok(Fetched::Damaged);
        }
    }
    if shard.is_none() {
        // somebody published since: what failed here is done, and nothing may be due here for a day
        report(ctx, Part::Publish, Some(issuer), Ok(())).await;
    }
    Ok(Fetched::Served)
}

fn read(record: CrlRecord, lists: Lists) -> Result<Published, CrlError> {
    let full = Crl::from_der(lists.full)?;
    let delta = lists.delta.map(Crl::from_der).transpose()?;
    Ok(Published::new(record, full, delta))
}

/// No list is dated before the last one: after a clock that was ahead, relying parties have to wait for the time of its lists.
fn clock(ctx: &Context, records: &[CrlRecord]) -> Result<(), String> {
    let now = ctx.now();
    let latest = records.iter().max_by_key(|record| record.this_update);
    match latest.filter(|record| record.this_update > now + AHEAD) {
        Some(record) => Err(format!(
            "the list {} of issuer {} is dated {}, and it is {} by this machine's clock: the clock was stepped back, or it \
             was ahead when the list was made; set the clock",
            record.number,
            record.issuer,
            record.this_update.rfc3339(),
            now.rfc3339()
        )),
        None => Ok(()),
    }
}

async fn due_of(ctx: &Context, issuer: IssuerId, own: &[&CrlRecord], head: u64) -> Result<Option<Occasion>, FlowError> {
    let (now, settings) = (ctx.now(), &ctx.crls.settings);
    let is_there = |shard: u32| own.iter().any(|record| record.shard == Some(shard));
    let wanted = if issuer == ctx.issuing.id { settings.shards } else { 0 };
    let is_over = own.iter().any(|record| record.scheduled.is_over(settings.period, now));
    let complete = own.iter().find(|record| record.shard.is_none());
    let Some(complete) = complete.filter(|_| !is_over && (0..wanted).all(is_there)) else {
        return Ok(Some(Occasion::Scheduled));
    };
    if issuer == ctx.issuing.id && own.iter().any(|record| is_behind_configuration(ctx, record)) {
        return Ok(Some(Occasion::Asked));
    }
    let after = ctx.crls.quiet.after(complete, head);
    let waiting = match head > after {
        true => ctx.store.look(async move |tx| revocations::waiting_since(tx, issuer, after).await).await?,
        false => revocations::Waiting::default(),
    };
    // none when what waited is on a list that another replica made
    ctx.metrics.crl.waiting(issuer, waiting.oldest);
    if waiting.count > 0 {
        return Ok(Some(Occasion::Changed));
    }
    ctx.crls.quiet.remember(complete, head);
    Ok(None)
}

/// Whether leaves carry what a list does not have: an address that it does not name (CRL-3), or a delta (CRL-8).
fn is_behind_configuration(ctx: &Context, record: &CrlRecord) -> bool {
    let given = record.shard.filter(|shard| *shard < ctx.crls.settings.shards);
    let urls = given.map_or_else(Vec::new, |shard| ctx.issuing.crl_urls(shard));
    let shelved = ctx.crls.shelf.get(record.issuer, record.shard);
    let lacks_delta = shelved.is_some_and(|list| list.delta.is_none());
    urls.iter().any(|url| !record.urls.contains(url)) || ctx.crls.settings.deltas && lacks_delta
}

#[cfg(test)]
mod tests {
    use pki_core::time::Timestamp;

    use super::super::tests::record;
    use super::*;

    /// Fails when a list, or a database that was restored, inherits what was seen of another.
    #[test]
    fn what_was_seen_counts_for_that_list_and_that_database() {
        let now = Timestamp::from_unix_seconds(0);
        let list = |number, covers| CrlRecord { covers, ..record(number, now) };
        let quiet = Quiet::default();
        assert_eq!(quiet.after(&list(7, 10), 90), 10);
        quiet.remember(&list(7, 10), 90);
        assert_eq!((quiet.after(&list(7, 10), 90), quiet.after(&list(7, 10), 95)), (90, 90));
        assert_eq!(quiet.after(&list(7, 10), 89), 10, "numbers that were seen are given again");
        assert_eq!((quiet.after(&list(8, 60), 95), quiet.after(&list(6, 5), 95)), (60, 5));
    }
}
