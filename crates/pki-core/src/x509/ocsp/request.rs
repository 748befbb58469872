//! Requests as they arrive from strangers: bounded, strict DER, borrowed from the bytes they came in.

use der::{Decode, Reader, SliceReader, Tag};

use crate::ids::Serial;
use crate::x509::encoding::{self, context};
use crate::x509::ocsp::{MAX_ENTRIES, MAX_NONCE, MAX_REQUEST};

/// Bytes that are no OCSP request, or not one that is answered: `malformedRequest` (RFC 6960 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the OCSP request cannot be read: {0}")]
pub struct Malformed(pub(crate) &'static str);

impl From<der::Error> for Malformed {
    fn from(_: der::Error) -> Self {
        Self("it is not an OCSPRequest in DER")
    }
}

/// A request. Who asks and who signed it are not looked at (RFC 9919 section 3.1.2): the answer is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    first: CertId<'a>,
    more: Vec<CertId<'a>>,
    nonce: Option<&'a [u8]>,
}

/// Which certificate is meant (RFC 6960 section 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertId<'a> {
    der: &'a [u8],
    algorithm: Option<(HashAlgorithm, Parameters)>,
    name_hash: &'a [u8],
    key_hash: &'a [u8],
    serial: &'a [u8],
}

/// How the issuer is named (OCS-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// What nearly all clients use. No signature depends on it: it names the issuer and nothing else.
    Sha1,
    /// What RFC 9919 wants of clients.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The content of the object identifier.
    const fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
            Self::Sha256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
            Self::Sha384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
            Self::Sha512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
        }
    }
}

/// The parameters of the hash algorithm: both are in use (RFC 5754 section 2), and the answer repeats what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameters {
    Absent,
    Null,
}

impl<'a> CertId<'a> {
    /// The CertID, byte for byte; the answer repeats it.
    pub fn der(&self) -> &'a [u8] {
        self.der
    }

    /// The hash algorithm; none when it is not one of ours.
    pub fn algorithm(&self) -> Option<HashAlgorithm> {
        self.algorithm.map(|(algorithm, _)| algorithm)
    }

    /// A number below [`CertId::FORMS`] for each way to write the same question; none when the hash is unknown.
    pub fn form(&self) -> Option<usize> {
        let (algorithm, parameters) = self.algorithm?;
        let place = HashAlgorithm::ALL.iter().position(|known| *known == algorithm)?;
        Some(place * 2 + usize::from(parameters == Parameters::Null))
    }

    /// How many ways there are to ask for one certificate: hash algorithms, with and without parameters.
    pub const FORMS: usize = 8;

    /// Hash of the issuer's name.
    pub fn name_hash(&self) -> &'a [u8] {
        self.name_hash
    }

    /// Hash of the issuer's key.
    pub fn key_hash(&self) -> &'a [u8] {
        self.key_hash
    }

    /// The serial number's octets without leading zeros; none for one that no certificate can have.
    pub fn serial_octets(&self) -> Option<&'a [u8]> {
        let octets = match self.serial {
            [0, rest @ ..] => rest,
            [first, ..] if *first >= 0x80 => return None,
            all => all,
        };
        (1..=20).contains(&octets.len()).then_some(octets)
    }

    /// The serial number; none for one that no certificate can have.
    pub fn serial(&self) -> Option<Serial> {
        Serial::from_octets(self.serial_octets()?).ok()
    }

    fn read(element: &'a [u8]) -> Result<Self, Malformed> {
        encoding::whole_sequence(element, |reader| -> Result<_, Malformed> {
            let algorithm = algorithm(encoding::contents(reader, Tag::Sequence)?)?;
            let name_hash = encoding::contents(reader, Tag::OctetString)?;
            let key_hash = encoding::contents(reader, Tag::OctetString)?;
            let serial = encoding::contents(reader, Tag::Integer)?;
            let is_shortest = match serial {
                [] => false,
                [0, second, ..] => *second >= 0x80,
                [0xff, second, ..] => *second < 0x80,
                _ => true,
            };
            if !is_shortest {
                return Err(Malformed("a serial number is not written as DER has it"));
            }
            Ok(Self { der: element, algorithm, name_hash, key_hash, serial })
        })
    }
}

/// An algorithm that is not ours, or with parameters that none of them has, names no issuer that could be known.
fn algorithm(contents: &[u8]) -> Result<Option<(HashAlgorithm, Parameters)>, Malformed> {
    let mut reader = SliceReader::new(contents)?;
    let oid = encoding::contents(&mut reader, Tag::ObjectIdentifier)?;
    let parameters = if reader.is_finished() {
        Some(Parameters::Absent)
    } else {
        (reader.tlv_bytes()? == [5, 0]).then_some(Parameters::Null)
    };
    reader.finish()?;
    let known = HashAlgorithm::ALL.into_iter().find(|known| known.oid() == oid);
    Ok(known.zip(parameters))
}

impl<'a> Request<'a> {
    /// Reads a request: [`MAX_REQUEST`] octets, [`MAX_ENTRIES`] certificates, nothing after it (OCS-2, OCS-9).
    /// Allocates nothing when it asks for one certificate.
    pub fn parse(der: &'a [u8]) -> Result<Self, Malformed> {
        if der.len() > MAX_REQUEST {
            return Err(Malformed("it is longer than 4096 octets"));
        }
        encoding::whole_sequence(der, |reader| {
            let request = Self::read(reader.tlv_bytes()?)?;
            if let Some(signature) = optional(reader, 0)? {
                encoding::whole_sequence(signature, skip_all)?;
            }
            Ok(request)
        })
    }

    fn read(tbs: &'a [u8]) -> Result<Self, Malformed> {
        encoding::whole_sequence(tbs, |reader| {
            // Version 1 is the default and ought to be left out; whoever spells it out means the same.
            if optional(reader, 0)?.is_some_and(|version| version != [2, 1, 0]) {
                return Err(Malformed("its version is not 1"));
            }
            optional(reader, 1)?;
            let (first, more) = entries(encoding::contents(reader, Tag::Sequence)?)?;
            let nonce = optional(reader, 2)?.map(request_extensions).transpose()?.flatten();
            Ok(Self { first, more, nonce })
        })
    }

    /// The certificates that are asked for, at least one.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &CertId<'a>> {
        Entries { first: Some(&self.first), more: self.more.iter() }
    }

    /// The only certificate that is asked for.
    pub fn single(&self) -> Option<&CertId<'a>> {
        self.more.is_empty().then_some(&self.first)
    }

    /// The value of the nonce extension, an OCTET STRING in DER, to be repeated as it stands.
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.nonce
    }
}

struct Entries<'r, 'a> {
    first: Option<&'r CertId<'a>>,
    more: std::slice::Iter<'r, CertId<'a>>,
}

impl<'r, 'a> Iterator for Entries<'r, 'a> {
    type Item = &'r CertId<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.first.take().or_else(|| self.more.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let length = usize::from(self.first.is_some()) + self.more.len();
        (length, Some(length))
    }
}

impl ExactSizeIterator for Entries<'_, '_> {}

/// What stands in `[number] EXPLICIT`, if that is next.
fn optional<'a>(reader: &mut SliceReader<'a>, number: u32) -> Result<Option<&'a [u8]>, Malformed> {
    if !encoding::next_is(reader, context(number)) {
        return Ok(None);
    }
    let inside = encoding::contents(reader, context(number))?;
    let mut only = SliceReader::new(inside)?;
    only.tlv_bytes()?;
    only.finish()?;
    Ok(Some(inside))
}

fn skip_all(reader: &mut SliceReader<'_>) -> Result<(), Malformed> {
    while !reader.is_finished() {
        reader.tlv_bytes()?;
    }
    Ok(())
}

fn entries(contents: &[u8]) -> Result<(CertId<'_>, Vec<CertId<'_>>), Malformed> {
    let mut reader = SliceReader::new(contents)?;
    if reader.is_finished() {
        return Err(Malformed("it asks for nothing"));
    }
    let first = entry(reader.tlv_bytes()?)?;
    let mut more = Vec::new();
    while !reader.is_finished() {
        if more.len() + 1 == MAX_ENTRIES {
            return Err(Malformed("it asks for more than 10 certificates"));
        }
        more.push(entry(reader.tlv_bytes()?)?);
    }
    Ok((first, more))
}

fn entry(element: &[u8]) -> Result<CertId<'_>, Malformed> {
    encoding::whole_sequence(element, |reader| {
        let id = CertId::read(reader.tlv_bytes()?)?;
        if let Some(extensions) = optional(reader, 0)? {
            each_extension(extensions, |_, is_critical, _| match is_critical {
                true => Err(Malformed("it has a critical extension that is not understood")),
                false => Ok(()),
            })?;
        }
        Ok(id)
    })
}

/// `id-pkix-ocsp` with the arc of the extension: 1.3.6.1.5.5.7.48.1.x.
const fn ocsp_extension(arc: u8) -> [u8; 9] {
    [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, arc]
}

/// Answers have a nonce (RFC 9654).
const NONCE: [u8; 9] = ocsp_extension(2);
/// Which kinds of answer the client reads; the one made here is always among them (RFC 6960 section 4.4.3).
const ACCEPTABLE_RESPONSES: [u8; 9] = ocsp_extension(4);
/// Which algorithms the client likes; that of the responder's key is none too unusual (RFC 6960 section 4.4.7).
const PREFERRED_ALGORITHMS: [u8; 9] = ocsp_extension(8);

fn request_extensions(element: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let mut nonce = None;
    each_extension(element, |oid, is_critical, value| {
        if oid == NONCE {
            check_nonce(value)?;
            return match nonce.replace(value) {
                Some(_) => Err(Malformed("it has two nonces")),
                None => Ok(()),
            };
        }
        match is_critical && oid != ACCEPTABLE_RESPONSES && oid != PREFERRED_ALGORITHMS {
            true => Err(Malformed("it has a critical extension that is not understood")),
            false => Ok(()),
        }
    })?;
    Ok(nonce)
}

/// A nonce has 1 to 128 octets (OCS-9, RFC 9654 section 2.1).
fn check_nonce(value: &[u8]) -> Result<(), Malformed> {
    let mut reader = SliceReader::new(value)?;
    let octets = encoding::contents(&mut reader, Tag::OctetString)?;
    reader.finish()?;
    match (1..=MAX_NONCE).contains(&octets.len()) {
        true => Ok(()),
        false => Err(Malformed("its nonce has not 1 to 128 octets")),
    }
}

/// Walks through Extensions (RFC 5280 section 4.1): object identifier, whether it is critical, value.
fn each_extension<'a>(
    element: &'a [u8],
    mut look: impl FnMut(&'a [u8], bool, &'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    encoding::whole_sequence(element, |reader| {
        while !reader.is_finished() {
            encoding::whole_sequence(reader.tlv_bytes()?, |reader| -> Result<_, Malformed> {
                let oid = encoding::contents(reader, Tag::ObjectIdentifier)?;
                let is_critical = encoding::next_is(reader, Tag::Boolean) && bool::decode(reader)?;
                look(oid, is_critical, encoding::contents(reader, Tag::OctetString)?)
            })?;
        }
        Ok(())
    })
}
