use std::time::Duration;

use super::*;
use crate::x509::pem;
use crate::x509::testing::{DAY, TestCa, TestKey, file, now, serial};

const SHARD: &str = "http://ca.site.test/crl/x/7.crl";

fn test_ca() -> TestCa {
    TestCa::new(TestKey::fresh(), TestKey::fresh_p384(), None)
}

fn plan<'a>(ca: &'a TestCa, scope: CrlScope, entries: Vec<CrlEntry>) -> CrlPlan<'a> {
    CrlPlan {
        issuer: &ca.certificate,
        number: 1_790_000_000,
        this_update: now(),
        next_update: now() + 30 * DAY,
        scope,
        entries,
    }
}

fn entry(serial: &str, reason: Option<Reason>) -> CrlEntry {
    CrlEntry { serial: serial.parse().unwrap(), at: now() - Duration::from_secs(60), reason }
}

fn sealed(ca: &TestCa, plan: &CrlPlan<'_>) -> Crl {
    let tbs = plan.tbs().unwrap();
    seal(&tbs, plan.signature_algorithm(), &ca.key.sign(&tbs), &ca.certificate).unwrap()
}

fn shard() -> CrlScope {
    CrlScope::Shard { url: SHARD.to_owned() }
}

#[test]
fn crl_5_entries_are_sorted_and_say_no_empty_reasons() {
    let ca = test_ca();
    let entries = vec![
        entry("0200", Some(Reason::KeyCompromise)),
        entry("7f", Some(Reason::Unspecified)),
        entry("80", None),
        entry("01ff", Some(Reason::CertificateHold)),
    ];
    let crl = sealed(&ca, &plan(&ca, CrlScope::Complete, entries));
    let read = crl.entries().unwrap();
    let told: Vec<_> = read.iter().map(|entry| (entry.serial.to_string(), entry.reason)).collect();
    let expected =
        [("7f", None), ("80", None), ("01ff", Some(Reason::CertificateHold)), ("0200", Some(Reason::KeyCompromise))];
    assert_eq!(told, expected.map(|(serial, reason)| (serial.to_owned(), reason)));
    assert!(read.iter().all(|entry| entry.at == now() - Duration::from_secs(60)));
    assert_eq!(crl.entry_count(), 4);

    let twice = vec![entry("7f", None), entry("007f", None)];
    assert!(matches!(plan(&ca, CrlScope::Complete, twice).tbs(), Err(CrlError::Plan(_))));
}

#[test]
fn crl_1_an_empty_list_is_left_out() {
    let ca = test_ca();
    let crl = sealed(&ca, &plan(&ca, shard(), Vec::new()));
    assert_eq!((crl.entry_count(), crl.number()), (0, 1_790_000_000));
    assert_eq!((crl.this_update(), crl.next_update()), (now(), now() + 30 * DAY));
    assert_eq!(crl.issuer_der(), ca.certificate.subject_der());
    let (_, theirs) = CertificateRevocationList::from_der(crl.der()).unwrap();
    assert_eq!(theirs.iter_revoked_certificates().count(), 0);
    let tbs = plan(&ca, shard(), Vec::new()).tbs().unwrap();
    let with_empty_list = {
        let mut parts: Vec<Vec<u8>> = encoding::whole_sequence(&tbs, |reader| -> der::Result<_> {
            use der::Reader;
            let mut parts = Vec::new();
            while !reader.is_finished() {
                parts.push(reader.tlv_bytes()?.to_vec());
            }
            Ok(parts)
        })
        .unwrap();
        parts.insert(5, vec![0x30, 0]);
        encoding::sequence(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap()
    };
    let signature = ca.key.sign(&with_empty_list);
    assert!(seal(&with_empty_list, ca.key.algorithm(), &signature, &ca.certificate).is_err());
}

#[test]
fn crl_2_the_authority_key_is_the_issuers_own_identifier() {
    use x509_parser::extensions::ParsedExtension;
    let ca = test_ca();
    assert_ne!(ca.certificate.subject_key_identifier(), ca.certificate.authority_key_identifier());
    let crl = sealed(&ca, &plan(&ca, shard(), Vec::new()));
    let (_, theirs) = CertificateRevocationList::from_der(crl.der()).unwrap();
    let critical: Vec<_> = theirs.extensions().iter().map(|ext| (ext.oid.to_id_string(), ext.critical)).collect();
    assert_eq!(critical, [("2.5.29.35".into(), false), ("2.5.29.20".into(), false), ("2.5.29.28".into(), true)]);
    let ParsedExtension::AuthorityKeyIdentifier(found) = theirs.extensions()[0].parsed_extension() else { panic!() };
    assert_eq!(Some(found.key_identifier.as_ref().unwrap().0), ca.certificate.subject_key_identifier());
    let ParsedExtension::IssuingDistributionPoint(point) = theirs.extensions()[2].parsed_extension() else { panic!() };
    assert!(point.only_contains_user_certs && !point.only_contains_ca_certs && !point.indirect_crl);
}

#[test]
fn crl_3_and_4_scopes_read_back() {
    let ca = test_ca();
    for scope in [CrlScope::Complete, shard(), CrlScope::CaOnly] {
        let crl = sealed(&ca, &plan(&ca, scope.clone(), vec![entry("7f", None)]));
        assert_eq!(crl.scope(), &scope);
        assert_eq!(Crl::parse(crl.der()).unwrap(), crl);
    }
    let https = CrlScope::Shard { url: "https://ca.site.test/x.crl".into() };
    assert!(matches!(plan(&ca, https, Vec::new()).tbs(), Err(CrlError::Plan(_))));
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let ca = test_ca();
    let good = plan(&ca, CrlScope::Complete, Vec::new());
    assert!(CrlPlan { number: 0, ..good.clone() }.tbs().is_err());
    assert!(CrlPlan { next_update: now(), ..good.clone() }.tbs().is_err());
    assert!(CrlPlan { number: u64::MAX, ..good.clone() }.tbs().is_ok());
    let other = TestCa::new(TestKey::fresh(), TestKey::fresh_p384(), None);
    let tbs = good.tbs().unwrap();
    assert!(matches!(
        seal(&tbs, ca.key.algorithm(), &other.key.sign(&tbs), &ca.certificate),
        Err(CrlError::Signature(_))
    ));
    assert!(seal(&tbs, ca.key.algorithm(), &ca.key.sign(&tbs), &ca.root).is_err(), "another issuer");
    assert!(seal(&tbs, SignatureAlgorithm::EcdsaSha256, &ca.key.sign(&tbs), &ca.certificate).is_err());
}

#[test]
fn no_changed_byte_makes_a_panic_or_a_list_that_verifies() {
    let ca = test_ca();
    let entries = vec![entry("7f", Some(Reason::Superseded)), entry("80", None)];
    let der = sealed(&ca, &plan(&ca, shard(), entries)).der().to_vec();
    for index in 0..der.len() {
        let mut damaged = der.clone();
        damaged[index] ^= 1;
        let verifies = Crl::parse(&damaged).is_ok_and(|crl| {
            let _ = crl.entries();
            crl.verify_signed_by(&ca.key.public).is_ok()
        });
        assert!(!verifies, "byte {index}");
        assert!(Crl::parse(&der[..index]).is_err());
    }
}

/// openssl reads our lists, and refuses what they name.
#[test]
fn openssl_believes_every_scope() {
    let folder = std::env::temp_dir().join(format!("pki-core-crl-{}", serial()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let ca = test_ca();
    write("root.pem", pem::to_pem(&ca.root));
    write("ca.pem", pem::to_pem(&ca.certificate));
    let verify = |arguments: &[&str]| {
        let output = std::process::Command::new("openssl")
            .args(["verify", "-x509_strict", "-attime", &now().unix_seconds().to_string(), "-CAfile", "root.pem"])
            .args(arguments)
            .current_dir(&folder)
            .output()
            .expect("these tests need the openssl program");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (scope, revoked) in
        [(CrlScope::Complete, false), (CrlScope::CaOnly, false), (CrlScope::Complete, true), (CrlScope::CaOnly, true)]
    {
        let entries = if revoked { vec![entry(&ca.certificate.serial().to_string(), None)] } else { Vec::new() };
        let mut plan = plan(&ca, scope.clone(), entries);
        plan.issuer = &ca.root;
        let tbs = plan.tbs().unwrap();
        let crl = seal(&tbs, plan.signature_algorithm(), &ca.root_key.sign(&tbs), &ca.root).unwrap();
        write("root.crl", pem::encode(pem::CRL, crl.der()));
        let (good, said) = verify(&["-crl_check", "-CRLfile", "root.crl", "ca.pem"]);
        assert_eq!(good, !revoked, "{scope:?}: {said}");
        assert_eq!(said.contains("certificate revoked"), revoked, "{scope:?}: {said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn lists_of_imported_cas_carry_their_names_and_identifiers() {
    for (name, key) in
        [("domain", "p256"), ("multivalue", "p384"), ("teletex", "p256"), ("p521", "p521"), ("plain", "p256")]
    {
        let issuer = Certificate::parse(&file(&format!("ca/{name}.der"))).unwrap();
        let key = TestKey::load(key);
        let plan = CrlPlan {
            issuer: &issuer,
            number: 1,
            this_update: now(),
            next_update: now() + DAY,
            scope: CrlScope::Complete,
            entries: vec![entry("7f", None)],
        };
        let tbs = plan.tbs().unwrap();
        let crl = seal(&tbs, plan.signature_algorithm(), &key.sign(&tbs), &issuer).unwrap();
        assert_eq!(crl.issuer_der(), issuer.subject_der(), "{name}");
    }
}
