use super::*;
use crate::x509::testing::{TestKey, file, names};

fn parse(name: &str) -> Result<Csr, CsrError> {
    Csr::parse(&file(&format!("csr/{name}.der")))
}

fn values(csr: &Csr) -> Vec<String> {
    csr.identifiers().iter().map(|identifier| format!("{} {identifier}", identifier.kind())).collect()
}

#[test]
fn fin_6_every_algorithm_openssl_makes_is_read() {
    let mut read = 0;
    for name in names("csr").iter().filter(|name| name.contains("-sha") && !name.starts_with("refused")) {
        let csr = parse(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(values(&csr), ["dns gw-1.site.test"], "{name}");
        read += 1;
    }
    assert_eq!(read, 15);
    assert!(parse("ed25519").is_ok());
}

#[test]
fn fin_4_names_come_from_both_places() {
    assert_eq!(values(&parse("cn-only").unwrap()), ["dns gw-1.site.test"]);
    assert_eq!(values(&parse("cn-ip").unwrap()), ["ip 192.0.2.1"]);
    assert_eq!(values(&parse("twice").unwrap()), ["dns gw-1.site.test"]);
    assert_eq!(values(&parse("no-names").unwrap()), [""; 0]);
    let titled = parse("cn-title").unwrap();
    assert_eq!(values(&titled), ["dns gw-1.site.test"], "a title is no name");
    assert_eq!(titled.common_name(), Some("Gateway One"));
    let many = parse("names").unwrap();
    assert_eq!(values(&many), ["dns *.site.test", "dns gw-1.site.test", "ip 192.0.2.1", "ip 2001:db8::1"]);
    assert_eq!(many.common_name(), Some("GW-1.Site.Test"), "as it stands there");
}

#[test]
fn fin_9_what_else_is_asked_for_is_ignored() {
    assert_eq!(values(&parse("extras").unwrap()), ["dns gw-1.site.test"]);
}

#[test]
fn refused_requests_say_why() {
    for (name, said) in [
        ("refused-ca", "CA:TRUE"),
        ("refused-dot", "dot at the end"),
        ("refused-md5-rsa", "MD5"),
        ("refused-other", "an otherName"),
        ("refused-salt", "salt"),
        ("refused-sha1-ec", "ECDSA with SHA-1"),
        ("refused-sha1-rsa", "RSA with SHA-1"),
        ("refused-underscore", "gw_1.site.test"),
    ] {
        let error = parse(name).unwrap_err().to_string();
        assert!(error.contains(said), "{name}: {error}");
    }
    assert_eq!(names("csr").iter().filter(|name| name.starts_with("refused")).count(), 8);
}

/// No order can name them; what becomes of them is a matter of policy.
#[test]
fn uris_and_mailboxes_are_read_beside_the_names_of_orders() {
    for (name, ordered, further) in
        [("uri", vec![], ["uri https://site.test/"]), ("email", vec!["dns gw-1.site.test"], ["email a@site.test"])]
    {
        let csr = parse(name).unwrap();
        assert_eq!(values(&csr), ordered, "{name}");
        let read: Vec<String> = csr.further().iter().map(|it| format!("{} {}", it.kind(), it.value())).collect();
        assert_eq!(read, further);
    }
}

#[test]
fn fin_10_only_whole_requests_with_good_signatures() {
    let good = file("csr/names.der");
    for length in 0..good.len() {
        assert!(Csr::parse(&good[..length]).is_err(), "cut to {length}");
    }
    assert!(Csr::parse(&[&good[..], &[0]].concat()).is_err(), "a byte after it");
    for index in 0..good.len() {
        let mut damaged = good.clone();
        damaged[index] ^= 0x01;
        assert!(Csr::parse(&damaged).is_err(), "byte {index} changed");
    }
    assert_eq!(Csr::parse(&vec![0x30; MAX_CSR + 1]), Err(CsrError::TooLong));
}

/// A CertificationRequestInfo by parts.
fn info(key: &TestKey, version: &[u8], attributes: Option<&[u8]>) -> Vec<u8> {
    let attributes = attributes.map(|contents| encoding::element(encoding::context(0), &[contents]).unwrap());
    encoding::sequence(&[version, &[0x30, 0], key.public.spki_der(), &attributes.unwrap_or_default()]).unwrap()
}

#[test]
fn fin_10_attributes_may_be_absent_and_the_version_is_0() {
    let key = TestKey::fresh();
    assert!(Csr::parse(&key.request(&info(&key, &[2, 1, 0], None))).is_ok());
    assert!(Csr::parse(&key.request(&info(&key, &[2, 1, 0], Some(&[])))).is_ok());
    assert!(Csr::parse(&key.request(&info(&key, &[2, 1, 1], Some(&[])))).is_err());
    assert!(Csr::parse(&key.request(&info(&key, &[2, 2, 0, 0], Some(&[])))).is_err(), "not DER");
}

#[test]
fn two_extension_requests_are_refused() {
    let key = TestKey::fresh();
    let attribute = |values: usize| {
        let oid = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
        let set = encoding::element(Tag::Set, &[&[0x30, 0].repeat(values)]).unwrap();
        encoding::sequence(&[&oid, &set]).unwrap()
    };
    let parse = |attributes: &[u8]| Csr::parse(&key.request(&info(&key, &[2, 1, 0], Some(attributes))));
    assert!(parse(&attribute(1)).is_ok());
    assert!(parse(&attribute(2)).is_err());
    assert!(parse(&attribute(0)).is_err());
    assert!(parse(&attribute(1).repeat(2)).is_err());
}

#[test]
fn a_request_signed_by_another_key_is_refused() {
    let (key, other) = (TestKey::fresh(), TestKey::fresh());
    let error = Csr::parse(&other.request(&info(&key, &[2, 1, 0], Some(&[])))).unwrap_err();
    assert_eq!(error, CsrError::Key(KeyError::BadSignature));
}
