//! Rules about names: alternative names, subject, and the constraints on both.

use x509_parser::der_parser::asn1_rs::{Class, Tag};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry as oid;
use x509_parser::oid_registry::Oid;

use crate::x509::certificate::Certificate;
use crate::x509::lint::{Facts, Role, view};
use crate::x509::name::{DnsName, EmailAddress, Identifier, UriName};

pub(super) fn own_constraints(facts: &Facts<'_>) -> bool {
    let found = facts.extension(&oid::OID_X509_EXT_NAME_CONSTRAINTS);
    let Role::Ca { name_constraints: Some(wanted), .. } = facts.expected.role else { return found.is_none() };
    let Some(found) = found else { return false };
    let ParsedExtension::NameConstraints(parsed) = found.parsed_extension() else { return false };
    let subtrees = parsed.permitted_subtrees.iter().chain(&parsed.excluded_subtrees).flatten();
    let well_formed = subtrees.map(|subtree| &subtree.base).all(|base| match base {
        GeneralName::DNSName(zone) => !zone.starts_with('.'),
        GeneralName::IPAddress(octets) => matches!(octets.len(), 8 | 32),
        _ => false,
    });
    // A type that no subtree mentions would be unlimited.
    let limited = |is_kind: fn(&GeneralName<'_>) -> bool| {
        let mut all = parsed.permitted_subtrees.iter().chain(&parsed.excluded_subtrees).flatten();
        all.any(|subtree| is_kind(&subtree.base))
    };
    let all_types = limited(|base| matches!(base, GeneralName::DNSName(_)))
        && limited(|base| matches!(base, GeneralName::IPAddress(_)));
    found.critical && well_formed && all_types && wanted.to_der().is_ok_and(|der| der == found.value)
}

pub(super) fn above_constraints(facts: &Facts<'_>) -> bool {
    let Role::Leaf { .. } = facts.expected.role else { return true };
    let Some(found) = identifiers(facts) else { return false };
    facts.expected.above().filter_map(Certificate::name_constraints).all(|constraints| {
        let subject_is_free = !constraints.limits_subjects || is_empty(facts);
        subject_is_free && found.iter().all(|identifier| constraints.allows(identifier).is_ok())
    })
}

/// The names in the certificate; none when one of them is of another type or no name.
fn identifiers(facts: &Facts<'_>) -> Option<Vec<Identifier>> {
    let read = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => name.parse::<DnsName>().ok().map(Identifier::Dns),
        GeneralName::IPAddress(octets) => view::address(octets).map(Identifier::Ip),
        GeneralName::URI(uri) => uri.parse().ok().map(Identifier::Uri),
        GeneralName::RFC822Name(address) => address.parse().ok().map(Identifier::Email),
        GeneralName::OtherName(kind, value) => view::permanent_identifier(kind, value).map(Identifier::Permanent),
        _ => None,
    };
    facts.alternative_names()?.iter().map(read).collect()
}

pub(super) fn names(facts: &Facts<'_>) -> bool {
    let Role::Leaf { identifiers: wanted, .. } = facts.expected.role else {
        return facts.extension(&oid::OID_X509_EXT_SUBJECT_ALT_NAME).is_none();
    };
    let Some(mut found) = identifiers(facts) else { return false };
    let mut wanted = wanted.to_vec();
    found.sort();
    wanted.sort();
    !found.is_empty() && found == wanted && found.windows(2).all(|pair| pair.first() != pair.last())
}

pub(super) fn name_shape(facts: &Facts<'_>) -> bool {
    facts.alternative_names().unwrap_or_default().iter().all(|name| match name {
        GeneralName::DNSName(name) => name.parse::<DnsName>().is_ok_and(|parsed| parsed.as_str() == *name),
        GeneralName::IPAddress(octets) => view::address(octets).is_some(),
        GeneralName::URI(uri) => uri.parse::<UriName>().is_ok_and(|parsed| parsed.as_str() == *uri),
        GeneralName::RFC822Name(address) => {
            address.parse::<EmailAddress>().is_ok_and(|parsed| parsed.as_str() == *address)
        }
        GeneralName::OtherName(kind, value) => view::permanent_identifier(kind, value).is_some(),
        _ => false,
    })
}

fn is_empty(facts: &Facts<'_>) -> bool {
    facts.tbs.subject.iter_attributes().next().is_none()
}

pub(super) fn name_criticality(facts: &Facts<'_>) -> bool {
    facts.is_critical(&oid::OID_X509_EXT_SUBJECT_ALT_NAME).is_none_or(|critical| critical == is_empty(facts))
}

pub(super) fn subject(facts: &Facts<'_>) -> bool {
    let wanted = match facts.expected.role {
        Role::Leaf { subject, .. } => subject,
        Role::Ca { .. } | Role::Responder => None,
    };
    let mut seen = [None, None, None];
    for attribute in facts.tbs.subject.iter_attributes() {
        let value = attribute.attr_value();
        let tag_is_fine =
            value.class() == Class::Universal && matches!(value.tag(), Tag::Utf8String | Tag::PrintableString);
        let Some(text) = attribute.as_str().ok().filter(|text| (1..=64).contains(&text.chars().count())) else {
            return false;
        };
        let place = KINDS.iter().position(|kind| kind == attribute.attr_type());
        match place.and_then(|place| seen.get_mut(place)) {
            Some(first @ None) if tag_is_fine => *first = Some(text),
            _ => return false,
        }
    }
    let [common_name, organization, unit] = seen;
    let as_wanted = match wanted {
        Some(wish) => {
            common_name == wish.common_name.as_deref()
                && organization == wish.organization.as_deref()
                && unit == wish.organizational_unit.as_deref()
        }
        None => organization.is_none() && unit.is_none(),
    };
    let named_if_ca = matches!(facts.expected.role, Role::Leaf { .. }) || common_name.is_some();
    as_wanted && named_if_ca
}

/// What may stand in a subject, each once.
const KINDS: [Oid<'static>; 3] =
    [oid::OID_X509_COMMON_NAME, oid::OID_X509_ORGANIZATION_NAME, oid::OID_X509_ORGANIZATIONAL_UNIT];

pub(super) fn common_name(facts: &Facts<'_>) -> bool {
    let Role::Leaf { identifiers, subject: None, .. } = facts.expected.role else { return true };
    let is_name = |text: &str| identifiers.iter().any(|identifier| identifier.value() == text);
    facts.tbs.subject.iter_common_name().all(|attribute| attribute.as_str().is_ok_and(is_name))
}
