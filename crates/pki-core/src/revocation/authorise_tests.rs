//! Who may revoke what, and with which reason.

use std::time::Duration;

use super::*;
use crate::acme::authorization::NewAuthorization;
use crate::ids::{CertificateId, IssuerId, LineageId, Serial, SiteName};
use crate::issuance::record::Source;
use crate::random::SystemEntropy;
use crate::x509::name::Identifier;

const THEN: Timestamp = Timestamp::from_unix_seconds(500);
const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

fn dns(name: &str) -> Identifier {
    Identifier::parse("dns", name).unwrap()
}

fn record(account: AccountId, state: CertificateState) -> CertificateRecord {
    let entropy = SystemEntropy::new();
    CertificateRecord {
        id: CertificateId::random(&entropy),
        issuer: IssuerId::random(&entropy),
        serial: Serial::random(&entropy),
        site: SiteName::home(),
        device: None,
        account: Some(account),
        order: None,
        source: Source::Acme,
        profile: "server".parse().unwrap(),
        policy_revision: String::new(),
        policy_commit: None,
        epoch: 0,
        identifiers: vec![dns("a.test"), dns("*.b.test")],
        spki_sha256: [0; 32],
        not_before: THEN,
        not_after: NOW,
        lineage: LineageId::random(&entropy),
        generation: 1,
        predecessor: None,
        confirmed_at: None,
        shard: 0,
        crl_urls: vec![],
        state,
        created_at: THEN,
        version: 0,
    }
}

fn issued() -> CertificateState {
    CertificateState::Issued { der: vec![] }
}

fn revoked(reason: Option<Reason>) -> CertificateState {
    CertificateState::Revoked { der: vec![], revocation: Revocation { at: THEN, reason } }
}

fn kind(outcome: Result<Revocation, Problem>) -> Option<ProblemKind> {
    outcome.err().map(|problem| problem.kind)
}

/// REV-1 (a), (c), REV-4: fails when the account that issued a certificate, or who holds its key, may give a reason that is
/// the CA's to give, or may not give one of those that clients have.
#[test]
fn reasons_depend_on_the_right_to_revoke() {
    let own = AccountId::random(&SystemEntropy::new());
    let record = record(own, issued());
    let holder = Revoker::Account { id: own, authorizations: &[] };
    for code in -1..=11 {
        let client = [0, 1, 3, 4, 5].contains(&code);
        for (revoker, allowed) in [(holder, client), (Revoker::CertificateKey, client)] {
            let outcome = authorise(&record, revoker, Some(code), NOW);
            match outcome {
                Ok(revocation) => {
                    assert!(allowed, "{code} {revoker:?}");
                    assert_eq!(revocation, Revocation { at: NOW, reason: Reason::from_code(code) });
                }
                Err(problem) => {
                    assert!(!allowed, "{code} {revoker:?}");
                    assert_eq!(problem.kind, ProblemKind::BadRevocationReason);
                }
            }
        }
    }
    assert_eq!(authorise(&record, holder, None, NOW), Ok(Revocation { at: NOW, reason: None }));
    assert_eq!(kind(authorise(&record, holder, Some(i64::MIN), NOW)), Some(ProblemKind::BadRevocationReason));
}

/// REV-1 (b): fails when another account may revoke although a name of the certificate is not proven, or is proven by a
/// device record only, by somebody else, or no more; and when it may say that the key is lost.
#[test]
fn other_accounts_need_every_name_proven_by_challenge() {
    let entropy = SystemEntropy::new();
    let (own, other) = (AccountId::random(&entropy), AccountId::random(&entropy));
    let record = record(own, issued());
    let authorize = |name: &str, account: AccountId, proof: Proof| {
        let request = NewAuthorization {
            account,
            identifier: dns(name),
            proof,
            challenges: &[],
            lifetime: Duration::from_secs(900),
        };
        let new = Authorization::new(request, THEN, &entropy);
        Authorization { status: AuthorizationStatus::Valid, ..new }
    };
    let proven = |name| authorize(name, other, Proof::Challenge);
    let expired = Authorization { expires_at: NOW, ..proven("*.b.test") };
    let given_up = Authorization { status: AuthorizationStatus::Deactivated, ..proven("*.b.test") };
    for (authorizations, expected) in [
        (vec![proven("a.test"), proven("*.b.test")], None),
        (vec![proven("a.test")], Some(ProblemKind::Unauthorized)),
        (vec![], Some(ProblemKind::Unauthorized)),
        (vec![proven("a.test"), proven("b.test")], Some(ProblemKind::Unauthorized)),
        (vec![proven("a.test"), expired], Some(ProblemKind::Unauthorized)),
        (vec![proven("a.test"), given_up], Some(ProblemKind::Unauthorized)),
        (vec![proven("a.test"), authorize("*.b.test", other, Proof::Device)], Some(ProblemKind::Unauthorized)),
        (vec![proven("a.test"), authorize("*.b.test", own, Proof::Challenge)], Some(ProblemKind::Unauthorized)),
    ] {
        let revoker = Revoker::Account { id: other, authorizations: &authorizations };
        assert_eq!(kind(authorise(&record, revoker, Some(5), NOW)), expected, "{authorizations:?}");
    }
    let all = [proven("a.test"), proven("*.b.test")];
    let revoker = Revoker::Account { id: other, authorizations: &all };
    assert_eq!(kind(authorise(&record, revoker, Some(1), NOW)), Some(ProblemKind::BadRevocationReason));
    let mut nameless = record;
    nameless.identifiers.clear();
    assert_eq!(
        kind(authorise(&nameless, revoker, None, NOW)),
        Some(ProblemKind::Unauthorized),
        "no names prove nothing"
    );
}

/// REV-5: fails when what is revoked is revoked a second time for anything but the loss of its key, by anybody but who holds
/// that key, or when its date changes with it.
#[test]
fn what_is_revoked_only_gets_worse() {
    let own = AccountId::random(&SystemEntropy::new());
    let holder = Revoker::Account { id: own, authorizations: &[] };
    let stranger = Revoker::Account { id: AccountId::random(&SystemEntropy::new()), authorizations: &[] };
    let compromised = Some(Reason::KeyCompromise);
    let worse = Some(Revocation { at: THEN, reason: compromised });
    for (before, revoker, code, expected) in [
        (None, holder, None, Err(ProblemKind::AlreadyRevoked)),
        (None, holder, Some(1), Err(ProblemKind::AlreadyRevoked)),
        (None, Revoker::CertificateKey, Some(1), Ok(worse.clone())),
        (Some(Reason::Superseded), Revoker::CertificateKey, Some(1), Ok(worse.clone())),
        (Some(Reason::Superseded), Revoker::CertificateKey, Some(4), Err(ProblemKind::AlreadyRevoked)),
        (compromised, Revoker::CertificateKey, Some(1), Err(ProblemKind::AlreadyRevoked)),
        (Some(Reason::CertificateHold), Revoker::CertificateKey, Some(1), Ok(worse.clone())),
        (Some(Reason::CertificateHold), holder, Some(5), Err(ProblemKind::AlreadyRevoked)),
        (None, stranger, None, Err(ProblemKind::Unauthorized)),
    ] {
        let outcome = authorise(&record(own, revoked(before)), revoker, code, NOW);
        assert_eq!(outcome.map(Some).map_err(|problem| problem.kind), expected, "{before:?} {revoker:?} {code:?}");
    }
    let planned = record(own, CertificateState::Planned { tbs: vec![] });
    assert_eq!(kind(authorise(&planned, holder, None, NOW)), Some(ProblemKind::Malformed));
}
