//! What is denied beside certificates: each by its kind and a text.

use pki_core::ids::BadId;
pub use pki_core::revocation::denied::Subject;
use pki_core::time::Timestamp;

use crate::error::StoreError;
use crate::revocations::advance;
use crate::tx::Tx;
use crate::value::Value;

pub(super) const TABLE: &str = "denial";

/// Something that is or was denied. No command denies a site, an API key or a session, or allows anything again: such rows are
/// obeyed wherever they come from, and whoever makes a command for it writes them here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What it is, no certificate; or what of the row nobody here understands. Rows of others, or of a newer version of this
    /// program, must not keep from anybody what came after them.
    pub subject: Result<Subject, String>,
    /// The number of its last change.
    pub number: u64,
    /// Whether it is denied; otherwise it is allowed again.
    pub is_denied: bool,
    /// Since when.
    pub at: Timestamp,
}

/// Denies something that is no certificate; the number of the change. Comes last in its transaction, as everything here.
pub async fn deny(tx: &mut Tx<'_>, subject: &Subject, at: Timestamp) -> Result<u64, StoreError> {
    set(tx, subject, true, at).await
}

/// Allows something again.
pub async fn allow(tx: &mut Tx<'_>, subject: &Subject, at: Timestamp) -> Result<u64, StoreError> {
    set(tx, subject, false, at).await
}

async fn set(tx: &mut Tx<'_>, subject: &Subject, is_denied: bool, at: Timestamp) -> Result<u64, StoreError> {
    let (kind, text) = stored(subject)?;
    let number = advance(tx, 1).await?;
    let sql = "INSERT INTO denial (kind, subject, number, denied, changed_at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (kind, subject) DO UPDATE SET number = excluded.number, denied = excluded.denied, \
               changed_at = excluded.changed_at";
    let values = [kind.into(), text.into(), Value::number(number)?, u32::from(is_denied).into(), at.into()];
    tx.execute(sql, &values).await?;
    Ok(number)
}

fn stored(subject: &Subject) -> Result<(&'static str, String), StoreError> {
    Ok(match subject {
        Subject::Certificate(..) => return Err(StoreError::fault("a certificate is revoked, not denied")),
        Subject::Account(id) => ("account", id.to_string()),
        Subject::Device(id) => ("device", id.to_string()),
        Subject::Site(name) => ("site", name.to_string()),
        Subject::ApiKey(id) => ("api-key", id.clone()),
        Subject::Session(actor) => ("session", actor.clone()),
    })
}

/// Reads what [`stored`] made.
pub(super) fn subject(kind: &str, text: String) -> Result<Subject, String> {
    let bad = |error: BadId| format!("{kind} `{text}`: {error}");
    match kind {
        "account" => text.parse().map(Subject::Account).map_err(bad),
        "device" => text.parse().map(Subject::Device).map_err(bad),
        "site" => text.parse().map(Subject::Site).map_err(bad),
        "api-key" => Ok(Subject::ApiKey(text)),
        "session" => Ok(Subject::Session(text)),
        other => Err(format!("nothing that this version denies is called `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when a damaged row is taken for a subject, or is told without its own words.
    #[test]
    fn a_row_that_names_nothing_is_damaged() {
        for (kind, text) in [("account", "uid:1000"), ("device", ""), ("site", "No Site"), ("person", "home")] {
            let read = subject(kind, text.to_owned());
            assert!(read.as_ref().is_err_and(|what| what.contains(kind) && !what.is_empty()), "{text}: {read:?}");
        }
    }
}
