//! Orders (RFC 8555 section 7.1.3).

use crate::acme::problem::Problem;
use crate::ids::{AccountId, AuthorizationId, CertificateId, OrderId, ProfileName};
use crate::time::Timestamp;
use crate::x509::name::Identifier;

/// A request for one certificate, on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Identifier, part of the order URL.
    pub id: OrderId,
    /// Who asked.
    pub account: AccountId,
    /// What was asked for, in the order of the request, without duplicates.
    pub identifiers: Vec<OrderedIdentifier>,
    /// One authorization for each identifier; never changes after creation.
    pub authorizations: Vec<AuthorizationId>,
    /// The profile chosen or defaulted.
    pub profile: ProfileName,
    /// Validity asked for, if any.
    pub not_before: Option<Timestamp>,
    /// Validity asked for, if any.
    pub not_after: Option<Timestamp>,
    /// The certificate this order is to replace (RFC 9773 section 5).
    pub replaces: Option<CertificateId>,
    /// Where it stands.
    pub state: OrderState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it dies, unless it is valid by then.
    pub expires_at: Timestamp,
    /// Raised by every change; each UPDATE repeats the version it was decided on.
    pub version: i64,
}

/// An identifier as decided on, and as the client wrote it (clients compare the echo).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderedIdentifier {
    /// The checked, normalised identifier; a wildcard keeps its `*.`.
    pub identifier: Identifier,
    /// The value as sent.
    pub as_sent: String,
}

/// RFC 8555 section 7.1.6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// Some authorization is not valid yet.
    Pending,
    /// Every authorization is valid; waits for a CSR.
    Ready,
    /// A certificate is planned under this id; its signature is on the way.
    Processing {
        /// The planned certificate.
        certificate: CertificateId,
    },
    /// The certificate can be downloaded.
    Valid {
        /// The issued certificate.
        certificate: CertificateId,
    },
    /// Will never lead to a certificate.
    Invalid {
        /// Why.
        error: Problem,
    },
}
