//! New keys.

use std::path::Path;

use der::Encode;
use der::asn1::OctetStringRef;
use der::zeroize::Zeroizing;
use pkcs8::rand_core::{Infallible, TryCryptoRng, TryRng};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{EncodePrivateKey, PrivateKeyInfoRef, SecretDocument};
use pki_core::random::{self, Entropy};
use pki_core::x509::key::{KeyAlgorithm, PublicKey};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};

use crate::error::KeyFileError;
use crate::key_pair::{ED25519, KeyPair, system_random};
use crate::passphrase::Passphrase;
use crate::{KeyId, file};

const ENCODES: &str = "a seed of 32 octets is far below DER's limits";

/// Makes a key and writes it, encrypted, as `KEY.key` into `folder`. RSA takes seconds: keep it off async threads.
pub fn generate_key(
    folder: &Path,
    key: &KeyId,
    algorithm: KeyAlgorithm,
    passphrase: &Passphrase,
    entropy: &dyn Entropy,
) -> Result<PublicKey, KeyFileError> {
    generate_key_file(&folder.join(key.file_name()), algorithm, passphrase, entropy)
}

/// Makes a key and writes it, encrypted, to `path`; an existing file is never overwritten.
pub fn generate_key_file(
    path: &Path,
    algorithm: KeyAlgorithm,
    passphrase: &Passphrase,
    entropy: &dyn Entropy,
) -> Result<PublicKey, KeyFileError> {
    let failed = |why: String| KeyFileError::Generate { algorithm: algorithm.to_string(), why };
    let pkcs8 = private_key(algorithm, entropy).map_err(failed)?;
    let pair = KeyPair::from_pkcs8(&pkcs8).map_err(failed)?;
    file::create(path, &pkcs8, passphrase, entropy)?;
    Ok(pair.public().clone())
}

/// The DER of a PKCS#8 PrivateKeyInfo with a new key.
pub(crate) fn private_key(algorithm: KeyAlgorithm, entropy: &dyn Entropy) -> Result<Zeroizing<Vec<u8>>, String> {
    let random = system_random();
    let refused = |_| "the cryptography library refused".to_owned();
    let document = match algorithm {
        KeyAlgorithm::EcdsaP256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random),
        KeyAlgorithm::EcdsaP384 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &random),
        KeyAlgorithm::Ed25519 => return Ok(ed25519_key(entropy)),
        KeyAlgorithm::Rsa { bits } => return rsa_key(bits, entropy),
        KeyAlgorithm::EcdsaP521 => return Err("P-521 is not made here; use P-384".into()),
    };
    Ok(Zeroizing::new(document.map_err(refused)?.as_ref().to_vec()))
}

/// PKCS#8 of version 1 (RFC 8410 section 7): ring writes version 2, which OpenSSL 3.0 does not read.
fn ed25519_key(entropy: &dyn Entropy) -> Zeroizing<Vec<u8>> {
    let seed = Zeroizing::new(random::bytes::<32>(entropy));
    let seed = Zeroizing::new(OctetStringRef::new(seed.as_slice()).and_then(|seed| seed.to_der()).expect(ENCODES));
    let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
    let info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&seed).expect(ENCODES));
    SecretDocument::encode_msg(&info).expect(ENCODES).to_bytes()
}

/// ring makes no RSA keys (docs/adr/0005-keys-on-disk.md); it signs with the ones made here.
fn rsa_key(bits: u32, entropy: &dyn Entropy) -> Result<Zeroizing<Vec<u8>>, String> {
    if !matches!(bits, 3072 | 4096) {
        return Err(format!("RSA keys have 3072 or 4096 bits here, not {bits}"));
    }
    let size = usize::try_from(bits).map_err(|error| error.to_string())?;
    let key = rsa::RsaPrivateKey::new(&mut Generator(entropy), size).map_err(|error| error.to_string())?;
    Ok(key.to_pkcs8_der().map_err(|error| error.to_string())?.to_bytes())
}

/// Entropy in the shape that the `rsa` crate takes.
struct Generator<'a>(&'a dyn Entropy);

impl TryRng for Generator<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(random::bytes(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(random::bytes(self.0)))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(buffer);
        Ok(())
    }
}

impl TryCryptoRng for Generator<'_> {}
