//! Signature algorithms of requests (RFC 7518 section 3, RFC 8037): which are accepted, and which key goes with each.

use crate::x509::key::{KeyAlgorithm, SignatureAlgorithm};

/// What a request may be signed with. `none` and the HMACs are not among them and cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub enum JwsAlgorithm {
    Es256,
    Es384,
    Es512,
    Rs256,
    EdDsa,
}

/// The names of all of them: the `algorithms` member of a `badSignatureAlgorithm` problem (RFC 8555 section 6.2).
pub const ALGORITHMS: [&str; 5] = ["ES256", "ES384", "ES512", "RS256", "EdDSA"];

impl JwsAlgorithm {
    /// The `alg` value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// From an `alg` value; RFC 9864 gave EdDSA with this curve the name `Ed25519`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "RS256" => Self::Rs256,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    /// The one algorithm that goes with a key (JWS-5).
    pub const fn for_key(key: KeyAlgorithm) -> Self {
        match key {
            KeyAlgorithm::EcdsaP256 => Self::Es256,
            KeyAlgorithm::EcdsaP384 => Self::Es384,
            KeyAlgorithm::EcdsaP521 => Self::Es512,
            KeyAlgorithm::Rsa { .. } => Self::Rs256,
            KeyAlgorithm::Ed25519 => Self::EdDsa,
        }
    }

    /// The same algorithm as X.509 calls it.
    pub const fn signature_algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::Es256 => SignatureAlgorithm::EcdsaSha256,
            Self::Es384 => SignatureAlgorithm::EcdsaSha384,
            Self::Es512 => SignatureAlgorithm::EcdsaSha512,
            Self::Rs256 => SignatureAlgorithm::RsaPkcs1Sha256,
            Self::EdDsa => SignatureAlgorithm::Ed25519,
        }
    }

    /// The signature as X.509 writes it: ECDSA signatures are r and s of fixed length here (RFC 7518 section 3.4) and
    /// a DER sequence there. None when length or range is wrong.
    pub(super) fn signature_to_x509(self, signature: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Es256 => Some(p256::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec()),
            Self::Es384 => Some(p384::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec()),
            Self::Es512 => Some(p521::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec()),
            Self::Rs256 | Self::EdDsa => Some(signature.to_vec()),
        }
    }
}

impl std::fmt::Display for JwsAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
