//! Extensions as they stand in certificates and requests: split, not interpreted, and the alternative names in them.

use std::net::IpAddr;

use const_oid::ObjectIdentifier;
use der::asn1::OctetStringRef;
use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};

use crate::x509::encoding;
use crate::x509::name::{DnsName, Identifier, NameError, parse_ip};

/// One extension, its value still encoded.
pub(crate) struct RawExtension<'a> {
    pub(crate) oid: ObjectIdentifier,
    pub(crate) value: &'a [u8],
}

/// More extensions than anything in the field has; comparing each with each must stay cheap.
const MAX_EXTENSIONS: usize = 64;

/// Splits an Extensions element (RFC 5280 section 4.1); each may stand in it once.
pub(crate) fn read_extensions(element: &[u8]) -> Result<Vec<RawExtension<'_>>, der::Error> {
    let mut outer = SliceReader::new(element)?;
    let inside = encoding::contents(&mut outer, Tag::Sequence)?;
    outer.finish()?;
    let mut found: Vec<RawExtension<'_>> = Vec::new();
    for extension in encoding::elements(inside)? {
        let extension = read_extension(extension)?;
        if found.len() == MAX_EXTENSIONS || found.iter().any(|earlier| earlier.oid == extension.oid) {
            return Err(Tag::Sequence.value_error().into());
        }
        found.push(extension);
    }
    Ok(found)
}

fn read_extension(element: &[u8]) -> Result<RawExtension<'_>, der::Error> {
    encoding::whole_sequence(element, |reader| {
        let oid = ObjectIdentifier::decode(reader)?;
        // DER leaves FALSE out; requests that spell it out are many and do no harm.
        if encoding::next_is(reader, Tag::Boolean) {
            bool::decode(reader)?;
        }
        let value = <&OctetStringRef>::decode(reader)?.as_bytes();
        Ok(RawExtension { oid, value })
    })
}

/// The value of one extension.
pub(crate) fn find<'a>(extensions: &[RawExtension<'a>], oid: ObjectIdentifier) -> Option<&'a [u8]> {
    extensions.iter().find(|extension| extension.oid == oid).map(|extension| extension.value)
}

/// One GeneralName (RFC 5280 section 4.2.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GeneralName<'a> {
    Dns(&'a [u8]),
    Ip(&'a [u8]),
    Uri(&'a [u8]),
    Email(&'a [u8]),
    /// The value of a permanent identifier (RFC 4043) that has a value and no assigner.
    Permanent(&'a str),
    Directory,
    /// Any other; how people call it.
    Other(&'static str),
}

/// Reads the contents of GeneralNames.
pub(crate) fn general_names(contents: &[u8]) -> Result<Vec<GeneralName<'_>>, der::Error> {
    encoding::elements(contents)?.into_iter().map(general_name).collect()
}

/// Reads one GeneralName.
pub(crate) fn general_name(element: &[u8]) -> Result<GeneralName<'_>, der::Error> {
    let mut reader = SliceReader::new(element)?;
    let header = Header::decode(&mut reader)?;
    let value = reader.read_slice(header.length())?;
    reader.finish()?;
    let Tag::ContextSpecific { constructed, number: TagNumber(number) } = header.tag() else {
        return Err(header.tag().unexpected_error(None).into());
    };
    Ok(match (number, constructed) {
        (0, true) => permanent_identifier(value).map_or(GeneralName::Other("an otherName"), GeneralName::Permanent),
        (1, false) => GeneralName::Email(value),
        (2, false) => GeneralName::Dns(value),
        (3, true) => GeneralName::Other("an X.400 address"),
        (4, true) => GeneralName::Directory,
        (5, true) => GeneralName::Other("an EDI party name"),
        (6, false) => GeneralName::Uri(value),
        (7, false) => GeneralName::Ip(value),
        (8, false) => GeneralName::Other("a registered id"),
        _ => return Err(header.tag().unexpected_error(None).into()),
    })
}

/// `id-on-permanentIdentifier`.
pub(crate) const PERMANENT_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.3");

/// OtherName with a PermanentIdentifier (RFC 4043 section 2): the value, when there is one and no assigner.
fn permanent_identifier(other_name: &[u8]) -> Option<&str> {
    let mut reader = SliceReader::new(other_name).ok()?;
    if ObjectIdentifier::decode(&mut reader).ok()? != PERMANENT_IDENTIFIER {
        return None;
    }
    let value = encoding::contents(&mut reader, encoding::context(0)).ok()?;
    reader.finish().ok()?;
    let text = encoding::whole_sequence(value, der::asn1::Utf8StringRef::decode);
    text.ok().map(|text: der::asn1::Utf8StringRef<'_>| text.as_str())
}

/// The DNS name in a dNSName.
pub(crate) fn dns_name(octets: &[u8]) -> Result<DnsName, NameError> {
    // Whatever is not ASCII becomes the replacement character, which no name may hold.
    String::from_utf8_lossy(octets).parse()
}

/// The address in an iPAddress; never an IPv4 address in IPv6 clothes.
pub(crate) fn ip_address(octets: &[u8]) -> Result<IpAddr, NameError> {
    let address = if let Ok(four) = <[u8; 4]>::try_from(octets) {
        IpAddr::from(four)
    } else if let Ok(sixteen) = <[u8; 16]>::try_from(octets) {
        IpAddr::from(sixteen)
    } else {
        return Err(NameError {
            value: data_encoding::HEXLOWER.encode(octets).chars().take(64).collect(),
            kind: "IP address",
            reason: "an iPAddress has 4 or 16 octets",
        });
    };
    parse_ip(&address.to_string())
}

/// The identifier in a GeneralName, when it is of a type this CA issues for.
pub(crate) fn identifier(name: GeneralName<'_>) -> Option<Result<Identifier, NameError>> {
    match name {
        GeneralName::Dns(octets) => Some(dns_name(octets).map(Identifier::Dns)),
        GeneralName::Ip(octets) => Some(ip_address(octets).map(Identifier::Ip)),
        GeneralName::Uri(octets) => Some(String::from_utf8_lossy(octets).parse().map(Identifier::Uri)),
        GeneralName::Email(octets) => Some(String::from_utf8_lossy(octets).parse().map(Identifier::Email)),
        GeneralName::Permanent(text) => Some(text.parse().map(Identifier::Permanent)),
        GeneralName::Directory | GeneralName::Other(_) => None,
    }
}

/// The contents of an extension value that is a SEQUENCE.
pub(crate) fn sequence_contents(value: &[u8]) -> Result<&[u8], der::Error> {
    let mut reader = SliceReader::new(value)?;
    let inside = encoding::contents(&mut reader, Tag::Sequence)?;
    reader.finish()?;
    Ok(inside)
}

/// The common names in a Name (RFC 5280 section 4.1.2.4), in order; those that are no text are left out.
pub(crate) fn common_names(name: &[u8]) -> Result<Vec<String>, der::Error> {
    const COMMON_NAME: ObjectIdentifier = const_oid::db::rfc4519::COMMON_NAME;
    let mut found = Vec::new();
    for set in encoding::elements(sequence_contents(name)?)? {
        let mut reader = SliceReader::new(set)?;
        let attributes = encoding::contents(&mut reader, Tag::Set)?;
        for attribute in encoding::elements(attributes)? {
            let (oid, value) = encoding::whole_sequence(attribute, |reader| -> Result<_, der::Error> {
                Ok((ObjectIdentifier::decode(reader)?, der::asn1::AnyRef::decode(reader)?))
            })?;
            if oid == COMMON_NAME {
                found.extend(text(value));
            }
        }
    }
    Ok(found)
}

fn text(value: der::asn1::AnyRef<'_>) -> Option<String> {
    use der::Tagged;
    let is_text = matches!(value.tag(), Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString);
    if is_text { std::str::from_utf8(value.value()).ok().map(str::to_owned) } else { None }
}
