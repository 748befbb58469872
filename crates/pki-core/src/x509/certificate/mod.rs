//! Certificates, read: what this CA and its agents need of them, checked, with the bytes they came in.
//!
//! `fields` reads by position, `extensions` splits extensions and `interpret` says what they mean; [`constraints`]
//! are name constraints. How certificates are built is
//! [`crate::issuance::plan`].

pub mod constraints;
pub(crate) mod extensions;
mod fields;
mod interpret;

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use constraints::{DnsSubtree, NameConstraints, OutsideConstraints};
use fields::Fields;
pub(crate) use fields::split_signed;
use interpret::Extensions;

use crate::ids::Serial;
use crate::time::Timestamp;
use crate::x509::key::{KeyError, PublicKey, SignatureAlgorithm};
use crate::x509::name::Identifier;

/// More octets than any certificate in the field has.
pub const MAX_CERTIFICATE: usize = 64 * 1024;

/// Why bytes are not a certificate that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Longer than anything that is read.
    #[error("the certificate is longer than 64 KiB")]
    TooLong,
    /// Not DER, or not a certificate.
    #[error("the certificate cannot be read: {0} is not as RFC 5280 has it")]
    Malformed(&'static str),
    /// Its key cannot be used, or its signature algorithm.
    #[error("the certificate cannot be used: {0}")]
    Key(#[from] KeyError),
    /// It was signed by another key.
    #[error("the certificate `{subject}` is not signed by the key of `{issuer}`")]
    NotSignedBy {
        /// Common name or serial of the certificate.
        subject: String,
        /// The key that was expected.
        issuer: String,
    },
}

/// A certificate. Copies share their bytes.
#[derive(Clone)]
pub struct Certificate(Arc<Parts>);

struct Parts {
    der: Vec<u8>,
    tbs: Vec<u8>,
    signature_algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
    serial: Serial,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    public_key: PublicKey,
    not_before: Timestamp,
    not_after: Timestamp,
    extensions: Extensions,
}

impl Certificate {
    /// Reads a certificate: strict DER, nothing after it, a key that is strong enough, a signature algorithm that is
    /// not obsolete. The signature is not verified: see [`Certificate::verify_signed_by`].
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::TooLong);
        }
        let (tbs, algorithm, signature) =
            split_signed(der).map_err(|_| CertificateError::Malformed("its structure"))?;
        let fields = Fields::read(tbs).map_err(|_| CertificateError::Malformed("its body"))?;
        if fields.signature != algorithm {
            return Err(CertificateError::Malformed("the algorithm, which differs inside and outside,"));
        }
        Ok(Self(Arc::new(Parts {
            der: der.to_vec(),
            tbs: tbs.to_vec(),
            signature_algorithm: SignatureAlgorithm::from_identifier_der(algorithm)?,
            signature: signature.to_vec(),
            serial: fields::serial(fields.serial)?,
            issuer: fields.issuer.to_vec(),
            subject: fields.subject.to_vec(),
            public_key: PublicKey::from_spki_der(fields.spki)?,
            not_before: fields.not_before,
            not_after: fields.not_after,
            extensions: Extensions::read(fields.extensions)?,
        })))
    }

    /// The certificate itself.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Serial number.
    pub fn serial(&self) -> Serial {
        self.0.serial.clone()
    }

    /// The issuer's Name, byte for byte.
    pub fn issuer_der(&self) -> &[u8] {
        &self.0.issuer
    }

    /// The subject's Name, byte for byte.
    pub fn subject_der(&self) -> &[u8] {
        &self.0.subject
    }

    /// The certified key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// First second of its life.
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// Last second of its life.
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// Its DNS names and addresses, sorted, without duplicates; names of other types are left out.
    pub fn identifiers(&self) -> &[Identifier] {
        &self.0.extensions.identifiers
    }

    /// The subject key identifier.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_identifier.as_deref()
    }

    /// The key identifier of the authority key identifier.
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        self.0.extensions.authority_key_identifier.as_deref()
    }

    /// Whether basic constraints make it a CA certificate.
    pub fn is_ca(&self) -> bool {
        self.0.extensions.is_ca
    }

    /// How many CA certificates may stand between it and a leaf; none for any number.
    pub fn path_len(&self) -> Option<u8> {
        self.0.extensions.path_len
    }

    /// Whether it is a CA certificate whose key usage allows signing certificates and CRLs.
    pub fn may_sign(&self) -> bool {
        const CERT_AND_CRL_SIGN: u16 = 1 << 5 | 1 << 6;
        let usage = self.0.extensions.key_usage;
        self.is_ca() && usage.is_none_or(|bits| bits & CERT_AND_CRL_SIGN == CERT_AND_CRL_SIGN)
    }

    /// The first common name of its subject.
    pub fn common_name(&self) -> Option<String> {
        extensions::common_names(&self.0.subject).ok()?.into_iter().next()
    }

    /// SHA-256 of the certificate, the fingerprint people compare.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.0.der).into()
    }

    /// The signed part.
    pub fn tbs_der(&self) -> &[u8] {
        &self.0.tbs
    }

    /// How it is signed.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.0.signature_algorithm
    }

    /// The signature's octets.
    pub fn signature(&self) -> &[u8] {
        &self.0.signature
    }

    /// The CRL addresses in it, byte for byte.
    pub fn crl_urls(&self) -> &[String] {
        &self.0.extensions.crl_urls
    }

    /// What it limits names below it to.
    pub fn name_constraints(&self) -> Option<NameConstraints> {
        self.0.extensions.name_constraints.clone()
    }

    /// Whether issuer and subject are the same Name.
    pub fn is_self_issued(&self) -> bool {
        self.0.issuer == self.0.subject
    }

    /// Verifies its signature by this key.
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), CertificateError> {
        issuer
            .verify(self.0.signature_algorithm, &self.0.tbs, &self.0.signature)
            .map_err(|_| CertificateError::NotSignedBy { subject: self.title(), issuer: format!("{issuer:?}") })
    }

    /// How to call it in messages: its common name, its first name, or its serial.
    fn title(&self) -> String {
        let name = || self.identifiers().first().map(Identifier::value);
        self.common_name().or_else(name).unwrap_or_else(|| self.0.serial.to_string())
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, serial {}, until {})", self.title(), self.0.serial, self.0.not_after)
    }
}

#[cfg(test)]
mod tests;
