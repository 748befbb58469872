//! Lists as they are written: entries go straight into the one buffer that becomes the list, in front of which there is
//! room for its head. A list of a million entries is never there twice.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280 as oid;
use der::Encode;
use der::asn1::{Ia5String, OctetString};
use der::{Header, Length, Tag};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;
use x509_cert::ext::pkix::crl::dp::{DistributionPoint, IssuingDistributionPoint};
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

use crate::ids::{Serial, by_number};
use crate::revocation::Reason;
use crate::time::Timestamp;
use crate::x509::certificate::Certificate;
use crate::x509::crl::{CrlEntry, CrlError, CrlKind, CrlScope, MAX_CRL};
use crate::x509::encoding;
use crate::x509::key::SignatureAlgorithm;

/// The longest header of an element within [`MAX_CRL`].
const HEADER: usize = 6;

/// Octets of an entry with reason: what a buffer is made for.
const ENTRY: usize = 49;

/// Everything about a list but its entries.
#[derive(Debug, Clone)]
pub struct CrlHead<'a> {
    /// The CA whose certificates it is about, and whose key signs it.
    pub issuer: &'a Certificate,
    /// Greater than that of every earlier list of this scope.
    pub number: u64,
    /// When it is made.
    pub this_update: Timestamp,
    /// When there will be a newer one at the latest.
    pub next_update: Timestamp,
    /// Which certificates it is about.
    pub scope: CrlScope,
    /// Whether it tells everything or what changed.
    pub kind: CrlKind,
}

/// What a list says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is revoked.
    Revoked(Option<Reason>),
    /// It was on hold and is good again: `removeFromCRL`, in deltas only (CRL-5).
    Released,
}

impl Mark {
    /// The reason code, which stands there only when it says something (CRL-5).
    fn code(self) -> Option<u8> {
        match self {
            Self::Revoked(reason) => reason.filter(|reason| *reason != Reason::Unspecified).map(Reason::code),
            Self::Released => Some(8),
        }
    }
}

impl CrlHead<'_> {
    /// What it is to be signed with.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::for_issuer(self.issuer.public_key().algorithm())
    }

    /// Begins with the entries; there will be about `expected` of them.
    pub fn begin(self, expected: usize) -> Result<CrlWriter, CrlError> {
        self.check()?;
        let fields = [
            1_u8.to_der()?,
            self.signature_algorithm().identifier_der(),
            self.issuer.subject_der().to_vec(),
            encoding::time(self.this_update)?,
            encoding::time(self.next_update)?,
        ]
        .concat();
        let extensions = encoding::explicit(0, &self.extensions()?.to_der()?)?;
        let reserved = fields.len().saturating_add(3 * HEADER);
        let most = expected.saturating_mul(ENTRY).min(MAX_CRL);
        let mut buffer = Vec::with_capacity(most.saturating_add(reserved).saturating_add(extensions.len() + 1024));
        buffer.resize(reserved, 0);
        let algorithm = self.signature_algorithm();
        Ok(CrlWriter {
            issuer: self.issuer.clone(),
            algorithm,
            fields,
            extensions,
            reserved,
            buffer,
            last: Vec::new(),
            count: 0,
        })
    }

    /// A list of a few, in any order.
    pub fn tbs(self, mut entries: Vec<CrlEntry>) -> Result<CrlTbs, CrlError> {
        entries.sort_by(|one, other| one.serial.cmp(&other.serial));
        let mut writer = self.begin(entries.len())?;
        for entry in entries {
            writer.push(&entry.serial, entry.at, Mark::Revoked(entry.reason))?;
        }
        writer.finish()
    }

    fn check(&self) -> Result<(), CrlError> {
        let plan = |reason: String| Err(CrlError::Plan(reason));
        if !self.issuer.may_sign() {
            return plan("its issuer has no CA certificate that may sign CRLs".to_owned());
        }
        if self.number == 0 {
            return plan("its number is 0; numbers begin with 1".to_owned());
        }
        if self.next_update.whole_seconds() <= self.this_update.whole_seconds() {
            return plan(format!(
                "the next update ({}) is not after this one ({})",
                self.next_update, self.this_update
            ));
        }
        if let CrlKind::Delta { base } = self.kind
            && !(1..=self.number).contains(&base)
        {
            return plan(format!("its base {base} is no list before {}", self.number));
        }
        let shards: &[String] = if let CrlScope::Shard { urls } = &self.scope { urls } else { &[] };
        let freshest: &[String] = if let CrlKind::Full { freshest } = &self.kind { freshest } else { &[] };
        if matches!(self.scope, CrlScope::Shard { .. }) && shards.is_empty() {
            return plan("it is of a shard without address".to_owned());
        }
        let is_http = |url: &&String| url.starts_with("http://") && url.bytes().all(|byte| byte.is_ascii_graphic());
        match shards.iter().chain(freshest).find(|url| !is_http(url)) {
            Some(url) => plan(format!("`{url}` is no http:// address")),
            None => Ok(()),
        }
    }

    fn extensions(&self) -> Result<Vec<Extension>, der::Error> {
        let computed = self.issuer.public_key().key_identifier();
        // The issuer's own subject key identifier; x509-cert's builder writes that of the CA above (protocols 0.13).
        let identifier = self.issuer.subject_key_identifier().unwrap_or(&computed);
        let authority =
            AuthorityKeyIdentifier { key_identifier: Some(OctetString::new(identifier)?), ..Default::default() };
        let mut extensions = vec![
            extension(oid::ID_CE_AUTHORITY_KEY_IDENTIFIER, false, authority.to_der()?)?,
            extension(oid::ID_CE_CRL_NUMBER, false, encoding::unsigned(&self.number.to_be_bytes())?)?,
        ];
        if let Some(point) = self.scope.distribution_point()? {
            extensions.push(extension(oid::ID_CE_ISSUING_DISTRIBUTION_POINT, true, point.to_der()?)?);
        }
        match &self.kind {
            CrlKind::Delta { base } => {
                let base = encoding::unsigned(&base.to_be_bytes())?;
                extensions.push(extension(oid::ID_CE_DELTA_CRL_INDICATOR, true, base)?);
            }
            CrlKind::Full { freshest } if freshest.is_empty() => {}
            CrlKind::Full { freshest } => {
                let points = vec![DistributionPoint {
                    distribution_point: Some(full_name(freshest)?),
                    reasons: None,
                    crl_issuer: None,
                }];
                extensions.push(extension(oid::ID_CE_FRESHEST_CRL, false, points.to_der()?)?);
            }
        }
        Ok(extensions)
    }
}

fn full_name(urls: &[String]) -> Result<DistributionPointName, der::Error> {
    let name = |url: &String| Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?));
    urls.iter().map(name).collect::<Result<_, _>>().map(DistributionPointName::FullName)
}

impl CrlScope {
    fn distribution_point(&self) -> Result<Option<IssuingDistributionPoint>, der::Error> {
        let mut point = IssuingDistributionPoint {
            distribution_point: None,
            only_contains_user_certs: false,
            only_contains_ca_certs: false,
            only_some_reasons: None,
            indirect_crl: false,
            only_contains_attribute_certs: false,
        };
        match self {
            Self::Complete => return Ok(None),
            Self::CaOnly => point.only_contains_ca_certs = true,
            Self::Shard { urls } => {
                point.distribution_point = Some(full_name(urls)?);
                point.only_contains_user_certs = true;
            }
        }
        Ok(Some(point))
    }
}

fn extension(oid: ObjectIdentifier, critical: bool, value: Vec<u8>) -> Result<Extension, der::Error> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value)? })
}

/// A list whose entries are being written.
#[derive(Debug)]
pub struct CrlWriter {
    issuer: Certificate,
    algorithm: SignatureAlgorithm,
    fields: Vec<u8>,
    extensions: Vec<u8>,
    reserved: usize,
    buffer: Vec<u8>,
    last: Vec<u8>,
    count: usize,
}

impl CrlWriter {
    /// Writes an entry. They come by serial number, so that lists can be compared (CRL-5), each once.
    pub fn push(&mut self, serial: &Serial, at: Timestamp, mark: Mark) -> Result<(), CrlError> {
        let octets = serial.octets();
        if by_number(&self.last, octets).is_ge() {
            return Err(CrlError::Plan(format!("the serial number {serial} stands there twice, or not in its place")));
        }
        octets.clone_into(&mut self.last);
        self.count += 1;
        encode_entry(&mut self.buffer, octets, at, mark.code())?;
        if self.buffer.len() > MAX_CRL - 4096 { Err(CrlError::TooLong) } else { Ok(()) }
    }

    /// How many entries were written.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Closes the list: what is to be signed.
    pub fn finish(mut self) -> Result<CrlTbs, CrlError> {
        let entries = self.buffer.len() - self.reserved;
        self.buffer.extend_from_slice(&self.extensions);
        let mut head = self.fields;
        // An empty list is left out (CRL-1): `revokedCertificates` has at least one element.
        if entries > 0 {
            header(entries)?.encode_to_vec(&mut head)?;
        }
        let length = self.buffer.len() - self.reserved + head.len();
        let mut start = self.reserved;
        prepend(&mut self.buffer, &mut start, &head);
        prepend(&mut self.buffer, &mut start, &header(length)?.to_der()?);
        Ok(CrlTbs { issuer: self.issuer, algorithm: self.algorithm, buffer: self.buffer, start })
    }
}

/// Writes bytes before `start`, where there is room for them.
fn prepend(buffer: &mut [u8], start: &mut usize, bytes: &[u8]) {
    let begin = start.saturating_sub(bytes.len());
    if let Some(place) = buffer.get_mut(begin..*start) {
        place.copy_from_slice(bytes);
        *start = begin;
    }
}

fn header(length: usize) -> Result<Header, der::Error> {
    Ok(Header::new(Tag::Sequence, Length::try_from(length)?))
}

/// At most 49 octets: all lengths are short ones.
fn encode_entry(out: &mut Vec<u8>, serial: &[u8], at: Timestamp, code: Option<u8>) -> Result<(), CrlError> {
    let short = |length: usize| u8::try_from(length).unwrap_or(0x7f);
    let start = out.len();
    let is_padded = serial.first().is_some_and(|first| *first >= 0x80);
    out.extend_from_slice(&[0x30, 0, 0x02, short(serial.len() + usize::from(is_padded))]);
    if is_padded {
        out.push(0);
    }
    out.extend_from_slice(serial);
    encoding::push_time(out, at)?;
    if let Some(code) = code {
        // Extensions of one reasonCode, an ENUMERATED that is not critical
        out.extend_from_slice(&[0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01, code]);
    }
    let length = short(out.len() - start - 2);
    if let Some(place) = out.get_mut(start + 1) {
        *place = length;
    }
    Ok(())
}

/// A list to be signed. [`super::seal`] puts the signature to it.
#[derive(Debug)]
pub struct CrlTbs {
    pub(super) issuer: Certificate,
    pub(super) algorithm: SignatureAlgorithm,
    buffer: Vec<u8>,
    start: usize,
}

impl AsRef<[u8]> for CrlTbs {
    fn as_ref(&self) -> &[u8] {
        self.tbs()
    }
}

impl CrlTbs {
    /// What it is to be signed with.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// DER of the TBSCertList.
    pub fn tbs(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// The DER of the signed list, in the same buffer.
    pub(super) fn into_signed(self, signature: &[u8]) -> Result<Vec<u8>, CrlError> {
        let Self { mut buffer, mut start, algorithm, .. } = self;
        buffer.extend_from_slice(&algorithm.identifier_der());
        buffer.extend_from_slice(&encoding::bit_string(signature)?);
        let length = buffer.len() - start;
        prepend(&mut buffer, &mut start, &header(length)?.to_der()?);
        buffer.drain(..start);
        Ok(buffer)
    }
}
