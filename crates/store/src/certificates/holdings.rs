//! Certificates as a change of policy concerns them: who holds which names by which profile, page by page.

use std::collections::BTreeMap;

use pki_core::device::Device;
use pki_core::ids::{AccountId, CertificateId, DeviceId, ProfileName, Serial};
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;

use crate::error::StoreError;
use crate::text;
use crate::tx::Tx;
use crate::value::Row;
use crate::{certificates::TABLE, devices};

/// A certificate in force.
#[derive(Debug)]
pub struct Holding {
    /// Its id.
    pub id: CertificateId,
    /// Its serial number.
    pub serial: Serial,
    /// The profile it was issued by.
    pub profile: ProfileName,
    /// The names it carries.
    pub identifiers: Vec<Identifier>,
    /// Its last second.
    pub not_after: Timestamp,
    /// The account it was issued to; none when no account asked for it.
    pub account: Option<AccountId>,
    /// Whether that account is bound by an external account key.
    pub is_bound: bool,
    /// The device that holds it.
    pub device: Option<DeviceId>,
    /// The certificate, when it was asked for.
    pub der: Option<Vec<u8>>,
}

/// Some certificates in force, and the devices that hold them.
#[derive(Debug)]
pub struct Holdings {
    /// The certificates, by id.
    pub certificates: Vec<Holding>,
    /// Their devices.
    pub devices: BTreeMap<DeviceId, Device>,
}

macro_rules! select {
    ($der:literal) => {
        concat!(
            "SELECT c.id, c.serial, c.profile, c.identifiers, c.not_after, c.account_id, a.eab_key_id, c.device_id, ",
            $der,
            " FROM certificate c LEFT JOIN account a ON a.id = c.account_id \
             WHERE c.id > $1 AND c.state = 'issued' AND c.not_after >= $2 ORDER BY c.id LIMIT $3"
        )
    };
}

/// The certificates behind `after` that are in force at `now`, with their bytes if wanted.
pub async fn page(
    tx: &mut Tx<'_>,
    now: Timestamp,
    after: Option<CertificateId>,
    with_der: bool,
    limit: u32,
) -> Result<Holdings, StoreError> {
    let sql = if with_der { select!("c.der") } else { select!("NULL") };
    let rows = tx.rows(sql, &[crate::after(after), now.into(), limit.into()]).await?;
    let certificates = rows.into_iter().map(|row| load(row, with_der)).collect::<Result<Vec<_>, _>>()?;
    let devices = match (certificates.first(), certificates.last()) {
        (Some(first), Some(last)) if certificates.iter().any(|one| one.device.is_some()) => {
            devices::list_holding(tx, first.id, last.id).await?
        }
        _ => Vec::new(),
    };
    Ok(Holdings { certificates, devices: devices.into_iter().map(|device| (device.id, device)).collect() })
}

/// How many certificates are in force at `now`.
pub async fn count(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM certificate WHERE state = 'issued' AND not_after >= $1";
    let row = tx.row(sql, &[now.into()]).await?.ok_or_else(|| StoreError::fault("counting had no answer"))?;
    row.fields(TABLE).u64()
}

fn load(row: Row, with_der: bool) -> Result<Holding, StoreError> {
    let mut fields = row.fields(TABLE);
    Ok(Holding {
        id: fields.id()?,
        serial: fields.parse()?,
        profile: fields.parse()?,
        identifiers: text::read_identifiers(&mut fields)?,
        not_after: fields.time()?,
        account: fields.maybe_parse()?,
        is_bound: fields.maybe_text()?.is_some(),
        device: fields.maybe_parse()?,
        der: if with_der { fields.maybe_bytes()? } else { None },
    })
}
