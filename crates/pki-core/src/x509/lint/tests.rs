use const_oid::ObjectIdentifier;
use der::asn1::OctetString;
use std::collections::BTreeSet;
use std::net::IpAddr;
use x509_cert::ext::Extension;

use super::*;
use crate::issuance::plan::tbs::{self, Frame, Tbs};
use crate::x509::encoding;
use crate::x509::testing::{DAY, TestCa, TestKey, now};

/// What is right, and the parts of a certificate that is so; tests change one part and see which rule speaks.
struct Case {
    ca: TestCa,
    key: TestKey,
    serial: Serial,
    identifiers: Vec<Identifier>,
    usages: Vec<ExtendedKeyUsage>,
    urls: [Vec<String>; 3],
    constraints: NameConstraints,
    parts: Tbs,
    is_ca: bool,
    is_responder: bool,
}

const ZONE: &str = "site.test";

impl Case {
    fn new(is_ca: bool, key: TestKey) -> Self {
        let networks = ["10.0.0.0/8".parse().unwrap()];
        let constraints = NameConstraints::permitting(&[ZONE.parse().unwrap()], &networks);
        let ca = TestCa::new(TestKey::fresh(), TestKey::fresh(), Some(&constraints));
        let serial: Serial = "40000000000000000000000000000001".parse().unwrap();
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let identifiers = vec![Identifier::Dns("a.site.test".parse().unwrap()), Identifier::Ip(address)];
        let urls = ["/x.crt", "/ocsp", "/x.crl"].map(|path| vec![format!("http://ca.site.test{path}")]);
        let parts = Tbs::new(Frame {
            serial: serial.octets(),
            signature: ca.key.algorithm(),
            issuer: ca.certificate.subject_der(),
            not_before: now(),
            not_after: now() + DAY,
            subject: tbs::name(Some("a.site.test")).unwrap(),
            public_key: &key.public,
        });
        let usages = vec![ExtendedKeyUsage::ServerAuth];
        let parts = parts.unwrap();
        let is_responder = false;
        let mut case = Self { ca, key, serial, identifiers, usages, urls, constraints, parts, is_ca, is_responder };
        case.parts.extensions = case.extensions();
        case
    }

    fn leaf() -> Self {
        Self::new(false, TestKey::fresh())
    }

    fn authority() -> Self {
        Self::new(true, TestKey::fresh())
    }

    fn responder() -> Self {
        let mut case = Self::leaf();
        case.become_responder();
        case
    }

    fn become_responder(&mut self) {
        self.is_responder = true;
        self.urls = Default::default();
        self.parts.subject = tbs::name(Some("OCSP responder")).unwrap();
        self.parts.extensions = vec![
            tbs::authority_key(&self.ca.certificate).unwrap(),
            tbs::subject_key(&self.key.public).unwrap(),
            tbs::leaf_key_usage(&[KeyUsage::DigitalSignature]).unwrap(),
            tbs::basic_constraints(false, None).unwrap(),
            tbs::ocsp_signing().unwrap(),
            tbs::no_check().unwrap(),
        ];
    }

    fn extensions(&self) -> Vec<Extension> {
        let mut all = vec![
            tbs::authority_key(&self.ca.certificate).unwrap(),
            tbs::subject_key(&self.key.public).unwrap(),
            tbs::authority_information(&self.urls[0], &self.urls[1]).unwrap().unwrap(),
            tbs::crl_distribution_points(&self.urls[2]).unwrap().unwrap(),
        ];
        if self.is_ca {
            all.push(tbs::ca_key_usage().unwrap());
            all.push(tbs::basic_constraints(true, Some(0)).unwrap());
            all.push(tbs::name_constraints(&self.constraints).unwrap());
        } else {
            all.push(tbs::leaf_key_usage(&[KeyUsage::DigitalSignature]).unwrap());
            all.push(tbs::basic_constraints(false, None).unwrap());
            all.push(tbs::extended_key_usage(&self.usages).unwrap());
            all.push(tbs::subject_alt_name(&self.identifiers, false).unwrap());
        }
        all
    }

    fn lint_bytes(&self, bytes: &[u8]) -> Result<(), Findings> {
        let role = match self.is_ca {
            _ if self.is_responder => Role::Responder,
            true => Role::Ca { path_len: Some(0), name_constraints: Some(&self.constraints) },
            false => Role::Leaf {
                identifiers: &self.identifiers,
                usages: &self.usages,
                key_usages: &[],
                subject: None,
                must_staple: false,
            },
        };
        lint(
            bytes,
            &Expected {
                issuer: Some(&self.ca.certificate),
                chain: std::slice::from_ref(&self.ca.root),
                public_key: &self.key.public,
                serial: &self.serial,
                longest_life: DAY,
                addresses: Addresses { ca: &self.urls[0], ocsp: &self.urls[1], crl: &self.urls[2], freshest: &[] },
                role,
            },
        )
    }

    fn findings(&self) -> BTreeSet<&'static str> {
        self.lint_bytes(&self.parts.to_der().unwrap()).err().iter().flat_map(Findings::ids).collect()
    }

    fn extension(&mut self, oid: &str) -> &mut Extension {
        let oid: ObjectIdentifier = oid.parse().unwrap();
        self.parts.extensions.iter_mut().find(|extension| extension.extn_id == oid).unwrap()
    }

    fn set(&mut self, oid: &str, value: &[u8]) {
        self.extension(oid).extn_value = OctetString::new(value).unwrap();
    }

    fn add(&mut self, oid: &str, value: &[u8]) {
        let extn_value = OctetString::new(value).unwrap();
        self.parts.extensions.push(Extension { extn_id: oid.parse().unwrap(), critical: false, extn_value });
    }

    fn remove(&mut self, oid: &str) {
        let oid: ObjectIdentifier = oid.parse().unwrap();
        self.parts.extensions.retain(|extension| extension.extn_id != oid);
    }

    fn set_names(&mut self, names: &[&[u8]]) {
        let value = encoding::sequence(names).unwrap();
        self.set(NAMES, &value);
    }
}

const NAMES: &str = "2.5.29.17";
const SUBJECT_KEY: &str = "2.5.29.14";
const AUTHORITY_KEY: &str = "2.5.29.35";
const KEY_USAGE: &str = "2.5.29.15";
const EXTENDED: &str = "2.5.29.37";
const BASIC: &str = "2.5.29.19";
const CONSTRAINTS: &str = "2.5.29.30";
const INFORMATION: &str = "1.3.6.1.5.5.7.1.1";
const CRLS: &str = "2.5.29.31";

const NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";

const NAME: &[u8] = b"\x82\x0ba.site.test";
const ADDRESS: &[u8] = b"\x87\x04\x0a\x00\x00\x01";

type Change = fn(&mut Case);

/// Each row: the rule that must speak, whether a CA certificate is changed, and the change.
const CHANGES: &[(&str, bool, Change)] = &[
    ("X5-1.version", false, |case| case.parts.version = vec![0xa0, 3, 2, 1, 1]),
    ("X5-1.serial", false, |case| case.parts.serial = encoding::unsigned(&[0x40; 16]).unwrap()),
    ("X5-1.serial", false, |case| {
        case.serial = "7f".parse().unwrap();
        case.parts.serial = vec![2, 1, 0x7f];
    }),
    ("X5-1.serial", false, |case| {
        case.serial = Serial::from_octets(&[0x80; 20]).unwrap();
        case.parts.serial = encoding::unsigned(&[0x80; 20]).unwrap();
    }),
    ("X5-2.subject-key", false, |case| case.set(SUBJECT_KEY, &[&[4, 20][..], &[7; 20]].concat())),
    ("X5-2.subject-key", false, |case| case.extension(SUBJECT_KEY).critical = true),
    ("X5-2.subject-key", false, |case| case.remove(SUBJECT_KEY)),
    ("X5-2.authority-key", false, |case| {
        let above = case.ca.certificate.authority_key_identifier().unwrap().to_vec();
        case.set(AUTHORITY_KEY, &[&[0x30, 22, 0x80, 20][..], &above].concat());
    }),
    ("X5-2.authority-key", false, |case| case.remove(AUTHORITY_KEY)),
    ("X5-2.authority-key", false, |case| case.extension(AUTHORITY_KEY).critical = true),
    ("X5-3.issuer", false, |case| case.parts.issuer = case.ca.root.subject_der().to_vec()),
    ("X5-4.key", false, |case| case.parts.spki = case.ca.root.public_key().spki_der().to_vec()),
    ("X5-4.curve", false, |case| {
        // rustls/rcgen#448: the identifier of P-256 over a point of P-384
        let point = encoding::bit_string(TestKey::fresh_p384().public.bits()).unwrap();
        let identifier = encoding::elements(&case.parts.spki[2..]).unwrap()[0].to_vec();
        case.parts.spki = encoding::sequence(&[&identifier, &point]).unwrap();
    }),
    ("X5-5.basic", false, |case| case.set(BASIC, &[0x30, 3, 1, 1, 0])),
    ("X5-5.basic", false, |case| case.set(BASIC, &[0x30, 3, 1, 1, 0xff])),
    ("X5-5.basic", false, |case| case.extension(BASIC).critical = false),
    ("X5-5.usage", false, |case| case.set(KEY_USAGE, &[3, 2, 5, 0xa0])),
    ("X5-5.usage", false, |case| case.set(KEY_USAGE, &[3, 2, 2, 0x84])),
    ("X5-5.usage", false, |case| case.set(KEY_USAGE, &[3, 2, 0, 0x80])),
    ("X5-5.usage", false, |case| case.extension(KEY_USAGE).critical = false),
    ("X5-5.usage", false, |case| case.remove(KEY_USAGE)),
    ("X5-5.extended", false, |case| case.remove(EXTENDED)),
    ("X5-5.extended", false, |case| case.set(EXTENDED, b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02")),
    ("X5-5.extended", false, |case| {
        case.set(EXTENDED, b"\x30\x10\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01\x06\x04\x55\x1d\x25\x00")
    }),
    ("X5-6.basic", true, |case| case.set(BASIC, &[0x30, 3, 1, 1, 0xff])),
    ("X5-6.basic", true, |case| case.set(BASIC, &[0x30, 0])),
    ("X5-6.basic", true, |case| case.extension(BASIC).critical = false),
    ("X5-6.usage", true, |case| case.set(KEY_USAGE, &[3, 2, 1, 0x86])),
    ("X5-6.usage", true, |case| case.extension(KEY_USAGE).critical = false),
    ("X5-7.own", true, |case| case.remove(CONSTRAINTS)),
    ("X5-7.own", true, |case| case.extension(CONSTRAINTS).critical = false),
    ("X5-7.own", true, |case| {
        let other = NameConstraints::permitting(&["other.test".parse().unwrap()], &[]);
        case.set(CONSTRAINTS, &other.to_der().unwrap());
    }),
    ("X5-7.own", true, |case| {
        // only DNS is limited, so addresses would be free
        case.constraints.permitted_ips.clear();
        case.constraints.excluded_ips.clear();
        let value = case.constraints.to_der().unwrap();
        case.set(CONSTRAINTS, &value);
    }),
    ("X5-7.above", false, |case| {
        case.identifiers = vec![Identifier::Dns("other.test".parse().unwrap())];
        case.parts.subject = tbs::name(Some("other.test")).unwrap();
        case.set_names(&[b"\x82\x0aother.test"]);
    }),
    ("OCS-7.usage", false, |case| {
        case.become_responder();
        // OCSP signing and TLS servers
        case.set(EXTENDED, b"\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x09\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01");
    }),
    ("OCS-7.usage", false, |case| {
        case.become_responder();
        case.set(KEY_USAGE, &[3, 2, 1, 0x86]);
    }),
    ("OCS-7.nocheck", false, |case| {
        case.become_responder();
        case.remove(NO_CHECK);
    }),
    ("OCS-7.nocheck", false, |case| case.add(NO_CHECK, &[5, 0])),
    ("X5-9.names", false, |case| {
        case.become_responder();
        case.add(NAMES, &encoding::sequence(&[NAME]).unwrap());
    }),
    ("X5-11.information", false, |case| {
        case.become_responder();
        let urls = vec!["http://ca.site.test/ocsp".to_owned()];
        case.parts.extensions.extend(tbs::authority_information(&[], &urls).unwrap());
    }),
    ("X5-8.order", false, |case| std::mem::swap(&mut case.parts.not_before, &mut case.parts.not_after)),
    ("X5-8.life", false, |case| case.parts.not_after = encoding::time(now() + 2 * DAY).unwrap()),
    ("X5-8.above", false, |case| {
        case.parts.not_before = encoding::time(now() - 2 * DAY).unwrap();
        case.parts.not_after = encoding::time(now() - 2 * DAY + DAY).unwrap();
    }),
    ("X5-8.above", false, |case| {
        case.parts.not_before = encoding::time(now() + 1825 * DAY).unwrap();
        case.parts.not_after = encoding::time(now() + 1826 * DAY).unwrap();
    }),
    ("X5-8.form", false, |case| case.parts.not_after = b"\x18\x0f20260602120000Z".to_vec()),
    ("X5-9.names", false, |case| case.set_names(&[NAME])),
    ("X5-9.names", false, |case| case.set_names(&[NAME, ADDRESS, NAME])),
    ("X5-9.names", false, |case| case.set_names(&[NAME, ADDRESS, b"\x82\x0bb.site.test"])),
    ("X5-9.names", false, |case| case.set_names(&[NAME, ADDRESS, b"\x81\x08a@b.test"])),
    ("X5-9.names", false, |case| case.remove(NAMES)),
    ("X5-9.names", true, |case| case.add(NAMES, &encoding::sequence(&[NAME]).unwrap())),
    ("X5-9.shape", false, |case| case.set_names(&[b"\x82\x0bA.site.test", ADDRESS])),
    ("X5-9.shape", false, |case| case.set_names(&[b"\x82\x0ca.site.test.", ADDRESS])),
    ("X5-9.shape", false, |case| case.set_names(&[NAME, b"\x87\x05\x0a\x00\x00\x01\x00"])),
    ("X5-9.critical", false, |case| case.extension(NAMES).critical = true),
    ("X5-9.critical", false, |case| case.parts.subject = tbs::name(None).unwrap()),
    ("X5-10.subject", false, |case| {
        // organizationName
        case.parts.subject = b"\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x0a\x0c\x04Site".to_vec();
    }),
    ("X5-10.subject", false, |case| {
        // TeletexString
        case.parts.subject = b"\x30\x16\x31\x14\x30\x12\x06\x03\x55\x04\x03\x14\x0ba.site.test".to_vec();
    }),
    ("X5-10.subject", true, |case| case.parts.subject = tbs::name(Some(&"x".repeat(65))).unwrap()),
    ("X5-10.subject", true, |case| case.parts.subject = tbs::name(None).unwrap()),
    ("X5-10.common-name", false, |case| case.parts.subject = tbs::name(Some("b.site.test")).unwrap()),
    ("X5-11.information", false, |case| case.remove(INFORMATION)),
    ("X5-11.information", false, |case| case.extension(INFORMATION).critical = true),
    ("X5-11.information", false, |case| {
        case.urls[0] = vec!["https://ca.site.test/x.crt".into()];
        case.parts.extensions = case.extensions();
    }),
    ("X5-11.information", false, |case| {
        let other = vec!["http://other.test/x.crt".to_owned()];
        let other = tbs::authority_information(&other, &case.urls[1]).unwrap().unwrap();
        *case.extension(INFORMATION) = other;
    }),
    ("X5-11.crl", false, |case| case.remove(CRLS)),
    ("X5-11.crl", false, |case| case.extension(CRLS).critical = true),
    ("X5-11.crl", false, |case| {
        case.urls[2] = vec!["ldap://ca.site.test/x".into()];
        case.parts.extensions = case.extensions();
    }),
    ("CRL-8.freshest", false, |case| {
        let delta = tbs::freshest_crl(&["http://ca.site.test/crl/0-delta.crl".to_owned()]).unwrap().unwrap();
        case.parts.extensions.push(delta);
    }),
    ("X5-12.once", false, |case| {
        let again = case.extension(KEY_USAGE).clone();
        case.parts.extensions.push(again);
    }),
    ("X5-12.known", false, |case| case.add("1.3.6.1.4.1.32473.1", &[5, 0])),
    ("X5-12.known", true, |case| case.add(EXTENDED, b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01")),
    ("X5-13.staple", false, |case| case.add("1.3.6.1.5.5.7.1.24", &[0x30, 3, 2, 1, 5])),
    ("X5-12.plain", false, |case| case.parts.spki.extend([0x81, 2, 0, 1])),
    ("X5-12.algorithm", false, |case| case.parts.signature = SignatureAlgorithm::EcdsaSha512.identifier_der()),
    ("X5-12.algorithm", false, |case| {
        let with_null = case.parts.signature[2..].iter().copied().chain([5, 0]).collect::<Vec<_>>();
        case.parts.signature = encoding::sequence(&[&with_null]).unwrap();
    }),
];

#[test]
fn each_change_is_found_by_its_rule() {
    for (index, (rule, is_ca, change)) in CHANGES.iter().enumerate() {
        let mut case = if *is_ca { Case::authority() } else { Case::leaf() };
        change(&mut case);
        let findings = case.findings();
        assert!(findings.contains(rule), "change {index} should break {rule}, but broke {findings:?}");
    }
}

#[test]
fn every_rule_has_a_change_that_breaks_it() {
    let tested: BTreeSet<&str> = CHANGES.iter().map(|(rule, _, _)| *rule).collect();
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(tested, all);
    assert_eq!(all.len(), RULES.len(), "ids are unique");
}

#[test]
fn good_certificates_have_no_findings() {
    for is_ca in [false, true] {
        for key in ["p256", "p384", "p521", "ed25519"] {
            assert_eq!(Case::new(is_ca, TestKey::load(key)).findings(), BTreeSet::new(), "{key}");
        }
    }
    assert_eq!(Case::responder().findings(), BTreeSet::new(), "of an OCSP responder");
    let mut rsa = Case::new(false, TestKey::load("rsa"));
    assert_eq!(rsa.findings(), ["X5-5.usage"].into(), "RSA in a TLS server also enciphers");
    *rsa.extension(KEY_USAGE) = tbs::leaf_key_usage(&[KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment]).unwrap();
    assert_eq!(rsa.findings(), BTreeSet::new());
    let mut unnamed = Case::leaf();
    unnamed.parts.subject = tbs::name(None).unwrap();
    unnamed.extension(NAMES).critical = true;
    assert_eq!(unnamed.findings(), BTreeSet::new());
    let mut without_basic = Case::leaf();
    without_basic.remove(BASIC);
    assert_eq!(without_basic.findings(), BTreeSet::new(), "basic constraints of a leaf may be absent");
}

#[test]
fn bytes_that_nobody_reads_are_found() {
    let case = Case::leaf();
    let bytes = case.parts.to_der().unwrap();
    assert!(case.lint_bytes(&[&bytes[..], &[0]].concat()).is_err(), "after the end");
    let inside = encoding::elements(&bytes).unwrap()[0];
    let contents = crate::x509::certificate::extensions::sequence_contents(inside).unwrap();
    let longer = encoding::sequence(&[contents, &[5, 0]]).unwrap();
    assert!(case.lint_bytes(&longer).is_err(), "inside, after the extensions");
    assert!(case.lint_bytes(&[]).is_err());
    for length in 0..bytes.len() {
        assert!(case.lint_bytes(&bytes[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn findings_are_told_in_sentences() {
    let mut case = Case::leaf();
    case.remove(EXTENDED);
    let told = case.lint_bytes(&case.parts.to_der().unwrap()).unwrap_err().to_string();
    assert_eq!(told, "X5-5.extended: extended key usage of a leaf is what the profile says, never any");
}
