//! What the second parser sees, in terms the rules speak.

use std::net::IpAddr;

use x509_parser::der_parser::asn1_rs::{Any, FromDer, Sequence, Utf8String};
use x509_parser::extensions::{
    CRLDistributionPoints, DistributionPointName, GeneralName, ParsedExtension, X509Extension,
};
use x509_parser::oid_registry as oid;
use x509_parser::oid_registry::Oid;

use crate::x509::lint::Facts;
use crate::x509::name::PermanentId;

impl<'a> Facts<'a> {
    /// The only extension of this kind.
    pub(super) fn extension(&self, oid: &Oid<'_>) -> Option<&X509Extension<'a>> {
        self.tbs.get_extension_unique(oid).ok().flatten()
    }

    /// The parsed value of the extension of this kind.
    pub(super) fn parsed(&self, oid: &Oid<'_>) -> Option<&ParsedExtension<'a>> {
        self.extension(oid).map(X509Extension::parsed_extension)
    }

    /// Whether the extension of this kind is there, and critical.
    pub(super) fn is_critical(&self, oid: &Oid<'_>) -> Option<bool> {
        self.extension(oid).map(|extension| extension.critical)
    }

    /// The names in the subject alternative name.
    pub(super) fn alternative_names(&self) -> Option<&[GeneralName<'a>]> {
        match self.parsed(&oid::OID_X509_EXT_SUBJECT_ALT_NAME)? {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        }
    }

    /// Addresses of one kind in the authority information; none when one of them is no URI.
    pub(super) fn authority_information(&self, method: &Oid<'_>) -> Option<Vec<&'a str>> {
        match self.parsed(&oid::OID_PKIX_AUTHORITY_INFO_ACCESS) {
            None => Some(Vec::new()),
            Some(ParsedExtension::AuthorityInfoAccess(access)) => access
                .iter()
                .filter(|entry| entry.access_method == *method)
                .map(|entry| uri(&entry.access_location))
                .collect(),
            Some(_) => None,
        }
    }

    /// Addresses in the only CRL distribution point; none when there is anything else in it.
    pub(super) fn crl_addresses(&self) -> Option<Vec<&'a str>> {
        match self.parsed(&oid::OID_X509_EXT_CRL_DISTRIBUTION_POINTS) {
            None => Some(Vec::new()),
            Some(ParsedExtension::CRLDistributionPoints(points)) => only_addresses(points),
            Some(_) => None,
        }
    }

    /// Addresses in the only distribution point of deltas; none when there is anything else in it.
    pub(super) fn delta_addresses(&self) -> Option<Vec<&'a str>> {
        let Some(extension) = self.extension(&FRESHEST_CRL) else { return Some(Vec::new()) };
        let (rest, points) = CRLDistributionPoints::from_der(extension.value).ok()?;
        if rest.is_empty() { only_addresses(&points) } else { None }
    }
}

/// Where the delta to a list is, which the parser does not know by name: 2.5.29.46.
pub(super) const FRESHEST_CRL: Oid<'static> = x509_parser::der_parser::asn1_rs::oid!(2.5.29.46);

fn only_addresses<'a>(points: &CRLDistributionPoints<'a>) -> Option<Vec<&'a str>> {
    let [point] = points.points.as_slice() else { return None };
    match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) if point.reasons.is_none() && point.crl_issuer.is_none() => {
            names.iter().map(uri).collect()
        }
        _ => None,
    }
}

fn uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) => Some(uri),
        _ => None,
    }
}

/// The value of a permanent identifier (RFC 4043), `value` being what follows the type of an otherName.
pub(super) fn permanent_identifier(kind: &Oid<'_>, value: &[u8]) -> Option<PermanentId> {
    let explicit = Any::from_der(value).ok().filter(|(rest, _)| rest.is_empty())?.1;
    let (rest, sequence) = Sequence::from_der(explicit.data).ok()?;
    let (none, text) = Utf8String::from_der(&sequence.content).ok()?;
    let whole = rest.is_empty() && none.is_empty() && kind.to_id_string() == "1.3.6.1.5.5.7.8.3";
    if whole { text.string().parse().ok() } else { None }
}

/// An address of 4 or 16 octets.
pub(super) fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}
