//! Requests for OCSP responders' certificates, and what became of them.

use pki_core::ids::{IssuerId, ResponderId};
use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::tx::Tx;
use crate::value::{Fields, Row, Value};

const TABLE: &str = "ocsp_responder";

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponderRecord {
    /// Identifier.
    pub id: ResponderId,
    /// The key that is to sign it, and whose certificates the responder answers for.
    pub issuer: IssuerId,
    /// Which process asks.
    pub replica: String,
    /// SubjectPublicKeyInfo of the responder's key, in DER.
    pub spki: Vec<u8>,
    /// A signature by that key over the identifier and the issuer.
    pub proof: Vec<u8>,
    /// What became of it.
    pub state: ResponderState,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Raised by every change.
    pub version: i64,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponderState {
    /// Nobody has looked at it.
    Requested,
    /// To be signed: exactly these bytes.
    Planned {
        /// DER of the TBSCertificate.
        tbs: Vec<u8>,
    },
    /// Signed and verified.
    Issued {
        /// DER of the certificate.
        der: Vec<u8>,
    },
    /// It will not be signed.
    Refused {
        /// Why.
        error: String,
    },
}

/// Writes a request down.
pub async fn insert(tx: &mut Tx<'_>, record: &ResponderRecord) -> Result<(), StoreError> {
    let (state, tbs, der, error) = columns(&record.state);
    let values = [
        Value::text(record.id),
        Value::text(record.issuer),
        (&record.replica).into(),
        (&record.spki).into(),
        (&record.proof).into(),
        state.into(),
        tbs.into(),
        der.into(),
        error.into(),
        record.created_at.into(),
        record.version.into(),
    ];
    let sql = "INSERT INTO ocsp_responder (id, issuer_id, replica, spki, proof, state, tbs, der, error, created_at, \
               version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    tx.execute(sql, &values).await.map(drop)
}

/// The request of that id.
pub async fn find(tx: &mut Tx<'_>, id: ResponderId) -> Result<Option<ResponderRecord>, StoreError> {
    let sql = "SELECT id, issuer_id, replica, spki, proof, state, tbs, der, error, created_at, version \
               FROM ocsp_responder WHERE id = $1";
    tx.row(sql, &[Value::text(id)]).await?.map(load).transpose()
}

/// Stores what became of a request; the new version. [`StoreError::Conflict`] when somebody else was faster.
pub async fn settle(tx: &mut Tx<'_>, id: ResponderId, state: &ResponderState, version: i64) -> Result<i64, StoreError> {
    let (word, tbs, der, error) = columns(state);
    let sql = "UPDATE ocsp_responder SET state = $3, tbs = $4, der = $5, error = $6, version = version + 1 \
               WHERE id = $1 AND version = $2";
    let values = [Value::text(id), version.into(), word.into(), tbs.into(), der.into(), error.into()];
    crate::guard(tx.execute(sql, &values).await?, TABLE, id)?;
    Ok(version + 1)
}

/// Forgets requests that were made before `before`: nobody waits for them, and their certificates have ended.
pub async fn forget(tx: &mut Tx<'_>, before: Timestamp) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM ocsp_responder WHERE created_at < $1", &[before.into()]).await
}

type Columns<'a> = (&'static str, Option<&'a [u8]>, Option<&'a [u8]>, Option<&'a str>);

fn columns(state: &ResponderState) -> Columns<'_> {
    match state {
        ResponderState::Requested => ("requested", None, None, None),
        ResponderState::Planned { tbs } => ("planned", Some(tbs), None, None),
        ResponderState::Issued { der } => ("issued", None, Some(der), None),
        ResponderState::Refused { error } => ("refused", None, None, Some(error)),
    }
}

fn load(row: Row) -> Result<ResponderRecord, StoreError> {
    let mut fields = row.fields(TABLE);
    Ok(ResponderRecord {
        id: fields.id()?,
        issuer: fields.parse()?,
        replica: fields.text()?,
        spki: fields.bytes()?,
        proof: fields.bytes()?,
        state: state(&mut fields)?,
        created_at: fields.time()?,
        version: fields.int()?,
    })
}

fn state(fields: &mut Fields) -> Result<ResponderState, StoreError> {
    let word = fields.text()?;
    let (tbs, der, error) = (fields.maybe_bytes()?, fields.maybe_bytes()?, fields.maybe_text()?);
    match (word.as_str(), tbs, der, error) {
        ("requested", None, None, None) => Ok(ResponderState::Requested),
        ("planned", Some(tbs), None, None) => Ok(ResponderState::Planned { tbs }),
        ("issued", None, Some(der), None) => Ok(ResponderState::Issued { der }),
        ("refused", None, None, Some(error)) => Ok(ResponderState::Refused { error }),
        (word, tbs, der, error) => Err(fields.corrupt(format!(
            "state `{word}` {} plan, {} certificate and {} error",
            crate::with(tbs.is_some()),
            crate::with(der.is_some()),
            crate::with(error.is_some())
        ))),
    }
}
