//! One private key in memory, and the signatures it can make.

use std::fmt;

use der::asn1::ObjectIdentifier;
use pkcs8::PrivateKeyInfoRef;
use pki_core::x509::key::{KeyAlgorithm, KeyError, PublicKey, SignatureAlgorithm};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};

use crate::error::SignError;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A private key with its public half.
pub(crate) struct KeyPair {
    private: Private,
    public: PublicKey,
    random: SystemRandom,
}

enum Private {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl KeyPair {
    /// From the DER of a PKCS#8 PrivateKeyInfo; the error says what the key is or lacks.
    pub(crate) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, String> {
        let random = system_random();
        let info = PrivateKeyInfoRef::try_from(pkcs8).map_err(|error| format!("it is not PKCS#8 ({error})"))?;
        let curve = info.algorithm.parameters_oid().ok();
        let rejected = |error: ring::error::KeyRejected| format!("the key is damaged or incomplete ({error})");
        let private = match (info.algorithm.oid, curve) {
            (EC_PUBLIC_KEY, Some(P256)) => {
                let scheme = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
                Private::P256(EcdsaKeyPair::from_pkcs8(scheme, pkcs8, &random).map_err(rejected)?)
            }
            (EC_PUBLIC_KEY, Some(P384)) => {
                let scheme = &signature::ECDSA_P384_SHA384_ASN1_SIGNING;
                Private::P384(EcdsaKeyPair::from_pkcs8(scheme, pkcs8, &random).map_err(rejected)?)
            }
            // openssl writes Ed25519 keys without the public half
            (ED25519, _) => Private::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(rejected)?),
            (RSA, _) => Private::Rsa(RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?),
            (other, _) => return Err(format!("it is a key of the kind {other}")),
        };
        let public = public(&private).map_err(|error| error.to_string())?;
        Ok(Self { private, public, random })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether a signature takes milliseconds (RSA) instead of microseconds.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self.private, Private::Rsa(_))
    }

    pub(crate) fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let made = match (&self.private, algorithm) {
            (Private::P256(key), SignatureAlgorithm::EcdsaSha256)
            | (Private::P384(key), SignatureAlgorithm::EcdsaSha384) => {
                key.sign(&self.random, message).map(|signature| signature.as_ref().to_vec())
            }
            (Private::Ed25519(key), SignatureAlgorithm::Ed25519) => Ok(key.sign(message).as_ref().to_vec()),
            (Private::Rsa(key), algorithm) => match rsa_encoding(algorithm) {
                Some(encoding) => self.sign_rsa(key, encoding, message),
                None => return Err(self.mismatch(algorithm)),
            },
            _ => return Err(self.mismatch(algorithm)),
        };
        made.map_err(|_| {
            SignError::refused("the cryptography library refused to sign; restart the CA, and check the key file")
        })
    }

    fn sign_rsa(
        &self,
        key: &RsaKeyPair,
        encoding: &'static dyn signature::RsaEncoding,
        message: &[u8],
    ) -> Result<Vec<u8>, ring::error::Unspecified> {
        let mut made = vec![0; key.public().modulus_len()];
        key.sign(encoding, &self.random, message, &mut made)?;
        Ok(made)
    }

    fn mismatch(&self, algorithm: SignatureAlgorithm) -> SignError {
        let natural = SignatureAlgorithm::for_issuer(self.public.algorithm());
        SignError::refused(format!(
            "a key of the kind {} cannot sign by {algorithm}; ask for {natural}",
            self.public.algorithm()
        ))
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm: KeyAlgorithm = self.public.algorithm();
        write!(f, "KeyPair({algorithm}, redacted)")
    }
}

fn rsa_encoding(algorithm: SignatureAlgorithm) -> Option<&'static dyn signature::RsaEncoding> {
    Some(match algorithm {
        SignatureAlgorithm::RsaPkcs1Sha256 => &signature::RSA_PKCS1_SHA256,
        SignatureAlgorithm::RsaPkcs1Sha384 => &signature::RSA_PKCS1_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha512 => &signature::RSA_PKCS1_SHA512,
        SignatureAlgorithm::RsaPssSha256 => &signature::RSA_PSS_SHA256,
        SignatureAlgorithm::RsaPssSha384 => &signature::RSA_PSS_SHA384,
        SignatureAlgorithm::RsaPssSha512 => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

/// ring gives points (SEC 1, RFC 8032) and RSA numbers; [`PublicKey`] checks them and puts the identifier before them.
fn public(private: &Private) -> Result<PublicKey, KeyError> {
    match private {
        Private::P256(pair) => PublicKey::from_point(KeyAlgorithm::EcdsaP256, pair.public_key().as_ref()),
        Private::P384(pair) => PublicKey::from_point(KeyAlgorithm::EcdsaP384, pair.public_key().as_ref()),
        Private::Ed25519(pair) => PublicKey::from_point(KeyAlgorithm::Ed25519, pair.public_key().as_ref()),
        Private::Rsa(pair) => {
            let numbers: PublicKeyComponents<Vec<u8>> = pair.public().into();
            PublicKey::from_rsa(&numbers.n, &numbers.e)
        }
    }
}

/// ring takes randomness in its own sealed trait only, so an `Entropy` cannot be handed on to it.
#[expect(clippy::disallowed_methods, reason = "ring's signatures accept ring's own generator only")]
pub(crate) fn system_random() -> SystemRandom {
    SystemRandom::new()
}
