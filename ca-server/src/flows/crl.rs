//! Publishing revocation lists (RFC 5280 section 5): one complete list and one for each shard of the issuing key.

use std::time::Duration;

use pki_core::ids::{IssuerId, Serial};
use pki_core::issuance::plan::IssuingCa;
use pki_core::revocation::Reason;
use pki_core::time::Timestamp;
use pki_core::x509::crl::{self, Crl, CrlEntry, CrlPlan, CrlScope};
use signer::Purpose;
use store::crls::CrlRecord;
use store::revocations::{self, Change, Standing};
use store::{audit, crls};

use super::owed::{self, Work};
use super::record::{With, event};
use super::{Context, FlowError};

/// An expired certificate stays on lists for some periods more, so that one scheduled list after its end names it
/// (RFC 5280 section 3.3).
const AFTER_END: Duration = Duration::from_secs(7 * 24 * 3600);

/// Rows read at once.
const PAGE: u32 = 1000;

/// Shards in use. Leaves carry the shard's address from the first one on; more shards only concern later leaves.
pub const SHARDS: [u32; 1] = [0];

/// A signed list as relying parties get it.
#[derive(Debug, Clone)]
pub struct Published {
    /// Whose.
    pub issuer: IssuerId,
    /// Of which shard; none for the complete list.
    pub shard: Option<u32>,
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// When the next one is promised.
    pub next_update: Timestamp,
    /// DER of the list.
    pub der: Vec<u8>,
}

impl Published {
    fn of_root(ctx: &Context) -> Self {
        let crl = ctx.root.crl();
        Self {
            issuer: ctx.root.id,
            shard: None,
            number: crl.number(),
            this_update: crl.this_update(),
            next_update: crl.next_update(),
            der: crl.der().to_vec(),
        }
    }

    /// How many certificates it names.
    pub fn entries(&self) -> usize {
        Crl::parse(&self.der).map_or(0, |crl| crl.entry_count())
    }

    /// Where it is fetched.
    pub fn url(&self, ca: &IssuingCa) -> String {
        let base = ca.crl_base.trim_end_matches('/');
        match self.shard {
            Some(shard) => format!("{base}/crl/{}/{shard}.crl", self.issuer),
            None => format!("{base}/crl/{}.crl", self.issuer),
        }
    }
}

impl From<CrlRecord> for Published {
    fn from(record: CrlRecord) -> Self {
        let CrlRecord { issuer, shard, number, this_update, next_update, der } = record;
        Self { issuer, shard, number, this_update, next_update, der }
    }
}

impl From<&Published> for CrlRecord {
    fn from(crl: &Published) -> Self {
        let Published { issuer, shard, number, this_update, next_update, der } = crl.clone();
        Self { issuer, shard, number, this_update, next_update, der }
    }
}

/// Publishes the complete list and every shard.
pub async fn publish(ctx: &Context, issuer: IssuerId) -> Result<Vec<Published>, FlowError> {
    let mut published = Vec::new();
    for shard in std::iter::once(None).chain(SHARDS.map(Some)) {
        published.push(publish_one(ctx, issuer, shard).await?);
    }
    let done = event(ctx, "system", "crl.publish", format_args!("issuer:{issuer}"))
        .with("number", published.first().map_or(0, |crl| crl.number));
    ctx.store
        .write(async move |tx| {
            audit::append(tx, &done).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    Ok(published)
}

async fn publish_one(ctx: &Context, issuer: IssuerId, shard: Option<u32>) -> Result<Published, FlowError> {
    let now = ctx.now().whole_seconds();
    let (last, revoked) = load(ctx, issuer, shard, now).await?;
    let previous = last.as_ref().map(|crl| crl.number);
    let this_update = last.as_ref().map_or(now, |crl| crl.this_update.max(now));
    let seconds = u64::try_from(this_update.unix_seconds()).unwrap_or(0);
    let number = seconds.max(previous.unwrap_or(0).saturating_add(1));
    let scope = match shard {
        None => CrlScope::Complete,
        Some(shard) => CrlScope::Shard { url: ctx.issuing.crl_url(shard) },
    };
    let entries = revoked.into_iter().map(|(serial, at, reason)| CrlEntry { serial, at, reason }).collect();
    let next_update = this_update + ctx.limits.crl_life;
    let plan = CrlPlan { issuer: &ctx.issuing.certificate, number, this_update, next_update, scope, entries };
    let crl = sign(ctx, &plan).await?;
    let stored = Published { issuer, shard, number, this_update, next_update, der: crl.der().to_vec() };
    let row = CrlRecord::from(&stored);
    ctx.store.write(async move |tx| Ok::<_, FlowError>(crls::publish(tx, &row, previous).await?)).await?;
    Ok(stored)
}

type Revoked = Vec<(Serial, Timestamp, Option<Reason>)>;

async fn load(
    ctx: &Context,
    issuer: IssuerId,
    shard: Option<u32>,
    now: Timestamp,
) -> Result<(Option<Published>, Revoked), FlowError> {
    ctx.store
        .scan(async move |tx| {
            let last = crls::find(tx, issuer, shard).await?.map(Published::from);
            let (mut entries, mut after) = (Revoked::new(), None);
            loop {
                let page = revocations::page(tx, issuer, after.as_ref(), now - AFTER_END, PAGE).await?;
                let Some(end) = page.last() else { break };
                after = Some(end.change.serial.clone());
                let here = page.into_iter().map(|entry| entry.change);
                entries.extend(here.filter(|it| shard.is_none_or(|shard| shard == it.shard)).filter_map(listed));
            }
            Ok::<_, FlowError>((last, entries))
        })
        .await
}

fn listed(change: Change) -> Option<(Serial, Timestamp, Option<Reason>)> {
    match change.standing {
        Standing::Revoked(revocation) => Some((change.serial, revocation.at, revocation.reason)),
        Standing::Released(_) => None,
    }
}

async fn sign(ctx: &Context, plan: &CrlPlan<'_>) -> Result<Crl, FlowError> {
    let algorithm = plan.signature_algorithm();
    let bad = |error: pki_core::x509::crl::CrlError| {
        FlowError::Internal(format!("the revocation list is not published: {error}"))
    };
    let tbs = plan.tbs().map_err(bad)?;
    let signature = ctx.desk.signer.sign(&ctx.desk.key, Purpose::Crl, algorithm, &tbs).await?;
    crl::seal(&tbs, algorithm, &signature, plan.issuer).map_err(bad)
}

/// The list as it is published now; the root's comes from its last ceremony.
pub async fn published(ctx: &Context, issuer: IssuerId, shard: Option<u32>) -> Result<Option<Published>, FlowError> {
    if issuer == ctx.root.id {
        return Ok(shard.is_none().then(|| Published::of_root(ctx)));
    }
    let found = ctx.store.read(async move |tx| Ok::<_, FlowError>(crls::find(tx, issuer, shard).await?)).await?;
    Ok(found.map(Published::from))
}

/// Every list that is published, the root's first.
pub async fn all(ctx: &Context) -> Result<Vec<Published>, FlowError> {
    let found = ctx.store.read(async |tx| Ok::<_, FlowError>(crls::list(tx).await?)).await?;
    Ok(std::iter::once(Published::of_root(ctx)).chain(found.into_iter().map(Published::from)).collect())
}

/// When the next scheduled list is due.
pub async fn due_at(ctx: &Context, issuer: IssuerId) -> Result<Timestamp, FlowError> {
    let complete = published(ctx, issuer, None).await?;
    Ok(complete.map_or(ctx.now(), |crl| crl.this_update + ctx.limits.crl_period))
}

/// Has the lists published soon.
pub async fn owe(ctx: &Context, issuer: IssuerId) -> Result<(), FlowError> {
    let (now, id) = (ctx.now(), owed::fresh(ctx));
    ctx.store.write(async move |tx| Ok::<_, FlowError>(Work::PublishCrl(issuer).owe_once(tx, id, now).await?)).await?;
    ctx.work.notify_one();
    Ok(())
}
