//! Answers as they are read back, by a parser that has no code in common with the one that made them.

use std::fmt;

use x509_parser::der_parser::asn1_rs::{Any, Class, FromDer};

use crate::revocation::Reason;
use crate::time::Timestamp;
use crate::x509::key::SignatureAlgorithm;
use crate::x509::ocsp::{MAX_RESPONSE, OcspError, Status};

/// A signed answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    der: Vec<u8>,
    tbs: Vec<u8>,
    algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
    responder_key_hash: Vec<u8>,
    produced_at: Timestamp,
    told: Vec<Told>,
    nonce: Option<Vec<u8>>,
    certificates: Vec<Vec<u8>>,
}

/// What an answer tells of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The CertID, in DER.
    pub id: Vec<u8>,
    /// The status.
    pub status: Status,
    /// Since when it is known to be so.
    pub this_update: Timestamp,
    /// When there will be a newer answer at the latest.
    pub next_update: Option<Timestamp>,
}

impl Response {
    /// Reads a successful answer whose responder is named by its key. The signature is not verified here.
    pub fn parse(der: &[u8]) -> Result<Self, OcspError> {
        if der.len() > MAX_RESPONSE {
            return Err(OcspError::Unreadable("its length"));
        }
        let outer = elements(only(der, SEQUENCE)?)?;
        let [status, bytes] = outer.as_slice() else { return Err(OcspError::Unreadable("its status")) };
        if status.tag != ENUMERATED || status.data != [0] {
            return Err(OcspError::Unreadable("its status"));
        }
        let inside = elements(only(bytes.inside(context(0))?, SEQUENCE)?)?;
        let [kind, basic] = inside.as_slice() else { return Err(OcspError::Unreadable("its kind")) };
        if kind.inside(OBJECT_IDENTIFIER)? != BASIC {
            return Err(OcspError::Unreadable("its kind"));
        }
        Self::basic(der, basic.inside(OCTET_STRING)?)
    }

    /// BasicOCSPResponse (RFC 6960 section 4.2.1).
    fn basic(der: &[u8], basic: &[u8]) -> Result<Self, OcspError> {
        let parts = elements(only(basic, SEQUENCE)?)?;
        let (tbs, algorithm, signature, certificates) = match parts.as_slice() {
            [tbs, algorithm, signature] => (tbs, algorithm, signature, None),
            [tbs, algorithm, signature, certificates] => (tbs, algorithm, signature, Some(certificates)),
            _ => return Err(OcspError::Unreadable("its structure")),
        };
        let [0, signature @ ..] = signature.inside(BIT_STRING)? else {
            return Err(OcspError::Unreadable("its signature"));
        };
        let certificates = match certificates {
            Some(wrapped) => elements(only(wrapped.inside(context(0))?, SEQUENCE)?)?,
            None => Vec::new(),
        };
        let data = Data::read(tbs.inside(SEQUENCE)?)?;
        Ok(Self {
            der: der.to_vec(),
            tbs: tbs.whole.to_vec(),
            algorithm: SignatureAlgorithm::from_identifier_der(algorithm.whole)?,
            signature: signature.to_vec(),
            responder_key_hash: data.key_hash.to_vec(),
            produced_at: data.produced_at,
            told: data.told,
            nonce: data.nonce.map(<[u8]>::to_vec),
            certificates: certificates.iter().map(|certificate| certificate.whole.to_vec()).collect(),
        })
    }

    /// The answer itself.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What was signed.
    pub fn tbs_der(&self) -> &[u8] {
        &self.tbs
    }

    /// What it was signed with.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// SHA-1 of the responder's key.
    pub fn responder_key_hash(&self) -> &[u8] {
        &self.responder_key_hash
    }

    /// When it was made.
    pub fn produced_at(&self) -> Timestamp {
        self.produced_at
    }

    /// What it tells, a certificate each.
    pub fn told(&self) -> &[Told] {
        &self.told
    }

    /// The value of its nonce extension.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// The certificates that come with it, in DER.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({:?}, produced at {})", self.told, self.produced_at)
    }
}

/// ResponseData.
struct Data<'a> {
    key_hash: &'a [u8],
    produced_at: Timestamp,
    told: Vec<Told>,
    nonce: Option<&'a [u8]>,
}

impl<'a> Data<'a> {
    fn read(contents: &'a [u8]) -> Result<Self, OcspError> {
        let parts = elements(contents)?;
        let (responder, produced_at, singles, more) = match parts.as_slice() {
            [responder, produced_at, singles] => (responder, produced_at, singles, None),
            [responder, produced_at, singles, more] => (responder, produced_at, singles, Some(more)),
            _ => return Err(OcspError::Unreadable("its content")),
        };
        let singles = elements(singles.inside(SEQUENCE)?)?;
        Ok(Self {
            key_hash: only(responder.inside(context(2))?, OCTET_STRING)?,
            produced_at: time(produced_at)?,
            told: singles.iter().map(single).collect::<Result<_, _>>()?,
            nonce: more.map(nonce).transpose()?.flatten(),
        })
    }
}

fn single(element: &Element<'_>) -> Result<Told, OcspError> {
    let parts = elements(element.inside(SEQUENCE)?)?;
    let [id, status, this_update, more @ ..] = parts.as_slice() else {
        return Err(OcspError::Unreadable("an entry"));
    };
    id.inside(SEQUENCE)?;
    let mut more = more.iter().peekable();
    let next_update = more.next_if(|part| part.tag == context(0));
    let _extensions = more.next_if(|part| part.tag == context(1));
    if more.next().is_some() {
        return Err(OcspError::Unreadable("an entry"));
    }
    let next_update = match next_update {
        Some(wrapped) => Some(time(&sole(wrapped.data)?)?),
        None => None,
    };
    Ok(Told { id: id.whole.to_vec(), status: read_status(status)?, this_update: time(this_update)?, next_update })
}

fn read_status(element: &Element<'_>) -> Result<Status, OcspError> {
    const WHAT: OcspError = OcspError::Unreadable("a status");
    match (element.tag, element.data) {
        ((Class::ContextSpecific, false, 0), []) => Ok(Status::Good),
        ((Class::ContextSpecific, false, 2), []) => Ok(Status::Unknown),
        ((Class::ContextSpecific, true, 1), revoked) => {
            let parts = elements(revoked)?;
            let (at, reason) = match parts.as_slice() {
                [at] => (at, None),
                [at, reason] => (at, Some(sole(reason.inside(context(0))?)?)),
                _ => return Err(WHAT),
            };
            let reason = match reason {
                None => None,
                Some(code) => match code.inside(ENUMERATED)? {
                    [code] => Some(Reason::from_code(i64::from(*code)).ok_or(WHAT)?),
                    _ => return Err(WHAT),
                },
            };
            Ok(Status::Revoked { at: time(at)?, reason })
        }
        _ => Err(WHAT),
    }
}

/// The value of the nonce among the extensions of the answer.
fn nonce<'a>(wrapped: &Element<'a>) -> Result<Option<&'a [u8]>, OcspError> {
    for extension in elements(only(wrapped.inside(context(1))?, SEQUENCE)?)? {
        let parts = elements(extension.inside(SEQUENCE)?)?;
        let ([oid, value] | [oid, _, value]) = parts.as_slice() else {
            return Err(OcspError::Unreadable("an extension"));
        };
        if oid.inside(OBJECT_IDENTIFIER)? == NONCE {
            return value.inside(OCTET_STRING).map(Some);
        }
    }
    Ok(None)
}

/// Class, whether it is constructed, number.
type Tag = (Class, bool, u32);

const SEQUENCE: Tag = (Class::Universal, true, 16);
const OCTET_STRING: Tag = (Class::Universal, false, 4);
const BIT_STRING: Tag = (Class::Universal, false, 3);
const OBJECT_IDENTIFIER: Tag = (Class::Universal, false, 6);
const ENUMERATED: Tag = (Class::Universal, false, 10);
const GENERALIZED_TIME: Tag = (Class::Universal, false, 24);
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
const NONCE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];

const fn context(number: u32) -> Tag {
    (Class::ContextSpecific, true, number)
}

/// One element: its tag, its content, and all of it.
#[derive(Clone, Copy)]
struct Element<'a> {
    tag: Tag,
    data: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    fn read(input: &'a [u8]) -> Result<(&'a [u8], Self), OcspError> {
        let (rest, any) = Any::from_der(input).map_err(|_| OcspError::Unreadable("an element"))?;
        let whole = input.get(..input.len().saturating_sub(rest.len())).unwrap_or_default();
        let tag = (any.header.class(), any.header.is_constructed(), any.header.tag().0);
        // the content is the end of the whole
        let start = whole.len().saturating_sub(any.data.len());
        Ok((rest, Self { tag, data: whole.get(start..).unwrap_or_default(), whole }))
    }

    fn inside(&self, tag: Tag) -> Result<&'a [u8], OcspError> {
        if self.tag == tag { Ok(self.data) } else { Err(OcspError::Unreadable("a tag")) }
    }
}

fn elements(mut contents: &[u8]) -> Result<Vec<Element<'_>>, OcspError> {
    let mut found = Vec::new();
    while !contents.is_empty() {
        let (rest, element) = Element::read(contents)?;
        found.push(element);
        contents = rest;
    }
    Ok(found)
}

/// The one element that the bytes are.
fn sole(bytes: &[u8]) -> Result<Element<'_>, OcspError> {
    match Element::read(bytes)? {
        ([], element) => Ok(element),
        _ => Err(OcspError::Unreadable("an element, which others follow,")),
    }
}

fn only(bytes: &[u8], tag: Tag) -> Result<&[u8], OcspError> {
    sole(bytes)?.inside(tag)
}

/// GeneralizedTime as RFC 5280 section 4.1.2.5.2 has it: seconds, no fraction, Z.
fn time(element: &Element<'_>) -> Result<Timestamp, OcspError> {
    const WHAT: OcspError = OcspError::Unreadable("a time");
    let text = std::str::from_utf8(element.inside(GENERALIZED_TIME)?).map_err(|_| WHAT)?;
    let part = |from: usize, to: usize| text.get(from..to).ok_or(WHAT);
    if text.len() != 15 || !text.ends_with('Z') || !part(0, 14)?.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(WHAT);
    }
    let (date, clock) = ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?));
    let text = format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, clock.0, clock.1, clock.2);
    Timestamp::parse_rfc3339(&text).ok_or(WHAT)
}
