//! Private keys of this node: made here, kept here, shown to nobody.

use std::fmt;
use std::path::Path;

use pki_core::acme::jwk::Jwk;
use pki_core::x509::key::PublicKey;
use pki_core::x509::name::Identifier;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData, SanType, SigningKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::files::{self, Access, FileError};

/// The largest key file ever read.
const LIMIT: u64 = 16 * 1024;

/// The kinds of key a certificate can have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyKind {
    /// ECDSA over NIST P-256: what every TLS stack knows.
    #[default]
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA over NIST P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
}

impl KeyKind {
    const fn algorithm(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bytes are no key of a kind the agent makes.
    #[error("cannot use the private key of {of}: {detail}")]
    Unusable {
        /// Whose key.
        of: String,
        /// What is wrong with it.
        detail: String,
    },
}

fn unusable<T, E: fmt::Display>(of: impl Into<String>, result: Result<T, E>) -> Result<T, KeyError> {
    result.map_err(|error| KeyError::Unusable { of: of.into(), detail: error.to_string() })
}

/// The private key of a certificate.
pub struct NodeKey(KeyPair);

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(..)")
    }
}

impl NodeKey {
    /// Makes a new key.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        unusable("a new certificate", KeyPair::generate_for(kind.algorithm())).map(Self)
    }

    /// Reads PKCS #8 PEM.
    pub fn from_pem(of: &str, pem: &[u8]) -> Result<Self, KeyError> {
        let text = unusable(of, std::str::from_utf8(pem))?;
        unusable(of, KeyPair::from_pem(text)).map(Self)
    }

    /// The key in `path`, or a new one that is durable there before this returns.
    pub fn load_or_make(path: &Path, kind: KeyKind) -> Result<Self, KeyError> {
        if let Some(pem) = files::read(path, LIMIT)?.map(Zeroizing::new) {
            // A key of another kind, or one that a power cut damaged, was never certified: it is replaced.
            if let Ok(key) = Self::from_pem(&path.display().to_string(), &pem)
                && key.0.is_compatible(kind.algorithm())
            {
                return Ok(key);
            }
        }
        let key = Self::generate(kind)?;
        files::replace(path, key.to_pem().as_bytes(), Access::SECRET)?;
        Ok(key)
    }

    /// PKCS #8 PEM.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// The public half, DER.
    pub fn spki_der(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// A certification request (PKCS #10) for exactly these names, DER. The first DNS name that fits is also the CN.
    pub fn request(&self, names: &[Identifier]) -> Result<Vec<u8>, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let dns = names.iter().find(|name| name.kind() == "dns" && name.value().len() <= 64);
        if let Some(name) = dns {
            params.distinguished_name.push(DnType::CommonName, name.value());
        }
        for name in names {
            params.subject_alt_names.push(match name {
                Identifier::Dns(dns) => SanType::DnsName(unusable("the request", dns.as_str().try_into())?),
                Identifier::Ip(ip) => SanType::IpAddress(*ip),
                Identifier::Uri(uri) => SanType::URI(unusable("the request", uri.as_str().try_into())?),
                Identifier::Email(email) => SanType::Rfc822Name(unusable("the request", email.as_str().try_into())?),
                // no configuration asks for one
                Identifier::Permanent(_) => continue,
            });
        }
        let request = unusable("the request", params.serialize_request(&self.0))?;
        Ok(request.der().to_vec())
    }
}

/// The key that signs requests to the CA: ECDSA over P-256, ES256 (RFC 7518 section 3.4).
pub struct AccountKey {
    pair: KeyPair,
    public: Jwk,
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({})", self.public.thumbprint())
    }
}

impl AccountKey {
    /// The key in `path`, or a new one that is durable there before this returns: the CA must never know an
    /// account whose key a power cut took.
    pub fn load_or_make(path: &Path) -> Result<Self, KeyError> {
        if let Some(key) = Self::load(path)? {
            return Ok(key);
        }
        let pair = unusable("the account", KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256))?;
        files::replace(path, Zeroizing::new(pair.serialize_pem()).as_bytes(), Access::SECRET)?;
        Self::from_pair(pair)
    }

    /// The key in `path`; `None` when it is not there.
    pub fn load(path: &Path) -> Result<Option<Self>, KeyError> {
        const OF: &str = "the account";
        let Some(pem) = files::read(path, LIMIT)?.map(Zeroizing::new) else { return Ok(None) };
        let text = unusable(OF, std::str::from_utf8(&pem))?;
        let pair = unusable(OF, KeyPair::from_pem_and_sign_algo(text, &rcgen::PKCS_ECDSA_P256_SHA256))?;
        Self::from_pair(pair).map(Some)
    }

    fn from_pair(pair: KeyPair) -> Result<Self, KeyError> {
        let public = unusable("the account", PublicKey::from_spki_der(&pair.subject_public_key_info()))?;
        let public = unusable("the account", Jwk::from_public_key(&public))?;
        Ok(Self { pair, public })
    }

    /// The public half as requests carry it.
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// Signs: r and s in fixed length.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        const OF: &str = "the account";
        let der = unusable(OF, self.pair.sign(message))?;
        Ok(unusable(OF, p256::ecdsa::Signature::from_der(&der))?.to_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_key_survives_and_a_damaged_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.key");
        let first = NodeKey::load_or_make(&path, KeyKind::EcdsaP256).unwrap();
        let again = NodeKey::load_or_make(&path, KeyKind::EcdsaP256).unwrap();
        assert_eq!(first.spki_der(), again.spki_der());
        std::fs::write(&path, "").unwrap();
        assert_ne!(NodeKey::load_or_make(&path, KeyKind::EcdsaP256).unwrap().spki_der(), first.spki_der());
        let other = NodeKey::load_or_make(&path, KeyKind::EcdsaP384).unwrap();
        assert!(other.0.is_compatible(&rcgen::PKCS_ECDSA_P384_SHA384));
    }

    #[test]
    fn keys_do_not_show_themselves() {
        for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Ed25519] {
            let key = NodeKey::generate(kind).unwrap();
            assert_eq!(format!("{key:?}"), "NodeKey(..)");
            assert_eq!(NodeKey::from_pem("x", key.to_pem().as_bytes()).unwrap().spki_der(), key.spki_der());
        }
    }
}
