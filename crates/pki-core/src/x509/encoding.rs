//! Small hands for DER that `der` has no ready type for: elements copied as bytes, and elements built around them.
//!
//! Names and public keys of others are never decoded and encoded again: whatever does that loses repeated
//! attributes, string types or curve parameters, and signatures stop verifying.

use std::time::Duration;

use const_oid::ObjectIdentifier;
use der::asn1::{BitStringRef, GeneralizedTime, UintRef, UtcTime};
use der::{DateTime, Decode, Encode, Header, Length, Reader, SliceReader, Tag, TagNumber};

use crate::time::Timestamp;

/// One element: its tag, its length, and the parts one after the other.
pub(crate) fn element(tag: Tag, parts: &[&[u8]]) -> der::Result<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut out = Vec::with_capacity(length.saturating_add(6));
    Header::new(tag, Length::try_from(length)?).encode_to_vec(&mut out)?;
    for part in parts {
        out.extend_from_slice(part);
    }
    Ok(out)
}

/// SEQUENCE of elements that are already encoded.
pub(crate) fn sequence(parts: &[&[u8]]) -> der::Result<Vec<u8>> {
    element(Tag::Sequence, parts)
}

/// `[number] EXPLICIT` around an element.
pub(crate) fn explicit(number: u32, part: &[u8]) -> der::Result<Vec<u8>> {
    element(Tag::ContextSpecific { constructed: true, number: TagNumber(number) }, &[part])
}

/// INTEGER from big-endian octets of a number that is not negative.
pub(crate) fn unsigned(octets: &[u8]) -> der::Result<Vec<u8>> {
    UintRef::new(octets)?.to_der()
}

/// BIT STRING of whole octets.
pub(crate) fn bit_string(octets: &[u8]) -> der::Result<Vec<u8>> {
    BitStringRef::from_bytes(octets)?.to_der()
}

/// UTCTime to the end of 2049, GeneralizedTime after (RFC 5280 section 4.1.2.5).
pub(crate) fn time(at: Timestamp) -> der::Result<Vec<u8>> {
    let seconds = u64::try_from(at.unix_seconds()).map_err(|_| der::Error::from(der::ErrorKind::DateTime))?;
    let date = DateTime::from_unix_duration(Duration::from_secs(seconds))?;
    if date.year() <= UtcTime::MAX_YEAR {
        UtcTime::from_date_time(date)?.to_der()
    } else {
        GeneralizedTime::from_date_time(date).to_der()
    }
}

/// Writes what [`time`] makes behind other bytes, for lists of a million of them.
pub(crate) fn push_time(out: &mut Vec<u8>, at: Timestamp) -> der::Result<()> {
    const UNTIL: i64 = 2_524_608_000; // the first second of 2050
    let seconds = at.unix_seconds();
    let Some(seconds) = u64::try_from(seconds).ok().filter(|_| seconds < UNTIL) else {
        out.extend_from_slice(&time(at)?);
        return Ok(());
    };
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    out.extend_from_slice(&[0x17, 0x0d]);
    for part in [year % 100, month, day, hour, minute, seconds % 60] {
        let digit = |value: u64| b'0' + u8::try_from(value % 10).unwrap_or(0);
        out.extend_from_slice(&[digit(part / 10), digit(part)]);
    }
    out.push(b'Z');
    Ok(())
}

/// Year, month and day of a day after the beginning of 1970. Years begin in March here, so that the leap day is the last one.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

/// GeneralizedTime in whole seconds (RFC 5280 section 4.1.2.5.2).
pub(crate) fn generalized_time(at: Timestamp) -> der::Result<Vec<u8>> {
    let seconds = u64::try_from(at.unix_seconds()).map_err(|_| der::Error::from(der::ErrorKind::DateTime))?;
    GeneralizedTime::from_unix_duration(Duration::from_secs(seconds))?.to_der()
}

/// Reads a Time (RFC 5280 section 4.1).
pub(crate) fn read_time<'a>(reader: &mut SliceReader<'a>) -> der::Result<Timestamp> {
    let at = x509_cert::time::Time::decode(reader)?.to_unix_duration();
    Ok(Timestamp::from_unix_seconds(i64::try_from(at.as_secs()).unwrap_or(i64::MAX)))
}

/// Whether the next element has this tag.
pub(crate) fn next_is(reader: &SliceReader<'_>, tag: Tag) -> bool {
    Tag::peek(reader).is_ok_and(|next| next == tag)
}

/// A constructed context-specific tag.
pub(crate) const fn context(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

/// The contents of the next element, whose tag must be this.
pub(crate) fn contents<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> der::Result<&'a [u8]> {
    let header = Header::decode(reader)?;
    header.tag().assert_eq(tag)?;
    reader.read_slice(header.length())
}

/// Reads all of `der` as one SEQUENCE, and nothing after it.
pub(crate) fn whole_sequence<'a, T, E: From<der::Error>>(
    der: &'a [u8],
    read: impl FnOnce(&mut SliceReader<'a>) -> Result<T, E>,
) -> Result<T, E> {
    let mut outer = SliceReader::new(der)?;
    let inside = contents(&mut outer, Tag::Sequence)?;
    outer.finish()?;
    let mut reader = SliceReader::new(inside)?;
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// Splits the contents of a SEQUENCE OF or SET OF into its elements, tags and lengths included.
pub(crate) fn elements(contents: &[u8]) -> der::Result<Vec<&[u8]>> {
    let mut reader = SliceReader::new(contents)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(reader.tlv_bytes()?);
    }
    Ok(found)
}

/// Reads a Name (RFC 5280 section 4.1.2.4): its bytes are kept, its form is checked. Of a broken one some readers take
/// the part that they understand, and then two programs see two issuers.
pub(crate) fn name<'a>(reader: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    let name = reader.tlv_bytes()?;
    for set in elements(only(name, Tag::Sequence)?)? {
        let attributes = elements(only(set, Tag::Set)?)?;
        if attributes.is_empty() {
            return Err(Tag::Set.length_error().into());
        }
        for attribute in attributes {
            whole_sequence(attribute, |reader| -> der::Result<_> {
                <ObjectIdentifier>::decode(reader)?;
                reader.tlv_bytes()
            })?;
        }
    }
    Ok(name)
}

/// The contents of the one element that `der` is.
fn only(der: &[u8], tag: Tag) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(der)?;
    let inside = contents(&mut reader, tag)?;
    reader.finish()?;
    Ok(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_sets_of_attributes() {
        let read = |der: &[u8]| name(&mut SliceReader::new(der).unwrap()).map(<[u8]>::to_vec);
        let good = [0x30, 12, 0x31, 10, 0x30, 8, 6, 3, 85, 4, 3, 0x0c, 1, b'x'];
        assert_eq!(read(&good).unwrap(), good);
        assert_eq!(read(&[0x30, 0]).unwrap(), [0x30, 0], "the empty name of a certificate without subject");
        for (at, octet, what) in [
            (0, 0x31, "a set of sets"),
            (2, 0x21, "something else than a set"),
            (4, 0x31, "an attribute that is no sequence"),
            (6, 5, "a type that is no object identifier"),
            (12, 0, "bytes after the value"),
        ] {
            let mut bad = good;
            bad[at] = octet;
            assert!(read(&bad).is_err(), "{what}");
        }
        assert!(read(&[0x30, 2, 0x31, 0]).is_err(), "an empty set");
    }

    #[test]
    fn times_change_their_form_in_2050() {
        let last = Timestamp::parse_rfc3339("2049-12-31T23:59:59Z").unwrap();
        assert_eq!(time(last).unwrap(), b"\x17\x0d491231235959Z");
        assert_eq!(time(last + Duration::from_secs(1)).unwrap(), b"\x18\x0f20500101000000Z");
        assert!(time(Timestamp::from_unix_seconds(-1)).is_err());
    }

    #[test]
    fn times_are_the_same_either_way() {
        let mut seconds = 0;
        while seconds < 2_600_000_000 {
            let at = Timestamp::from_unix_seconds(seconds);
            let mut pushed = vec![7];
            push_time(&mut pushed, at).unwrap();
            assert_eq!(pushed[1..], time(at).unwrap(), "{at}");
            seconds += 41_117;
        }
        for text in ["2000-02-29T23:59:59Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z", "2049-12-31T23:59:59Z"] {
            let (at, mut pushed) = (Timestamp::parse_rfc3339(text).unwrap(), Vec::new());
            push_time(&mut pushed, at).unwrap();
            assert_eq!(pushed, time(at).unwrap(), "{text}");
        }
        assert!(push_time(&mut Vec::new(), Timestamp::from_unix_seconds(-1)).is_err());
    }

    #[test]
    fn a_sequence_is_all_there_is() {
        let good = sequence(&[&unsigned(&[0x80]).unwrap()]).unwrap();
        assert_eq!(good, [0x30, 4, 2, 2, 0, 0x80]);
        let read = |der: &[u8]| whole_sequence(der, |r| r.tlv_bytes().map(<[u8]>::to_vec));
        assert!(read(&good).is_ok());
        assert!(read(&[&good[..], &[0]].concat()).is_err(), "bytes after it");
        assert!(read(&[0x30, 6, 2, 1, 1, 2, 1, 1]).is_err(), "bytes left inside it");
        assert!(read(&[0x30, 0x80, 2, 1, 1, 0, 0]).is_err(), "indefinite length");
        assert!(read(&[0x30, 0x81, 3, 2, 1, 1]).is_err(), "long form of a short length");
    }
}
