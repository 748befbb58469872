//! The key of an OCSP responder: made in memory, gone with the process, never written.

use std::fmt;

use pki_core::random::Entropy;
use pki_core::x509::key::{KeyAlgorithm, PublicKey, SignatureAlgorithm};

use crate::error::{KeyFileError, SignError};
use crate::generate;
use crate::key_pair::KeyPair;

/// A key that a CA's responder certificate is for. It is no CA key: what it signs is believed as an OCSP answer and as
/// nothing else, by the certificate that the CA gave it.
pub struct ResponderKey(KeyPair);

impl ResponderKey {
    /// What every client can verify, and what is signed in microseconds.
    const ALGORITHM: KeyAlgorithm = KeyAlgorithm::EcdsaP256;

    /// Makes a new key.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, KeyFileError> {
        let failed = |why: String| KeyFileError::Generate { algorithm: Self::ALGORITHM.to_string(), why };
        let pkcs8 = generate::private_key(Self::ALGORITHM, entropy).map_err(failed)?;
        KeyPair::from_pkcs8(&pkcs8).map(Self).map_err(failed)
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        self.0.public()
    }

    /// Signs the ResponseData of an answer, or the proof that the key is here.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        self.0.sign(SignatureAlgorithm::for_issuer(Self::ALGORITHM), bytes)
    }
}

impl fmt::Debug for ResponderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Responder{:?}", self.0)
    }
}
