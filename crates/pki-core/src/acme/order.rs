//! Orders (RFC 8555 section 7.1.3).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::acme::authorization::{Authorization, AuthorizationStatus};
use crate::acme::problem::{Problem, ProblemKind};
use crate::ids::{AccountId, AuthorizationId, CertificateId, OrderId, ProfileName};
use crate::random::Entropy;
use crate::time::Timestamp;
use crate::transition::IllegalTransition;
use crate::x509::name::Identifier;

pub use crate::acme::identifiers::parse_identifiers;

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
    pub replaces: Option<Replaces>,
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

/// The certificate that an order is to replace (RFC 9773 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Which.
    pub certificate: CertificateId,
    /// Its name as the client wrote it, which is echoed.
    pub as_sent: String,
    /// Its last second: how urgent the order is.
    pub not_after: Timestamp,
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

/// What to begin with.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Who asked.
    pub account: AccountId,
    /// What was asked for.
    pub identifiers: Vec<OrderedIdentifier>,
    /// The profile chosen or defaulted.
    pub profile: ProfileName,
    /// Validity asked for, if any.
    pub not_before: Option<Timestamp>,
    /// Validity asked for, if any.
    pub not_after: Option<Timestamp>,
    /// The certificate this order is to replace.
    pub replaces: Option<Replaces>,
    /// How long it lives, unless it is valid by then.
    pub lifetime: Duration,
}

impl Order {
    /// Pending, or ready at once when every authorization is valid already. It lives no longer than any of them.
    pub fn new(request: NewOrder, authorizations: &[Authorization], now: Timestamp, entropy: &dyn Entropy) -> Self {
        let ready = authorizations.iter().all(|it| it.status_at(now) == AuthorizationStatus::Valid);
        let until = authorizations.iter().map(|it| it.expires_at).fold(now + request.lifetime, Timestamp::min);
        Self {
            id: OrderId::new(now, entropy),
            account: request.account,
            identifiers: request.identifiers,
            authorizations: authorizations.iter().map(|it| it.id).collect(),
            profile: request.profile,
            not_before: request.not_before,
            not_after: request.not_after,
            replaces: request.replaces,
            state: if ready { OrderState::Ready } else { OrderState::Pending },
            created_at: now,
            expires_at: until,
            version: 0,
        }
    }

    /// One of its authorizations changed; here are all of them. A pending order becomes ready with the last valid one
    /// and invalid with the first dead one; to any other order it no longer matters.
    pub fn authorization_settled(self, authorizations: &[Authorization], now: Timestamp) -> Self {
        if self.state != OrderState::Pending {
            return self;
        }
        let own = || authorizations.iter().filter(|it| self.authorizations.contains(&it.id));
        let dead =
            own().find(|it| !matches!(it.status_at(now), AuthorizationStatus::Pending | AuthorizationStatus::Valid));
        if let Some(dead) = dead {
            let error = lost(dead, now);
            return Self { state: OrderState::Invalid { error }, ..self };
        }
        let valid = own().filter(|it| it.status_at(now) == AuthorizationStatus::Valid).count();
        if valid == self.authorizations.len() { Self { state: OrderState::Ready, ..self } } else { self }
    }

    /// Whether a CSR for these names may be taken now (FIN-2, FIN-4). A CSR that does not fit leaves the order as it
    /// is: the client may send another.
    pub fn begin_finalize(
        &self,
        csr_identifiers: &[Identifier],
        authorizations: &[Authorization],
        now: Timestamp,
    ) -> Result<(), Problem> {
        if let Some(why) = self.not_ready(now) {
            return Err(Problem::new(ProblemKind::OrderNotReady, format!("the order can not be finalized: {why}")));
        }
        for id in &self.authorizations {
            match authorizations.iter().find(|it| it.id == *id) {
                Some(it) if it.account == self.account && it.status_at(now) == AuthorizationStatus::Valid => {}
                Some(it) => return Err(lost(it, now)),
                None => {
                    return Err(Problem::new(
                        ProblemKind::Unauthorized,
                        "an authorization of the order is gone; make a new order",
                    ));
                }
            }
        }
        self.same_identifiers(csr_identifiers)
    }

    fn not_ready(&self, now: Timestamp) -> Option<String> {
        match &self.state {
            OrderState::Ready if now < self.expires_at => None,
            OrderState::Ready | OrderState::Pending if now >= self.expires_at => {
                Some(format!("it expired at {}; make a new order", self.expires_at))
            }
            OrderState::Pending => {
                Some("not all of its authorizations are valid; complete their challenges first".to_owned())
            }
            OrderState::Processing { .. } => Some("its certificate is being issued; ask again soon".to_owned()),
            OrderState::Valid { .. } => Some("its certificate was issued; download it".to_owned()),
            OrderState::Ready | OrderState::Invalid { .. } => Some("it is invalid; make a new order".to_owned()),
        }
    }

    /// Names of order and CSR, as sets. Common names that are identifiers count; CN-only requests are legal.
    fn same_identifiers(&self, csr: &[Identifier]) -> Result<(), Problem> {
        let ordered: BTreeSet<&Identifier> = self.identifiers.iter().map(|it| &it.identifier).collect();
        let requested: BTreeSet<&Identifier> = csr.iter().collect();
        if ordered == requested {
            return Ok(());
        }
        let missing = sample(ordered.difference(&requested));
        let extra = sample(requested.difference(&ordered));
        let detail = format!(
            "the CSR does not name what the order does (in the order only: {missing}; in the CSR only: {extra}); \
             send a CSR with exactly the names of the order"
        );
        Err(Problem::new(ProblemKind::BadCsr, detail))
    }

    /// A certificate is planned for it: from here on there is no way but forward.
    pub fn processing(self, certificate: CertificateId) -> Result<Self, IllegalTransition> {
        match self.state {
            OrderState::Ready => Ok(Self { state: OrderState::Processing { certificate }, ..self }),
            state => Err(state.illegal("processed")),
        }
    }

    /// The planned certificate is signed and stored.
    pub fn issued(self) -> Result<Self, IllegalTransition> {
        match self.state {
            OrderState::Processing { certificate } => Ok(Self { state: OrderState::Valid { certificate }, ..self }),
            state => Err(state.illegal("issued")),
        }
    }

    /// It will never lead to a certificate.
    pub fn fail(self, error: Problem) -> Result<Self, IllegalTransition> {
        match self.state {
            OrderState::Pending | OrderState::Ready | OrderState::Processing { .. } => {
                Ok(Self { state: OrderState::Invalid { error }, ..self })
            }
            state => Err(state.illegal("failed")),
        }
    }

    /// Whether time has run out for it. What is being issued is issued, and what was issued stays.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self.state, OrderState::Pending | OrderState::Ready) && now >= self.expires_at
    }

    /// The same order, invalid if its time has run out (ORD-9: clients know no status `expired`).
    #[must_use]
    pub fn expire(self, now: Timestamp) -> Self {
        if !self.is_expired(now) {
            return self;
        }
        let detail = format!("the order expired at {}; make a new one", self.expires_at);
        let error = Problem::new(ProblemKind::Malformed, detail);
        Self { state: OrderState::Invalid { error }, ..self }
    }
}

impl OrderState {
    /// The word of RFC 8555, also the stored form.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Processing { .. } => "processing",
            Self::Valid { .. } => "valid",
            Self::Invalid { .. } => "invalid",
        }
    }

    fn illegal(&self, event: &'static str) -> IllegalTransition {
        IllegalTransition { thing: "the order", state: self.as_str(), event }
    }
}

/// Why an order whose authorization is no longer alive comes to nothing.
fn lost(authorization: &Authorization, now: Timestamp) -> Problem {
    let name = &authorization.identifier;
    if let Some(error) = authorization.error() {
        return Problem::new(error.kind, format!("control of `{name}` was not proven: {}", error.detail));
    }
    let what = match authorization.status_at(now) {
        AuthorizationStatus::Deactivated => "was given up",
        AuthorizationStatus::Revoked => "was taken away",
        AuthorizationStatus::Pending => "is not complete",
        AuthorizationStatus::Valid => "belongs to another account",
        AuthorizationStatus::Invalid => "has expired",
    };
    Problem::new(ProblemKind::Unauthorized, format!("the authorization for `{name}` {what}; make a new order"))
}

/// The first few names, for people.
fn sample<'a>(names: impl Iterator<Item = &'a &'a Identifier>) -> String {
    let mut names: Vec<String> = names.take(6).map(|name| name.value()).collect();
    if names.len() == 6 {
        names.truncate(5);
        names.push("...".to_owned());
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
