//! One pass over an issuer's revocations, in which all its lists are written side by side.

use std::collections::{BTreeMap, BTreeSet};

use pki_core::ids::IssuerId;
use pki_core::revocation::succession::Place;
use pki_core::time::Timestamp;
use pki_core::x509::crl::{CrlError, CrlHead, CrlKind, CrlScope, CrlTbs, CrlWriter, Mark};
use store::crls::{self, CrlRecord, Scheduled};
use store::revocations::{self, Listed, Standing};

use super::{Authority, Context, Due, FlowError, Occasion, Settings};

/// Rows read at once.
const PAGE: u32 = 5000;

/// What is to be signed.
pub(super) struct Draft {
    pub(super) built: Vec<Built>,
    /// When the oldest change was made that none of the lists before has.
    pub(super) oldest: Option<Timestamp>,
}

/// The lists of a scope.
pub(super) struct Built {
    pub(super) record: CrlRecord,
    /// What they take the place of.
    pub(super) last: Option<CrlRecord>,
    pub(super) full: CrlTbs,
    pub(super) delta: Option<CrlTbs>,
}

/// Everything that a pass needs besides the database.
#[derive(Clone)]
struct Pass {
    authority: Authority,
    settings: Settings,
    occasion: Occasion,
    now: Timestamp,
    floors: BTreeMap<Option<u32>, u64>,
    /// Shards that leaves are given now.
    shards: u32,
}

/// Reads and writes; on one snapshot, whose number the lists tell.
pub(super) async fn build(ctx: &Context, authority: &Authority, due: Due) -> Result<Draft, FlowError> {
    let pass = Pass {
        settings: ctx.crls.settings.clone(),
        occasion: due.occasion,
        now: ctx.now().whole_seconds(),
        floors: ctx.crls.marks.of(authority.id),
        shards: if authority.id == ctx.issuing.id { ctx.crls.settings.shards } else { 0 },
        authority: authority.clone(),
    };
    ctx.store
        .pass(async move |tx| {
            let issuer = pass.authority.id;
            let covers = revocations::head(tx).await?;
            let mut lasts: BTreeMap<Option<u32>, CrlRecord> = BTreeMap::new();
            lasts.extend(of_issuer(crls::list(tx).await?, issuer).map(|record| (record.shard, record)));
            let newest = lasts.get(&None).map_or(0, |last| last.number);
            if due.behind.is_some_and(|behind| behind != newest) {
                return Err(FlowError::Conflict(format!("the list {newest} was published meanwhile")));
            }
            let covered = lasts.get(&None).map_or(0, |last| last.covers);
            let changed = revocations::shards_since(tx, issuer, covered).await?;
            let oldest = revocations::waiting_since(tx, issuer, covered).await?.oldest;
            let mut sheets = BTreeMap::new();
            for shard in pass.scopes(&lasts, &changed) {
                sheets.insert(shard, Sheet::begin(&pass, shard, lasts.remove(&shard), covers)?);
            }
            let mut after = None;
            loop {
                let page = revocations::page(tx, issuer, after.as_ref(), PAGE).await?;
                for row in &page {
                    for shard in [None, Some(row.shard)] {
                        sheets.get_mut(&shard).map_or(Ok(()), |sheet: &mut Sheet| sheet.push(row))?;
                    }
                }
                let Some(end) = page.into_iter().last() else { break };
                after = Some(end.serial);
            }
            let built = sheets.into_values().map(Sheet::finish).collect::<Result<_, _>>()?;
            Ok::<_, FlowError>(Draft { built, oldest })
        })
        .await
}

fn of_issuer(all: Vec<CrlRecord>, issuer: IssuerId) -> impl Iterator<Item = CrlRecord> {
    all.into_iter().filter(move |record| record.issuer == issuer)
}

impl Pass {
    /// The complete list, and the shards that have to be made: all that were ever given, or those in which something changed.
    fn scopes(&self, lasts: &BTreeMap<Option<u32>, CrlRecord>, changed: &[u32]) -> BTreeSet<Option<u32>> {
        let missing = (0..self.shards).map(Some).filter(|shard| !lasts.contains_key(shard));
        let mut scopes: BTreeSet<Option<u32>> =
            missing.chain([None]).chain(changed.iter().copied().map(Some)).collect();
        if self.occasion != Occasion::Changed {
            scopes.extend(lasts.keys());
        }
        scopes
    }
}

/// The lists of one scope while they are written.
struct Sheet {
    record: CrlRecord,
    last: Option<CrlRecord>,
    full: CrlWriter,
    delta: Option<CrlWriter>,
    /// What the delta is to.
    base: Scheduled,
    now: Timestamp,
}

impl Sheet {
    fn begin(pass: &Pass, shard: Option<u32>, last: Option<CrlRecord>, covers: u64) -> Result<Self, FlowError> {
        let record = pass.record(shard, last.as_ref(), covers);
        let own = Scheduled { number: record.number, at: record.this_update, covers };
        let base = last.as_ref().map(|last| last.scheduled).filter(|base| base.number > 0).unwrap_or(own);
        let freshest = if pass.settings.deltas { pass.authority.delta_urls(shard) } else { Vec::new() };
        let fresh = last.as_ref().map_or(0, |last| last.covers);
        // what is new is spread over the shards; a list that gets more grows while it is written
        let parts = shard.map_or(1, |_| u64::from(pass.shards.max(1)));
        let expected = last.as_ref().map_or(0, |last| last.entries) + covers.saturating_sub(fresh) / parts;
        let head = |kind| CrlHead {
            issuer: &pass.authority.certificate,
            number: record.number,
            this_update: record.this_update,
            next_update: record.next_update,
            scope: match shard {
                None => CrlScope::Complete,
                Some(_) => CrlScope::Shard { urls: record.urls.clone() },
            },
            kind,
        };
        let full = head(CrlKind::Full { freshest }).begin(usize::try_from(expected).unwrap_or(0)).map_err(unbuilt)?;
        let delta = pass.settings.deltas.then(|| head(CrlKind::Delta { base: base.number }).begin(0));
        let delta = delta.transpose().map_err(unbuilt)?;
        Ok(Self { record, last, full, delta, base, now: pass.now })
    }

    fn push(&mut self, row: &Listed) -> Result<(), FlowError> {
        let scheduled = self.last.as_ref().map(|last| last.scheduled);
        if scheduled.is_some_and(|last| last.releases(&row.known(), self.now)) {
            return Ok(());
        }
        let (at, mark) = match &row.standing {
            Standing::Revoked(revocation) => (revocation.at, Mark::Revoked(revocation.reason)),
            Standing::Released(at) => (*at, Mark::Released),
        };
        if mark != Mark::Released {
            self.full.push(&row.serial, at, mark).map_err(unbuilt)?;
        }
        if let Some(delta) = self.delta.as_mut().filter(|_| row.number > self.base.covers) {
            delta.push(&row.serial, at, mark).map_err(unbuilt)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Built, FlowError> {
        self.record.entries = u64::try_from(self.full.count()).unwrap_or(u64::MAX);
        let full = self.full.finish().map_err(unbuilt)?;
        let delta = self.delta.map(CrlWriter::finish).transpose().map_err(unbuilt)?;
        Ok(Built { record: self.record, last: self.last, full, delta })
    }
}

impl Pass {
    /// What will be known of the list; its number is beyond every mark.
    fn record(&self, shard: Option<u32>, last: Option<&CrlRecord>, covers: u64) -> CrlRecord {
        let floor = self.floors.get(&shard).copied().unwrap_or(0);
        let is_scheduled = self.occasion == Occasion::Scheduled;
        let place = Place::after(last.map(CrlRecord::place).as_ref(), floor, covers, is_scheduled, self.now);
        let mut urls = shard.map_or_else(Vec::new, |_| self.authority.urls(shard));
        let earlier = last.map_or(&[][..], |last| &last.urls).iter().filter(|url| !urls.contains(url));
        let earlier: Vec<String> = earlier.cloned().collect();
        urls.extend(earlier);
        CrlRecord {
            issuer: self.authority.id,
            shard,
            number: place.number,
            this_update: place.this_update,
            next_update: place.this_update + self.settings.life,
            entries: 0,
            covers,
            urls,
            scheduled: place.scheduled,
        }
    }
}

fn unbuilt(error: CrlError) -> FlowError {
    FlowError::Internal(format!("the revocation list is not published: {error}"))
}
