//! A TBSCertificate as its parts, each encoded, and the extensions this CA writes.

use std::net::IpAddr;

use const_oid::db::{rfc5280 as oid, rfc5912};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::Encode;
use der::asn1::{Ia5String, OctetString, Utf8StringRef};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints,
    ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};

use crate::policy::profile::ExtendedKeyUsage as Usage;
use crate::time::Timestamp;
use crate::x509::certificate::{Certificate, NameConstraints};
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
    let Some(text) = common_name else { return encoding::sequence(&[]) };
    let oid = const_oid::db::rfc4519::COMMON_NAME.to_der()?;
    let attribute = encoding::sequence(&[&oid, &Utf8StringRef::new(text)?.to_der()?])?;
    encoding::sequence(&[&encoding::element(der::Tag::Set, &[&attribute])?])
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

/// X5-5: digitalSignature, and keyEncipherment for RSA key transport with TLS servers.
pub(crate) fn leaf_key_usage(with_encipherment: bool) -> der::Result<Extension> {
    let signature = KeyUsages::DigitalSignature.into();
    let usage = if with_encipherment { KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment } else { signature };
    extension(oid::ID_CE_KEY_USAGE, true, KeyUsage(usage))
}

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
    })
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

fn uri(url: &str) -> der::Result<GeneralName> {
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?))
}
