//! What the extensions of a certificate say.

use const_oid::db::rfc5280 as oid;
use der::asn1::BitStringRef;
use der::{Decode, SliceReader};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, SubjectKeyIdentifier};

use crate::x509::certificate::extensions::{self, GeneralName, RawExtension};
use crate::x509::certificate::{CertificateError, NameConstraints};
use crate::x509::encoding;
use crate::x509::name::Identifier;

/// The extensions this crate understands.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) identifiers: Vec<Identifier>,
    pub(super) subject_key_identifier: Option<Vec<u8>>,
    pub(super) authority_key_identifier: Option<Vec<u8>>,
    pub(super) is_ca: bool,
    pub(super) path_len: Option<u8>,
    pub(super) key_usage: Option<u16>,
    pub(super) name_constraints: Option<NameConstraints>,
    pub(super) crl_urls: Vec<String>,
}

impl Extensions {
    pub(super) fn read(element: Option<&[u8]>) -> Result<Self, CertificateError> {
        let Some(element) = element else { return Ok(Self::default()) };
        let all =
            extensions::read_extensions(element).map_err(|_| CertificateError::Malformed("its list of extensions"))?;
        let identifiers = part(&all, oid::ID_CE_SUBJECT_ALT_NAME, "its subject alternative name", alternative_names)?;
        let subject_key = part(&all, oid::ID_CE_SUBJECT_KEY_IDENTIFIER, "its subject key identifier", |value| {
            Ok(SubjectKeyIdentifier::from_der(value)?.0.as_bytes().to_vec())
        })?;
        let authority_key = part(&all, oid::ID_CE_AUTHORITY_KEY_IDENTIFIER, "its authority key identifier", |value| {
            Ok(AuthorityKeyIdentifier::from_der(value)?.key_identifier.map(|id| id.as_bytes().to_vec()))
        })?;
        let basic = part(&all, oid::ID_CE_BASIC_CONSTRAINTS, "its basic constraints", BasicConstraints::from_der)?;
        let key_usage = part(&all, oid::ID_CE_KEY_USAGE, "its key usage", key_usage)?;
        let limits = part(&all, oid::ID_CE_NAME_CONSTRAINTS, "its name constraints", NameConstraints::from_der)?;
        let crl_urls = part(&all, oid::ID_CE_CRL_DISTRIBUTION_POINTS, "its CRL distribution points", crl_urls)?;
        Ok(Self {
            identifiers: identifiers.unwrap_or_default(),
            subject_key_identifier: subject_key,
            authority_key_identifier: authority_key.flatten(),
            is_ca: basic.as_ref().is_some_and(|constraints| constraints.ca),
            path_len: basic.and_then(|constraints| constraints.path_len_constraint),
            key_usage,
            name_constraints: limits,
            crl_urls: crl_urls.unwrap_or_default(),
        })
    }
}

fn part<'a, T>(
    all: &[RawExtension<'a>],
    oid: const_oid::ObjectIdentifier,
    what: &'static str,
    read: impl FnOnce(&'a [u8]) -> Result<T, der::Error>,
) -> Result<Option<T>, CertificateError> {
    extensions::find(all, oid).map(read).transpose().map_err(|_| CertificateError::Malformed(what))
}

/// Bit n of the answer is named bit n of KeyUsage (RFC 5280 section 4.2.1.3).
fn key_usage(value: &[u8]) -> Result<u16, der::Error> {
    let bits = BitStringRef::from_der(value)?;
    Ok(bits.bits().enumerate().take(9).fold(0, |all, (index, set)| all | u16::from(set) << index))
}

fn alternative_names(value: &[u8]) -> Result<Vec<Identifier>, der::Error> {
    let names = extensions::general_names(extensions::sequence_contents(value)?)?;
    let mut identifiers: Vec<_> = names.into_iter().filter_map(extensions::identifier).filter_map(Result::ok).collect();
    identifiers.sort();
    identifiers.dedup();
    Ok(identifiers)
}

/// The URIs of all distribution points with a full name.
fn crl_urls(value: &[u8]) -> Result<Vec<String>, der::Error> {
    let mut urls = Vec::new();
    for point in encoding::elements(extensions::sequence_contents(value)?)? {
        let mut reader = SliceReader::new(extensions::sequence_contents(point)?)?;
        if encoding::next_is(&reader, encoding::context(0)) {
            urls.extend(full_name(encoding::contents(&mut reader, encoding::context(0))?)?);
        }
    }
    Ok(urls)
}

/// The URIs in a DistributionPointName (RFC 5280 section 4.2.1.13).
pub(crate) fn full_name(point: &[u8]) -> Result<Vec<String>, der::Error> {
    let mut reader = SliceReader::new(point)?;
    if !encoding::next_is(&reader, encoding::context(0)) {
        return Ok(Vec::new());
    }
    let names = extensions::general_names(encoding::contents(&mut reader, encoding::context(0))?)?;
    let uri = |name| match name {
        GeneralName::Uri(octets) => Some(String::from_utf8_lossy(octets).into_owned()),
        _ => None,
    };
    Ok(names.into_iter().filter_map(uri).collect())
}
