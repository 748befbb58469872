//! Lists as they are read back: from the database after a restart, and by agents.

use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280 as oid;
use der::asn1::UintRef;
use der::{Decode, Reader, SliceReader, Tag};
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

use crate::ids::Serial;
use crate::revocation::Reason;
use crate::time::Timestamp;
use crate::x509::certificate::extensions::{self, RawExtension};
use crate::x509::certificate::split_signed;
use crate::x509::crl::{CrlEntry, CrlError, CrlScope, MAX_CRL};
use crate::x509::encoding;
use crate::x509::key::{PublicKey, SignatureAlgorithm};

/// A signed list.
#[derive(Clone, PartialEq, Eq)]
pub struct Crl {
    der: Vec<u8>,
    algorithm: SignatureAlgorithm,
    issuer: Vec<u8>,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    scope: CrlScope,
    entry_count: usize,
}

impl Crl {
    /// Reads a list of the kind this CA makes: version 2, numbered, with a next update, no delta. The signature is
    /// not verified: see [`Crl::verify_signed_by`].
    pub fn parse(der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > MAX_CRL {
            return Err(CrlError::TooLong);
        }
        let (tbs, outer, _) = split_signed(der).map_err(|_| CrlError::Malformed("its structure"))?;
        let fields = Fields::read(tbs).map_err(|_| CrlError::Malformed("its body"))?;
        if fields.signature != outer {
            return Err(CrlError::Malformed("the algorithm, which differs inside and outside,"));
        }
        let all = extensions::read_extensions(fields.extensions)
            .map_err(|_| CrlError::Malformed("its list of extensions"))?;
        let entries = encoding::elements(fields.revoked).map_err(|_| CrlError::Malformed("its list of entries"))?;
        Ok(Self {
            algorithm: SignatureAlgorithm::from_identifier_der(outer)?,
            issuer: fields.issuer.to_vec(),
            number: number(&all)?,
            this_update: fields.this_update,
            next_update: fields.next_update,
            scope: scope(&all)?,
            entry_count: entries.len(),
            der: der.to_vec(),
        })
    }

    /// The list itself.
    pub fn der(&self) -> &[u8] {
        &self.der
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

    /// How many certificates it names.
    pub fn entry_count(&self) -> usize {
        self.entry_count
    }

    /// The certificates it names, in its order.
    pub fn entries(&self) -> Result<Vec<CrlEntry>, CrlError> {
        let malformed = |_: der::Error| CrlError::Malformed("one of its entries");
        let (tbs, _, _) = split_signed(&self.der).map_err(malformed)?;
        let fields = Fields::read(tbs).map_err(malformed)?;
        encoding::elements(fields.revoked).map_err(malformed)?.into_iter().map(entry).collect()
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
struct Fields<'a> {
    signature: &'a [u8],
    issuer: &'a [u8],
    this_update: Timestamp,
    next_update: Timestamp,
    revoked: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Fields<'a> {
    fn read(tbs: &'a [u8]) -> Result<Self, der::Error> {
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
    let octets = value.and_then(|value| UintRef::from_der(value).ok());
    octets
        .filter(|number| number.as_bytes().len() <= 8)
        .map(|number| number.as_bytes().iter().fold(0, |all, octet| all << 8 | u64::from(*octet)))
        .ok_or(CrlError::Malformed("its number, which must fit into 64 bits,"))
}

fn scope(all: &[RawExtension<'_>]) -> Result<CrlScope, CrlError> {
    const WHAT: CrlError = CrlError::Malformed("its scope (this CA makes no deltas and no indirect lists), which");
    if extensions::find(all, oid::ID_CE_DELTA_CRL_INDICATOR).is_some() {
        return Err(WHAT);
    }
    let Some(value) = extensions::find(all, oid::ID_CE_ISSUING_DISTRIBUTION_POINT) else {
        return Ok(CrlScope::Complete);
    };
    let point = IssuingDistributionPoint::from_der(value).map_err(|_| WHAT)?;
    if point.only_some_reasons.is_some() || point.indirect_crl || point.only_contains_attribute_certs {
        return Err(WHAT);
    }
    match (point.distribution_point, point.only_contains_user_certs, point.only_contains_ca_certs) {
        (None, false, true) => Ok(CrlScope::CaOnly),
        (Some(DistributionPointName::FullName(names)), true, false) => match names.as_slice() {
            [GeneralName::UniformResourceIdentifier(url)] => Ok(CrlScope::Shard { url: url.to_string() }),
            _ => Err(WHAT),
        },
        _ => Err(WHAT),
    }
}

fn entry(element: &[u8]) -> Result<CrlEntry, CrlError> {
    const WHAT: CrlError = CrlError::Malformed("one of its entries");
    let read = |reader: &mut SliceReader<'_>| -> Result<_, der::Error> {
        let serial = UintRef::decode(reader)?.as_bytes().to_vec();
        let at = encoding::read_time(reader)?;
        let code = if reader.is_finished() { None } else { reason_code(reader.tlv_bytes()?)? };
        Ok((serial, at, code))
    };
    let (serial, at, code) = encoding::whole_sequence(element, read).map_err(|_| WHAT)?;
    let reason = code.map(|code| Reason::from_code(code.into()).ok_or(WHAT)).transpose()?;
    Ok(CrlEntry { serial: Serial::from_octets(&serial).map_err(|_| WHAT)?, at, reason })
}

fn reason_code(element: &[u8]) -> Result<Option<u8>, der::Error> {
    const REASON: ObjectIdentifier = oid::ID_CE_CRL_REASONS;
    let all = extensions::read_extensions(element)?;
    match extensions::find(&all, REASON) {
        None => Ok(None),
        Some([0x0a, 0x01, code]) => Ok(Some(*code)),
        Some(_) => Err(Tag::Enumerated.value_error().into()),
    }
}
