//! Certificate requests (RFC 2986): what a client may say by one, and everything that makes us refuse it.
//!
//! Of a request only its key and its names are used; usages, validity and the rest come from the profile (FIN-9).

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_BASIC_CONSTRAINTS, ID_CE_SUBJECT_ALT_NAME};
use der::{Decode, Reader, SliceReader, Tag};
use x509_cert::ext::pkix::BasicConstraints;

use crate::x509::certificate::extensions::{self, GeneralName};
use crate::x509::certificate::split_signed;
use crate::x509::encoding;
use crate::x509::key::{KeyError, PublicKey, SignatureAlgorithm};
use crate::x509::name::{DnsName, Identifier, NameError, parse_ip};

/// More octets than any request with a few hundred names has.
pub const MAX_CSR: usize = 16 * 1024;

/// Why a request is refused. The texts are fit to be shown as `badCSR`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Longer than anything that is read.
    #[error("the CSR is longer than 16 KiB; ask for fewer names in one certificate")]
    TooLong,
    /// Not DER, or not a request.
    #[error("the CSR cannot be read: {0}")]
    Malformed(&'static str),
    /// Its key cannot be used, or its signature algorithm, or its signature is wrong.
    #[error("the CSR is refused: {0}")]
    Key(#[from] KeyError),
    /// One of its names is none.
    #[error("the CSR is refused: {0}")]
    Name(#[from] NameError),
    /// It asks for a name of a type this CA does not certify.
    #[error("the CSR is refused: its subject alternative name holds {0}, which is not certified here; leave it out")]
    OtherName(&'static str),
    /// It asks for a CA certificate.
    #[error("the CSR is refused: it asks for a CA certificate (basic constraints CA:TRUE); leave that extension out")]
    WantsCa,
}

/// A request whose signature verified and whose names and key are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    public_key: PublicKey,
    identifiers: Vec<Identifier>,
    further: Vec<Identifier>,
    common_name: Option<String>,
}

const EXTENSION_REQUEST: ObjectIdentifier = const_oid::db::rfc5912::ID_EXTENSION_REQ;

impl Csr {
    /// Reads and checks a request in DER.
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_CSR {
            return Err(CsrError::TooLong);
        }
        let (info, algorithm, signature) =
            split_signed(der).map_err(|_| CsrError::Malformed("it is not one CertificationRequest in DER"))?;
        let fields = Fields::read(info)?;
        let public_key = PublicKey::from_spki_der(fields.spki)?;
        public_key.verify(SignatureAlgorithm::from_identifier_der(algorithm)?, info, signature)?;

        let common_names = extensions::common_names(fields.subject)
            .map_err(|_| CsrError::Malformed("its subject is not a name in DER"))?;
        let mut identifiers = requested_names(fields.attributes)?;
        identifiers.extend(common_names.iter().filter_map(|name| identifier_in(name)));
        identifiers.sort();
        identifiers.dedup();
        let (identifiers, further) = identifiers.into_iter().partition(Identifier::is_orderable);
        Ok(Self { public_key, identifiers, further, common_name: common_names.into_iter().next() })
    }

    /// The key to be certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The DNS names and addresses asked for: those of the subject alternative name, and the common name when it is a DNS name or an
    /// IP address (FIN-4); sorted, without duplicates. There may be none.
    pub fn identifiers(&self) -> &[Identifier] {
        &self.identifiers
    }

    /// The names asked for that no order can name, sorted, without duplicates: URIs, e-mail addresses, permanent
    /// identifiers. Policy alone says who may have them.
    pub fn further(&self) -> &[Identifier] {
        &self.further
    }

    /// The first common name, as it stands in the request.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }
}

/// A common name that is a DNS name or an address; other texts are titles that nobody relies on.
fn identifier_in(common_name: &str) -> Option<Identifier> {
    let address = parse_ip(common_name).map(Identifier::Ip);
    address.or_else(|_| common_name.parse::<DnsName>().map(Identifier::Dns)).ok()
}

/// The fields of a CertificationRequestInfo, each as it stands.
struct Fields<'a> {
    subject: &'a [u8],
    spki: &'a [u8],
    attributes: &'a [u8],
}

impl<'a> Fields<'a> {
    fn read(info: &'a [u8]) -> Result<Self, CsrError> {
        let read = |reader: &mut SliceReader<'a>| -> Result<_, der::Error> {
            let version = u8::decode(reader)?;
            let subject = reader.tlv_bytes()?;
            let spki = reader.tlv_bytes()?;
            // RFC 2986 has the attributes obligatory, if empty; some clients leave the empty set out (FIN-10).
            let attributes =
                if reader.is_finished() { &[][..] } else { encoding::contents(reader, encoding::context(0))? };
            Ok((version, Self { subject, spki, attributes }))
        };
        match encoding::whole_sequence(info, read) {
            Ok((0, fields)) => Ok(fields),
            Ok(_) => Err(CsrError::Malformed("its version is not 0 (PKCS #10 version 1)")),
            Err(_) => Err(CsrError::Malformed("its CertificationRequestInfo is not DER")),
        }
    }
}

/// The names in the extension request; all other attributes and extensions are ignored (FIN-9).
fn requested_names(attributes: &[u8]) -> Result<Vec<Identifier>, CsrError> {
    let Some(value) = extension_request(attributes)? else { return Ok(Vec::new()) };
    let all = extensions::read_extensions(value)
        .map_err(|_| CsrError::Malformed("its requested extensions are not DER, or one stands there twice"))?;
    if let Some(value) = extensions::find(&all, ID_CE_BASIC_CONSTRAINTS) {
        let constraints =
            BasicConstraints::from_der(value).map_err(|_| CsrError::Malformed("its basic constraints are not DER"))?;
        if constraints.ca {
            return Err(CsrError::WantsCa);
        }
    }
    let Some(value) = extensions::find(&all, ID_CE_SUBJECT_ALT_NAME) else { return Ok(Vec::new()) };
    let names = extensions::sequence_contents(value).and_then(extensions::general_names);
    let names = names.map_err(|_| CsrError::Malformed("its subject alternative name is not DER"))?;
    names.into_iter().map(requested_name).collect()
}

fn requested_name(name: GeneralName<'_>) -> Result<Identifier, CsrError> {
    match (extensions::identifier(name), name) {
        (Some(identifier), _) => Ok(identifier?),
        (None, GeneralName::Directory) => Err(CsrError::OtherName("a directory name")),
        (None, GeneralName::Other(what)) => Err(CsrError::OtherName(what)),
        (None, _) => Err(CsrError::Malformed("a name cannot be read")),
    }
}

/// The one value of the one extensionRequest attribute.
fn extension_request(attributes: &[u8]) -> Result<Option<&[u8]>, CsrError> {
    let malformed = |_: der::Error| CsrError::Malformed("its attributes are not DER");
    let mut found = None;
    for attribute in encoding::elements(attributes).map_err(malformed)? {
        let (oid, values) = split_attribute(attribute).map_err(malformed)?;
        if oid != EXTENSION_REQUEST {
            continue;
        }
        let values = encoding::elements(values).map_err(malformed)?;
        match (values.as_slice(), found) {
            ([value], None) => found = Some(*value),
            _ => return Err(CsrError::Malformed("it has several extension requests; put all extensions into one")),
        }
    }
    Ok(found)
}

fn split_attribute(attribute: &[u8]) -> Result<(ObjectIdentifier, &[u8]), der::Error> {
    encoding::whole_sequence(attribute, |reader| {
        Ok((ObjectIdentifier::decode(reader)?, encoding::contents(reader, Tag::Set)?))
    })
}

#[cfg(test)]
mod tests;
