use super::*;
use crate::x509::encoding;
use crate::x509::testing::{TestCa, TestKey, file};

#[test]
fn foreign_certificates_are_read() {
    let domain = Certificate::parse(&file("ca/domain.der")).unwrap();
    assert!(domain.is_ca() && domain.may_sign() && domain.is_self_issued());
    assert_eq!(domain.common_name().as_deref(), Some("Corp CA"));
    assert_eq!(domain.path_len(), None);
    domain.verify_signed_by(domain.public_key()).unwrap();
    let odd = Certificate::parse(&file("ca/multivalue.der")).unwrap();
    assert_eq!(odd.subject_key_identifier(), Some(&[1, 2, 3, 4][..]));
    let padded = Certificate::parse(&file("ca/rsa-pss.der")).unwrap();
    assert_eq!(padded.signature_algorithm(), SignatureAlgorithm::RsaPssSha384);
    padded.verify_signed_by(padded.public_key()).unwrap();
    assert_eq!(Certificate::parse(&file("ca/teletex.der")).unwrap().common_name().as_deref(), Some("Old CA"));
    assert_eq!(Certificate::parse(&file("ca/plain.der")).unwrap().subject_key_identifier(), None);
    let limits = Certificate::parse(&file("ca/limited.der")).unwrap().name_constraints().unwrap();
    assert!(limits.limits_subjects);
    assert_eq!(limits.permitted_dns[0].as_str(), ".site.test");
    assert_eq!(limits.excluded_ips[0].to_string(), "0.0.0.0/0");
}

#[test]
fn bytes_are_kept_and_nothing_may_follow() {
    let der = file("ca/domain.der");
    let certificate = Certificate::parse(&der).unwrap();
    assert_eq!(certificate.der(), der);
    let (tbs, _, signature) = split_signed(&der).unwrap();
    assert_eq!((certificate.tbs_der(), certificate.signature()), (tbs, signature));
    assert!(Certificate::parse(&[&der[..], &[0]].concat()).is_err());
    for length in 0..der.len() {
        assert!(Certificate::parse(&der[..length]).is_err(), "cut to {length}");
    }
    assert_eq!(Certificate::parse(&vec![0x30; MAX_CERTIFICATE + 1]).err(), Some(CertificateError::TooLong));
}

#[test]
fn no_changed_byte_makes_a_panic_or_a_certificate_that_verifies() {
    for name in ["domain", "limited", "rsa-pss", "multivalue"] {
        let der = file(&format!("ca/{name}.der"));
        let key = Certificate::parse(&der).unwrap().public_key().clone();
        for index in 0..der.len() {
            for bit in [0x01, 0x10, 0x80] {
                let mut damaged = der.clone();
                damaged[index] ^= bit;
                let verifies = Certificate::parse(&damaged).is_ok_and(|read| read.verify_signed_by(&key).is_ok());
                assert!(!verifies, "{name}: byte {index} changed by {bit:#x}");
            }
        }
    }
}

#[test]
fn messages_name_the_certificate() {
    let ca = TestCa::new(TestKey::fresh(), TestKey::fresh(), None);
    let error = ca.certificate.verify_signed_by(&ca.key.public).unwrap_err().to_string();
    assert!(error.contains("`Test Intermediate`"), "{error}");
    assert!(format!("{:?}", ca.root).contains("Test Root"));
    assert_eq!(ca.root.clone(), ca.root);
    assert_ne!(ca.root, ca.certificate);
}

#[test]
fn extensions_stand_there_once_and_are_few() {
    let extension = |arc: u8| [0x30, 6, 6, 2, 0x2a, arc, 4, 0].to_vec();
    let list =
        |arcs: &[u8]| encoding::sequence(&[&arcs.iter().flat_map(|arc| extension(*arc)).collect::<Vec<_>>()]).unwrap();
    let all: Vec<u8> = (0..65).collect();
    assert_eq!(extensions::read_extensions(&list(&all[..64])).unwrap().len(), 64);
    assert!(extensions::read_extensions(&list(&all)).is_err());
    assert!(extensions::read_extensions(&list(&[1, 2, 1])).is_err());
}
