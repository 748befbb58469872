//! Accounts (RFC 8555 section 7.1.2).

use crate::acme::jwk::{Jwk, Thumbprint};
use crate::acme::problem::{Problem, ProblemKind};
use crate::ids::{AccountId, DeviceId, EabKeyId, SiteName};
use crate::random::Entropy;
use crate::time::Timestamp;
use crate::transition::IllegalTransition;
use crate::x509::name::DnsName;

/// A registered account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Identifier, part of the account URL.
    pub id: AccountId,
    /// The site it belongs to.
    pub site: SiteName,
    /// The key that signs its requests.
    pub key: Jwk,
    /// RFC 7638 thumbprint of `key`; unique over all accounts.
    pub thumbprint: Thumbprint,
    /// Contact URLs, `mailto:` only.
    pub contacts: Vec<String>,
    /// Whether it may still act.
    pub status: AccountStatus,
    /// How it was bound at creation, if it was (section 7.3.4).
    pub binding: Option<Binding>,
    /// The terms of service its holder agreed to, by their URL (section 7.3.3).
    pub terms_agreed: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Raised by every change; each UPDATE repeats the version it was decided on.
    pub version: i64,
}

/// What to begin with.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The site it belongs to: that of its device, or the CA's own.
    pub site: SiteName,
    /// The key that signs its requests.
    pub key: Jwk,
    /// From [`parse_contacts`].
    pub contacts: Vec<String>,
    /// A verified binding, if there is one.
    pub binding: Option<Binding>,
    /// The terms of service agreed to, by their URL.
    pub terms_agreed: Option<String>,
}

impl Account {
    /// A valid account.
    pub fn new(request: NewAccount, now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self {
            id: AccountId::new(now, entropy),
            site: request.site,
            thumbprint: request.key.thumbprint(),
            key: request.key,
            contacts: request.contacts,
            status: AccountStatus::Valid,
            binding: request.binding,
            terms_agreed: request.terms_agreed,
            created_at: now,
            version: 0,
        }
    }

    /// The device it is bound to.
    pub fn device(&self) -> Option<DeviceId> {
        self.binding.and_then(|binding| binding.device)
    }

    /// Other contacts (ACC-7).
    #[must_use]
    pub fn with_contacts(self, contacts: Vec<String>) -> Self {
        Self { contacts, ..self }
    }

    /// Agreed to the terms at this URL (ACC-6).
    #[must_use]
    pub fn agree(self, terms: String) -> Self {
        Self { terms_agreed: Some(terms), ..self }
    }

    /// Whether its holder has yet to agree to the terms at this URL. Nobody reads terms on a device: whoever enrolled it
    /// has agreed.
    pub fn owes_agreement(&self, terms: &str) -> bool {
        self.device().is_none() && self.terms_agreed.as_deref() != Some(terms)
    }

    /// Given up by its holder (ACC-8). The account of a device is not: whoever copied its disk could otherwise lock
    /// out the honest device.
    pub fn deactivate(self) -> Result<Self, Problem> {
        if self.device().is_some() {
            return Err(administrators_only("deactivated"));
        }
        match self.status {
            AccountStatus::Valid => Ok(Self { status: AccountStatus::Deactivated, ..self }),
            status => {
                Err(Problem::new(ProblemKind::Unauthorized, format!("the account is {} already", status.as_str()))
                    .with_status(401))
            }
        }
    }

    /// Taken away by an administrator.
    pub fn revoke(self) -> Result<Self, IllegalTransition> {
        match self.status {
            AccountStatus::Valid | AccountStatus::Deactivated => Ok(Self { status: AccountStatus::Revoked, ..self }),
            AccountStatus::Revoked => {
                Err(IllegalTransition { thing: "the account", state: self.status.as_str(), event: "revoked" })
            }
        }
    }

    /// The same account under another key (ACC-9). The caller has verified both signatures and that no account has
    /// the new key.
    pub fn rekey(self, key: Jwk) -> Result<Self, Problem> {
        if self.device().is_some() {
            return Err(administrators_only("given another key"));
        }
        Ok(Self { thumbprint: key.thumbprint(), key, ..self })
    }
}

fn administrators_only(event: &str) -> Problem {
    let detail = format!("the account of a device can be {event} by an administrator only (`ca-server device`)");
    Problem::new(ProblemKind::Unauthorized, detail)
}

/// A verified external account binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The key that bound it.
    pub key: EabKeyId,
    /// The device whose names it may have without challenge.
    pub device: Option<DeviceId>,
}

/// RFC 8555 section 7.1.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// May act.
    Valid,
    /// Given up by its holder.
    Deactivated,
    /// Taken away by an administrator.
    Revoked,
}

impl AccountStatus {
    /// The word of RFC 8555, also the stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Deactivated => "deactivated",
            Self::Revoked => "revoked",
        }
    }
}

const MAX_CONTACTS: usize = 10;
const MAX_CONTACT: usize = 320;

/// Checks contact URLs (ACC-5): `mailto:` with exactly one address and without header fields (RFC 8555 section 7.3).
pub fn parse_contacts(contacts: &[String]) -> Result<Vec<String>, Problem> {
    if contacts.len() > MAX_CONTACTS {
        let detail = format!("the account has {} contacts; {MAX_CONTACTS} is the most", contacts.len());
        return Err(Problem::new(ProblemKind::InvalidContact, detail));
    }
    contacts.iter().map(|contact| check_contact(contact).map(|()| contact.clone())).collect()
}

fn check_contact(contact: &str) -> Result<(), Problem> {
    let shown: String = contact.chars().filter(|c| !c.is_control()).take(80).collect();
    let invalid = |why: &str| Err(Problem::new(ProblemKind::InvalidContact, format!("the contact `{shown}` {why}")));
    let Some((scheme, address)) = contact.split_once(':') else {
        return invalid("is no URL; write for example `mailto:ops@example.org`");
    };
    if !scheme.eq_ignore_ascii_case("mailto") {
        let detail = format!("the contact `{shown}` is not supported; only `mailto:` addresses are");
        return Err(Problem::new(ProblemKind::UnsupportedContact, detail));
    }
    if contact.len() > MAX_CONTACT {
        return invalid("is too long");
    }
    if address.contains(['?', ',']) {
        return invalid("has several addresses or header fields; write one address only");
    }
    let plain = |c: char| c.is_ascii_graphic() && !"()<>[]:;\\\"@".contains(c);
    match address.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && local.chars().all(plain) && is_domain(domain) => Ok(()),
        _ => invalid("is no e-mail address"),
    }
}

fn is_domain(text: &str) -> bool {
    text.parse::<DnsName>().is_ok_and(|name| !name.is_wildcard())
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
