//! A list is held against the one before it, before anybody gets it (CRL-12): a fault that loses entries would bring revoked
//! certificates back to life.

use std::cmp::Ordering;
use std::collections::HashSet;

use pki_core::ids::Serial;
use pki_core::x509::crl::{Crl, CrlError, RawEntry};
use store::crls::{self, CrlRecord};
use store::revocations::{self, Listed, Standing};

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
    let compare = move || vanished(&before, &new);
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

/// What stood on the one and does not on the other; both are by serial number.
fn vanished(before: &Crl, after: &Crl) -> Result<Vec<Serial>, CrlError> {
    let (mut old, mut new) = (before.raw_entries()?, after.raw_entries()?);
    let mut gone = Vec::new();
    let (mut one, mut other) = (old.next().transpose()?, new.next().transpose()?);
    while let Some(entry) = one {
        let order = other.map_or(Ordering::Less, |other| by_number(&entry, &other));
        if order == Ordering::Less {
            gone.extend(Serial::from_octets(entry.serial).ok());
        }
        if order != Ordering::Greater {
            one = old.next().transpose()?;
        }
        if order != Ordering::Less {
            other = new.next().transpose()?;
        }
    }
    Ok(gone)
}

fn by_number(one: &RawEntry<'_>, other: &RawEntry<'_>) -> Ordering {
    (one.serial.len(), one.serial).cmp(&(other.serial.len(), other.serial))
}

/// Each has to be released from hold, or past its end and past a scheduled list after that. What changed after `covers`,
/// while the list was made, is for the next one.
async fn require_reasons(ctx: &Context, last: &CrlRecord, covers: u64, gone: Vec<Serial>) -> Result<(), FlowError> {
    let (issuer, scheduled, now) = (last.issuer, last.scheduled, ctx.now());
    let may_go = move |row: &Listed| {
        let is_released = matches!(row.standing, Standing::Released(_));
        row.number > covers || is_released || scheduled.releases(row.not_after, row.number, now)
    };
    let without = ctx
        .store
        .pass(async move |tx| {
            let rows = revocations::listed_of(tx, issuer, &gone).await?;
            let reasons: HashSet<Serial> = rows.into_iter().filter(may_go).map(|row| row.serial).collect();
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
