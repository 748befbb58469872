//! Authorizations and their challenges, event by event.

use super::*;
use crate::acme::problem::ProblemKind;
use crate::random::SystemEntropy;

const START: Timestamp = Timestamp::from_unix_seconds(1_000);
const LATER: Timestamp = Timestamp::from_unix_seconds(1_001);
const END: Timestamp = Timestamp::from_unix_seconds(1_060);
const ALL: [ChallengeKind; 3] = [ChallengeKind::Http01, ChallengeKind::Dns01, ChallengeKind::TlsAlpn01];

fn new(identifier: (&str, &str), proof: Proof) -> Authorization {
    let entropy = SystemEntropy::new();
    let request = NewAuthorization {
        account: AccountId::random(&entropy),
        identifier: Identifier::parse(identifier.0, identifier.1).unwrap(),
        proof,
        challenges: &ALL,
        lifetime: Duration::from_secs(60),
    };
    Authorization::new(request, START, &entropy)
}

fn pending() -> Authorization {
    new(("dns", "a.test"), Proof::Challenge)
}

fn with_status(status: AuthorizationStatus) -> Authorization {
    Authorization { status, ..pending() }
}

fn error() -> Problem {
    Problem::new(ProblemKind::Connection, "refused")
}

fn begun() -> (Authorization, ChallengeId) {
    let authorization = pending();
    let id = authorization.challenges[0].id;
    let Ok(Response::Begun(authorization)) = authorization.respond(id, START) else { panic!("it begins") };
    (authorization, id)
}

/// CHL-8.
#[test]
fn challenges_are_those_that_can_prove_it() {
    for (identifier, expected) in [
        (("dns", "a.test"), vec!["http-01", "dns-01", "tls-alpn-01"]),
        (("dns", "*.a.test"), vec!["dns-01"]),
        (("ip", "10.0.0.1"), vec!["http-01", "tls-alpn-01"]),
    ] {
        let kinds: Vec<_> = new(identifier, Proof::Challenge).challenges.iter().map(|it| it.kind.as_str()).collect();
        assert_eq!(kinds, expected);
    }
    let known = new(("dns", "a.test"), Proof::Device);
    assert_eq!((known.status, known.challenges.len()), (AuthorizationStatus::Valid, 0));
}

/// CHL-3: a client that says it twice is no error and starts nothing twice.
#[test]
fn a_response_begins_once() {
    let (authorization, id) = begun();
    assert_eq!(authorization.challenges[0].state, ChallengeState::Processing);
    assert_eq!(authorization.clone().respond(id, LATER), Ok(Response::Unchanged(authorization.clone())));
    let valid = authorization.clone().succeed(id, LATER).unwrap();
    let other = valid.challenges[1].id;
    assert_eq!(valid.clone().respond(other, LATER), Ok(Response::Unchanged(valid)), "it is decided");
    let expired = pending();
    let id = expired.challenges[0].id;
    assert_eq!(expired.clone().respond(id, END), Ok(Response::Unchanged(expired)));
    assert!(pending().respond(id, START).is_err(), "a challenge of another authorization");
}

/// AUZ-3: both change together, and the text shows what decided.
#[test]
fn success_and_failure_decide_both() {
    let (authorization, id) = begun();
    assert_eq!(authorization.shown_challenges().count(), 3);
    let valid = authorization.clone().succeed(id, LATER).unwrap();
    assert_eq!(valid.status, AuthorizationStatus::Valid);
    let shown: Vec<_> = valid.shown_challenges().map(|it| it.state.as_str()).collect();
    assert_eq!(shown, ["valid"]);
    assert_eq!(valid.challenges[0].state, ChallengeState::Valid { at: LATER });

    let failed = authorization.fail(id, error()).unwrap();
    assert_eq!(failed.status, AuthorizationStatus::Invalid);
    let shown: Vec<_> = failed.shown_challenges().map(|it| it.state.as_str()).collect();
    assert_eq!(shown, ["invalid"]);
    assert_eq!(failed.error(), Some(&error()));
}

#[test]
fn each_status_allows_its_own_events_only() {
    use AuthorizationStatus::{Deactivated, Invalid, Pending, Revoked, Valid};
    for (status, settled, deactivated, revoked) in [
        (Pending, true, true, true),
        (Valid, false, true, true),
        (Invalid, false, false, false),
        (Deactivated, false, true, false),
        (Revoked, false, false, false),
    ] {
        let (authorization, id) = begun();
        let authorization = Authorization { status, ..authorization };
        assert_eq!(authorization.clone().succeed(id, LATER).is_ok(), settled, "succeed {status:?}");
        assert_eq!(authorization.clone().fail(id, error()).is_ok(), settled, "fail {status:?}");
        assert_eq!(authorization.clone().deactivate().is_ok(), deactivated, "deactivate {status:?}");
        assert_eq!(authorization.revoke().is_ok(), revoked, "revoke {status:?}");
    }
    let untouched = pending();
    let id = untouched.challenges[0].id;
    assert!(untouched.clone().succeed(id, LATER).is_err(), "nobody answered this challenge");
    assert!(untouched.fail(id, error()).is_err());
}

#[test]
fn time_makes_it_invalid() {
    let before = Timestamp::from_unix_millis(END.unix_millis() - 1);
    for status in [AuthorizationStatus::Pending, AuthorizationStatus::Valid] {
        assert_eq!(with_status(status).status_at(before), status);
        assert_eq!(with_status(status).status_at(END), AuthorizationStatus::Invalid);
        assert_eq!(with_status(status).expire(END).status, AuthorizationStatus::Invalid);
    }
    assert_eq!(with_status(AuthorizationStatus::Revoked).expire(END).status, AuthorizationStatus::Revoked);
    let (authorization, id) = begun();
    assert!(authorization.clone().succeed(id, END).is_err(), "control seen too late");
    assert!(authorization.fail(id, error()).is_ok(), "but a failure may be written down");
}
