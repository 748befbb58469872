//! Some certificates at once: those of these ids, of a device, or of a key.

use pki_core::ids::{CertificateId, DeviceId, Serial};
use pki_core::issuance::record::CertificateRecord;
use pki_core::time::Timestamp;

use crate::certificates::load::load;
use crate::certificates::{TABLE, select};
use crate::error::StoreError;
use crate::tx::Tx;
use crate::value::Value;
use crate::{dialect, sql};

/// The certificates in force whose key has this SHA-256, but for one: a few of their serial numbers, the oldest first, and how
/// many they are.
pub async fn others_of_key(
    tx: &mut Tx<'_>,
    spki_sha256: &[u8; 32],
    but: CertificateId,
    now: Timestamp,
    limit: u32,
) -> Result<(Vec<Serial>, u64), StoreError> {
    let sql = "SELECT id, serial, COUNT(*) OVER () FROM certificate \
               WHERE spki_sha256 = $1 AND id <> $2 AND state <> 'revoked' AND not_after >= $3 ORDER BY id LIMIT $4";
    let values = [spki_sha256.as_slice().into(), Value::text(but), now.into(), limit.into()];
    let (mut serials, mut all) = (Vec::new(), 0);
    for row in tx.rows(sql, &values).await? {
        let mut fields = row.fields(TABLE);
        let _: CertificateId = fields.id()?;
        serials.push(fields.parse()?);
        all = fields.u64()?;
    }
    Ok((serials, all))
}

/// The certificates of these ids, oldest first; nobody else changes them before the transaction ends.
pub async fn hold_many(tx: &mut Tx<'_>, ids: &[CertificateId]) -> Result<Vec<CertificateRecord>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // in one order, so that no two transactions wait for each other
    let sql = format!(
        concat!(select!("WHERE id IN"), " ({}) ORDER BY id{}"),
        sql::repeated("$1", ids.len()),
        dialect::alone(tx)
    );
    let values: Vec<Value<'_>> = sql::padded(ids).map(Value::text).collect();
    tx.rows(sql, &values).await?.into_iter().map(load).collect()
}

/// The ids of a device's certificates behind `after`, oldest first.
pub async fn ids_of_device(
    tx: &mut Tx<'_>,
    device: DeviceId,
    after: Option<CertificateId>,
    limit: u32,
) -> Result<Vec<CertificateId>, StoreError> {
    let sql = "SELECT id FROM certificate WHERE device_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows = tx.rows(sql, &[Value::text(device), crate::after(after), limit.into()]).await?;
    rows.into_iter().map(|row| row.fields(TABLE).id()).collect()
}
