//! Revocation asked for by ACME clients: who may, and with which reason.

use super::Reason;
use crate::acme::authorization::{Authorization, AuthorizationStatus, Proof};
use crate::acme::problem::{Problem, ProblemKind};
use crate::ids::AccountId;
use crate::issuance::record::{CertificateRecord, CertificateState, Revocation};
use crate::time::Timestamp;

/// Who wants a certificate revoked; each has proven to be that.
#[derive(Debug, Clone, Copy)]
pub enum Revoker<'a> {
    /// An account.
    Account {
        /// Which.
        id: AccountId,
        /// Its authorizations for the names in the certificate.
        authorizations: &'a [Authorization],
    },
    /// Whoever holds the certificate's key.
    CertificateKey,
}

/// Whether this certificate is revoked on this request (RFC 8555 section 7.6; REV-1, REV-4, REV-5), and as what.
/// Whoever may not revoke it does not learn whether it is revoked already.
pub fn authorise(
    record: &CertificateRecord,
    revoker: Revoker<'_>,
    reason: Option<i64>,
    now: Timestamp,
) -> Result<Revocation, Problem> {
    let standing = right(record, revoker, now)?;
    let reason = reason.map(|code| standing.reason(code)).transpose()?;
    match &record.state {
        CertificateState::Planned { .. } => {
            Err(Problem::new(ProblemKind::Malformed, "the certificate is not issued yet, so it can not be revoked"))
        }
        CertificateState::Issued { .. } => Ok(Revocation { at: now, reason }),
        CertificateState::Revoked { revocation, .. } => standing.worsen(revocation, reason),
    }
}

/// By which right somebody revokes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Holder,
    OwnerOfNames,
    Key,
}

fn right(record: &CertificateRecord, revoker: Revoker<'_>, now: Timestamp) -> Result<Right, Problem> {
    match revoker {
        Revoker::CertificateKey => Ok(Right::Key),
        Revoker::Account { id, .. } if record.account == Some(id) => Ok(Right::Holder),
        Revoker::Account { id, authorizations } if owns_all_names(record, id, authorizations, now) => {
            Ok(Right::OwnerOfNames)
        }
        Revoker::Account { .. } => Err(Problem::new(
            ProblemKind::Unauthorized,
            "this account may not revoke the certificate: it did not order it and has not proven control of all its \
             names by challenges; sign the request with the account that ordered it or with the certificate's key",
        )),
    }
}

/// Names from a device record do not count: devices that share a name must not revoke each other.
fn owns_all_names(
    record: &CertificateRecord,
    account: AccountId,
    authorizations: &[Authorization],
    now: Timestamp,
) -> bool {
    let proven = |it: &&Authorization| {
        it.account == account && it.proof == Proof::Challenge && it.status_at(now) == AuthorizationStatus::Valid
    };
    let proven: Vec<_> = authorizations.iter().filter(proven).map(|it| &it.identifier).collect();
    !record.identifiers.is_empty() && record.identifiers.iter().all(|name| proven.contains(&name))
}

impl Right {
    fn reason(self, code: i64) -> Result<Reason, Problem> {
        let allowed = |reason: &Reason| match self {
            Self::Holder | Self::Key => reason.is_for_clients(),
            Self::OwnerOfNames => matches!(reason, Reason::Unspecified | Reason::CessationOfOperation),
        };
        Reason::from_code(code).filter(allowed).ok_or_else(|| {
            let choice = match self {
                Self::Holder | Self::Key => "0, 1, 3, 4 and 5",
                Self::OwnerOfNames => "0 and 5",
            };
            let detail = format!("the revocation reason {code} can not be given here; allowed are {choice}, or none");
            Problem::new(ProblemKind::BadRevocationReason, detail)
        })
    }

    /// What is revoked stays revoked; its reason may only get worse: to keyCompromise, by the compromised key itself. The
    /// date stays: it was not good after that before.
    fn worsen(self, before: &Revocation, reason: Option<Reason>) -> Result<Revocation, Problem> {
        let compromised = reason == Some(Reason::KeyCompromise) && before.reason != Some(Reason::KeyCompromise);
        if compromised && self == Self::Key {
            return Ok(Revocation { at: before.at, reason });
        }
        let detail = format!("the certificate was revoked at {} already; nothing is left to do", before.at);
        Err(Problem::new(ProblemKind::AlreadyRevoked, detail))
    }
}

#[cfg(test)]
#[path = "authorise_tests.rs"]
mod tests;
