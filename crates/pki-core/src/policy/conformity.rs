//! A second opinion on finished certificates: the document as a person wrote it, and the bytes as a relying party reads
//! them, compared by nothing that decides or plans. Whatever is issued has to satisfy it.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use crate::device::Device;
use crate::policy::document::{DnsRule, ProfileDocument};

/// What the check knows beside certificate and document.
pub(crate) struct Issuance<'a> {
    pub(crate) device: Option<&'a Device>,
    pub(crate) issuer: &'a [u8],
    pub(crate) now: i64,
    /// What the CA itself writes of addresses.
    pub(crate) crl: Vec<String>,
    pub(crate) ocsp: Vec<String>,
}

/// Everything in which a certificate is not what the document says.
pub(crate) fn violations(document: &ProfileDocument, der: &[u8], issuance: &Issuance<'_>) -> Vec<String> {
    let (rest, certificate) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    let mut found = Vec::new();
    life(document, &certificate, issuance, &mut found);
    names(document, &certificate, issuance.device, &mut found);
    subject(document, &certificate, issuance.device, &mut found);
    key(document, &certificate, &mut found);
    usage(document, &certificate, &mut found);
    revocation(document, &certificate, issuance, &mut found);
    found
}

fn need(found: &mut Vec<String>, holds: bool, what: impl Into<String>) {
    if !holds {
        found.push(what.into());
    }
}

fn seconds(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)].into_iter().find(|(name, _)| *name == unit).unwrap().1;
    number.parse::<i64>().unwrap() * unit
}

fn life(
    document: &ProfileDocument,
    certificate: &X509Certificate<'_>,
    issuance: &Issuance<'_>,
    found: &mut Vec<String>,
) {
    let (_, issuer) = X509Certificate::from_der(issuance.issuer).unwrap();
    let times =
        |one: &X509Certificate<'_>| (one.validity().not_before.timestamp(), one.validity().not_after.timestamp());
    let ((begin, end), (first, last)) = (times(certificate), times(&issuer));
    let life = seconds(&document.spec.lifetime);
    need(found, end - begin <= life, "it lives longer than the profile says");
    need(found, begin >= first && end <= last, "it lives beyond its issuer");
    need(
        found,
        end - begin == life || end == last,
        "it lives shorter than the profile says, and not because of the issuer",
    );
    let back = issuance.now - begin;
    need(found, back <= seconds(&document.spec.backdate).max(0), "it is backdated further than the profile says");
    need(found, back * 10 <= life, "it is backdated by more than a tenth of its life");
    need(found, certificate.issuer().as_raw() == issuer.subject().as_raw(), "another CA is its issuer");
    if let Some(name) = &document.spec.issuer {
        let named = issuer.subject().iter_common_name().next().unwrap().as_str().unwrap();
        need(found, named == name, "another CA issued it than the profile says");
    }
}

fn names(
    document: &ProfileDocument,
    certificate: &X509Certificate<'_>,
    device: Option<&Device>,
    found: &mut Vec<String>,
) {
    let extension = certificate.subject_alternative_name().unwrap().unwrap();
    let names = &extension.value.general_names;
    let rules = &document.spec.identifiers;
    let fill = |text: &Option<String>| text.as_ref().and_then(|text| fill(document, text, device));
    for name in names {
        let allowed = match name {
            GeneralName::DNSName(name) => rules.dns.iter().any(|rule| dns(document, rule, name, device)),
            GeneralName::IPAddress(octets) => rules.ip.iter().any(|network| within(octets, network)),
            GeneralName::URI(uri) => rules.uri.iter().chain(&rules.opc_ua_application_uri).any(|rule| {
                rule.exact.as_deref() == Some(uri)
                    || rule.prefix.as_ref().is_some_and(|prefix| uri.starts_with(prefix) && uri.len() > prefix.len())
                    || fill(&rule.template).as_deref() == Some(uri)
            }),
            GeneralName::RFC822Name(address) => rules.email.iter().any(|rule| {
                rule.exact.as_deref() == Some(address)
                    || rule.domain.as_ref().is_some_and(|domain| address.ends_with(&format!("@{domain}")))
                    || fill(&rule.template).as_deref() == Some(address)
            }),
            GeneralName::OtherName(kind, value) => rules.permanent_identifier.iter().any(|rule| {
                let wanted = rule.exact.clone().or_else(|| fill(&rule.template)).unwrap_or_default();
                // [0] EXPLICIT SEQUENCE { UTF8String }: what ends in the text and is six octets longer
                kind.to_id_string() == "1.3.6.1.5.5.7.8.3"
                    && value.len() == wanted.len() + 6
                    && value.ends_with(wanted.as_bytes())
            }),
            _ => false,
        };
        need(found, allowed, format!("no rule allows the name {name}"));
        if let (Some(device), GeneralName::DNSName(name)) = (device, name) {
            let by_template =
                rules.dns.iter().any(|rule| rule.template.is_some() && dns(document, rule, name, Some(device)));
            let recorded = device.dns.iter().any(|one| one.as_str() == *name);
            need(found, recorded || by_template, format!("{name} is not of the device's record"));
        }
    }
    let uris = names.iter().filter(|name| matches!(name, GeneralName::URI(_))).count();
    need(found, rules.opc_ua_application_uri.is_empty() || uris == 1, "it has not exactly one application URI");
    if let Some(most) = document.spec.limits.as_ref().and_then(|limits| limits.names) {
        need(found, names.len() <= usize::try_from(most).unwrap(), "it has too many names");
    }
}

fn dns(document: &ProfileDocument, rule: &DnsRule, name: &str, device: Option<&Device>) -> bool {
    if rule.exact.as_deref() == Some(name) {
        return true;
    }
    let usual = document.spec.identifiers.wildcards && rule.suffix.is_some();
    let base = match name.strip_prefix("*.") {
        Some(base) if rule.wildcards.unwrap_or(usual) => base,
        Some(_) => return false,
        None => name,
    };
    let below = |zone: &String| base == zone || base.ends_with(&format!(".{zone}"));
    let filled = rule.template.as_ref().and_then(|text| fill(document, text, device));
    rule.suffix.as_ref().is_some_and(below)
        || rule.pattern.as_ref().is_some_and(|pattern| glob(pattern.as_bytes(), base.as_bytes()))
        || filled.is_some_and(|filled| filled == base)
}

/// By trying everything.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            glob(rest, text) || matches!(text, [first, more @ ..] if *first != b'.' && glob(pattern, more))
        }
        ([one, rest @ ..], [first, more @ ..]) => one == first && glob(rest, more),
        _ => false,
    }
}

/// By putting texts in the place of texts.
fn fill(document: &ProfileDocument, text: &str, device: Option<&Device>) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..8 {
        for (name, fragment) in &document.spec.templates {
            text = text.replace(&format!("{{templates.{name}}}"), fragment);
        }
    }
    if let Some(device) = device {
        text = text.replace("{device.name}", device.name.as_str()).replace("{device.site}", device.site.as_str());
        for (key, value) in device.labels.iter() {
            text = text.replace(&format!("{{device.labels.{key}}}"), value);
        }
    }
    (!text.contains('{')).then_some(text)
}

/// Bit by bit.
fn within(octets: &[u8], network: &str) -> bool {
    let (address, length) = network.split_once('/').unwrap();
    let address = match address.parse::<IpAddr>().unwrap() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let bit = |octets: &[u8], place: usize| octets[place / 8] >> (7 - place % 8) & 1;
    octets.len() == address.len()
        && (0..length.parse::<usize>().unwrap()).all(|place| bit(octets, place) == bit(&address, place))
}

fn subject(
    document: &ProfileDocument,
    certificate: &X509Certificate<'_>,
    device: Option<&Device>,
    found: &mut Vec<String>,
) {
    let parts: Vec<(String, String)> = certificate
        .subject()
        .iter_attributes()
        .map(|one| (one.attr_type().to_id_string(), one.as_str().unwrap().to_owned()))
        .collect();
    let wanted: Vec<(String, String)> = match &document.spec.subject {
        Some(subject) => [
            ("2.5.4.10", &subject.organization),
            ("2.5.4.11", &subject.organizational_unit),
            ("2.5.4.3", &subject.common_name),
        ]
        .into_iter()
        .filter_map(|(kind, text)| Some((kind.to_owned(), fill(document, text.as_ref()?, device)?)))
        .collect(),
        None => {
            let names = certificate.subject_alternative_name().unwrap().unwrap();
            let is_name = |text: &String| {
                names.value.general_names.iter().any(|name| match name {
                    GeneralName::DNSName(name) => name == text,
                    GeneralName::IPAddress(octets) => text
                        .parse::<IpAddr>()
                        .is_ok_and(|address| within(octets, &format!("{address}/{}", octets.len() * 8))),
                    _ => false,
                })
            };
            let only = parts.iter().all(|(kind, text)| kind == "2.5.4.3" && is_name(text)) && parts.len() <= 1;
            return need(found, only, "its subject is no name of it");
        }
    };
    need(found, parts == wanted, format!("its subject is {parts:?}, not {wanted:?}"));
}

fn key(document: &ProfileDocument, certificate: &X509Certificate<'_>, found: &mut Vec<String>) {
    let keys = &document.spec.keys;
    let curve = |name: &str| keys.ecdsa && (keys.curves.is_empty() || keys.curves.iter().any(|curve| curve == name));
    let allowed = match certificate.public_key().parsed().unwrap() {
        PublicKey::EC(point) => match point.data().len() {
            65 => curve("P-256"),
            97 => curve("P-384"),
            133 => curve("P-521"),
            _ => false,
        },
        PublicKey::RSA(key) => {
            let bits = u32::try_from(key.key_size()).unwrap();
            keys.rsa_min_bits.is_some_and(|least| bits >= least) && keys.rsa_max_bits.is_none_or(|most| bits <= most)
        }
        _ => keys.ed25519 && certificate.public_key().algorithm.algorithm.to_id_string() == "1.3.101.112",
    };
    need(found, allowed, "its key is of a kind that the profile refuses");
}

fn usage(document: &ProfileDocument, certificate: &X509Certificate<'_>, found: &mut Vec<String>) {
    let purposes = certificate.extended_key_usage().unwrap().unwrap().value;
    let asked = |word: &str| document.spec.usage.extended_key_usage.iter().any(|one| one == word);
    need(found, purposes.server_auth == asked("serverAuth"), "serverAuth is not as the profile says");
    need(found, purposes.client_auth == asked("clientAuth"), "clientAuth is not as the profile says");
    let others = purposes.any || purposes.code_signing || purposes.email_protection || !purposes.other.is_empty();
    need(found, !others, "it has purposes that no profile has");
    let usage = certificate.key_usage().unwrap().unwrap().value;
    let asked = |word: &str| document.spec.usage.key_usage.iter().any(|one| one == word);
    let usual = document.spec.usage.key_usage.is_empty();
    for (word, is_set) in [
        ("digitalSignature", usage.digital_signature()),
        ("contentCommitment", usage.non_repudiation()),
        ("keyEncipherment", usage.key_encipherment()),
        ("dataEncipherment", usage.data_encipherment()),
        ("keyAgreement", usage.key_agreement()),
    ] {
        let may = asked(word) || usual && matches!(word, "digitalSignature" | "keyEncipherment");
        need(found, may || !is_set, format!("it has the key usage {word}"));
    }
    need(
        found,
        usage.flags != 0 && !usage.key_cert_sign() && !usage.crl_sign(),
        "its key may sign certificates, or nothing",
    );
    let is_ca = certificate.basic_constraints().unwrap().is_some_and(|constraints| constraints.value.ca);
    need(found, !is_ca, "it is a CA certificate");
}

fn revocation(
    document: &ProfileDocument,
    certificate: &X509Certificate<'_>,
    issuance: &Issuance<'_>,
    found: &mut Vec<String>,
) {
    let rules = document.spec.revocation.clone().unwrap_or_default();
    let (mut crl, mut ocsp, mut staple) = (Vec::new(), Vec::new(), false);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::CRLDistributionPoints(points) => {
                for point in &points.points {
                    let Some(DistributionPointName::FullName(names)) = &point.distribution_point else { continue };
                    crl.extend(names.iter().map(|name| match name {
                        GeneralName::URI(uri) => (*uri).to_owned(),
                        other => other.to_string(),
                    }));
                }
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                let responders = access.iter().filter(|one| one.access_method.to_id_string() == "1.3.6.1.5.5.7.48.1");
                ocsp.extend(responders.map(|one| match &one.access_location {
                    GeneralName::URI(uri) => (*uri).to_owned(),
                    other => other.to_string(),
                }));
            }
            _ => staple |= extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.24",
        }
    }
    let written = |is_on: bool, own: &[String], more: &[String]| if is_on { [own, more].concat() } else { Vec::new() };
    need(found, crl == written(rules.crl, &issuance.crl, &rules.crl_mirrors), "its CRL addresses are others");
    need(found, ocsp == written(rules.ocsp, &issuance.ocsp, &rules.ocsp_responders), "its OCSP addresses are others");
    need(found, staple == rules.must_staple, "stapling is not as the profile says");
}
