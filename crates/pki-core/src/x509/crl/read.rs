//! Lists as they are read back: from the database after a restart, and by agents.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280 as oid;
use der::asn1::UintRef;
use der::{Decode, Reader, SliceReader, Tag};
use x509_cert::ext::pkix::crl::dp::{DistributionPoint, IssuingDistributionPoint};
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

use crate::ids::{Serial, by_number};
use crate::revocation::Reason;
use crate::time::Timestamp;
use crate::x509::certificate::extensions::{self, RawExtension};
use crate::x509::certificate::split_signed;
use crate::x509::crl::{CrlEntry, CrlError, CrlKind, CrlScope, MAX_CRL};
use crate::x509::encoding;
use crate::x509::key::{PublicKey, SignatureAlgorithm};

/// A signed list.
#[derive(Clone, PartialEq, Eq)]
pub struct Crl {
    der: Arc<Vec<u8>>,
    algorithm: SignatureAlgorithm,
    issuer: Vec<u8>,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    scope: CrlScope,
    kind: CrlKind,
    entry_count: usize,
    is_tidy: bool,
}

impl Crl {
    /// Reads a list of the kind this CA makes: version 2, numbered, with a next update. The
    /// signature is not verified: see [`Crl::verify_signed_by`].
    pub fn parse(der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > MAX_CRL {
            return Err(CrlError::TooLong);
        }
        Self::from_der(der.to_vec())
    }

    /// [`Crl::parse`] of bytes that are kept.
    pub fn from_der(der: impl Into<Arc<Vec<u8>>>) -> Result<Self, CrlError> {
        let der = der.into();
        if der.len() > MAX_CRL {
            return Err(CrlError::TooLong);
        }
        let (tbs, outer, _) = split_signed(&der).map_err(|_| CrlError::Malformed("its structure"))?;
        let fields = Fields::read(tbs).map_err(|_| CrlError::Malformed("its body"))?;
        if fields.signature != outer {
            return Err(CrlError::Malformed("the algorithm, which differs inside and outside,"));
        }
        let all = extensions::read_extensions(fields.extensions)
            .map_err(|_| CrlError::Malformed("its list of extensions"))?;
        let kind = kind(&all)?;
        let (entry_count, is_tidy) = count(fields.revoked, matches!(kind, CrlKind::Delta { .. }))?;
        Ok(Self {
            algorithm: SignatureAlgorithm::from_identifier_der(outer)?,
            issuer: fields.issuer.to_vec(),
            number: number(&all)?,
            this_update: fields.this_update,
            next_update: fields.next_update,
            scope: scope(&all)?,
            entry_count,
            is_tidy,
            kind,
            der,
        })
    }

    /// The list itself.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The list itself, shared.
    pub fn shared_der(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.der)
    }

    /// What it was signed with.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The issuer's Name, byte for byte.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When it was made.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// When there will be a newer one at the latest.
    pub fn next_update(&self) -> Timestamp {
        self.next_update
    }

    /// Which certificates it is about.
    pub fn scope(&self) -> &CrlScope {
        &self.scope
    }

    /// Whether it tells everything.
    pub fn kind(&self) -> &CrlKind {
        &self.kind
    }

    /// Whether the entries stand by serial number, each once, with reasons that such a list may give.
    pub(super) fn is_tidy(&self) -> bool {
        self.is_tidy
    }

    /// How many certificates it names.
    pub fn entry_count(&self) -> usize {
        self.entry_count
    }

    /// The certificates it names, in its order; of a full list.
    pub fn entries(&self) -> Result<Vec<CrlEntry>, CrlError> {
        self.raw_entries()?.map(|entry| entry?.to_entry()).collect()
    }

    /// The certificates it names, one after the other.
    pub fn raw_entries(&self) -> Result<RawEntries<'_>, CrlError> {
        let malformed = |_: der::Error| CrlError::Malformed("its structure");
        let (tbs, _, _) = split_signed(&self.der).map_err(malformed)?;
        Ok(RawEntries { rest: Fields::read(tbs).map_err(malformed)?.revoked })
    }

    /// The certificates that stand on this list and do not on a `later` one. Both are sealed: their entries stand by serial
    /// number.
    pub fn vanished(&self, later: &Self) -> Result<Vec<Serial>, CrlError> {
        let (mut old, mut new) = (self.raw_entries()?, later.raw_entries()?);
        let mut gone = Vec::new();
        let (mut one, mut other) = (old.next().transpose()?, new.next().transpose()?);
        while let Some(entry) = one {
            let order = other.map_or(Ordering::Less, |other| by_number(entry.serial, other.serial));
            if order.is_lt() {
                gone.push(entry.serial()?);
            }
            if order.is_le() {
                one = old.next().transpose()?;
            }
            if order.is_ge() {
                other = new.next().transpose()?;
            }
        }
        Ok(gone)
    }

    /// Verifies its signature by this key.
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), CrlError> {
        let (tbs, _, signature) = split_signed(&self.der).map_err(|_| CrlError::Malformed("its structure"))?;
        Ok(issuer.verify(self.algorithm, tbs, signature)?)
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crl(number {}, {} entries, until {})", self.number, self.entry_count, self.next_update)
    }
}

/// The fields of a TBSCertList, each as it stands.
pub(super) struct Fields<'a> {
    pub(super) signature: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) this_update: Timestamp,
    pub(super) next_update: Timestamp,
    pub(super) revoked: &'a [u8],
    pub(super) extensions: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn read(tbs: &'a [u8]) -> Result<Self, der::Error> {
        encoding::whole_sequence(tbs, |reader| {
            if u8::decode(reader)? != 1 {
                return Err(Tag::Integer.value_error().into());
            }
            let signature = reader.tlv_bytes()?;
            let issuer = encoding::name(reader)?;
            let this_update = encoding::read_time(reader)?;
            let next_update = encoding::read_time(reader)?;
            let has_entries = encoding::next_is(reader, Tag::Sequence);
            let revoked = if has_entries { encoding::contents(reader, Tag::Sequence)? } else { &[] };
            if has_entries && revoked.is_empty() {
                return Err(Tag::Sequence.length_error().into());
            }
            let extensions = encoding::contents(reader, encoding::context(0))?;
            Ok(Self { signature, issuer, this_update, next_update, revoked, extensions })
        })
    }
}

fn number(all: &[RawExtension<'_>]) -> Result<u64, CrlError> {
    let value = extensions::find(all, oid::ID_CE_CRL_NUMBER);
    value.and_then(small).ok_or(CrlError::Malformed("its number, which must fit into 64 bits,"))
}

fn small(value: &[u8]) -> Option<u64> {
    let octets = UintRef::from_der(value).ok().filter(|number| number.as_bytes().len() <= 8)?;
    Some(octets.as_bytes().iter().fold(0, |all, octet| all << 8 | u64::from(*octet)))
}

fn kind(all: &[RawExtension<'_>]) -> Result<CrlKind, CrlError> {
    if let Some(value) = extensions::find(all, oid::ID_CE_DELTA_CRL_INDICATOR) {
        let base = small(value).ok_or(CrlError::Malformed("the number of its base, which must fit into 64 bits,"))?;
        return Ok(CrlKind::Delta { base });
    }
    let Some(value) = extensions::find(all, oid::ID_CE_FRESHEST_CRL) else {
        return Ok(CrlKind::Full { freshest: Vec::new() });
    };
    let points = Vec::<DistributionPoint>::from_der(value).map_err(|_| FRESHEST)?;
    let urls = points.into_iter().map(|point| urls(point.distribution_point.as_ref()).ok_or(FRESHEST));
    Ok(CrlKind::Full { freshest: urls.collect::<Result<Vec<_>, _>>()?.concat() })
}

const FRESHEST: CrlError = CrlError::Malformed("the address of its delta");

/// The addresses of a full name that has nothing else.
fn urls(point: Option<&DistributionPointName>) -> Option<Vec<String>> {
    let Some(DistributionPointName::FullName(names)) = point else { return None };
    let url = |name: &GeneralName| match name {
        GeneralName::UniformResourceIdentifier(url) => Some(url.to_string()),
        _ => None,
    };
    names.iter().map(url).collect::<Option<Vec<_>>>().filter(|urls| !urls.is_empty())
}

fn scope(all: &[RawExtension<'_>]) -> Result<CrlScope, CrlError> {
    const WHAT: CrlError = CrlError::Malformed("its scope (this CA makes no indirect lists), which");
    let Some(value) = extensions::find(all, oid::ID_CE_ISSUING_DISTRIBUTION_POINT) else {
        return Ok(CrlScope::Complete);
    };
    let point = IssuingDistributionPoint::from_der(value).map_err(|_| WHAT)?;
    if point.only_some_reasons.is_some() || point.indirect_crl || point.only_contains_attribute_certs {
        return Err(WHAT);
    }
    match (&point.distribution_point, point.only_contains_user_certs, point.only_contains_ca_certs) {
        (None, false, true) => Ok(CrlScope::CaOnly),
        (name @ Some(_), true, false) => urls(name.as_ref()).map(|urls| CrlScope::Shard { urls }).ok_or(WHAT),
        _ => Err(WHAT),
    }
}

const ENTRY: CrlError = CrlError::Malformed("one of its entries");

/// Reads every entry: how many there are, and whether they stand by serial number with reasons that their list may give.
fn count(revoked: &[u8], is_delta: bool) -> Result<(usize, bool), CrlError> {
    let (mut last, mut count, mut is_tidy): (&[u8], _, _) = (&[], 0, true);
    for entry in (RawEntries { rest: revoked }) {
        let entry = entry?;
        let is_known = |code: u8| Reason::from_code(code.into()).is_some() || (is_delta && code == 8);
        is_tidy &= by_number(last, entry.serial).is_lt() && entry.code.is_none_or(is_known);
        last = entry.serial;
        count += 1;
    }
    Ok((count, is_tidy))
}

/// One entry as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawEntry<'a> {
    /// DER of all of it.
    pub der: &'a [u8],
    /// The serial number, big-endian, without leading zeros.
    pub serial: &'a [u8],
    /// The number of the reason, 8 for `removeFromCRL`.
    pub code: Option<u8>,
    time: &'a [u8],
}

impl RawEntry<'_> {
    /// Since when.
    pub fn at(&self) -> Result<Timestamp, CrlError> {
        SliceReader::new(self.time).and_then(|mut reader| encoding::read_time(&mut reader)).map_err(|_| ENTRY)
    }

    fn serial(&self) -> Result<Serial, CrlError> {
        Serial::from_octets(self.serial).map_err(|_| ENTRY)
    }

    fn to_entry(self) -> Result<CrlEntry, CrlError> {
        let reason = self.code.map(|code| Reason::from_code(code.into()).ok_or(ENTRY)).transpose()?;
        Ok(CrlEntry { serial: self.serial()?, at: self.at()?, reason })
    }
}

/// The entries of a list, read one by one: nothing of a long list is kept.
#[derive(Debug, Clone)]
pub struct RawEntries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for RawEntries<'a> {
    type Item = Result<RawEntry<'a>, CrlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let found = raw_entry(self.rest);
        self.rest = found.map_or(&[], |(_, rest)| rest);
        Some(found.map(|(entry, _)| entry).ok_or(ENTRY))
    }
}

fn raw_entry(bytes: &[u8]) -> Option<(RawEntry<'_>, &[u8])> {
    let (tag, contents, rest) = short_element(bytes)?;
    let (serial_tag, serial, after) = short_element(contents)?;
    let (time_tag, time, extensions) = short_element(after)?;
    let serial = match serial {
        // one zero, and only where the number would be negative without it
        [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => rest,
        [1..0x80, ..] => serial,
        _ => return None,
    };
    let is_time = match time_tag {
        0x17 => time.len() == 13,
        0x18 => time.len() == 15,
        _ => false,
    };
    let is_good = tag == 0x30 && serial_tag == 0x02 && serial.len() <= 20 && is_time;
    let code = if extensions.is_empty() { None } else { reason_code(extensions).ok()? };
    let time = after.get(..after.len() - extensions.len())?;
    let der = bytes.get(..bytes.len() - rest.len())?;
    is_good.then_some((RawEntry { der, serial, code, time }, rest))
}

/// Tag, contents and what follows of an element shorter than 128 octets, as everything in an entry of this CA's is.
fn short_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, length @ ..0x80, rest @ ..] = bytes else { return None };
    let (contents, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((*tag, contents, rest))
}

fn reason_code(element: &[u8]) -> Result<Option<u8>, der::Error> {
    // what this CA writes, read without taking it apart
    if let [0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01, code] = element {
        return Ok(Some(*code));
    }
    const REASON: ObjectIdentifier = oid::ID_CE_CRL_REASONS;
    let all = extensions::read_extensions(element)?;
    match extensions::find(&all, REASON) {
        None => Ok(None),
        Some([0x0a, 0x01, code]) => Ok(Some(*code)),
        Some(_) => Err(Tag::Enumerated.value_error().into()),
    }
}
