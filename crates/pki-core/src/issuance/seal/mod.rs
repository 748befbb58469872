//! From a signature to a certificate that may be released.
//!
//! The signer is not believed, nor is our own encoder: the finished certificate is read by two parsers that share no
//! code, what they see must be what was planned, and the signature must verify (X5-4).

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::x509::certificate::{Certificate, CertificateError};
use crate::x509::encoding;
use crate::x509::key::{KeyError, PublicKey, SignatureAlgorithm};

/// A certificate that was signed, read back and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Sealed {
    certificate: Certificate,
}

impl Sealed {
    /// DER of the certificate.
    pub fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

/// Why a signed certificate is not released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Too long for DER.
    #[error("the signed certificate cannot be encoded ({0}); it is not released")]
    Encoding(der::Error),
    /// The planned bytes name another algorithm, or are no certificate.
    #[error("the signed certificate cannot be read back ({0}); it is not released")]
    Unreadable(#[from] CertificateError),
    /// The second parser cannot read it.
    #[error("the second parser refuses the signed certificate ({0}); it is not released")]
    SecondParser(String),
    /// Two parsers see two things.
    #[error("two parsers do not agree on the {0} of the signed certificate; it is not released")]
    Disagreement(&'static str),
    /// The signer signed something else, or by another key.
    #[error(
        "the signature on the certificate is not good ({0}); it is not released; check that the signer holds the issuer's key"
    )]
    Signature(KeyError),
}

impl From<der::Error> for SealError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error)
    }
}

/// Puts planned bytes and signature together and checks the result.
pub fn seal(
    tbs: &[u8],
    algorithm: SignatureAlgorithm,
    signature: &[u8],
    issuer_key: &PublicKey,
) -> Result<Sealed, SealError> {
    let der = encoding::sequence(&[tbs, &algorithm.identifier_der(), &encoding::bit_string(signature)?])?;
    let certificate = Certificate::parse(&der)?;
    issuer_key.verify(algorithm, tbs, signature).map_err(SealError::Signature)?;
    compare(&der, tbs, &certificate)?;
    Ok(Sealed { certificate })
}

fn compare(der: &[u8], tbs: &[u8], ours: &Certificate) -> Result<(), SealError> {
    let (rest, theirs) = X509Certificate::from_der(der).map_err(|error| SealError::SecondParser(error.to_string()))?;
    let seconds = |time: &x509_parser::time::ASN1Time| time.timestamp();
    let validity = &theirs.validity;
    let same = [
        ("end", rest.is_empty()),
        ("signed part", theirs.tbs_certificate.as_ref() == tbs && ours.tbs_der() == tbs),
        ("serial number", theirs.serial.to_bytes_be() == ours.serial().octets()),
        ("issuer", theirs.issuer.as_raw() == ours.issuer_der()),
        ("subject", theirs.subject.as_raw() == ours.subject_der()),
        ("beginning of life", seconds(&validity.not_before) == ours.not_before().unix_seconds()),
        ("end of life", seconds(&validity.not_after) == ours.not_after().unix_seconds()),
        ("public key", theirs.subject_pki.raw == ours.public_key().spki_der()),
        ("kind of certificate", theirs.is_ca() == ours.is_ca()),
        ("signature", theirs.signature_value.data.as_ref() == ours.signature()),
    ];
    match same.into_iter().find(|(_, equal)| !equal) {
        Some((what, _)) => Err(SealError::Disagreement(what)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
