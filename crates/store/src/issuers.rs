//! Issuing keys, and the certificates that name them.

use std::collections::BTreeMap;

use pki_core::ids::{CertificateId, IssuerId, SiteName};
use pki_core::renewal::window::Replacement;
use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::tx::Tx;
use crate::value::{Row, Value};

const TABLE: &str = "issuer";
const CERTIFICATE: &str = "issuer_certificate";

/// One issuing key, whatever certificates name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRecord {
    /// Identifier, part of public URLs; never reused.
    pub id: IssuerId,
    /// Whose site.
    pub site: SiteName,
    /// The name people use.
    pub name: String,
    /// How the signer knows the key.
    pub key_id: String,
    /// The kind of key, as `pki_core::x509::key::KeyAlgorithm` displays it.
    pub algorithm: String,
    /// SHA-256 of its SubjectPublicKeyInfo in DER; unique.
    pub spki_sha256: [u8; 32],
    /// What it may do.
    pub state: IssuerState,
    /// That its certificates are to be replaced, if they are.
    pub replacement: Option<Replacement>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What an issuing key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerState {
    /// Signs certificates.
    Active,
    /// Signs revocation lists and nothing else.
    Retired,
    /// In wrong hands: signs nothing.
    Compromised,
}

/// One certificate of an issuing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerCertificateRecord {
    /// Identifier.
    pub id: CertificateId,
    /// The key it is for.
    pub issuer: IssuerId,
    /// The key that signed it; none for a root of its own or of somebody else.
    pub parent: Option<IssuerId>,
    /// DER of the certificate.
    pub der: Vec<u8>,
    /// First second of its life.
    pub not_before: Timestamp,
    /// Last second of its life.
    pub not_after: Timestamp,
    /// SHA-256 of `der`; unique.
    pub sha256: [u8; 32],
    /// When it was added.
    pub created_at: Timestamp,
}

impl IssuerState {
    const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Compromised => "compromised",
        }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, site_id, name, key_id, algorithm, spki_sha256, state, replace_from, replace_until, created_at \
             FROM issuer ",
            $rest
        )
    };
}

macro_rules! select_certificate {
    ($rest:literal) => {
        concat!(
            "SELECT id, issuer_id, parent_issuer_id, der, not_before, not_after, sha256, created_at \
             FROM issuer_certificate ",
            $rest
        )
    };
}

/// Adds a key. [`StoreError::Duplicate`] when the key is known.
pub async fn insert(tx: &mut Tx<'_>, issuer: &IssuerRecord) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issuer (id, site_id, name, key_id, algorithm, spki_sha256, state, replace_from, replace_until, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            Value::text(issuer.id),
            issuer.site.as_str().into(),
            (&issuer.name).into(),
            (&issuer.key_id).into(),
            (&issuer.algorithm).into(),
            issuer.spki_sha256.as_slice().into(),
            issuer.state.word().into(),
            issuer.replacement.map(|replacement| replacement.from).into(),
            issuer.replacement.map(|replacement| replacement.until).into(),
            issuer.created_at.into(),
        ],
    )
    .await
    .map(drop)
}

/// Adds a certificate of a key.
pub async fn insert_certificate(tx: &mut Tx<'_>, certificate: &IssuerCertificateRecord) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issuer_certificate (id, issuer_id, parent_issuer_id, der, not_before, not_after, sha256, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            Value::text(certificate.id),
            Value::text(certificate.issuer),
            Value::maybe(certificate.parent),
            (&certificate.der).into(),
            certificate.not_before.into(),
            certificate.not_after.into(),
            certificate.sha256.as_slice().into(),
            certificate.created_at.into(),
        ],
    )
    .await
    .map(drop)
}

/// The key of that id.
pub async fn find(tx: &mut Tx<'_>, id: IssuerId) -> Result<Option<IssuerRecord>, StoreError> {
    tx.row(select!("WHERE id = $1"), &[Value::text(id)]).await?.map(load).transpose()
}

/// Every key, oldest first.
pub async fn list(tx: &mut Tx<'_>) -> Result<Vec<IssuerRecord>, StoreError> {
    tx.rows(select!("ORDER BY created_at, id"), &[]).await?.into_iter().map(load).collect()
}

/// The certificates of a key, the newest first.
pub async fn list_certificates(tx: &mut Tx<'_>, issuer: IssuerId) -> Result<Vec<IssuerCertificateRecord>, StoreError> {
    let sql = select_certificate!("WHERE issuer_id = $1 ORDER BY created_at DESC, id DESC");
    tx.rows(sql, &[Value::text(issuer)]).await?.into_iter().map(load_certificate).collect()
}

/// For each key the end of that certificate of it that lives longest: nothing that it certified lives longer.
pub async fn ends(tx: &mut Tx<'_>) -> Result<BTreeMap<IssuerId, Timestamp>, StoreError> {
    let rows = tx.rows("SELECT issuer_id, MAX(not_after) FROM issuer_certificate GROUP BY issuer_id", &[]).await?;
    let end = |row: Row| {
        let mut fields = row.fields(CERTIFICATE);
        Ok((fields.parse()?, fields.time()?))
    };
    rows.into_iter().map(end).collect()
}

/// Changes what a key may do, from what it was decided on.
pub async fn set_state(tx: &mut Tx<'_>, id: IssuerId, from: IssuerState, to: IssuerState) -> Result<(), StoreError> {
    let sql = "UPDATE issuer SET state = $3 WHERE id = $1 AND state = $2";
    let touched = tx.execute(sql, &[Value::text(id), from.word().into(), to.word().into()]).await?;
    crate::guard(touched, TABLE, id)
}

/// Has the certificates of a key replaced, or calls that off.
pub async fn set_replacement(
    tx: &mut Tx<'_>,
    id: IssuerId,
    replacement: Option<Replacement>,
) -> Result<(), StoreError> {
    let (from, until) = (replacement.map(|it| it.from), replacement.map(|it| it.until));
    let sql = "UPDATE issuer SET replace_from = $2, replace_until = $3 WHERE id = $1";
    crate::guard(tx.execute(sql, &[Value::text(id), from.into(), until.into()]).await?, TABLE, id)
}

fn load(row: Row) -> Result<IssuerRecord, StoreError> {
    let mut fields = row.fields(TABLE);
    Ok(IssuerRecord {
        id: fields.id()?,
        site: fields.parse()?,
        name: fields.text()?,
        key_id: fields.text()?,
        algorithm: fields.text()?,
        spki_sha256: fields.sha256()?,
        state: match fields.text()?.as_str() {
            "active" => IssuerState::Active,
            "retired" => IssuerState::Retired,
            "compromised" => IssuerState::Compromised,
            other => return Err(fields.corrupt(format!("no state is called `{other}`"))),
        },
        replacement: match (fields.maybe_time()?, fields.maybe_time()?) {
            (Some(from), Some(until)) => Some(Replacement { from, until }),
            (None, None) => None,
            _ => return Err(fields.corrupt("its replacement has one end only")),
        },
        created_at: fields.time()?,
    })
}

fn load_certificate(row: Row) -> Result<IssuerCertificateRecord, StoreError> {
    let mut fields = row.fields(CERTIFICATE);
    Ok(IssuerCertificateRecord {
        id: fields.id()?,
        issuer: fields.parse()?,
        parent: fields.maybe_parse()?,
        der: fields.bytes()?,
        not_before: fields.time()?,
        not_after: fields.time()?,
        sha256: fields.sha256()?,
        created_at: fields.time()?,
    })
}
