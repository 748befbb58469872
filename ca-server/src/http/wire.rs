//! Domain values in the form of the wire.

use api::acme::{
    AccountObject, AccountStatus as WireAccountStatus, AuthorizationObject,
    AuthorizationStatus as WireAuthorizationStatus, ChallengeObject, ChallengeStatus, IdentifierObject, OrderObject,
    OrderStatus,
};
use pki_core::acme::account::{Account, AccountStatus};
use pki_core::acme::authorization::{Authorization, AuthorizationStatus};
use pki_core::acme::challenge::{Challenge, ChallengeKind, ChallengeState};
use pki_core::acme::order::{Order, OrderState};
use pki_core::ids::AccountId;
use pki_core::x509::name::Identifier;

use super::{Http, Urls, problem};

pub(super) fn account(urls: &Urls, account: &Account) -> AccountObject {
    AccountObject {
        status: match account.status {
            AccountStatus::Valid => WireAccountStatus::Valid,
            AccountStatus::Deactivated => WireAccountStatus::Deactivated,
            AccountStatus::Revoked => WireAccountStatus::Revoked,
        },
        contact: account.contacts.clone(),
        terms_of_service_agreed: account.terms_agreed.is_some().then_some(true),
        external_account_binding: None,
        orders: urls.orders(account.id, None),
    }
}

pub(super) fn order(urls: &Urls, order: &Order) -> OrderObject {
    let (status, certificate, error) = match &order.state {
        OrderState::Pending => (OrderStatus::Pending, None, None),
        OrderState::Ready => (OrderStatus::Ready, None, None),
        OrderState::Processing { .. } => (OrderStatus::Processing, None, None),
        OrderState::Valid { certificate } => (OrderStatus::Valid, Some(urls.certificate(*certificate, 0)), None),
        OrderState::Invalid { error } => (OrderStatus::Invalid, None, Some(problem::document(error))),
    };
    OrderObject {
        status,
        expires: Some(order.expires_at.rfc3339()),
        // As sent, byte for byte: lego compares (protocols ORD-2).
        identifiers: order
            .identifiers
            .iter()
            .map(|one| IdentifierObject { kind: one.identifier.kind().to_owned(), value: one.as_sent.clone() })
            .collect(),
        not_before: order.not_before.map(|at| at.rfc3339()),
        not_after: order.not_after.map(|at| at.rfc3339()),
        profile: Some(order.profile.to_string()),
        replaces: order.replaces.as_ref().map(|replaces| replaces.as_sent.clone()),
        authorizations: order.authorizations.iter().map(|id| urls.authorization(*id)).collect(),
        finalize: urls.finalize(order.id),
        certificate,
        error,
    }
}

pub(super) fn authorization(http: &Http, urls: &Urls, authorization: &Authorization) -> AuthorizationObject {
    AuthorizationObject {
        status: match authorization.status {
            AuthorizationStatus::Pending => WireAuthorizationStatus::Pending,
            AuthorizationStatus::Valid => WireAuthorizationStatus::Valid,
            AuthorizationStatus::Invalid => WireAuthorizationStatus::Invalid,
            AuthorizationStatus::Deactivated => WireAuthorizationStatus::Deactivated,
            AuthorizationStatus::Revoked => WireAuthorizationStatus::Revoked,
        },
        expires: Some(authorization.expires_at.rfc3339()),
        // Without `*.`; `wildcard` says it (section 7.1.4).
        identifier: identifier(&authorization.identifier.without_wildcard()),
        wildcard: authorization.identifier.is_wildcard().then_some(true),
        challenges: authorization
            .shown_challenges()
            .map(|one| challenge(http, urls, authorization.account, one))
            .collect(),
    }
}

pub(super) fn challenge(http: &Http, urls: &Urls, account: AccountId, challenge: &Challenge) -> ChallengeObject {
    let (status, validated, error) = match &challenge.state {
        ChallengeState::Pending => (ChallengeStatus::Pending, None, None),
        ChallengeState::Processing => (ChallengeStatus::Processing, None, None),
        ChallengeState::Valid { at } => (ChallengeStatus::Valid, Some(at.rfc3339()), None),
        ChallengeState::Invalid { error } => (ChallengeStatus::Invalid, None, Some(problem::document(error))),
    };
    let is_standing = challenge.kind == ChallengeKind::DnsPersist01;
    ChallengeObject {
        kind: challenge.kind.as_str().to_owned(),
        url: urls.challenge(challenge.id),
        status,
        token: challenge.kind.shows_token().then(|| challenge.token.clone()),
        issuer_domain_names: if is_standing { http.issuers.clone() } else { Vec::new() },
        // the one that validation compares with, whatever address was asked
        accounturi: is_standing.then(|| http.urls.account(account)),
        validated,
        error,
    }
}

pub(super) fn identifier(identifier: &Identifier) -> IdentifierObject {
    IdentifierObject { kind: identifier.kind().to_owned(), value: identifier.value() }
}
