//! When a responder's certificate is replaced.

use pki_core::ids::Serial;
use pki_core::issuance::plan::{
    IntermediateRequest, ResponderRequest, RootRequest, plan_intermediate, plan_responder, plan_root,
};
use pki_core::issuance::plan::{PlanError, Planned};
use pki_core::issuance::seal::seal;
use pki_core::random::SystemEntropy;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn sealed(planned: Result<Planned, PlanError>, by: &ResponderKey) -> Certificate {
    let planned = planned.unwrap();
    let signature = by.sign(planned.tbs()).unwrap();
    seal(planned.tbs(), planned.signature_algorithm(), &signature, by.public()).unwrap().certificate().clone()
}

/// A CA whose own certificate ends after 400 days, and the one above it in its chain after `root_life`.
fn issuing(begin: Timestamp, root_life: Duration) -> (IssuingCa, ResponderKey) {
    let entropy = SystemEntropy::new();
    let [root_key, key] = [(); 2].map(|()| ResponderKey::generate(&entropy).unwrap());
    let root = |life: Duration| {
        let request = RootRequest {
            common_name: "Root",
            public_key: root_key.public(),
            not_before: begin,
            not_after: begin + life,
            serial: Serial::random(&entropy),
            path_len: None,
        };
        sealed(plan_root(request), &root_key)
    };
    let certificate = plan_intermediate(IntermediateRequest {
        root: &root(DAY * 800),
        common_name: "Issuing CA",
        public_key: key.public(),
        name_constraints: None,
        not_before: begin,
        not_after: begin + DAY * 400,
        serial: Serial::random(&entropy),
        ca_urls: &[],
        crl_urls: &[],
    });
    let certificate = sealed(certificate, &root_key);
    let id = "00112233445566778899aabbccddeeff".parse().unwrap();
    (IssuingCa::without_addresses(id, certificate, [root(root_life)]), key)
}

/// A post that got its responder's certificate, of 7 days at most, at `now`.
fn post(ca: &IssuingCa, ca_key: &ResponderKey, now: Timestamp) -> Post {
    let entropy = SystemEntropy::new();
    let key = ResponderKey::generate(&entropy).unwrap();
    let (serial, lifetime) = (Serial::random(&entropy), DAY * 7);
    let planned = plan_responder(ca, ResponderRequest { public_key: key.public(), serial, now, lifetime });
    let certificate = sealed(planned, ca_key);
    let post = Post::new(Authority { ca: Arc::new(ca.clone()), key: None });
    post.install(Credential { key, certificate });
    post
}

/// Fails when a responder's certificate that ends with its CA, or with the one above it, is asked for again and again,
/// or one that ends before either is not.
#[test]
fn the_last_certificate_is_the_one_that_ends_with_the_first_of_the_chain() {
    let begin = Timestamp::from_unix_seconds(1_800_000_000);
    for root_life in [100, 600] {
        let (ca, key) = issuing(begin, DAY * root_life);
        let end = begin + DAY * root_life.min(400);
        assert_eq!(ca.end(), end);
        let early = post(&ca, &key, end - DAY * 20);
        assert!(!early.is_due(end - DAY * 18) && early.is_due(end - DAY * 16), "{root_life}");
        assert!(early.replace_by().is_some_and(|at| at < end), "{root_life}");
        let last = post(&ca, &key, end - DAY * 2);
        assert_eq!((last.not_after(), last.replace_by()), (Some(end), None), "{root_life}");
        assert!(!last.is_due(end - Duration::from_secs(300)), "{root_life}: it is asked for again");
    }
}

/// Fails when the time depends on how long these certificates live at a site, or comes for one that is the last.
#[test]
fn ocs_7_it_is_overdue_at_three_quarters_of_any_life_unless_it_ends_with_its_issuer() {
    let (begin, day) = (Timestamp::from_unix_seconds(1_800_000_000), DAY);
    let issuer_end = begin + day * 30;
    for days in [1, 3, 7, 29] {
        let found = latest(begin, begin + day * days, issuer_end);
        assert_eq!(found, Some(begin + Duration::from_secs(64_800) * days), "{days}");
        assert!(begin + day * days / 2 < found.unwrap());
    }
    assert_eq!(latest(begin, issuer_end, issuer_end), None, "cut");
    assert_eq!(latest(issuer_end - day, issuer_end, issuer_end), None);
}
