//! What is revoked, for people: with the certificate it concerns and the list on which it first stood.

use pki_core::ids::{CertificateId, DeviceName, IssuerId, ProfileName, Serial, SiteName};
use pki_core::issuance::record::Revocation;
use pki_core::revocation::selection::Selection;
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;

use crate::certificates::selected;
use crate::error::StoreError;
use crate::revocations::{FirstCrl, Standing, TABLE, first_crl, standing};
use crate::text;
use crate::tx::Tx;
use crate::value::{Row, Value};

/// A revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The number of its last change.
    pub number: u64,
    /// Its row.
    pub certificate: CertificateId,
    /// Its issuing key.
    pub issuer: IssuerId,
    /// Its serial number.
    pub serial: Serial,
    /// When and why it was revoked.
    pub revocation: Revocation,
    /// The complete list on which it first stood; none before that is published.
    pub first_crl: Option<FirstCrl>,
    /// Its site.
    pub site: SiteName,
    /// Its profile.
    pub profile: ProfileName,
    /// The device that holds it.
    pub device: Option<DeviceName>,
    /// Its names.
    pub identifiers: Vec<Identifier>,
    /// Its last second.
    pub not_after: Timestamp,
}

/// The certificates of a selection that are revoked, by the number of their last change; those behind `after`.
pub async fn list(tx: &mut Tx<'_>, selection: &Selection, after: u64, limit: u32) -> Result<Vec<Reported>, StoreError> {
    let (conditions, mut values) = selected::conditions(tx, selection);
    values.extend([Value::number(after)?, limit.into()]);
    let (after, limit) = (values.len() - 1, values.len());
    let sql = format!(
        "SELECT r.certificate_id, r.number, r.issuer_id, c.serial, r.state, r.revoked_at, r.reason, r.first_crl, \
         r.first_crl_at, c.site_id, c.profile, d.name, c.identifiers, c.not_after FROM revocation r \
         JOIN certificate c ON c.id = r.certificate_id LEFT JOIN device d ON d.id = c.device_id \
         WHERE {conditions} AND r.state = 'revoked' AND r.number > ${after} ORDER BY r.number LIMIT ${limit}"
    );
    tx.rows(sql, &values).await?.into_iter().filter_map(|row| load(row).transpose()).collect()
}

fn load(row: Row) -> Result<Option<Reported>, StoreError> {
    let mut fields = row.fields(TABLE);
    let certificate = fields.id()?;
    let number = fields.u64()?;
    let (issuer, serial) = (fields.parse()?, fields.parse()?);
    let Standing::Revoked(revocation) = standing(&mut fields)? else { return Ok(None) };
    let first_crl = first_crl(&mut fields)?;
    Ok(Some(Reported {
        number,
        certificate,
        issuer,
        serial,
        revocation,
        first_crl,
        site: fields.parse()?,
        profile: fields.parse()?,
        device: fields.maybe_parse()?,
        identifiers: text::read_identifiers(&mut fields)?,
        not_after: fields.time()?,
    }))
}
