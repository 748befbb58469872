//! A TBSCertificate as its parts, each encoded, and the extensions this CA writes.

use std::net::IpAddr;

use const_oid::db::{rfc4519, rfc5280 as oid, rfc5912};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{Any, Ia5String, OctetString, Utf8StringRef};
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName, OtherName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints,
    ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};

use crate::policy::decide::SubjectWish as Subject;
use crate::policy::profile::{ExtendedKeyUsage as Usage, KeyUsage as Bit};
use crate::time::Timestamp;
use crate::x509::certificate::{Certificate, NameConstraints, extensions};
use crate::x509::encoding;
use crate::x509::key::{PublicKey, SignatureAlgorithm};
use crate::x509::name::Identifier;

/// The parts of a TBSCertificate (RFC 5280 section 4.1.2), each in DER.
#[derive(Clone)]
pub(crate) struct Tbs {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) not_before: Vec<u8>,
    pub(crate) not_after: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
}

/// What goes into the fields that are no extensions.
pub(crate) struct Frame<'a> {
    pub(crate) serial: &'a [u8],
    pub(crate) signature: SignatureAlgorithm,
    pub(crate) issuer: &'a [u8],
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) subject: Vec<u8>,
    pub(crate) public_key: &'a PublicKey,
}

impl Tbs {
    /// Version 3, without extensions yet. Issuer and key are copied as bytes (X5-3, X5-4).
    pub(crate) fn new(frame: Frame<'_>) -> der::Result<Self> {
        Ok(Self {
            version: encoding::explicit(0, &2_u8.to_der()?)?,
            serial: encoding::unsigned(frame.serial)?,
            signature: frame.signature.identifier_der(),
            issuer: frame.issuer.to_vec(),
            not_before: encoding::time(frame.not_before)?,
            not_after: encoding::time(frame.not_after)?,
            subject: frame.subject,
            spki: frame.public_key.spki_der().to_vec(),
            extensions: Vec::new(),
        })
    }

    /// The bytes to be signed.
    pub(crate) fn to_der(&self) -> der::Result<Vec<u8>> {
        let validity = encoding::sequence(&[&self.not_before, &self.not_after])?;
        let extensions = encoding::explicit(3, &self.extensions.to_der()?)?;
        encoding::sequence(&[
            &self.version,
            &self.serial,
            &self.signature,
            &self.issuer,
            &validity,
            &self.subject,
            &self.spki,
            &extensions,
        ])
    }
}

/// A Name with one common name (UTF8String), or none at all.
pub(crate) fn name(common_name: Option<&str>) -> der::Result<Vec<u8>> {
    subject(&Subject { common_name: common_name.map(str::to_owned), ..Subject::default() })
}

/// A Name of these parts, each an UTF8String in a set of its own, from the widest to the narrowest.
pub(crate) fn subject(parts: &Subject) -> der::Result<Vec<u8>> {
    let mut name = Vec::new();
    for (oid, text) in [
        (rfc4519::ORGANIZATION_NAME, &parts.organization),
        (rfc4519::ORGANIZATIONAL_UNIT_NAME, &parts.organizational_unit),
        (rfc4519::COMMON_NAME, &parts.common_name),
    ] {
        let Some(text) = text else { continue };
        let attribute = encoding::sequence(&[&oid.to_der()?, &Utf8StringRef::new(text)?.to_der()?])?;
        name.extend(encoding::element(der::Tag::Set, &[&attribute])?);
    }
    encoding::sequence(&[&name])
}

fn extension(oid: ObjectIdentifier, critical: bool, value: impl Encode) -> der::Result<Extension> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value.to_der()?)? })
}

/// X5-2: the issuer's own subject key identifier, whatever method made it. An issuer without one is known by the
/// identifier its certificate should have had.
pub(crate) fn authority_key(issuer: &Certificate) -> der::Result<Extension> {
    let computed = issuer.public_key().key_identifier();
    let identifier = issuer.subject_key_identifier().unwrap_or(&computed);
    let value = AuthorityKeyIdentifier { key_identifier: Some(OctetString::new(identifier)?), ..Default::default() };
    extension(oid::ID_CE_AUTHORITY_KEY_IDENTIFIER, false, value)
}

pub(crate) fn subject_key(key: &PublicKey) -> der::Result<Extension> {
    let value = SubjectKeyIdentifier(OctetString::new(key.key_identifier())?);
    extension(oid::ID_CE_SUBJECT_KEY_IDENTIFIER, false, value)
}

/// X5-5.
pub(crate) fn leaf_key_usage(usages: &[Bit]) -> der::Result<Extension> {
    let flag = |usage: &Bit| match usage {
        Bit::DigitalSignature => KeyUsages::DigitalSignature,
        Bit::ContentCommitment => KeyUsages::NonRepudiation,
        Bit::KeyEncipherment => KeyUsages::KeyEncipherment,
        Bit::DataEncipherment => KeyUsages::DataEncipherment,
        Bit::KeyAgreement => KeyUsages::KeyAgreement,
    };
    let mut flags = usages.iter().map(flag);
    // decisions leave at least one
    let first = flags.next().ok_or(der::ErrorKind::Failed)?;
    extension(oid::ID_CE_KEY_USAGE, true, KeyUsage(flags.fold(first.into(), |all, flag| all | flag)))
}

/// TLS feature `status_request` (RFC 7633 section 4): SEQUENCE of INTEGER 5.
pub(crate) fn must_staple() -> der::Result<Extension> {
    let extn_value = OctetString::new(encoding::sequence(&[&5_u8.to_der()?])?)?;
    Ok(Extension { extn_id: TLS_FEATURE, critical: false, extn_value })
}

const TLS_FEATURE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24");

pub(crate) fn ca_key_usage() -> der::Result<Extension> {
    extension(oid::ID_CE_KEY_USAGE, true, KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))
}

pub(crate) fn basic_constraints(ca: bool, path_len_constraint: Option<u8>) -> der::Result<Extension> {
    extension(oid::ID_CE_BASIC_CONSTRAINTS, true, BasicConstraints { ca, path_len_constraint })
}

pub(crate) fn extended_key_usage(usages: &[Usage]) -> der::Result<Extension> {
    let purpose = |usage: &Usage| match usage {
        Usage::ServerAuth => rfc5912::ID_KP_SERVER_AUTH,
        Usage::ClientAuth => rfc5912::ID_KP_CLIENT_AUTH,
    };
    extension(oid::ID_CE_EXT_KEY_USAGE, false, ExtendedKeyUsage(usages.iter().map(purpose).collect()))
}

/// OCS-7: OCSP answers, and nothing else.
pub(crate) fn ocsp_signing() -> der::Result<Extension> {
    extension(oid::ID_CE_EXT_KEY_USAGE, false, ExtendedKeyUsage(vec![rfc5912::ID_KP_OCSP_SIGNING]))
}

/// OCS-7: nobody asks a responder about its own certificate (RFC 6960 section 4.2.2.2.1).
pub(crate) fn no_check() -> der::Result<Extension> {
    extension(NO_CHECK, false, der::asn1::Null)
}

const NO_CHECK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");

/// X5-9: critical when nothing else names the subject.
pub(crate) fn subject_alt_name(identifiers: &[Identifier], critical: bool) -> der::Result<Extension> {
    let names: der::Result<Vec<GeneralName>> = identifiers.iter().map(general_name).collect();
    extension(oid::ID_CE_SUBJECT_ALT_NAME, critical, SubjectAltName(names?))
}

fn general_name(identifier: &Identifier) -> der::Result<GeneralName> {
    Ok(match identifier {
        Identifier::Dns(name) => GeneralName::DnsName(Ia5String::new(name.as_str())?),
        Identifier::Ip(IpAddr::V4(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
        Identifier::Ip(IpAddr::V6(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
        Identifier::Uri(uri) => GeneralName::UniformResourceIdentifier(Ia5String::new(uri.as_str())?),
        Identifier::Email(address) => GeneralName::Rfc822Name(Ia5String::new(address.as_str())?),
        Identifier::Permanent(id) => GeneralName::OtherName(permanent_identifier(id.as_str())?),
    })
}

/// RFC 4043 section 2: a value, no assigner.
fn permanent_identifier(value: &str) -> der::Result<OtherName> {
    let value = encoding::sequence(&[&Utf8StringRef::new(value)?.to_der()?])?;
    Ok(OtherName { type_id: extensions::PERMANENT_IDENTIFIER, value: Any::from_der(&value)? })
}

pub(crate) fn name_constraints(constraints: &NameConstraints) -> der::Result<Extension> {
    let extn_value = OctetString::new(constraints.to_der()?)?;
    Ok(Extension { extn_id: oid::ID_CE_NAME_CONSTRAINTS, critical: true, extn_value })
}

/// X5-11: where the issuer's certificate is, and who answers for its state; none when there is no address.
pub(crate) fn authority_information(ca_urls: &[String], ocsp_urls: &[String]) -> der::Result<Option<Extension>> {
    let describe = |access_method: ObjectIdentifier, url: &String| -> der::Result<AccessDescription> {
        Ok(AccessDescription { access_method, access_location: uri(url)? })
    };
    let issuers = ca_urls.iter().map(|url| describe(oid::ID_AD_CA_ISSUERS, url));
    let responders = ocsp_urls.iter().map(|url| describe(oid::ID_AD_OCSP, url));
    let all = responders.chain(issuers).collect::<der::Result<Vec<_>>>()?;
    if all.is_empty() {
        return Ok(None);
    }
    extension(AuthorityInfoAccessSyntax::OID, false, AuthorityInfoAccessSyntax(all)).map(Some)
}

/// One distribution point with all addresses of the same CRL; none when there is no address.
pub(crate) fn crl_distribution_points(urls: &[String]) -> der::Result<Option<Extension>> {
    if urls.is_empty() {
        return Ok(None);
    }
    let names = urls.iter().map(|url| uri(url)).collect::<der::Result<Vec<_>>>()?;
    let distribution_point = Some(DistributionPointName::FullName(names));
    let point = DistributionPoint { distribution_point, reasons: None, crl_issuer: None };
    extension(oid::ID_CE_CRL_DISTRIBUTION_POINTS, false, CrlDistributionPoints(vec![point])).map(Some)
}

/// Where the delta to the list of those is (RFC 5280 section 4.2.1.15): the same syntax under another name, never critical.
pub(crate) fn freshest_crl(urls: &[String]) -> der::Result<Option<Extension>> {
    let points = crl_distribution_points(urls)?;
    Ok(points.map(|points| Extension { extn_id: oid::ID_CE_FRESHEST_CRL, ..points }))
}

fn uri(url: &str) -> der::Result<GeneralName> {
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?))
}
