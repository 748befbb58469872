//! The fields of a certificate, each as it stands, by position.

use der::asn1::{BitStringRef, IntRef};
use der::{Decode, Reader, SliceReader, Tag};

use crate::ids::Serial;
use crate::time::Timestamp;
use crate::x509::certificate::CertificateError;
use crate::x509::encoding;

/// Body, outer algorithm, and the signature's octets.
type Signed<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Splits SIGNED{...} (RFC 5280 section 4.1).
pub(crate) fn split_signed(der: &[u8]) -> Result<Signed<'_>, der::Error> {
    encoding::whole_sequence(der, |reader| {
        let body = reader.tlv_bytes()?;
        let algorithm = reader.tlv_bytes()?;
        let signature = BitStringRef::decode(reader)?.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
        Ok((body, algorithm, signature))
    })
}

/// The fields of a TBSCertificate, each as it stands.
pub(super) struct Fields<'a> {
    pub(super) serial: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) subject: &'a [u8],
    pub(super) spki: &'a [u8],
    pub(super) extensions: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub(super) fn read(tbs: &'a [u8]) -> Result<Self, der::Error> {
        encoding::whole_sequence(tbs, |reader| {
            let version = read_version(reader)?;
            let serial = IntRef::decode(reader)?.as_bytes();
            let signature = reader.tlv_bytes()?;
            let issuer = encoding::name(reader)?;
            let validity = |reader: &mut SliceReader<'a>| -> Result<_, der::Error> {
                Ok((encoding::read_time(reader)?, encoding::read_time(reader)?))
            };
            let (not_before, not_after) = encoding::whole_sequence(reader.tlv_bytes()?, validity)?;
            let subject = encoding::name(reader)?;
            let spki = reader.tlv_bytes()?;
            skip_unique_identifiers(reader)?;
            let has_extensions = version == 2 && !reader.is_finished();
            let extensions =
                if has_extensions { Some(encoding::contents(reader, encoding::context(3))?) } else { None };
            Ok(Self { serial, signature, issuer, not_before, not_after, subject, spki, extensions })
        })
    }
}

fn read_version(reader: &mut SliceReader<'_>) -> Result<u8, der::Error> {
    if !encoding::next_is(reader, encoding::context(0)) {
        return Ok(0);
    }
    let version = u8::from_der(encoding::contents(reader, encoding::context(0))?)?;
    if version == 1 || version == 2 { Ok(version) } else { Err(Tag::Integer.value_error().into()) }
}

fn skip_unique_identifiers(reader: &mut SliceReader<'_>) -> Result<(), der::Error> {
    for number in [1, 2] {
        let tag = Tag::ContextSpecific { constructed: false, number: der::TagNumber(number) };
        if encoding::next_is(reader, tag) {
            encoding::contents(reader, tag)?;
        }
    }
    Ok(())
}

pub(super) fn serial(octets: &[u8]) -> Result<Serial, CertificateError> {
    const WHAT: CertificateError =
        CertificateError::Malformed("its serial number, which must be positive and of 20 octets at most,");
    if octets.first().is_none_or(|first| first & 0x80 != 0) {
        return Err(WHAT);
    }
    Serial::from_octets(octets).map_err(|_| WHAT)
}
