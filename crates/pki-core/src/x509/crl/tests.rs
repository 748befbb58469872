use std::time::Duration;

use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::*;
use crate::x509::certificate::Certificate;
use crate::x509::encoding;
use crate::x509::pem;
use crate::x509::testing::{DAY, TestCa, TestKey, file, now, serial};

const SHARD: &str = "http://ca.site.test/crl/x/7.crl";

fn test_ca() -> TestCa {
    TestCa::new(TestKey::fresh(), TestKey::fresh_p384(), None)
}

/// The head of a list.
fn head(ca: &TestCa, scope: CrlScope, kind: CrlKind) -> CrlHead<'_> {
    let (this_update, next_update) = (now(), now() + 30 * DAY);
    CrlHead { issuer: &ca.certificate, number: 1_790_000_000, this_update, next_update, scope, kind }
}

fn full() -> CrlKind {
    CrlKind::Full { freshest: Vec::new() }
}

fn entry(serial: &str, reason: Option<Reason>) -> CrlEntry {
    CrlEntry { serial: serial.parse().unwrap(), at: now() - Duration::from_secs(60), reason }
}

fn sealed(ca: &TestCa, scope: CrlScope, entries: Vec<CrlEntry>) -> Crl {
    let tbs = head(ca, scope, full()).tbs(entries).unwrap();
    let signature = ca.key.sign(tbs.tbs());
    seal(tbs, &signature).unwrap()
}

fn shard() -> CrlScope {
    CrlScope::Shard { urls: vec![SHARD.to_owned()] }
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
    let crl = sealed(&ca, CrlScope::Complete, entries);
    let read = crl.entries().unwrap();
    let told: Vec<_> = read.iter().map(|entry| (entry.serial.to_string(), entry.reason)).collect();
    let expected =
        [("7f", None), ("80", None), ("01ff", Some(Reason::CertificateHold)), ("0200", Some(Reason::KeyCompromise))];
    assert_eq!(told, expected.map(|(serial, reason)| (serial.to_owned(), reason)));
    assert!(read.iter().all(|entry| entry.at == now() - Duration::from_secs(60)));
    assert_eq!(crl.entry_count(), 4);

    let twice = vec![entry("7f", None), entry("007f", None)];
    assert!(matches!(head(&ca, CrlScope::Complete, full()).tbs(twice), Err(CrlError::Plan(_))));
}

#[test]
fn crl_1_an_empty_list_is_left_out() {
    let ca = test_ca();
    let crl = sealed(&ca, shard(), Vec::new());
    assert_eq!((crl.entry_count(), crl.number()), (0, 1_790_000_000));
    assert_eq!((crl.this_update(), crl.next_update()), (now(), now() + 30 * DAY));
    assert_eq!(crl.issuer_der(), ca.certificate.subject_der());
    let (_, theirs) = CertificateRevocationList::from_der(crl.der()).unwrap();
    assert_eq!(theirs.iter_revoked_certificates().count(), 0);
    let tbs = head(&ca, shard(), full()).tbs(Vec::new()).unwrap();
    let mut parts: Vec<Vec<u8>> = encoding::whole_sequence(tbs.tbs(), |reader| -> der::Result<_> {
        use der::Reader;
        let mut parts = Vec::new();
        while !reader.is_finished() {
            parts.push(reader.tlv_bytes()?.to_vec());
        }
        Ok(parts)
    })
    .unwrap();
    assert_eq!(parts.len(), 6, "no list of entries");
    parts.insert(5, vec![0x30, 0]);
    let with_empty_list = encoding::sequence(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    let algorithm = ca.key.algorithm().identifier_der();
    let signature = encoding::bit_string(&ca.key.sign(&with_empty_list)).unwrap();
    let signed = encoding::sequence(&[&with_empty_list, &algorithm, &signature]).unwrap();
    assert_eq!(Crl::parse(&signed).unwrap_err(), CrlError::Malformed("its body"));
}

#[test]
fn crl_2_the_authority_key_is_the_issuers_own_identifier() {
    use x509_parser::extensions::ParsedExtension;
    let ca = test_ca();
    assert_ne!(ca.certificate.subject_key_identifier(), ca.certificate.authority_key_identifier());
    let crl = sealed(&ca, shard(), Vec::new());
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
        let crl = sealed(&ca, scope.clone(), vec![entry("7f", None)]);
        assert_eq!(crl.scope(), &scope);
        assert_eq!(Crl::parse(crl.der()).unwrap(), crl);
    }
    let https = CrlScope::Shard { urls: vec![SHARD.to_owned(), "https://ca.site.test/x.crl".into()] };
    assert!(matches!(head(&ca, https, full()).tbs(Vec::new()), Err(CrlError::Plan(_))));
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let ca = test_ca();
    let good = head(&ca, CrlScope::Complete, full());
    let tbs = |head: CrlHead<'_>| head.tbs(Vec::new());
    assert!(tbs(CrlHead { number: 0, ..good.clone() }).is_err());
    assert!(tbs(CrlHead { next_update: now(), ..good.clone() }).is_err());
    assert!(tbs(CrlHead { number: u64::MAX, ..good.clone() }).is_ok());
    let other = TestCa::new(TestKey::fresh(), TestKey::fresh_p384(), None);
    let of_root = tbs(CrlHead { issuer: &ca.root, ..good.clone() }).unwrap();
    let good = tbs(good).unwrap();
    let signature = other.key.sign(good.tbs());
    assert!(matches!(seal(good, &signature), Err(CrlError::Signature(_))));
    let signature = ca.key.sign(of_root.tbs());
    assert!(seal(of_root, &signature).is_err(), "another issuer");
}

#[test]
fn no_changed_byte_makes_a_panic_or_a_list_that_verifies() {
    let ca = test_ca();
    let entries = vec![entry("7f", Some(Reason::Superseded)), entry("80", None)];
    let der = sealed(&ca, shard(), entries).der().to_vec();
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
        let tbs = CrlHead { issuer: &ca.root, ..head(&ca, scope.clone(), full()) }.tbs(entries).unwrap();
        let signature = ca.root_key.sign(tbs.tbs());
        let crl = seal(tbs, &signature).unwrap();
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
        let head = CrlHead {
            issuer: &issuer,
            number: 1,
            this_update: now(),
            next_update: now() + DAY,
            scope: CrlScope::Complete,
            kind: full(),
        };
        let tbs = head.tbs(vec![entry("7f", None)]).unwrap();
        let signature = key.sign(tbs.tbs());
        let crl = seal(tbs, &signature).unwrap();
        assert_eq!(crl.issuer_der(), issuer.subject_der(), "{name}");
    }
}

/// Lists of any length come out as x509-cert encodes them, octet by octet: headers of one to four octets of length.
#[test]
fn crl_11_what_is_written_entry_by_entry_is_what_an_encoder_of_the_whole_makes() {
    use der::{Decode, Encode};
    let ca = test_ca();
    for count in [0_usize, 1, 2, 3, 5, 7, 1000, 3000] {
        let mut entries: Vec<CrlEntry> = (0..count)
            .map(|place| CrlEntry {
                serial: serial(),
                at: now() - Duration::from_secs(place as u64 * 86_399),
                reason: Reason::from_code(place as i64 % 12),
            })
            .collect();
        entries.sort_by_key(|entry| entry.serial.padded());
        let mut writer = head(&ca, shard(), full()).begin(count / 2).unwrap();
        for entry in &entries {
            writer.push(&entry.serial, entry.at, Mark::Revoked(entry.reason)).unwrap();
        }
        assert_eq!(writer.count(), count);
        let tbs = writer.finish().unwrap();
        let theirs = x509_cert::crl::TbsCertList::<x509_cert::certificate::Rfc5280>::from_der(tbs.tbs()).unwrap();
        assert_eq!(theirs.to_der().unwrap(), tbs.tbs(), "{count}");
        let signature = ca.key.sign(tbs.tbs());
        let crl = seal(tbs, &signature).unwrap();
        let said = entries.into_iter().map(|mut entry| {
            entry.reason = entry.reason.filter(|reason| *reason != Reason::Unspecified);
            entry
        });
        assert_eq!(crl.entries().unwrap(), said.collect::<Vec<_>>(), "{count}");
        assert_eq!(crl.entry_count(), count);
    }
}

#[test]
fn crl_5_entries_out_of_order_are_refused() {
    let ca = test_ca();
    let mut writer = head(&ca, CrlScope::Complete, full()).begin(9).unwrap();
    writer.push(&"80".parse().unwrap(), now(), Mark::Revoked(None)).unwrap();
    for bad in ["80", "7f"] {
        assert!(matches!(writer.push(&bad.parse().unwrap(), now(), Mark::Revoked(None)), Err(CrlError::Plan(_))));
    }
    writer.push(&"0100".parse().unwrap(), now(), Mark::Revoked(None)).unwrap();
    let tbs = writer.finish().unwrap();
    // a signature over entries that change their places does not help
    let swapped = {
        let entries = [
            tbs.tbs().windows(3).position(|at| at == [2, 2, 0]),
            tbs.tbs().windows(4).position(|at| at == [2, 2, 1, 0]),
        ];
        let [Some(one), Some(other)] = entries else { panic!("{entries:?}") };
        let mut swapped = tbs.tbs().to_vec();
        swapped[one + 2..one + 4].copy_from_slice(&[1, 0]);
        swapped[other + 2..other + 4].copy_from_slice(&[0, 0x80]);
        swapped
    };
    let algorithm = ca.key.algorithm().identifier_der();
    let signature = encoding::bit_string(&ca.key.sign(&swapped)).unwrap();
    let crl = Crl::from_der(encoding::sequence(&[&swapped, &algorithm, &signature]).unwrap()).unwrap();
    assert!(!crl.is_tidy());
}

#[test]
fn crl_8_a_delta_names_its_base_and_what_was_released() {
    use x509_parser::extensions::ParsedExtension;
    let ca = test_ca();
    let mut writer = head(&ca, shard(), CrlKind::Delta { base: 1_789_000_000 }).begin(2).unwrap();
    writer.push(&"7f".parse().unwrap(), now(), Mark::Released).unwrap();
    writer.push(&"80".parse().unwrap(), now(), Mark::Revoked(Some(Reason::CertificateHold))).unwrap();
    let tbs = writer.finish().unwrap();
    let signature = ca.key.sign(tbs.tbs());
    let crl = seal(tbs, &signature).unwrap();
    assert_eq!((crl.kind(), crl.scope()), (&CrlKind::Delta { base: 1_789_000_000 }, &shard()));
    let codes: Vec<_> = crl.raw_entries().unwrap().map(|entry| entry.unwrap().code).collect();
    assert_eq!(codes, [Some(8), Some(6)]);
    let (_, theirs) = CertificateRevocationList::from_der(crl.der()).unwrap();
    let delta = theirs.extensions().iter().find(|ext| ext.oid.to_id_string() == "2.5.29.27").unwrap();
    assert!(delta.critical, "RFC 5280 section 5.2.4");
    assert!(!theirs.extensions().iter().any(|ext| ext.oid.to_id_string() == "2.5.29.46"), "no freshestCRL");
    assert!(!matches!(delta.parsed_extension(), ParsedExtension::ParseError { .. }));
    for base in [0, u64::MAX] {
        assert!(head(&ca, shard(), CrlKind::Delta { base }).begin(0).is_err(), "{base}");
    }
    // what is released stands in deltas only
    let mut writer = head(&ca, shard(), full()).begin(1).unwrap();
    writer.push(&"7f".parse().unwrap(), now(), Mark::Released).unwrap();
    let tbs = writer.finish().unwrap();
    let signature = ca.key.sign(tbs.tbs());
    assert!(matches!(seal(tbs, &signature), Err(CrlError::Disagreement(_))));
}

#[test]
fn crl_8_a_full_list_tells_where_its_delta_is() {
    let ca = test_ca();
    let freshest = vec!["http://ca.site.test/crl/x/7-delta.crl".to_owned()];
    let kind = CrlKind::Full { freshest: freshest.clone() };
    let tbs = head(&ca, shard(), kind.clone()).begin(0).unwrap().finish().unwrap();
    let signature = ca.key.sign(tbs.tbs());
    let crl = seal(tbs, &signature).unwrap();
    assert_eq!(crl.kind(), &kind);
    let (_, theirs) = CertificateRevocationList::from_der(crl.der()).unwrap();
    let found = theirs.extensions().iter().find(|ext| ext.oid.to_id_string() == "2.5.29.46").unwrap();
    assert!(!found.critical);
    let bad = CrlKind::Full { freshest: vec!["ldap://x".into()] };
    assert!(head(&ca, shard(), bad).begin(0).is_err());
}

/// Serial numbers that lie between, before and behind others, and such of another length: a list that is cut short, and one that
/// lost its first entry, are found out.
#[test]
fn crl_12_what_stands_on_one_list_only_is_told() {
    let ca = test_ca();
    let list = |serials: &[&str]| {
        let entries = serials.iter().map(|serial| entry(serial, None)).collect();
        sealed(&ca, CrlScope::Complete, entries)
    };
    let all = ["7f", "80", "01ff", "0200", "010000"];
    for (before, after, gone) in [
        (&all[..], &all[..], &[][..]),
        (&[], &all, &[]),
        (&all, &[], &all),
        (&all, &all[1..], &["7f"]),
        (&all, &all[..3], &["0200", "010000"]),
        (&["7f", "01ff"], &["01", "80", "0200"], &["7f", "01ff"]),
        (&["80", "0200"], &["7f", "80", "01ff", "0200", "0201"], &[]),
    ] {
        let told = list(before).vanished(&list(after)).unwrap();
        let expected: Vec<Serial> = gone.iter().map(|serial| serial.parse().unwrap()).collect();
        assert_eq!(told, expected, "{before:?} {after:?}");
    }
}

/// CRL-3: when the addresses in leaves changed, the list goes on to be of the older ones too.
#[test]
fn crl_3_a_shard_has_every_address_that_leaves_carry() {
    let ca = test_ca();
    let scope = CrlScope::Shard { urls: vec![SHARD.to_owned(), "http://old.site.test/crl/x/7.crl".to_owned()] };
    assert_eq!(sealed(&ca, scope.clone(), Vec::new()).scope(), &scope);
    assert!(head(&ca, CrlScope::Shard { urls: Vec::new() }, full()).tbs(Vec::new()).is_err());
}
