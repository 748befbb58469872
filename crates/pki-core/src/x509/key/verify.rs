//! The one table that verifies signatures: which key kind goes with which algorithm, and whose code does it.
//!
//! ring does most of it; RustCrypto's curves do what ring lacks (P-521, and P-256 and P-384 with SHA-512).

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::signature as r;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::x509::key::{KeyAlgorithm, KeyError, SignatureAlgorithm};

/// Verifies `signature` over `message` by the key in `bits`, the contents of subjectPublicKey.
pub(super) fn verify(
    key: KeyAlgorithm,
    bits: &[u8],
    algorithm: SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), KeyError> {
    use KeyAlgorithm as K;
    use SignatureAlgorithm as S;
    let by_ring = |table: &'static dyn r::VerificationAlgorithm| {
        r::UnparsedPublicKey::new(table, bits).verify(message, signature).map_err(|_| KeyError::BadSignature)
    };
    match (key, algorithm) {
        (K::EcdsaP256, S::EcdsaSha256) => by_ring(&r::ECDSA_P256_SHA256_ASN1),
        (K::EcdsaP256, S::EcdsaSha384) => by_ring(&r::ECDSA_P256_SHA384_ASN1),
        (K::EcdsaP384, S::EcdsaSha256) => by_ring(&r::ECDSA_P384_SHA256_ASN1),
        (K::EcdsaP384, S::EcdsaSha384) => by_ring(&r::ECDSA_P384_SHA384_ASN1),
        (K::EcdsaP256, S::EcdsaSha512) => p256(bits, &Sha512::digest(message), signature),
        (K::EcdsaP384, S::EcdsaSha512) => p384(bits, &Sha512::digest(message), signature),
        (K::EcdsaP521, S::EcdsaSha256) => p521(bits, &Sha256::digest(message), signature),
        (K::EcdsaP521, S::EcdsaSha384) => p521(bits, &Sha384::digest(message), signature),
        (K::EcdsaP521, S::EcdsaSha512) => p521(bits, &Sha512::digest(message), signature),
        (K::Rsa { .. }, S::RsaPkcs1Sha256) => by_ring(&r::RSA_PKCS1_2048_8192_SHA256),
        (K::Rsa { .. }, S::RsaPkcs1Sha384) => by_ring(&r::RSA_PKCS1_2048_8192_SHA384),
        (K::Rsa { .. }, S::RsaPkcs1Sha512) => by_ring(&r::RSA_PKCS1_2048_8192_SHA512),
        (K::Rsa { .. }, S::RsaPssSha256) => by_ring(&r::RSA_PSS_2048_8192_SHA256),
        (K::Rsa { .. }, S::RsaPssSha384) => by_ring(&r::RSA_PSS_2048_8192_SHA384),
        (K::Rsa { .. }, S::RsaPssSha512) => by_ring(&r::RSA_PSS_2048_8192_SHA512),
        (K::Ed25519, S::Ed25519) => by_ring(&r::ED25519),
        (key, algorithm) => Err(KeyError::Mismatch { key, algorithm }),
    }
}

macro_rules! ecdsa {
    ($curve:ident) => {
        fn $curve(bits: &[u8], digest: &[u8], signature: &[u8]) -> Result<(), KeyError> {
            let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(bits).map_err(|_| KeyError::BadSignature)?;
            let signature = $curve::ecdsa::Signature::from_der(signature).map_err(|_| KeyError::BadSignature)?;
            key.verify_prehash(digest, &signature).map_err(|_| KeyError::BadSignature)
        }
    };
}

ecdsa!(p256);
ecdsa!(p384);
ecdsa!(p521);
