//! The table of states and events (RFC 8555 section 7.1.6), row by row, and what a CSR has to fit.

use super::*;
use crate::acme::authorization::{NewAuthorization, Proof};
use crate::acme::challenge::ChallengeKind;
use crate::random::SystemEntropy;

const START: Timestamp = Timestamp::from_unix_seconds(1_000);
const BEFORE: Timestamp = Timestamp::from_unix_seconds(1_059);
const END: Timestamp = Timestamp::from_unix_seconds(1_060);

fn dns(name: &str) -> Identifier {
    Identifier::parse("dns", name).unwrap()
}

fn order(names: &[&str], proof: Proof) -> (Order, Vec<Authorization>) {
    let entropy = SystemEntropy::new();
    let account = AccountId::random(&entropy);
    let authorize = |name: &&str| {
        let request = NewAuthorization {
            account,
            identifier: dns(name),
            proof,
            challenges: &[ChallengeKind::Http01],
            lifetime: Duration::from_secs(60),
        };
        Authorization::new(request, START, &entropy)
    };
    let authorizations: Vec<_> = names.iter().map(authorize).collect();
    let request = NewOrder {
        account,
        identifiers: names
            .iter()
            .map(|name| OrderedIdentifier { identifier: dns(name), as_sent: (*name).into() })
            .collect(),
        profile: "server".parse().unwrap(),
        not_before: None,
        not_after: None,
        replaces: None,
        lifetime: Duration::from_secs(3600),
    };
    (Order::new(request, &authorizations, START, &entropy), authorizations)
}

fn with_status(authorization: &Authorization, status: AuthorizationStatus) -> Authorization {
    Authorization { status, ..authorization.clone() }
}

fn ready() -> (Order, Vec<Authorization>) {
    order(&["a.test", "b.test"], Proof::Device)
}

fn error() -> Problem {
    Problem::new(ProblemKind::ServerInternal, "x")
}

fn states() -> [OrderState; 5] {
    let certificate = CertificateId::random(&SystemEntropy::new());
    [
        OrderState::Pending,
        OrderState::Ready,
        OrderState::Processing { certificate },
        OrderState::Valid { certificate },
        OrderState::Invalid { error: error() },
    ]
}

#[test]
fn it_begins_pending_or_ready_and_ends_with_its_first_authorization() {
    let (order, authorizations) = order(&["a.test", "b.test"], Proof::Challenge);
    assert_eq!(order.state, OrderState::Pending);
    assert_eq!(order.expires_at, END);
    assert_eq!(order.authorizations, [authorizations[0].id, authorizations[1].id]);
    assert_eq!(ready().0.state, OrderState::Ready);
}

#[test]
fn authorizations_settle_a_pending_order() {
    use AuthorizationStatus::{Deactivated, Invalid, Pending, Revoked, Valid};
    for (first, second, expected) in [
        (Pending, Pending, "pending"),
        (Valid, Pending, "pending"),
        (Valid, Valid, "ready"),
        (Valid, Invalid, "invalid"),
        (Pending, Invalid, "invalid"),
        (Pending, Deactivated, "invalid"),
        (Valid, Revoked, "invalid"),
    ] {
        let (order, authorizations) = order(&["a.test", "b.test"], Proof::Challenge);
        let now = [with_status(&authorizations[0], first), with_status(&authorizations[1], second)];
        assert_eq!(order.authorization_settled(&now, BEFORE).state.as_str(), expected, "{first:?} {second:?}");
    }
    let (order, authorizations) = order(&["a.test"], Proof::Challenge);
    let valid = [with_status(&authorizations[0], Valid)];
    assert_eq!(order.clone().authorization_settled(&valid, END).state.as_str(), "invalid", "valid, but too late");
    assert_eq!(order.clone().authorization_settled(&[], BEFORE).state, OrderState::Pending, "nothing is known");
    for state in states().into_iter().skip(1) {
        let order = Order { state: state.clone(), ..order.clone() };
        let dead = [with_status(&authorizations[0], Invalid)];
        assert_eq!(order.authorization_settled(&dead, BEFORE).state, state, "it no longer matters");
    }
}

#[test]
fn a_failed_challenge_is_told_in_the_order() {
    let (order, authorizations) = order(&["a.test"], Proof::Challenge);
    let id = authorizations[0].challenges[0].id;
    let mut begun = authorizations[0].clone();
    begun.challenges[0] = begun.challenges[0].clone().begin().unwrap();
    let failed = begun.fail(id, Problem::new(ProblemKind::Dns, "no such name")).unwrap();
    let OrderState::Invalid { error } = order.authorization_settled(&[failed], BEFORE).state else {
        panic!("it is dead")
    };
    assert_eq!(
        (error.kind, error.detail.as_str()),
        (ProblemKind::Dns, "control of `a.test` was not proven: no such name")
    );
}

#[test]
fn each_state_allows_its_own_events_only() {
    let certificate = CertificateId::random(&SystemEntropy::new());
    for state in states() {
        let name = state.as_str();
        let order = || Order { state: state.clone(), ..ready().0 };
        assert_eq!(order().processing(certificate).is_ok(), name == "ready", "processing {name}");
        assert_eq!(order().issued().is_ok(), name == "processing", "issued {name}");
        assert_eq!(order().fail(error()).is_ok(), matches!(name, "pending" | "ready" | "processing"), "fail {name}");
        let expected = if matches!(name, "pending" | "ready") { "invalid" } else { name };
        assert_eq!(order().expire(END).state.as_str(), expected, "expire {name}");
        assert_eq!(order().expire(BEFORE).state, state, "not yet {name}");
    }
    let issued = ready().0.processing(certificate).unwrap().issued().unwrap();
    assert_eq!(issued.state, OrderState::Valid { certificate });
}

/// FIN-2.
#[test]
fn only_a_ready_order_takes_a_csr() {
    let (order, authorizations) = ready();
    let names = [dns("a.test"), dns("b.test")];
    assert_eq!(order.begin_finalize(&names, &authorizations, BEFORE), Ok(()));
    for state in states() {
        let outcome = Order { state: state.clone(), ..order.clone() }.begin_finalize(&names, &authorizations, BEFORE);
        let expected = (state != OrderState::Ready).then_some(ProblemKind::OrderNotReady);
        assert_eq!(outcome.err().map(|problem| problem.kind), expected, "{state:?}");
    }
    let late = order.begin_finalize(&names, &authorizations, END).unwrap_err();
    assert_eq!((late.kind, late.http_status()), (ProblemKind::OrderNotReady, 403));
    assert!(late.detail.contains("expired"));
}

#[test]
fn every_proof_has_to_be_alive_at_finalize() {
    let (order, authorizations) = ready();
    let names = [dns("a.test"), dns("b.test")];
    for status in [AuthorizationStatus::Deactivated, AuthorizationStatus::Revoked, AuthorizationStatus::Invalid] {
        let now = [authorizations[0].clone(), with_status(&authorizations[1], status)];
        assert_eq!(
            order.begin_finalize(&names, &now, BEFORE).unwrap_err().kind,
            ProblemKind::Unauthorized,
            "{status:?}"
        );
    }
    assert!(order.begin_finalize(&names, &authorizations[..1], BEFORE).is_err(), "one is gone");
    let mut foreign = authorizations.clone();
    foreign[1].account = AccountId::random(&SystemEntropy::new());
    assert!(order.begin_finalize(&names, &foreign, BEFORE).is_err(), "one belongs to somebody else");
    let mut older = authorizations.clone();
    older[1].expires_at = BEFORE;
    assert!(order.begin_finalize(&names, &older, BEFORE).is_err(), "one has expired");
}

/// FIN-4.
#[test]
fn the_csr_names_exactly_what_the_order_does() {
    let (order, authorizations) = ready();
    let finalize = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| dns(name)).collect();
        order.begin_finalize(&names, &authorizations, BEFORE).map_err(|problem| problem.detail)
    };
    assert_eq!(finalize(&["b.test", "A.test", "b.test"]), Ok(()), "order, case and twins do not count");
    for wrong in [&[][..], &["a.test"], &["a.test", "b.test", "c.test"], &["a.test", "c.test"], &["*.a.test", "b.test"]]
    {
        assert!(finalize(wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(
        finalize(&["a.test", "c.test"]).unwrap_err(),
        "the CSR does not name what the order does (in the order only: b.test; in the CSR only: c.test); \
         send a CSR with exactly the names of the order"
    );
}
