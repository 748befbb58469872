use super::*;
use crate::issuance::plan::{Planned, RootRequest, plan_root};
use crate::x509::testing::{DAY, TestKey, now, serial};

fn planned(key: &TestKey) -> Planned {
    plan_root(RootRequest {
        common_name: "Root",
        public_key: &key.public,
        not_before: now(),
        not_after: now() + DAY,
        serial: serial(),
        path_len: None,
    })
    .unwrap()
}

#[test]
fn x5_4_only_the_issuers_signature_over_these_bytes_is_taken() {
    let (key, other) = (TestKey::fresh(), TestKey::fresh());
    let plan = planned(&key);
    let (tbs, algorithm) = (plan.tbs(), plan.signature_algorithm());
    let signature = key.sign(tbs);
    assert!(seal(tbs, algorithm, &signature, &key.public).is_ok());
    assert!(matches!(seal(tbs, algorithm, &other.sign(tbs), &key.public), Err(SealError::Signature(_))));
    assert!(matches!(seal(tbs, algorithm, &key.sign(planned(&key).tbs()), &key.public), Err(SealError::Signature(_))));
    assert!(matches!(seal(tbs, algorithm, &signature, &other.public), Err(SealError::Signature(_))));
    for index in 0..tbs.len() {
        let mut damaged = tbs.to_vec();
        damaged[index] ^= 1;
        assert!(seal(&damaged, algorithm, &signature, &key.public).is_err(), "byte {index}");
    }
    assert!(seal(tbs, algorithm, &[], &key.public).is_err());
}

#[test]
fn x5_12_the_algorithm_is_the_same_inside_and_outside() {
    let key = TestKey::fresh();
    let plan = planned(&key);
    let signature = key.sign(plan.tbs());
    let error = seal(plan.tbs(), SignatureAlgorithm::EcdsaSha384, &signature, &key.public).unwrap_err();
    assert!(
        matches!(error, SealError::Unreadable(CertificateError::Malformed(what)) if what.contains("differs")),
        "{error}"
    );
}

#[test]
fn bytes_that_are_no_certificate_are_not_sealed() {
    let key = TestKey::fresh();
    for junk in [&[][..], &[0x30, 0], b"not a certificate at all"] {
        assert!(seal(junk, key.algorithm(), &key.sign(junk), &key.public).is_err());
    }
}

#[test]
fn x5_4_two_parsers_that_disagree_block() {
    let (key, other) = (TestKey::fresh(), TestKey::fresh());
    let one = key.seal(&planned(&key)).certificate().clone();
    let two = other.seal(&planned(&other)).certificate().clone();
    assert_eq!(compare(one.der(), one.tbs_der(), &one), Ok(()));
    assert!(matches!(compare(one.der(), one.tbs_der(), &two), Err(SealError::Disagreement(_))));
    assert!(matches!(compare(one.der(), two.tbs_der(), &one), Err(SealError::Disagreement("signed part"))));
    let longer = [one.der(), &[0]].concat();
    assert_eq!(compare(&longer, one.tbs_der(), &one), Err(SealError::Disagreement("end")));
    assert!(matches!(compare(&[0x30, 0], one.tbs_der(), &one), Err(SealError::SecondParser(_))));
}
