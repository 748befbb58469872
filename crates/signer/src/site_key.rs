//! The site key: what seals the secrets that the database keeps, so that a dump of it holds nothing reusable.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use der::Decode;
use der::asn1::OctetStringRef;
use pki_core::random::{self, Entropy};
use pki_core::x509::key::KeyAlgorithm;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};

use crate::error::KeyFileError;
use crate::passphrase::Passphrase;
use crate::{file, generate};

/// A sealed secret that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stored secret does not open under this site key; the database and keys/site.key belong to different CAs, or the row was changed"
)]
pub struct SealError;

/// 32 secret bytes and what is derived from them (HKDF, RFC 5869).
///
/// The file has the form of an Ed25519 key, so that openssl can show and re-encrypt it like the others; its seed
/// never signs anything.
#[derive(Clone)]
pub struct SiteKey {
    root: Prk,
    entropy: Arc<dyn Entropy>,
}

impl SiteKey {
    /// Makes a new site key and writes it, encrypted, to `path`.
    pub fn create(path: &Path, passphrase: &Passphrase, entropy: &dyn Entropy) -> Result<(), KeyFileError> {
        let failed = |why: String| KeyFileError::Generate { algorithm: "site key".into(), why };
        let pkcs8 = generate::private_key(KeyAlgorithm::Ed25519, entropy).map_err(failed)?;
        file::create(path, &pkcs8, passphrase, entropy)
    }

    /// Opens the site key at `path`.
    pub fn load(path: &Path, passphrase: &Passphrase, entropy: Arc<dyn Entropy>) -> Result<Self, KeyFileError> {
        let pkcs8 = file::open(path, passphrase)?;
        let not_a_key = || KeyFileError::NotAKey {
            path: path.to_owned(),
            why: "it holds no 32-byte seed; restore the site key of this CA from a backup".into(),
        };
        let info = pkcs8::PrivateKeyInfoRef::try_from(pkcs8.as_slice()).map_err(|_| not_a_key())?;
        // RFC 8410 section 7: CurvePrivateKey is an OCTET STRING within the OCTET STRING
        let seed = <&OctetStringRef>::from_der(info.private_key.as_bytes()).map_err(|_| not_a_key())?.as_bytes();
        if seed.len() != 32 {
            return Err(not_a_key());
        }
        Ok(Self { root: Salt::new(HKDF_SHA256, b"pilotlight site key v1").extract(seed), entropy })
    }

    /// A key that nobody has but this process, for one that opens no secrets of the database.
    pub fn of_the_moment(entropy: Arc<dyn Entropy>) -> Self {
        let seed = zeroize::Zeroizing::new(random::bytes::<32>(entropy.as_ref()));
        Self { root: Salt::new(HKDF_SHA256, b"pilotlight site key of the moment").extract(seed.as_slice()), entropy }
    }

    /// 32 bytes for the use that `label` names; the same label always gives the same bytes.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        self.expand(b"derive", label)
    }

    /// Encrypts and authenticates `plaintext`. It opens in the same `context` only, such as `eab-key:ID`.
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random::bytes(self.entropy.as_ref());
        let mut sealed = plaintext.to_vec();
        self.cipher(context)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .expect("a secret is far shorter than ChaCha20-Poly1305's limit of 256 GiB");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`seal`](Self::seal) made in the same `context`.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
        let mut buffer = ciphertext.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.cipher(context).open_in_place(nonce, Aad::empty(), &mut buffer).map_err(|_| SealError)?;
        Ok(plain.to_vec())
    }

    /// One key per context: nonces need to be unique within a context only, and contexts cannot be mixed up.
    fn cipher(&self, context: &str) -> LessSafeKey {
        let key = self.expand(b"seal", context);
        LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).expect("the key has 32 bytes"))
    }

    fn expand(&self, use_: &[u8], label: &str) -> [u8; 32] {
        let mut key = [0; 32];
        // the zero octet keeps `("a", "bc")` and `("ab", "c")` apart
        let info = [use_, b"\0", label.as_bytes()];
        let expanded = self.root.expand(&info, HKDF_SHA256).expect("32 bytes are within HKDF's limit");
        expanded.fill(&mut key).expect("the buffer has the length asked for");
        key
    }
}

impl fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SiteKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use pki_core::random::SystemEntropy;

    use super::*;

    fn site_key(folder: &Path, name: &str) -> SiteKey {
        let passphrase = Passphrase::from_first_line("p").unwrap();
        let path = folder.join(name);
        SiteKey::create(&path, &passphrase, &SystemEntropy::new()).unwrap();
        SiteKey::load(&path, &passphrase, Arc::new(SystemEntropy::new())).unwrap()
    }

    #[test]
    fn secrets_open_in_their_own_context_and_under_their_own_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let (key, other) = (site_key(folder.path(), "a.key"), site_key(folder.path(), "b.key"));
        let sealed = key.seal("eab-key:1", b"secret");
        assert_ne!(sealed, key.seal("eab-key:1", b"secret"), "every sealing has a nonce of its own");
        assert_eq!(key.open("eab-key:1", &sealed).unwrap(), b"secret");
        assert_eq!(key.open("eab-key:2", &sealed), Err(SealError));
        assert_eq!(other.open("eab-key:1", &sealed), Err(SealError));
        for end in [0, 5, NONCE_LEN, sealed.len() - 1] {
            assert_eq!(key.open("eab-key:1", &sealed[..end]), Err(SealError));
        }
        let mut changed = sealed;
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(key.open("eab-key:1", &changed), Err(SealError));
        assert_eq!(format!("{key:?}"), "SiteKey(redacted)");
    }

    #[test]
    fn derived_keys_differ_by_label_and_survive_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let key = site_key(folder.path(), "a.key");
        assert_ne!(key.derive("nonce"), key.derive("cursor"));
        assert_ne!(key.derive("x"), key.expand(b"seal", "x"));
        let passphrase = Passphrase::from_first_line("p").unwrap();
        let again = SiteKey::load(&folder.path().join("a.key"), &passphrase, Arc::new(SystemEntropy::new())).unwrap();
        assert_eq!(again.derive("nonce"), key.derive("nonce"));
    }
}
