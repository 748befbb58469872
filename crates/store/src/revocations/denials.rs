//! What is denied beside certificates.

use std::fmt;

use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::revocations::advance;
use crate::tx::Tx;
use crate::value::{Fields, Value};

/// What may be denied. No command denies a site, an API key or a session, or allows anything again: such rows are obeyed wherever
/// they come from, and whoever makes a command for it writes them here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An ACME account, by its id.
    Account,
    /// A device, by its id.
    Device,
    /// A site, by its name.
    Site,
    /// A key of the API, by its id.
    ApiKey,
    /// A session of a person, by its id.
    Session,
}

impl Kind {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Device => "device",
            Self::Site => "site",
            Self::ApiKey => "api-key",
            Self::Session => "session",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Account, Self::Device, Self::Site, Self::ApiKey, Self::Session]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// Something that is or was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What it is.
    pub kind: Kind,
    /// Which one.
    pub subject: String,
    /// The number of its last change.
    pub number: u64,
    /// Whether it is denied; otherwise it is allowed again.
    pub is_denied: bool,
    /// Since when.
    pub at: Timestamp,
}

/// Denies something; the number of the change. Comes last in its transaction, as everything here.
pub async fn deny(tx: &mut Tx<'_>, kind: Kind, subject: impl fmt::Display, at: Timestamp) -> Result<u64, StoreError> {
    set(tx, kind, subject, true, at).await
}

/// Allows something again.
pub async fn allow(tx: &mut Tx<'_>, kind: Kind, subject: impl fmt::Display, at: Timestamp) -> Result<u64, StoreError> {
    set(tx, kind, subject, false, at).await
}

async fn set(
    tx: &mut Tx<'_>,
    kind: Kind,
    subject: impl fmt::Display,
    is_denied: bool,
    at: Timestamp,
) -> Result<u64, StoreError> {
    let number = advance(tx, 1).await?;
    let sql = "INSERT INTO denial (kind, subject, number, denied, changed_at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (kind, subject) DO UPDATE SET number = excluded.number, denied = excluded.denied, \
               changed_at = excluded.changed_at";
    let values =
        [kind.as_str().into(), Value::text(subject), Value::number(number)?, u32::from(is_denied).into(), at.into()];
    tx.execute(sql, &values).await?;
    Ok(number)
}

/// From a row of the feed: subject, number, three of certificates, time, whether it is denied.
pub(super) fn load(kind: &str, mut fields: Fields) -> Result<Denial, StoreError> {
    let subject = fields.id()?;
    let number = fields.u64()?;
    let kind = Kind::parse(kind).ok_or_else(|| fields.corrupt(format!("nothing that is denied is called `{kind}`")))?;
    let _issuer = fields.text()?;
    let _serial = fields.maybe_bytes()?;
    let _shard = fields.int()?;
    let _state = fields.text()?;
    let at = fields.time()?;
    Ok(Denial { kind, subject, number, is_denied: fields.int()? != 0, at })
}
