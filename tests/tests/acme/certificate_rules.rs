//! X5: what is issued, read by openssl and by x509-parser, which share nothing with what made it.

use std::collections::BTreeSet;

use tests::certificate::sha256;
use tests::folders::{Folder, write};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::samples::{Sample, Samples};
use crate::world::openssl;

const ALTERNATIVE_NAMES: &str = "2.5.29.17";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const KEY_USAGE: &str = "2.5.29.15";
const NAME_CONSTRAINTS: &str = "2.5.29.30";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const SUBJECT_KEY: &str = "2.5.29.14";
const AUTHORITY_KEY: &str = "2.5.29.35";
const CRL_POINTS: &str = "2.5.29.31";
const ISSUER_AT: &str = "1.3.6.1.5.5.7.1.1";

fn read(der: &[u8]) -> X509Certificate<'_> {
    let (rest, certificate) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    certificate
}

fn extension<'a>(certificate: &'a X509Certificate<'_>, oid: &str) -> Option<(bool, &'a ParsedExtension<'a>)> {
    let found = certificate.extensions().iter().find(|extension| extension.oid.to_id_string() == oid)?;
    Some((found.critical, found.parsed_extension()))
}

fn printed(der: &[u8]) -> String {
    let folder = Folder::new();
    write(&folder.path().join("sample"), der, 0o644);
    let arguments = ["x509", "-inform", "DER", "-in", "sample", "-noout", "-text", "-nameopt", "RFC2253,show_type"];
    String::from_utf8(openssl(folder.path(), &arguments)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn x5_1_to_14_every_kind_of_certificate_keeps_the_rules() {
    for (key_type, algorithm) in [("p384", "ecdsa-with-SHA384"), ("rsa3072", "sha256WithRSAEncryption")] {
        let samples = Samples::make(key_type).await;
        let mut serials = BTreeSet::new();
        for sample in samples.certificates() {
            let certificate = read(&sample.der);
            must_have_a_good_serial(sample, &certificate);
            assert!(serials.insert(certificate.raw_serial().to_vec()), "X5-1: {}: a serial twice", sample.kind);
            must_fit_its_issuer(sample, &certificate);
            must_be_signed_with(sample, &certificate, algorithm);
            must_have_each_extension_once(sample, &certificate);
            must_have_its_strings(sample);
        }
        for sample in samples.end_entities() {
            must_be_a_leaf(sample, &read(&sample.der));
            must_have_good_names(sample, &read(&sample.der));
        }
        for (sample, asked) in &samples.leaves {
            let asked = asked.as_ref().is_none_or(|key| key == read(&sample.der).public_key().raw);
            assert!(asked, "X5-4: {}: another key than the request's", sample.kind);
        }
        must_be_authorities(&samples);
        must_verify_strictly(&samples);
    }
}

fn must_have_a_good_serial(sample: &Sample, certificate: &X509Certificate<'_>) {
    let (what, serial) = (&sample.kind, certificate.raw_serial());
    assert_eq!(certificate.version().0, 2, "X5-1: {what}");
    assert!((8..=20).contains(&serial.len()) && serial[0] < 0x80, "X5-1: {what}: {serial:?}");
    assert!(serial.iter().any(|octet| *octet != 0), "X5-1: {what}");
}

fn must_fit_its_issuer(sample: &Sample, certificate: &X509Certificate<'_>) {
    let (what, issuer) = (&sample.kind, read(&sample.issuer));
    assert_eq!(certificate.issuer().as_raw(), issuer.subject().as_raw(), "X5-3: {what}");
    certificate.verify_signature(Some(issuer.public_key())).unwrap_or_else(|error| panic!("X5-4: {what}: {error}"));
    let Some((false, ParsedExtension::SubjectKeyIdentifier(own))) = extension(certificate, SUBJECT_KEY) else {
        panic!("X5-2: {what}: no subject key identifier");
    };
    let bits = &certificate.public_key().subject_public_key.data;
    assert_eq!(own.0, &sha256(bits)[..20], "X5-2: {what}: RFC 7093 method 1");
    if let Some((critical, ParsedExtension::AuthorityKeyIdentifier(authority))) = extension(certificate, AUTHORITY_KEY)
    {
        let Some((_, ParsedExtension::SubjectKeyIdentifier(of_issuer))) = extension(&issuer, SUBJECT_KEY) else {
            panic!("X5-2: the issuer of {what} has no key identifier");
        };
        assert_eq!(authority.key_identifier.as_ref(), Some(of_issuer), "X5-2: {what}");
        assert!(!critical && authority.authority_cert_issuer.is_none(), "X5-2: {what}");
    } else {
        assert_eq!(sample.der, sample.issuer, "X5-2: {what}: no authority key identifier");
    }
    let (own, above) = (certificate.validity(), issuer.validity());
    assert!(
        own.not_before >= above.not_before && own.not_after <= above.not_after,
        "X5-8: {what}: outlives its issuer"
    );
    assert!(own.not_after > own.not_before, "X5-8: {what}");
    for time in [own.not_before, own.not_after] {
        assert_eq!(time.is_utctime(), time.to_datetime().year() < 2050, "X5-8: {what}: the form of times");
    }
}

fn must_be_signed_with(sample: &Sample, certificate: &X509Certificate<'_>, algorithm: &str) {
    let what = &sample.kind;
    assert_eq!(certificate.signature_algorithm, certificate.tbs_certificate.signature, "X5-12: {what}");
    let parameters = certificate.signature_algorithm.parameters();
    match algorithm.starts_with("ecdsa") {
        true => assert!(parameters.is_none(), "X5-12: {what}: ECDSA has no parameters"),
        false => assert!(parameters.is_some_and(|null| null.as_null().is_ok()), "X5-12: {what}: RSA has NULL"),
    }
    assert_eq!(printed(&sample.der).matches(algorithm).count(), 2, "X5-12, X5-14: {what}: {algorithm}");
}

fn must_have_each_extension_once(sample: &Sample, certificate: &X509Certificate<'_>) {
    let oids: Vec<String> = certificate.extensions().iter().map(|extension| extension.oid.to_id_string()).collect();
    let different: BTreeSet<&String> = oids.iter().collect();
    assert_eq!(oids.len(), different.len(), "X5-12: {}: {oids:?}", sample.kind);
    let mut known = vec![SUBJECT_KEY, AUTHORITY_KEY, BASIC_CONSTRAINTS, KEY_USAGE, CRL_POINTS, ISSUER_AT];
    known.extend([ALTERNATIVE_NAMES, EXTENDED_KEY_USAGE, NAME_CONSTRAINTS]);
    assert!(oids.iter().all(|oid| known.contains(&oid.as_str())), "X5-12, X5-13: {}: {oids:?}", sample.kind);
    for (oid, value) in [(CRL_POINTS, "CRL"), (ISSUER_AT, "issuer")] {
        let found = certificate.extensions().iter().find(|extension| extension.oid.to_id_string() == oid);
        assert_eq!(found.is_none(), sample.der == sample.issuer, "X5-11: {}: {value}", sample.kind);
        let Some(found) = found else { continue };
        let text = String::from_utf8_lossy(found.value);
        assert!(!found.critical, "X5-11: {}: {value}", sample.kind);
        assert!(text.contains("http://") && !text.contains("https://"), "X5-11: {}: {value}: {text}", sample.kind);
    }
}

/// C and serialNumber are printable, DC and e-mail IA5, the rest UTF-8 or printable; common names have at most 64 characters.
fn must_have_its_strings(sample: &Sample) {
    let text = printed(&sample.der);
    let names = text.lines().map(str::trim).filter_map(|line| line.split_once(':'));
    for (_, name) in names.filter(|(label, _)| ["Issuer", "Subject"].contains(label)) {
        for (kind, value) in name.trim().split(',').filter_map(|part| part.split_once('=')) {
            let (string, value) = value.split_once(':').unwrap_or_else(|| panic!("X5-10: {}: {name}", sample.kind));
            assert!(["UTF8STRING", "PRINTABLESTRING"].contains(&string), "X5-10: {}: {name}", sample.kind);
            assert!((1..=64).contains(&value.chars().count()), "X5-10: {}: {kind}: {name}", sample.kind);
        }
    }
}

fn must_be_a_leaf(sample: &Sample, certificate: &X509Certificate<'_>) {
    let what = &sample.kind;
    match extension(certificate, BASIC_CONSTRAINTS) {
        None => {}
        Some((critical, ParsedExtension::BasicConstraints(found))) => {
            assert!(critical && !found.ca && found.path_len_constraint.is_none(), "X5-5: {what}");
            let text = printed(&sample.der);
            assert!(!text.contains("CA:TRUE"), "X5-5: {what}");
        }
        Some(_) => panic!("X5-5: {what}: unreadable constraints"),
    }
    let Some((true, ParsedExtension::KeyUsage(usage))) = extension(certificate, KEY_USAGE) else {
        panic!("X5-5: {what}: no critical key usage");
    };
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign(), "X5-5: {what}");
    let rsa = certificate.public_key().algorithm.algorithm.to_id_string() == "1.2.840.113549.1.1.1";
    assert!(!usage.key_encipherment() || rsa, "X5-5: {what}: nothing is enciphered with these keys");
    let Some((_, ParsedExtension::ExtendedKeyUsage(usage))) = extension(certificate, EXTENDED_KEY_USAGE) else {
        panic!("X5-5: {what}: no extended key usage");
    };
    assert!(usage.server_auth && !usage.any && usage.other.is_empty(), "X5-5: {what}");
    let client = ["gateway", "rabbitmq-broker"].contains(&what.as_str());
    assert_eq!(usage.client_auth, client, "X5-5: {what}: what its profile says");
}

fn must_have_good_names(sample: &Sample, certificate: &X509Certificate<'_>) {
    let what = &sample.kind;
    let empty = certificate.subject().iter().count() == 0;
    let Some((critical, ParsedExtension::SubjectAlternativeName(names))) = extension(certificate, ALTERNATIVE_NAMES)
    else {
        panic!("X5-9: {what}: no names");
    };
    assert_eq!(critical, empty, "X5-9: {what}: critical exactly under an empty subject");
    assert_eq!(empty, ["empty subject", "own TLS certificate", "IPv4"].contains(&what.as_str()), "X5-9: {what}");
    let mut seen = BTreeSet::new();
    for name in &names.general_names {
        assert!(seen.insert(name.to_string()), "X5-9: {what}: {name} twice");
        match name {
            GeneralName::DNSName(dns) => {
                let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
                assert!(dns.trim_start_matches("*.").chars().all(good) && !dns.ends_with('.'), "X5-9: {what}: {dns}");
                assert!(dns.parse::<std::net::IpAddr>().is_err(), "IPI-4: {what}: {dns}");
            }
            GeneralName::IPAddress(octets) => assert!([4, 16].contains(&octets.len()), "IPI-3: {what}"),
            other => panic!("X5-9: {what}: {other}"),
        }
    }
}

fn must_be_authorities(samples: &Samples) {
    for (sample, path_length) in [(&samples.root, None), (&samples.intermediate, Some(0))] {
        let (what, certificate) = (&sample.kind, read(&sample.der));
        let Some((true, ParsedExtension::BasicConstraints(found))) = extension(&certificate, BASIC_CONSTRAINTS) else {
            panic!("X5-6: {what}");
        };
        assert!(found.ca, "X5-6: {what}");
        assert!(path_length.is_none() || found.path_len_constraint == path_length, "X5-6: {what}");
        let Some((true, ParsedExtension::KeyUsage(usage))) = extension(&certificate, KEY_USAGE) else {
            panic!("X5-6: {what}");
        };
        assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.key_encipherment(), "X5-6: {what}");
    }
    let text = printed(&samples.intermediate.der);
    for expected in ["Name Constraints: critical", "DNS:site.test", "IP:FD00:0:0:0:0:0:0:0/FF00:0:0:0:0:0:0:0"] {
        assert!(text.contains(expected), "X5-7: {expected}: {text}");
    }
}

/// openssl's own idea of RFC 5280.
fn must_verify_strictly(samples: &Samples) {
    let folder = Folder::new();
    let file = |name: &str, der: &[u8]| {
        write(&folder.path().join("der"), der, 0o644);
        openssl(folder.path(), &["x509", "-inform", "DER", "-in", "der", "-out", name]);
    };
    file("root.pem", &samples.root.der);
    file("intermediate.pem", &samples.intermediate.der);
    for sample in samples.end_entities() {
        file("leaf.pem", &sample.der);
        let verify = ["verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "intermediate.pem", "leaf.pem"];
        openssl(folder.path(), &verify);
    }
}
