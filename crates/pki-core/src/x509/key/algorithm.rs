//! Names of key and signature algorithms, and their identifiers byte for byte.

use std::fmt;

use const_oid::ObjectIdentifier;
use der::{Decode, SliceReader, Tag};

use crate::x509::encoding;
use crate::x509::key::KeyError;

/// Kinds of keys this CA signs with and certifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
    /// RSA with a modulus of so many bits.
    Rsa {
        /// Length of the modulus.
        bits: u32,
    },
    /// EdDSA on Curve25519.
    Ed25519,
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EcdsaP256 => f.write_str("ECDSA P-256"),
            Self::EcdsaP384 => f.write_str("ECDSA P-384"),
            Self::EcdsaP521 => f.write_str("ECDSA P-521"),
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// A text that names no kind of key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no kind of key; write `ECDSA P-256`, `ECDSA P-384`, `ECDSA P-521`, `Ed25519` or for example `RSA 3072`"
)]
pub struct NoKeyAlgorithm(String);

impl std::str::FromStr for KeyAlgorithm {
    type Err = NoKeyAlgorithm;

    fn from_str(text: &str) -> Result<Self, NoKeyAlgorithm> {
        let named = [Self::EcdsaP256, Self::EcdsaP384, Self::EcdsaP521, Self::Ed25519];
        let rsa = || text.strip_prefix("RSA ").and_then(|bits| bits.parse().ok()).map(|bits| Self::Rsa { bits });
        let found = named.into_iter().find(|algorithm| algorithm.to_string() == text).or_else(rsa);
        let found = found.filter(|algorithm| algorithm.to_string() == text);
        found.ok_or_else(|| NoKeyAlgorithm(text.chars().filter(|c| !c.is_control()).take(40).collect()))
    }
}

/// Signature algorithms this CA verifies. There is no SHA-1 and no MD5, and none can be added by configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureAlgorithm {
    /// ecdsa-with-SHA256 (RFC 5758).
    EcdsaSha256,
    /// ecdsa-with-SHA384 (RFC 5758).
    EcdsaSha384,
    /// ecdsa-with-SHA512 (RFC 5758).
    EcdsaSha512,
    /// sha256WithRSAEncryption (RFC 4055).
    RsaPkcs1Sha256,
    /// sha384WithRSAEncryption (RFC 4055).
    RsaPkcs1Sha384,
    /// sha512WithRSAEncryption (RFC 4055).
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256, a salt of 32 octets (RFC 4055).
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384, a salt of 48 octets (RFC 4055).
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512, a salt of 64 octets (RFC 4055).
    RsaPssSha512,
    /// Ed25519 (RFC 8410).
    Ed25519,
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaSha256 => "ECDSA with SHA-256",
            Self::EcdsaSha384 => "ECDSA with SHA-384",
            Self::EcdsaSha512 => "ECDSA with SHA-512",
            Self::RsaPkcs1Sha256 => "RSA PKCS#1 with SHA-256",
            Self::RsaPkcs1Sha384 => "RSA PKCS#1 with SHA-384",
            Self::RsaPkcs1Sha512 => "RSA PKCS#1 with SHA-512",
            Self::RsaPssSha256 => "RSA-PSS with SHA-256",
            Self::RsaPssSha384 => "RSA-PSS with SHA-384",
            Self::RsaPssSha512 => "RSA-PSS with SHA-512",
            Self::Ed25519 => "Ed25519",
        })
    }
}

impl SignatureAlgorithm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::Ed25519,
    ];

    /// What a key of this kind signs certificates and CRLs with (X5-14).
    pub const fn for_issuer(key: KeyAlgorithm) -> Self {
        match key {
            KeyAlgorithm::EcdsaP256 => Self::EcdsaSha256,
            KeyAlgorithm::EcdsaP384 => Self::EcdsaSha384,
            KeyAlgorithm::EcdsaP521 => Self::EcdsaSha512,
            KeyAlgorithm::Rsa { .. } => Self::RsaPkcs1Sha256,
            KeyAlgorithm::Ed25519 => Self::Ed25519,
        }
    }

    /// DER of the AlgorithmIdentifier as this CA writes it (X5-12): parameters absent for ECDSA and Ed25519,
    /// NULL for RSA, all spelled out for PSS.
    pub fn identifier_der(self) -> Vec<u8> {
        match self {
            Self::EcdsaSha256 => ecdsa(2),
            Self::EcdsaSha384 => ecdsa(3),
            Self::EcdsaSha512 => ecdsa(4),
            Self::RsaPkcs1Sha256 => rsa(11, &NULL),
            Self::RsaPkcs1Sha384 => rsa(12, &NULL),
            Self::RsaPkcs1Sha512 => rsa(13, &NULL),
            Self::RsaPssSha256 => pss(Sha2::SHA256, &NULL, &NULL),
            Self::RsaPssSha384 => pss(Sha2::SHA384, &NULL, &NULL),
            Self::RsaPssSha512 => pss(Sha2::SHA512, &NULL, &NULL),
            Self::Ed25519 => vec![0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
        }
    }

    /// Reads an AlgorithmIdentifier. Where RFC 4055 makes readers accept NULL and absent parameters alike,
    /// both are read.
    pub fn from_identifier_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.spellings().iter().any(|spelling| spelling == der))
            .ok_or_else(|| KeyError::SignatureAlgorithm(describe(der)))
    }

    fn spellings(self) -> Vec<Vec<u8>> {
        let pss_of = |hash| {
            let choices: [(&[u8], &[u8]); 3] = [(&[], &[]), (&NULL, &[]), (&[], &NULL)];
            choices.map(|(outer, mask)| pss(hash, outer, mask)).to_vec()
        };
        let mut spellings = match self {
            Self::RsaPkcs1Sha256 => vec![rsa(11, &[])],
            Self::RsaPkcs1Sha384 => vec![rsa(12, &[])],
            Self::RsaPkcs1Sha512 => vec![rsa(13, &[])],
            Self::RsaPssSha256 => pss_of(Sha2::SHA256),
            Self::RsaPssSha384 => pss_of(Sha2::SHA384),
            Self::RsaPssSha512 => pss_of(Sha2::SHA512),
            _ => Vec::new(),
        };
        spellings.push(self.identifier_der());
        spellings
    }
}

const NULL: [u8; 2] = [0x05, 0x00];
const RSA_OID_PREFIX: [u8; 10] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];

#[derive(Clone, Copy)]
struct Sha2 {
    /// Last arc of 2.16.840.1.101.3.4.2.
    arc: u8,
    octets: u8,
}

impl Sha2 {
    const SHA256: Self = Self { arc: 1, octets: 32 };
    const SHA384: Self = Self { arc: 2, octets: 48 };
    const SHA512: Self = Self { arc: 3, octets: 64 };
}

fn ecdsa(arc: u8) -> Vec<u8> {
    vec![0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, arc]
}

fn rsa(arc: u8, parameters: &[u8]) -> Vec<u8> {
    short(0x30, &[&RSA_OID_PREFIX, &[arc], parameters])
}

/// RSASSA-PSS-params (RFC 4055 section 3.1); the trailer field is at its default, which DER leaves out.
fn pss(hash: Sha2, hash_parameters: &[u8], mask_parameters: &[u8]) -> Vec<u8> {
    let oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash.arc];
    let hash_algorithm = short(0xa0, &[&short(0x30, &[&oid, hash_parameters])]);
    let mask = short(0x30, &[&RSA_OID_PREFIX, &[8], &short(0x30, &[&oid, mask_parameters])]);
    let salt = short(0xa2, &[&[0x02, 0x01, hash.octets]]);
    rsa(10, &short(0x30, &[&hash_algorithm, &short(0xa1, &[&mask]), &salt]))
}

/// An element of fewer than 128 octets; every identifier here is one.
fn short(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let length = u8::try_from(contents.len()).ok().filter(|length| *length < 0x80);
    let length = length.expect("algorithm identifiers have fewer than 128 octets");
    [&[tag, length], &contents[..]].concat()
}

/// The object identifier in an AlgorithmIdentifier.
pub(crate) fn object_identifier(der: &[u8]) -> Option<ObjectIdentifier> {
    let inside = encoding::contents(&mut SliceReader::new(der).ok()?, Tag::Sequence).ok()?;
    ObjectIdentifier::decode(&mut SliceReader::new(inside).ok()?).ok()
}

/// An algorithm for messages; by name when it is a known weak one.
fn describe(der: &[u8]) -> String {
    let Some(oid) = object_identifier(der) else { return "an unreadable algorithm".to_owned() };
    match oid.to_string().as_str() {
        "1.2.840.113549.1.1.4" => "RSA with MD5".to_owned(),
        "1.2.840.113549.1.1.5" => "RSA with SHA-1".to_owned(),
        "1.2.840.113549.1.1.10" => {
            "RSA-PSS with other parameters than SHA-2, MGF1 with the same and a salt of its length".to_owned()
        }
        "1.2.840.10045.4.1" => "ECDSA with SHA-1".to_owned(),
        "1.3.101.113" => "Ed448".to_owned(),
        other => format!("the algorithm {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_back_and_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for algorithm in SignatureAlgorithm::ALL {
            for spelling in algorithm.spellings() {
                assert_eq!(SignatureAlgorithm::from_identifier_der(&spelling).unwrap(), algorithm);
                assert!(seen.insert(spelling));
            }
        }
    }

    #[test]
    fn kinds_of_keys_read_back() {
        use KeyAlgorithm::{EcdsaP256, EcdsaP384, EcdsaP521, Ed25519, Rsa};
        for algorithm in [EcdsaP256, EcdsaP384, EcdsaP521, Ed25519, Rsa { bits: 3072 }] {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        for bad in ["", "RSA", "RSA x", "RSA +3072", "rsa 2048", "P-256", "ed25519"] {
            assert!(bad.parse::<KeyAlgorithm>().is_err(), "{bad}");
        }
    }

    #[test]
    fn fin_6_weak_hashes_are_named() {
        let sha1 = rsa(5, &NULL);
        let told = SignatureAlgorithm::from_identifier_der(&sha1).unwrap_err().to_string();
        assert!(told.contains("RSA with SHA-1") && told.contains("SHA-256"), "{told}");
        let null_after_ecdsa = short(0x30, &[&ecdsa(2)[2..], &NULL]);
        assert!(SignatureAlgorithm::from_identifier_der(&null_after_ecdsa).is_err(), "RFC 5758: absent");
        for junk in [&[][..], &[0x30], &[0x30, 0x00], &[0x30, 0x80, 0x06]] {
            assert!(SignatureAlgorithm::from_identifier_der(junk).is_err());
        }
    }
}
