//! The one row that a question about a certificate's state needs, and nothing of it but that.

use pki_core::ids::{IssuerId, Serial};
use pki_core::issuance::record::Revocation;
use pki_core::time::Timestamp;

use crate::certificates::TABLE;
use crate::error::StoreError;
use crate::tx::Tx;
use crate::value::Value;

/// How a signed certificate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateStatus {
    /// When and why it was revoked, if it was.
    pub revocation: Option<Revocation>,
    /// Its last second.
    pub not_after: Timestamp,
}

/// How the certificate of that number stands; none when it was never signed: one that is only planned does not exist yet.
pub async fn status(
    tx: &mut Tx<'_>,
    issuer: IssuerId,
    serial: &Serial,
) -> Result<Option<CertificateStatus>, StoreError> {
    let sql = "SELECT id, state, revoked_at, revocation_reason, not_after FROM certificate \
               WHERE issuer_id = $1 AND serial = $2 AND state <> 'planned'";
    let Some(row) = tx.row(sql, &[Value::text(issuer), Value::text(serial)]).await? else { return Ok(None) };
    let mut fields = row.fields(TABLE);
    let _: pki_core::ids::CertificateId = fields.id()?;
    let state = fields.text()?;
    let (at, reason) = (fields.maybe_time()?, fields.maybe_reason()?);
    let revocation = match (state.as_str(), at) {
        ("issued", None) => None,
        ("revoked", Some(at)) => Some(Revocation { at, reason }),
        (state, at) => {
            let time = crate::with(at.is_some());
            return Err(fields.corrupt(format!("state `{state}` {time} time of revocation")));
        }
    };
    Ok(Some(CertificateStatus { revocation, not_after: fields.time()? }))
}
