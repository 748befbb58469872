//! The table of rules. The ids are those of the requirements; a rule never looks at how the bytes were built.

use x509_parser::der_parser::asn1_rs::FromDer;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry as oid;
use x509_parser::oid_registry::Oid;
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AlgorithmIdentifier, X509Version};

use crate::policy::profile::{ExtendedKeyUsage, KeyUsage};
use crate::x509::certificate::Certificate;
use crate::x509::key::KeyAlgorithm;
use crate::x509::lint::names::{
    above_constraints, common_name, name_criticality, name_shape, names, own_constraints, subject,
};
use crate::x509::lint::view::FRESHEST_CRL;
use crate::x509::lint::{Facts, Role, Rule};

const fn rule(id: &'static str, sentence: &'static str, holds: fn(&Facts<'_>) -> bool) -> Rule {
    Rule { id, sentence, holds }
}

/// Every rule.
pub const RULES: &[Rule] = &[
    rule("X5-1.version", "the version is 3", |facts| facts.tbs.version == X509Version::V3),
    rule("X5-1.serial", "the serial number is the one asked for, positive, of 8 to 20 octets", serial),
    rule("X5-2.subject-key", "the subject key identifier is that of RFC 7093 method 1, not critical", subject_key),
    rule(
        "X5-2.authority-key",
        "the authority key identifier is the issuer's subject key identifier, not critical",
        authority_key,
    ),
    rule("X5-3.issuer", "the issuer is the issuer's subject, byte for byte", issuer),
    rule("X5-4.key", "the public key is the one asked for, byte for byte", |facts| {
        facts.tbs.subject_pki.raw == facts.expected.public_key.spki_der()
    }),
    rule("X5-4.curve", "the public key has the size of its algorithm", key_size),
    rule("X5-5.basic", "basic constraints of a leaf are critical and empty", leaf_basic),
    rule(
        "X5-5.usage",
        "key usage of a leaf is critical and what the profile says, as far as the key can do it",
        leaf_usage,
    ),
    rule("X5-5.extended", "extended key usage of a leaf is what the profile says, never any", leaf_extended),
    rule(
        "X5-6.basic",
        "basic constraints of a CA are critical, cA is set, the path length is the one asked for",
        ca_basic,
    ),
    rule("X5-6.usage", "key usage of a CA is critical keyCertSign and cRLSign", ca_usage),
    rule(
        "X5-7.own",
        "name constraints are critical, as asked for, and no DNS name in them begins with a dot",
        own_constraints,
    ),
    rule("X5-7.above", "the CA certificates above allow every name", above_constraints),
    rule("OCS-7.usage", "a responder's key signs OCSP answers and nothing else", responder_usage),
    rule(
        "OCS-7.nocheck",
        "a certificate says that its own state is not to be asked for if and only if it is a responder's",
        no_check,
    ),
    rule("X5-8.order", "notAfter is later than notBefore", |facts| {
        facts.tbs.validity.not_after.timestamp() > facts.tbs.validity.not_before.timestamp()
    }),
    rule("X5-8.life", "the life is no longer than allowed", life),
    rule("X5-8.above", "the life lies within the lives of all CA certificates above", within_above),
    rule("X5-8.form", "times are UTCTime to 2049 and GeneralizedTime after", |facts| {
        time_form(&facts.tbs.validity.not_before) && time_form(&facts.tbs.validity.not_after)
    }),
    rule("X5-9.names", "the subject alternative name of a leaf holds exactly the names asked for, each once", names),
    rule(
        "X5-9.shape",
        "DNS names are lower-case A-labels with a wildcard at most on the left, addresses have 4 or 16 octets",
        name_shape,
    ),
    rule(
        "X5-9.critical",
        "the subject alternative name is critical if and only if the subject is empty",
        name_criticality,
    ),
    rule(
        "X5-10.subject",
        "the subject has at most one common name, organization and unit, of 64 characters each, and of those a leaf has \
         what the profile says",
        subject,
    ),
    rule(
        "X5-10.common-name",
        "the common name of a leaf is one of its names, unless the profile says its subject",
        common_name,
    ),
    rule("X5-13.staple", "there is a TLS feature, which is stapling, if and only if the profile wants it", staple),
    rule(
        "X5-11.information",
        "authority information is not critical and holds the addresses of this CA, `http://`",
        information,
    ),
    rule("X5-11.crl", "CRL distribution points are not critical and hold the addresses of this CA, `http://`", crl),
    rule(
        "CRL-8.freshest",
        "where the delta to its list is stands there if and only if there are deltas, not critical",
        freshest,
    ),
    rule("X5-12.once", "each extension stands there once", |facts| facts.tbs.extensions_map().is_ok()),
    rule("X5-12.known", "there are no extensions but those of the profile, and none is empty", known),
    rule("X5-12.plain", "there are no unique identifiers and no bytes that nobody reads", plain),
    rule(
        "X5-12.algorithm",
        "the signature algorithm is that of the issuer's key, with its proper parameters",
        algorithm,
    ),
];

fn serial(facts: &Facts<'_>) -> bool {
    let raw = facts.tbs.raw_serial();
    let positive = raw.first().is_some_and(|first| first & 0x80 == 0);
    positive && (8..=20).contains(&raw.len()) && facts.tbs.serial.to_bytes_be() == facts.expected.serial.octets()
}

fn subject_key(facts: &Facts<'_>) -> bool {
    let kind = oid::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER;
    let wanted = facts.expected.public_key.key_identifier();
    let right = matches!(facts.parsed(&kind), Some(ParsedExtension::SubjectKeyIdentifier(id)) if id.0 == wanted);
    right && facts.is_critical(&kind) == Some(false)
}

fn authority_key(facts: &Facts<'_>) -> bool {
    let kind = oid::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER;
    let Some(issuer) = facts.expected.issuer else { return facts.extension(&kind).is_none() };
    let computed = issuer.public_key().key_identifier();
    let wanted = issuer.subject_key_identifier().unwrap_or(&computed);
    let Some(ParsedExtension::AuthorityKeyIdentifier(found)) = facts.parsed(&kind) else { return false };
    let only_key = found.authority_cert_issuer.is_none() && found.authority_cert_serial.is_none();
    let right = found.key_identifier.as_ref().is_some_and(|id| id.0 == wanted);
    only_key && right && facts.is_critical(&kind) == Some(false)
}

fn issuer(facts: &Facts<'_>) -> bool {
    let wanted = facts.expected.issuer.map_or(facts.tbs.subject.as_raw(), Certificate::subject_der);
    facts.tbs.issuer.as_raw() == wanted
}

/// Would have caught rustls/rcgen#448: the identifier of P-256 over a point of P-384.
fn key_size(facts: &Facts<'_>) -> bool {
    match (facts.expected.public_key.algorithm(), facts.tbs.subject_pki.parsed()) {
        (KeyAlgorithm::EcdsaP256, Ok(ParsedKey::EC(point))) => point.data().len() == 65,
        (KeyAlgorithm::EcdsaP384, Ok(ParsedKey::EC(point))) => point.data().len() == 97,
        (KeyAlgorithm::EcdsaP521, Ok(ParsedKey::EC(point))) => point.data().len() == 133,
        (KeyAlgorithm::Rsa { bits }, Ok(ParsedKey::RSA(key))) => u32::try_from(key.key_size()) == Ok(bits),
        (KeyAlgorithm::Ed25519, _) => facts.tbs.subject_pki.subject_public_key.data.len() == 32,
        _ => false,
    }
}

fn leaf_basic(facts: &Facts<'_>) -> bool {
    let (Role::Leaf { .. } | Role::Responder) = facts.expected.role else { return true };
    let found = facts.extension(&oid::OID_X509_EXT_BASIC_CONSTRAINTS);
    found.is_none_or(|extension| extension.critical && extension.value == [0x30, 0x00])
}

/// Named bits are written without zeros at the end (X.690 section 11.2.2), so that there is one encoding each.
fn leaf_usage(facts: &Facts<'_>) -> bool {
    let Role::Leaf { usages, key_usages, .. } = facts.expected.role else { return true };
    let (is_rsa, is_edwards) = match facts.expected.public_key.algorithm() {
        KeyAlgorithm::Rsa { .. } => (true, false),
        KeyAlgorithm::Ed25519 => (false, true),
        _ => (false, false),
    };
    let is_server = usages.contains(&ExtendedKeyUsage::ServerAuth);
    let asked = |usage: KeyUsage| key_usages.contains(&usage);
    let usual = key_usages.is_empty();
    let bits = [
        (0x80, usual || asked(KeyUsage::DigitalSignature)),
        (0x40, asked(KeyUsage::ContentCommitment)),
        (0x20, is_rsa && (usual && is_server || asked(KeyUsage::KeyEncipherment))),
        (0x10, is_rsa && asked(KeyUsage::DataEncipherment)),
        (0x08, !is_rsa && !is_edwards && asked(KeyUsage::KeyAgreement)),
    ];
    let octet = bits.iter().filter(|(_, is_set)| *is_set).fold(0_u8, |all, (bit, _)| all | bit);
    let Ok(unused) = u8::try_from(octet.trailing_zeros()) else { return false };
    let wanted: [u8; 4] = [0x03, 0x02, unused, octet];
    octet != 0
        && facts.extension(&oid::OID_X509_EXT_KEY_USAGE).is_some_and(|found| found.critical && found.value == wanted)
}

fn leaf_extended(facts: &Facts<'_>) -> bool {
    let kind = oid::OID_X509_EXT_EXTENDED_KEY_USAGE;
    let usages = match facts.expected.role {
        Role::Leaf { usages, .. } => usages,
        Role::Ca { .. } => return facts.extension(&kind).is_none(),
        Role::Responder => return true,
    };
    let Some(ParsedExtension::ExtendedKeyUsage(found)) = facts.parsed(&kind) else { return false };
    let foreign = [found.any, found.code_signing, found.email_protection, found.time_stamping, found.ocsp_signing];
    !usages.is_empty()
        && found.server_auth == usages.contains(&ExtendedKeyUsage::ServerAuth)
        && found.client_auth == usages.contains(&ExtendedKeyUsage::ClientAuth)
        && !foreign.contains(&true)
        && found.other.is_empty()
}

fn responder_usage(facts: &Facts<'_>) -> bool {
    let Role::Responder = facts.expected.role else { return true };
    let bits = facts.extension(&oid::OID_X509_EXT_KEY_USAGE);
    let signs_only = bits.is_some_and(|found| found.critical && found.value == [0x03, 0x02, 0x07, 0x80]);
    // SEQUENCE of id-kp-OCSPSigning alone
    let purpose = [0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];
    let extended = facts.extension(&oid::OID_X509_EXT_EXTENDED_KEY_USAGE);
    signs_only && extended.is_some_and(|found| found.value == purpose)
}

/// RFC 6960 section 4.2.2.2.1.
fn no_check(facts: &Facts<'_>) -> bool {
    let is_responder = matches!(facts.expected.role, Role::Responder);
    match facts.extension(&NO_CHECK) {
        Some(found) => is_responder && !found.critical && found.value == [0x05, 0x00],
        None => !is_responder,
    }
}

/// 1.3.6.1.5.5.7.48.1.5.
const NO_CHECK: Oid<'static> = x509_parser::der_parser::asn1_rs::oid!(1.3.6.1.5.5.7.48.1.5);

fn ca_basic(facts: &Facts<'_>) -> bool {
    let Role::Ca { path_len, .. } = facts.expected.role else { return true };
    let kind = oid::OID_X509_EXT_BASIC_CONSTRAINTS;
    let Some(ParsedExtension::BasicConstraints(found)) = facts.parsed(&kind) else { return false };
    found.ca && found.path_len_constraint == path_len.map(u32::from) && facts.is_critical(&kind) == Some(true)
}

fn ca_usage(facts: &Facts<'_>) -> bool {
    let Role::Ca { .. } = facts.expected.role else { return true };
    let found = facts.extension(&oid::OID_X509_EXT_KEY_USAGE);
    found.is_some_and(|found| found.critical && found.value == [0x03, 0x02, 0x01, 0x06])
}

fn life(facts: &Facts<'_>) -> bool {
    let validity = &facts.tbs.validity;
    let seconds = validity.not_after.timestamp().saturating_sub(validity.not_before.timestamp());
    u64::try_from(seconds).is_ok_and(|seconds| seconds <= facts.expected.longest_life.as_secs())
}

fn within_above(facts: &Facts<'_>) -> bool {
    let validity = &facts.tbs.validity;
    facts.expected.above().all(|above| {
        validity.not_before.timestamp() >= above.not_before().unix_seconds()
            && validity.not_after.timestamp() <= above.not_after().unix_seconds()
    })
}

/// 2050-01-01T00:00:00Z.
const YEAR_2050: i64 = 2_524_608_000;

fn time_form(time: &ASN1Time) -> bool {
    if time.timestamp() < YEAR_2050 { time.is_utctime() } else { time.is_generalizedtime() }
}

fn information(facts: &Facts<'_>) -> bool {
    let addresses = &facts.expected.addresses;
    let kind = oid::OID_PKIX_AUTHORITY_INFO_ACCESS;
    let right = |method: &Oid<'_>, wanted: &[String]| {
        facts.authority_information(method).is_some_and(|found| same(&found, wanted))
    };
    let methods = [oid::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS, oid::OID_PKIX_ACCESS_DESCRIPTOR_OCSP];
    let nothing_else = match facts.parsed(&kind) {
        Some(ParsedExtension::AuthorityInfoAccess(access)) => {
            access.iter().all(|entry| methods.contains(&entry.access_method))
        }
        Some(_) => false,
        None => true,
    };
    let [issuers, responders] = &methods;
    nothing_else
        && right(issuers, addresses.ca)
        && right(responders, addresses.ocsp)
        && facts.is_critical(&kind) != Some(true)
}

fn crl(facts: &Facts<'_>) -> bool {
    facts.crl_addresses().is_some_and(|found| same(&found, facts.expected.addresses.crl))
        && facts.is_critical(&oid::OID_X509_EXT_CRL_DISTRIBUTION_POINTS) != Some(true)
}

fn freshest(facts: &Facts<'_>) -> bool {
    let found = facts.delta_addresses();
    found.is_some_and(|found| same(&found, facts.expected.addresses.freshest))
        && facts.is_critical(&FRESHEST_CRL) != Some(true)
}

/// Plain HTTP: whoever fetches these cannot yet verify a certificate.
fn same(found: &[&str], wanted: &[String]) -> bool {
    found == wanted && found.iter().all(|url| url.strip_prefix("http://").is_some_and(is_rest_of_url))
}

fn is_rest_of_url(rest: &str) -> bool {
    !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

fn known(facts: &Facts<'_>) -> bool {
    let common = [
        oid::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
        oid::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
        oid::OID_X509_EXT_KEY_USAGE,
        oid::OID_X509_EXT_BASIC_CONSTRAINTS,
        oid::OID_PKIX_AUTHORITY_INFO_ACCESS,
        oid::OID_X509_EXT_CRL_DISTRIBUTION_POINTS,
    ];
    let leaf = [oid::OID_X509_EXT_EXTENDED_KEY_USAGE, oid::OID_X509_EXT_SUBJECT_ALT_NAME, TLS_FEATURE, FRESHEST_CRL];
    let ca = [oid::OID_X509_EXT_NAME_CONSTRAINTS];
    let responder = [oid::OID_X509_EXT_EXTENDED_KEY_USAGE, NO_CHECK];
    let own: &[Oid<'_>] = match facts.expected.role {
        Role::Leaf { .. } => &leaf,
        Role::Ca { .. } => &ca,
        Role::Responder => &responder,
    };
    facts.tbs.iter_extensions().all(|extension| {
        let is_known = common.contains(&extension.oid) || own.contains(&extension.oid);
        is_known && extension.parsed_extension().error().is_none() && !extension.value.is_empty()
    })
}

/// RFC 7633: one feature, status_request.
fn staple(facts: &Facts<'_>) -> bool {
    let wanted = matches!(facts.expected.role, Role::Leaf { must_staple: true, .. });
    match facts.extension(&TLS_FEATURE) {
        Some(found) => wanted && !found.critical && found.value == [0x30, 0x03, 0x02, 0x01, 0x05],
        None => !wanted,
    }
}

/// 1.3.6.1.5.5.7.1.24.
const TLS_FEATURE: Oid<'static> = x509_parser::der_parser::asn1_rs::oid!(1.3.6.1.5.5.7.1.24);

fn plain(facts: &Facts<'_>) -> bool {
    let no_unique_ids = facts.tbs.issuer_uid.is_none() && facts.tbs.subject_uid.is_none();
    no_unique_ids && facts.tbs.as_ref() == facts.bytes
}

fn algorithm(facts: &Facts<'_>) -> bool {
    let wanted = facts.expected.signature_algorithm().identifier_der();
    AlgorithmIdentifier::from_der(&wanted).is_ok_and(|(_, wanted)| wanted == facts.tbs.signature)
}
