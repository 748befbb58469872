//! Answers: planned, sealed; and refusals, which nobody signs.

use const_oid::ObjectIdentifier;
use der::asn1::OctetStringRef;
use der::{Encode, Tag, TagNumber};

use crate::revocation::Reason;
use crate::time::Timestamp;
use crate::x509::certificate::Certificate;
use crate::x509::encoding::{self, explicit, sequence};
use crate::x509::key::SignatureAlgorithm;
use crate::x509::ocsp::{MAX_ENTRIES, OcspError, Response, Status, sha1};

const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
const ARCHIVE_CUTOFF: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.6");

/// An answer without content, and without signature (RFC 6960 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The request cannot be read.
    MalformedRequest,
    /// The CA is at fault.
    InternalError,
    /// Something is away or overloaded; the same request may be answered later.
    TryLater,
    /// This responder does not answer for that issuer.
    Unauthorized,
}

impl Refusal {
    /// The whole answer.
    pub const fn der(self) -> &'static [u8; 5] {
        match self {
            Self::MalformedRequest => &[0x30, 3, 0x0a, 1, 1],
            Self::InternalError => &[0x30, 3, 0x0a, 1, 2],
            Self::TryLater => &[0x30, 3, 0x0a, 1, 3],
            Self::Unauthorized => &[0x30, 3, 0x0a, 1, 6],
        }
    }
}

/// An answer to be signed.
#[derive(Debug, Clone)]
pub struct ResponsePlan<'a> {
    /// The responder's certificate: it stands in the answer, and its key signs (OCS-7).
    pub responder: &'a Certificate,
    /// When it is made; also since when what it says is known to be so.
    pub produced_at: Timestamp,
    /// When there will be a newer one at the latest.
    pub next_update: Timestamp,
    /// One for each certificate that was asked for, in that order.
    pub answers: Vec<Answer<'a>>,
    /// The value of the request's nonce extension.
    pub nonce: Option<&'a [u8]>,
}

/// What is said of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The request's CertID, byte for byte (OCS-4).
    pub id: &'a [u8],
    /// The status.
    pub status: Status,
    /// For a certificate that has ended: from when on the states of ended certificates are kept (OCS-14).
    pub archive_cutoff: Option<Timestamp>,
}

impl ResponsePlan<'_> {
    /// What it is to be signed with (OCS-14).
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::for_issuer(self.responder.public_key().algorithm())
    }

    /// DER of the ResponseData.
    pub fn tbs(&self) -> Result<Vec<u8>, OcspError> {
        self.check()?;
        // OCS-8: by key
        let key_hash = sha1(self.responder.public_key().bits());
        let responder = explicit(2, &OctetStringRef::new(&key_hash)?.to_der()?)?;
        let produced_at = encoding::generalized_time(self.produced_at)?;
        let answers = self.answers.iter().map(|answer| self.single(answer)).collect::<der::Result<Vec<_>>>()?;
        let answers = sequence(&answers.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let extensions = match self.nonce {
            Some(nonce) => explicit(1, &sequence(&[&extension(NONCE, nonce)?])?)?,
            None => Vec::new(),
        };
        Ok(sequence(&[&responder, &produced_at, &answers, &extensions])?)
    }

    fn check(&self) -> Result<(), OcspError> {
        if !(1..=MAX_ENTRIES).contains(&self.answers.len()) {
            return Err(OcspError::Plan("it is about no certificate, or about too many"));
        }
        if self.next_update.whole_seconds() <= self.produced_at.whole_seconds() {
            return Err(OcspError::Plan("its end is not after its beginning"));
        }
        if self.next_update > self.responder.not_after() || self.produced_at < self.responder.not_before() {
            return Err(OcspError::Plan("the responder's certificate is not valid for as long"));
        }
        Ok(())
    }

    fn single(&self, answer: &Answer<'_>) -> der::Result<Vec<u8>> {
        let this_update = encoding::generalized_time(self.produced_at)?;
        let next_update = explicit(0, &encoding::generalized_time(self.next_update)?)?;
        let extensions = match answer.archive_cutoff {
            Some(cutoff) => {
                let value = encoding::generalized_time(cutoff)?;
                explicit(1, &sequence(&[&extension(ARCHIVE_CUTOFF, &value)?])?)?
            }
            None => Vec::new(),
        };
        sequence(&[answer.id, &status(answer.status)?, &this_update, &next_update, &extensions])
    }

    /// Puts planned bytes and signature together and checks the result: another parser has to read what was planned.
    pub fn seal(&self, tbs: &[u8], signature: &[u8]) -> Result<Response, OcspError> {
        let algorithm = self.signature_algorithm();
        let certificates = explicit(0, &sequence(&[self.responder.der()])?)?;
        let basic = sequence(&[tbs, &algorithm.identifier_der(), &encoding::bit_string(signature)?, &certificates])?;
        let bytes = sequence(&[&BASIC.to_der()?, &OctetStringRef::new(&basic)?.to_der()?])?;
        let der = sequence(&[&[0x0a, 1, 0], &explicit(0, &bytes)?])?;
        let response = Response::parse(&der)?;
        self.responder.public_key().verify(algorithm, tbs, signature)?;
        self.compare(tbs, signature, &response)?;
        Ok(response)
    }

    fn compare(&self, tbs: &[u8], signature: &[u8], read: &Response) -> Result<(), OcspError> {
        let key_hash = sha1(self.responder.public_key().bits());
        let told = read.told();
        let same_answers = told.len() == self.answers.len()
            && told.iter().zip(&self.answers).all(|(told, planned)| {
                told.id == planned.id
                    && told.status == whole(planned.status)
                    && told.this_update == self.produced_at.whole_seconds()
                    && told.next_update == Some(self.next_update.whole_seconds())
            });
        let same = [
            ("the signed part", read.tbs_der() == tbs && read.signature() == signature),
            ("the algorithm", read.signature_algorithm() == self.signature_algorithm()),
            ("the responder", read.responder_key_hash() == key_hash.as_slice()),
            ("the time", read.produced_at() == self.produced_at.whole_seconds()),
            ("the answers", same_answers),
            ("the nonce", read.nonce() == self.nonce),
            ("the certificate", read.certificates() == [self.responder.der().to_vec()]),
        ];
        match same.into_iter().find(|(_, equal)| !equal) {
            Some((what, _)) => Err(OcspError::Disagreement(what)),
            None => Ok(()),
        }
    }
}

/// As it can be written: whole seconds, and no reason that says nothing (OCS-11).
fn whole(status: Status) -> Status {
    match status {
        Status::Revoked { at, reason } => {
            Status::Revoked { at: at.whole_seconds(), reason: reason.filter(|reason| *reason != Reason::Unspecified) }
        }
        other => other,
    }
}

fn status(status: Status) -> der::Result<Vec<u8>> {
    match whole(status) {
        Status::Good => Ok(vec![0x80, 0]),
        Status::Unknown => Ok(vec![0x82, 0]),
        Status::Revoked { at, reason } => {
            let reason = match reason {
                Some(reason) => explicit(0, &[0x0a, 1, reason.code()])?,
                None => Vec::new(),
            };
            let tag = Tag::ContextSpecific { constructed: true, number: TagNumber(1) };
            encoding::element(tag, &[&encoding::generalized_time(at)?, &reason])
        }
    }
}

/// None of them is critical: whoever does not know them reads the same answer.
fn extension(oid: ObjectIdentifier, value: &[u8]) -> der::Result<Vec<u8>> {
    sequence(&[&oid.to_der()?, &OctetStringRef::new(value)?.to_der()?])
}
