//! Certificates, from the plan to long after the end.

pub mod holdings;
mod load;
pub mod many;
mod search;
pub mod selected;
mod status;

use pki_core::acme::jwk::Thumbprint;
use pki_core::ids::{CertificateId, DeviceId, IssuerId, ProfileName, Serial};
use pki_core::issuance::record::{CertificateRecord, CertificateState, Revocation};
use pki_core::policy::decide::Held;
use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::revocations::{self, Change, Standing};
use crate::text;
use crate::tx::{Touch, Tx};
use crate::value::Value;
use load::load;
pub use search::{Filter, StateFilter, list, signed};
pub use status::{CertificateStatus, status};

const TABLE: &str = "certificate";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, issuer_id, serial, site_id, device_id, account_id, order_id, source, profile, policy_revision, \
             policy_commit, epoch, identifiers, spki_sha256, not_before, not_after, lineage_id, generation, predecessor, confirmed_at, \
             shard, crl_urls, state, tbs, der, revoked_at, revocation_reason, created_at, version FROM certificate ",
            $rest
        )
    };
}
pub(crate) use select;

/// Adds a certificate, usually a planned one, and the names it is searched by. [`StoreError::Duplicate`] when its
/// issuer has used the serial number.
pub async fn insert(tx: &mut Tx<'_>, certificate: &CertificateRecord) -> Result<(), StoreError> {
    let (state, tbs, der, revocation) = columns(&certificate.state);
    tx.put(
        (TABLE, certificate.id),
        Touch::Any,
        "INSERT INTO certificate (id, issuer_id, serial, site_id, device_id, account_id, order_id, source, profile, \
         policy_revision, policy_commit, epoch, identifiers, spki_sha256, not_before, not_after, lineage_id, generation, \
         predecessor, confirmed_at, shard, crl_urls, state, tbs, der, revoked_at, revocation_reason, created_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
         $23, $24, $25, $26, $27, $28, $29)",
        &[
            Value::text(certificate.id),
            Value::text(certificate.issuer),
            Value::text(&certificate.serial),
            certificate.site.as_str().into(),
            Value::maybe(certificate.device),
            Value::maybe(certificate.account),
            Value::maybe(certificate.order),
            certificate.source.as_str().into(),
            certificate.profile.as_str().into(),
            (&certificate.policy_revision).into(),
            Value::maybe(certificate.policy_commit.as_ref()),
            certificate.epoch.into(),
            text::identifiers(&certificate.identifiers),
            certificate.spki_sha256.as_slice().into(),
            certificate.not_before.into(),
            certificate.not_after.into(),
            Value::text(certificate.lineage),
            certificate.generation.into(),
            Value::maybe(certificate.predecessor),
            certificate.confirmed_at.into(),
            certificate.shard.into(),
            text::json(&certificate.crl_urls),
            state.into(),
            tbs.into(),
            der.into(),
            revocation.map(|revocation| revocation.at).into(),
            revocation.and_then(|revocation| revocation.reason).into(),
            certificate.created_at.into(),
            certificate.version.into(),
        ],
    )
    .await?;
    search::insert_names(tx, certificate.id, &certificate.identifiers).await?;
    if let Some(revocation) = revocation {
        let standing = Standing::Revoked(revocation.clone());
        revocations::put(tx, &[Change::of(certificate, standing)]).await?;
    }
    Ok(())
}

/// The certificate of that id.
pub async fn find(tx: &mut Tx<'_>, id: CertificateId) -> Result<Option<CertificateRecord>, StoreError> {
    tx.row(select!("WHERE id = $1"), &[Value::text(id)]).await?.map(load).transpose()
}

/// The certificate of that number.
pub async fn find_by_serial(
    tx: &mut Tx<'_>,
    issuer: IssuerId,
    serial: &Serial,
) -> Result<Option<CertificateRecord>, StoreError> {
    let sql = select!("WHERE issuer_id = $1 AND serial = $2");
    tx.row(sql, &[Value::text(issuer), Value::text(serial)]).await?.map(load).transpose()
}

/// A plan becomes a certificate; the new version. The plan's bytes are erased: they stand in `der`.
pub async fn mark_issued(tx: &mut Tx<'_>, id: CertificateId, der: &[u8], version: i64) -> Result<i64, StoreError> {
    let sql = "UPDATE certificate SET state = 'issued', der = $3, tbs = NULL, version = version + 1 \
               WHERE id = $1 AND version = $2 AND state = 'planned'";
    tx.put((TABLE, id), Touch::One, sql, &[Value::text(id), version.into(), der.into()]).await?;
    Ok(version + 1)
}

/// Takes an issued certificate back, or worsens the reason of one that is revoked; the new version. Comes last in its
/// transaction: it waits for whoever else revokes ([`revocations`]).
pub async fn revoke(tx: &mut Tx<'_>, record: &CertificateRecord, revocation: &Revocation) -> Result<i64, StoreError> {
    revoke_many(tx, &[record], revocation).await?;
    Ok(record.version + 1)
}

/// The same for many; the number of the last change, which is that of the last one.
pub async fn revoke_many(
    tx: &mut Tx<'_>,
    records: &[&CertificateRecord],
    revocation: &Revocation,
) -> Result<u64, StoreError> {
    let sql = "UPDATE certificate SET state = 'revoked', revoked_at = $3, revocation_reason = $4, version = version + 1 \
               WHERE id = $1 AND version = $2 AND state IN ('issued', 'revoked')";
    for record in records {
        let values = [Value::text(record.id), record.version.into(), revocation.at.into(), revocation.reason.into()];
        tx.put((TABLE, record.id), Touch::One, sql, &values).await?;
    }
    let standing = Standing::Revoked(revocation.clone());
    let changes: Vec<Change> = records.iter().map(|record| Change::of(record, standing.clone())).collect();
    revocations::put(tx, &changes).await
}

/// Makes a certificate good again that is on hold; the new version. Comes last in its transaction.
pub async fn release(tx: &mut Tx<'_>, record: &CertificateRecord, at: Timestamp) -> Result<i64, StoreError> {
    release_many(tx, &[record], at).await?;
    Ok(record.version + 1)
}

/// The same for many; the number of the last change.
pub async fn release_many(tx: &mut Tx<'_>, records: &[&CertificateRecord], at: Timestamp) -> Result<u64, StoreError> {
    // 6 is certificateHold (RFC 5280 section 5.3.1)
    let sql = "UPDATE certificate SET state = 'issued', revoked_at = NULL, revocation_reason = NULL, \
               version = version + 1 WHERE id = $1 AND version = $2 AND state = 'revoked' AND revocation_reason = 6";
    for record in records {
        tx.put((TABLE, record.id), Touch::One, sql, &[Value::text(record.id), record.version.into()]).await?;
    }
    let changes: Vec<Change> = records.iter().map(|record| Change::of(record, Standing::Released(at))).collect();
    revocations::put(tx, &changes).await
}

/// Remembers the first sight of a certificate in use; whether this was it. Changes no version: it decides nothing.
pub async fn confirm(tx: &mut Tx<'_>, id: CertificateId, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE certificate SET confirmed_at = $2 WHERE id = $1 AND confirmed_at IS NULL";
    Ok(tx.execute(sql, &[Value::text(id), at.into()]).await? == 1)
}

/// The newest signed certificate of a device under a profile, revoked or not.
pub async fn latest_for_device(
    tx: &mut Tx<'_>,
    device: DeviceId,
    profile: &ProfileName,
) -> Result<Option<CertificateRecord>, StoreError> {
    let sql = select!("WHERE device_id = $1 AND profile = $2 AND state <> 'planned' ORDER BY id DESC LIMIT 1");
    tx.row(sql, &[Value::text(device), profile.as_str().into()]).await?.map(load).transpose()
}

/// How many certificates of a profile a device has that are valid at `now`, or will be, and how many were made since
/// `since`. What is planned is counted: it is signed, now or after a crash.
pub async fn count_of_device(
    tx: &mut Tx<'_>,
    device: DeviceId,
    profile: &ProfileName,
    now: Timestamp,
    since: Timestamp,
) -> Result<Held, StoreError> {
    let sql = "SELECT COUNT(CASE WHEN not_after >= $3 AND state <> 'revoked' THEN 1 END), \
               COUNT(CASE WHEN created_at >= $4 THEN 1 END) FROM certificate WHERE device_id = $1 AND profile = $2";
    let values = [Value::text(device), profile.as_str().into(), now.into(), since.into()];
    let Some(row) = tx.row(sql, &values).await? else { return Ok(Held::default()) };
    let mut fields = row.fields(TABLE);
    Ok(Held { active: fields.u64()?, issued: fields.u64()? })
}

/// Issued certificates that end at `from` or later and before `before`, the earliest end first; those behind `after`,
/// which is end and id of the last one seen.
pub async fn list_expiring(
    tx: &mut Tx<'_>,
    from: Timestamp,
    before: Timestamp,
    after: Option<(Timestamp, CertificateId)>,
    limit: u32,
) -> Result<Vec<CertificateRecord>, StoreError> {
    let sql = select!(
        "WHERE state = 'issued' AND not_after >= $1 AND not_after < $2 AND (not_after, id) > ($3, $4) \
         ORDER BY not_after, id LIMIT $5"
    );
    let (end, id) = after.map_or((from, None), |(end, id)| (end, Some(id)));
    let values = [from.into(), before.into(), end.into(), crate::after(id), limit.into()];
    tx.rows(sql, &values).await?.into_iter().map(load).collect()
}

/// The certificates that replace one, or are planned to, the newest first; those that were revoked do not count.
pub async fn successors(
    tx: &mut Tx<'_>,
    predecessor: CertificateId,
    limit: u32,
) -> Result<Vec<CertificateRecord>, StoreError> {
    let sql = select!("WHERE predecessor = $1 AND state <> 'revoked' ORDER BY id DESC LIMIT $2");
    tx.rows(sql, &[Value::text(predecessor), limit.into()]).await?.into_iter().map(load).collect()
}

/// Whether a key must not be certified: it is the key of an account (RFC 8555 section 11.1), or was compromised. An
/// account's key is known by its thumbprint, if it can have one.
pub async fn key_standing(
    tx: &mut Tx<'_>,
    thumbprint: Option<&Thumbprint>,
    spki_sha256: &[u8; 32],
) -> Result<KeyStanding, StoreError> {
    // 1 is keyCompromise (RFC 5280 section 5.3.1), and the condition of the index
    let sql = "SELECT (SELECT count(*) FROM account WHERE thumbprint = $1), \
               (SELECT count(*) FROM certificate WHERE spki_sha256 = $2 AND revocation_reason = 1)";
    let row = tx.row(sql, &[Value::maybe(thumbprint), spki_sha256.as_slice().into()]).await?;
    let mut fields = row.ok_or_else(|| StoreError::fault("counting had no answer"))?.fields(TABLE);
    Ok(KeyStanding { is_an_accounts: fields.int()? > 0, is_compromised: fields.int()? > 0 })
}

/// What is known of a key that is to be certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyStanding {
    /// It signs the requests of an account.
    pub is_an_accounts: bool,
    /// A certificate of it was revoked for keyCompromise.
    pub is_compromised: bool,
}

/// Plans that were recorded before `before` and never signed, the oldest first: what a crash left over.
pub async fn list_planned(
    tx: &mut Tx<'_>,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<CertificateRecord>, StoreError> {
    let sql = select!("WHERE state = 'planned' AND created_at < $1 ORDER BY created_at LIMIT $2");
    tx.rows(sql, &[before.into(), limit.into()]).await?.into_iter().map(load).collect()
}

type Columns<'a> = (&'static str, Option<&'a [u8]>, Option<&'a [u8]>, Option<&'a Revocation>);

fn columns(state: &CertificateState) -> Columns<'_> {
    match state {
        CertificateState::Planned { tbs } => ("planned", Some(tbs), None, None),
        CertificateState::Issued { der } => ("issued", None, Some(der), None),
        CertificateState::Revoked { der, revocation } => ("revoked", None, Some(der), Some(revocation)),
    }
}
