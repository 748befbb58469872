//! Public keys: read strictly, strong enough, and able to verify.
//!
//! [`algorithm`] has the names and identifiers, `strength` what is too weak, `verify` the table of key kind and
//! signature algorithm. Private keys live elsewhere.

pub mod algorithm;
mod strength;
mod verify;

use std::fmt;

use der::asn1::{BitStringRef, UintRef};
use der::{Decode, Reader};
use sha2::{Digest, Sha256};

pub use algorithm::{KeyAlgorithm, NoKeyAlgorithm, SignatureAlgorithm};

use crate::x509::encoding;

/// Why a key or a signature is refused. The texts are fit to be shown to whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are not a key.
    #[error("the public key cannot be read: {0}")]
    Malformed(&'static str),
    /// A kind of key nobody here can use.
    #[error(
        "{0} is not a kind of key this CA certifies; use ECDSA P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits and more"
    )]
    Unsupported(String),
    /// A key that gives no protection.
    #[error("the public key is too weak: {reason}; {remedy}")]
    Weak {
        /// What is wrong with it.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A signature algorithm nobody should use.
    #[error("{0} is not an accepted signature algorithm; sign with SHA-256, SHA-384 or SHA-512, or with Ed25519")]
    SignatureAlgorithm(String),
    /// Key and algorithm do not go together.
    #[error("a signature of {algorithm} cannot be made by a key of {key}")]
    Mismatch {
        /// The key.
        key: KeyAlgorithm,
        /// The algorithm that was claimed.
        algorithm: SignatureAlgorithm,
    },
    /// The signature is not by this key over these bytes.
    #[error("the signature does not verify by the public key")]
    BadSignature,
}

impl From<der::Error> for KeyError {
    fn from(_: der::Error) -> Self {
        Self::Malformed("it is not a SubjectPublicKeyInfo in DER")
    }
}

/// A public key that passed every check of strength.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
    /// The contents of subjectPublicKey.
    bits: Vec<u8>,
}

const MAX_SPKI: usize = 2048;
const EC_P256: [u8; 21] = *b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const EC_P384: [u8; 18] = *b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
const EC_P521: [u8; 18] = *b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23";
const RSA: [u8; 15] = *b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const ED25519: [u8; 7] = *b"\x30\x05\x06\x03\x2b\x65\x70";

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7): strict DER, named curves, uncompressed points, and
    /// only keys that are strong enough (FIN-8).
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() > MAX_SPKI {
            return Err(KeyError::Malformed("it is longer than any key this CA certifies"));
        }
        let (identifier, bits) = encoding::whole_sequence(der, |reader| -> Result<_, der::Error> {
            let identifier = reader.tlv_bytes()?;
            Ok((identifier, BitStringRef::decode(reader)?))
        })?;
        let bits = bits.as_bytes().ok_or(KeyError::Malformed("its bits are no whole octets"))?;
        let algorithm = check(identifier, bits)?;
        Ok(Self { algorithm, spki: der.to_vec(), bits: bits.to_vec() })
    }

    /// An EC or Ed25519 key from the octets of its point (SEC 1 uncompressed, RFC 8032).
    pub fn from_point(algorithm: KeyAlgorithm, point: &[u8]) -> Result<Self, KeyError> {
        let identifier = match algorithm {
            KeyAlgorithm::EcdsaP256 => &EC_P256[..],
            KeyAlgorithm::EcdsaP384 => &EC_P384[..],
            KeyAlgorithm::EcdsaP521 => &EC_P521[..],
            KeyAlgorithm::Ed25519 => &ED25519[..],
            KeyAlgorithm::Rsa { .. } => return Err(KeyError::Malformed("an RSA key has no point")),
        };
        Self::assemble(identifier, point)
    }

    /// An RSA key from big-endian modulus and exponent.
    pub fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let numbers = encoding::sequence(&[&encoding::unsigned(modulus)?, &encoding::unsigned(exponent)?])?;
        Self::assemble(&RSA, &numbers)
    }

    fn assemble(identifier: &[u8], bits: &[u8]) -> Result<Self, KeyError> {
        Self::from_spki_der(&encoding::sequence(&[identifier, &encoding::bit_string(bits)?])?)
    }

    /// The SubjectPublicKeyInfo, byte for byte as it was read.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Kind and size.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn spki_sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.spki).into()
    }

    /// The leftmost 160 bits of SHA-256 over the key's bits (RFC 7093 section 2, method 1).
    pub fn key_identifier(&self) -> [u8; 20] {
        let digest: [u8; 32] = Sha256::digest(&self.bits).into();
        let mut identifier = [0; 20];
        identifier.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        identifier
    }

    /// The contents of subjectPublicKey: a point, or an RSAPublicKey in DER.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Verifies a signature over `message`; ECDSA signatures are in DER as certificates have them.
    pub fn verify(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        verify::verify(self.algorithm, &self.bits, algorithm, message, signature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm, data_encoding::HEXLOWER.encode(&self.spki_sha256()))
    }
}

fn check(identifier: &[u8], bits: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    if identifier == EC_P256 {
        strength::ec_point(p256::PublicKey::from_sec1_bytes(bits).is_ok(), bits, 65)?;
        Ok(KeyAlgorithm::EcdsaP256)
    } else if identifier == EC_P384 {
        strength::ec_point(p384::PublicKey::from_sec1_bytes(bits).is_ok(), bits, 97)?;
        Ok(KeyAlgorithm::EcdsaP384)
    } else if identifier == EC_P521 {
        strength::ec_point(p521::PublicKey::from_sec1_bytes(bits).is_ok(), bits, 133)?;
        Ok(KeyAlgorithm::EcdsaP521)
    } else if identifier == RSA {
        let numbers = encoding::whole_sequence(bits, |reader| -> Result<_, der::Error> {
            Ok((UintRef::decode(reader)?, UintRef::decode(reader)?))
        });
        let (n, e) =
            numbers.map_err(|_| KeyError::Malformed("modulus and exponent are not two positive numbers in DER"))?;
        Ok(KeyAlgorithm::Rsa { bits: strength::rsa(n.as_bytes(), e.as_bytes())? })
    } else if identifier == ED25519 {
        strength::ed25519(bits)?;
        Ok(KeyAlgorithm::Ed25519)
    } else {
        Err(refuse(identifier))
    }
}

fn refuse(identifier: &[u8]) -> KeyError {
    let Some(oid) = algorithm::object_identifier(identifier) else {
        return KeyError::Malformed("it names no algorithm");
    };
    match oid.to_string().as_str() {
        "1.2.840.10045.2.1" => {
            KeyError::Unsupported("a key on another elliptic curve, or with its curve spelled out,".to_owned())
        }
        "1.2.840.113549.1.1.1" => KeyError::Malformed("the parameters of an RSA key must be NULL (RFC 3279)"),
        "1.2.840.113549.1.1.10" => KeyError::Unsupported("a key for RSA-PSS only".to_owned()),
        "1.3.101.110" => KeyError::Unsupported("X25519, which cannot sign,".to_owned()),
        "1.3.101.113" => KeyError::Unsupported("Ed448".to_owned()),
        other => KeyError::Unsupported(format!("the algorithm {other}")),
    }
}

#[cfg(test)]
mod tests;
