//! From rows to records: one total match, which names what does not fit.

use pki_core::issuance::record::{CertificateRecord, CertificateState, Revocation, Source};
use pki_core::time::Timestamp;

use crate::certificates::TABLE;
use crate::error::StoreError;
use crate::text;
use crate::value::{Fields, Row};

pub(super) fn load(row: Row) -> Result<CertificateRecord, StoreError> {
    let mut fields = row.fields(TABLE);
    Ok(CertificateRecord {
        id: fields.id()?,
        issuer: fields.parse()?,
        serial: fields.parse()?,
        site: fields.parse()?,
        device: fields.maybe_parse()?,
        account: fields.maybe_parse()?,
        order: fields.maybe_parse()?,
        source: source(&mut fields)?,
        profile: fields.parse()?,
        policy_revision: fields.text()?,
        policy_commit: fields.maybe_parse()?,
        epoch: fields.int()?,
        identifiers: text::read_identifiers(&mut fields)?,
        spki_sha256: fields.sha256()?,
        not_before: fields.time()?,
        not_after: fields.time()?,
        lineage: fields.parse()?,
        generation: fields.u32()?,
        predecessor: fields.maybe_parse()?,
        confirmed_at: fields.maybe_time()?,
        shard: fields.u32()?,
        crl_urls: text::strings(&mut fields)?,
        state: state(&mut fields)?,
        created_at: fields.time()?,
        version: fields.int()?,
    })
}

fn source(fields: &mut Fields) -> Result<Source, StoreError> {
    match fields.text()?.as_str() {
        "acme" => Ok(Source::Acme),
        "api" => Ok(Source::Api),
        "est" => Ok(Source::Est),
        "ceremony" => Ok(Source::Ceremony),
        "imported" => Ok(Source::Imported),
        other => Err(fields.corrupt(format!("no source is called `{other}`"))),
    }
}

fn state(fields: &mut Fields) -> Result<CertificateState, StoreError> {
    let word = fields.text()?;
    let (tbs, der) = (fields.maybe_bytes()?, fields.maybe_bytes()?);
    let (at, reason): (Option<Timestamp>, _) = (fields.maybe_time()?, fields.maybe_reason()?);
    match (word.as_str(), tbs, der, at, reason) {
        ("planned", Some(tbs), None, None, None) => Ok(CertificateState::Planned { tbs }),
        ("issued", None, Some(der), None, None) => Ok(CertificateState::Issued { der }),
        ("revoked", None, Some(der), Some(at), reason) => {
            Ok(CertificateState::Revoked { der, revocation: Revocation { at, reason } })
        }
        (word, tbs, der, at, reason) => Err(fields.corrupt(format!(
            "state `{word}` {} plan, {} certificate, {} time of revocation and {} reason",
            crate::with(tbs.is_some()),
            crate::with(der.is_some()),
            crate::with(at.is_some()),
            crate::with(reason.is_some())
        ))),
    }
}
