//! Lists and the search by name. Names are searched exactly, by their beginning or by their domain; never by a part.

use std::fmt::Write as _;

use pki_core::ids::{CertificateId, DeviceId, ProfileName};
use pki_core::issuance::record::CertificateRecord;
use pki_core::revocation::selection::NamePattern;
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;

use crate::certificates::{load, select};
use crate::error::StoreError;
use crate::tx::{Touch, Tx};
use crate::value::{Row, Value};

/// What a list contains: certificates that fit every condition that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Where they stand.
    pub state: Option<StateFilter>,
    /// The profile they were issued by.
    pub profile: Option<ProfileName>,
    /// Their device.
    pub device: Option<DeviceId>,
    /// They end before this.
    pub expires_before: Option<Timestamp>,
    /// They end at this or later.
    pub expires_from: Option<Timestamp>,
    /// A name they carry.
    pub name: Option<NamePattern>,
}

/// States as far as lists distinguish them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of CertificateState")]
pub enum StateFilter {
    Planned,
    Issued,
    Revoked,
}

impl StateFilter {
    const fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Issued => "issued",
            Self::Revoked => "revoked",
        }
    }
}

/// The tokens from the first inclusive to the second exclusive. Tokens are printable ASCII, so DEL comes after whatever may
/// follow.
pub(super) fn range(pattern: &NamePattern) -> (String, String) {
    let first = match pattern {
        NamePattern::Exact(name) => {
            let first = format!("={}", name.to_ascii_lowercase());
            let last = format!("{first}\u{1}");
            return (first, last);
        }
        NamePattern::Beginning(name) => format!("={}", name.to_ascii_lowercase()),
        NamePattern::Domain(name) => reversed(name.trim_matches('.')),
    };
    let last = format!("{first}\u{7f}");
    (first, last)
}

/// The certificates behind `after` that fit, oldest first.
pub async fn list(
    tx: &mut Tx<'_>,
    filter: &Filter,
    after: Option<CertificateId>,
    limit: u32,
) -> Result<Vec<CertificateRecord>, StoreError> {
    let mut sql = select!("WHERE id > $1").to_owned();
    let mut values = vec![crate::after(after)];
    let mut condition = |text: &str, value: Value<'static>| {
        values.push(value);
        // writing into a String cannot fail
        let _ = write!(sql, " AND {text} ${}", values.len());
    };
    if let Some(state) = filter.state {
        condition("state =", state.word().into());
    }
    if let Some(profile) = &filter.profile {
        condition("profile =", Value::text(profile));
    }
    if let Some(device) = filter.device {
        condition("device_id =", Value::text(device));
    }
    if let Some(end) = filter.expires_before {
        condition("not_after <", end.into());
    }
    if let Some(end) = filter.expires_from {
        condition("not_after >=", end.into());
    }
    if let Some(name) = &filter.name {
        let (first, last) = range(name);
        condition("id IN (SELECT certificate_id FROM certificate_name WHERE token >=", first.into());
        condition("token <", last.into());
        sql.push(')');
    }
    values.push(limit.into());
    let _ = write!(sql, " ORDER BY id LIMIT ${}", values.len());
    tx.rows(sql, &values).await?.into_iter().map(load).collect()
}

/// The signed certificates behind `after` with their bytes, oldest first, for whoever looks for one by its bytes.
pub async fn signed(
    tx: &mut Tx<'_>,
    after: Option<CertificateId>,
    limit: u32,
) -> Result<Vec<(CertificateId, Vec<u8>)>, StoreError> {
    let sql = "SELECT id, der FROM certificate WHERE id > $1 AND state <> 'planned' ORDER BY id LIMIT $2";
    let rows = tx.rows(sql, &[crate::after(after), limit.into()]).await?;
    let load = |row: Row| {
        let mut fields = row.fields(super::TABLE);
        Ok((fields.id()?, fields.bytes()?))
    };
    rows.into_iter().map(load).collect()
}

pub(super) async fn insert_names(
    tx: &mut Tx<'_>,
    certificate: CertificateId,
    identifiers: &[Identifier],
) -> Result<(), StoreError> {
    // a certificate carries no name twice, but a list may
    let sql = "INSERT INTO certificate_name (token, certificate_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let tokens = identifiers.iter().flat_map(|identifier| {
        let value = identifier.value();
        let reversed = matches!(identifier, Identifier::Dns(_)).then(|| reversed(&value));
        reversed.into_iter().chain([format!("={value}")])
    });
    for token in tokens {
        let row = ("certificate_name", format_args!("{token} {certificate}"));
        tx.put(row, Touch::Any, sql, &[(&token).into(), Value::text(certificate)]).await?;
    }
    Ok(())
}

/// `gw-1.site.test` as `<test.site.gw-1.`
fn reversed(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.rsplit('.').fold("<".to_owned(), |token, label| token + label + ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_one_range() {
        let (first, last) = range(&NamePattern::Domain("Site.Test".to_owned()));
        let within = |name: &str| (first.as_str()..last.as_str()).contains(&reversed(name).as_str());
        assert!(within("site.test") && within("gw-1.site.test") && within("*.a.site.test"));
        assert!(!within("evilsite.test") && !within("test") && !within("site.test.example"));
    }
}
