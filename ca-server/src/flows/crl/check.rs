//! A list is held against the one before it, before anybody gets it (CRL-12): a fault that loses entries would bring revoked
//! certificates back to life.

use std::collections::HashSet;

use pki_core::ids::Serial;
use pki_core::x509::crl::Crl;
use store::crls::{self, CrlRecord};
use store::revocations::{self, Listed};

use super::{Context, FlowError, LONG};

/// As many entries are looked up at once.
const TOGETHER: usize = 512;

/// The number is greater, no date goes back, and nothing has vanished that may not. The signature and each entry were
/// checked when the list was sealed.
pub(super) async fn check(ctx: &Context, last: &CrlRecord, record: &CrlRecord, crl: &Crl) -> Result<(), FlowError> {
    let now = ctx.now();
    let good = [
        ("its number does not rise", crl.number() > last.number && crl.number() == record.number),
        ("it is dated before the last one", crl.this_update() >= last.this_update),
        ("it is over already", crl.next_update() > now && crl.next_update() > crl.this_update()),
    ];
    if let Some((why, _)) = good.into_iter().find(|(_, good)| !good) {
        return Err(refused(last, why));
    }
    let Some(before) = before(ctx, last).await? else { return Ok(()) };
    let new = crl.clone();
    let compare = move || before.vanished(&new);
    let vanished = if crl.der().len() > LONG {
        tokio::task::spawn_blocking(compare).await.map_err(|_| refused(last, "the comparing thread ended"))?
    } else {
        compare()
    };
    let vanished = vanished.map_err(|error| refused(last, &error.to_string()))?;
    for some in vanished.chunks(TOGETHER) {
        require_reasons(ctx, last, record.covers, some.to_vec()).await?;
    }
    Ok(())
}

fn refused(last: &CrlRecord, why: &str) -> FlowError {
    let scope = last.shard.map_or_else(|| "complete list".to_owned(), |shard| format!("list of shard {shard}"));
    FlowError::Internal(format!("the {scope} after {} is not published: {why}", last.number))
}

async fn before(ctx: &Context, last: &CrlRecord) -> Result<Option<Crl>, FlowError> {
    let (issuer, shard, number) = (last.issuer, last.shard, last.number);
    if let Some(shelved) = ctx.crls.shelf.get(issuer, shard).filter(|shelved| shelved.record.number == number) {
        return Ok(Some(shelved.full.clone()));
    }
    let lists = ctx.store.pass(async move |tx| Ok::<_, FlowError>(crls::lists(tx, issuer, shard).await?)).await?;
    let lists = lists.filter(|lists| lists.number == number);
    Ok(lists.and_then(|lists| Crl::from_der(lists.full).ok()))
}

/// Each has to be one that a list of revocations up to `covers` may miss.
async fn require_reasons(ctx: &Context, last: &CrlRecord, covers: u64, gone: Vec<Serial>) -> Result<(), FlowError> {
    let (issuer, scheduled, now) = (last.issuer, last.scheduled, ctx.now());
    let may_miss = move |row: &Listed| scheduled.may_miss(&row.known(), covers, now);
    let without = ctx
        .store
        .pass(async move |tx| {
            let rows = revocations::listed_of(tx, issuer, &gone).await?;
            let reasons: HashSet<Serial> = rows.into_iter().filter(may_miss).map(|row| row.serial).collect();
            Ok::<_, FlowError>(gone.iter().find(|serial| !reasons.contains(serial)).cloned())
        })
        .await?;
    match without {
        Some(serial) => Err(refused(
            last,
            &format!(
                "the certificate {serial} would vanish from it without a reason; look whether the database was changed by hand"
            ),
        )),
        None => Ok(()),
    }
}
