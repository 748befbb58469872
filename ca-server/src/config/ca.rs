//! `[ca]`: who this CA is, and where its certificates are.

use std::path::PathBuf;

use pki_core::ids::IssuerId;
use serde::{Deserialize, Serialize};
use signer::KeyId;

use super::publication::Publication;

/// The CA's identity; written by `init`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ca {
    /// Its name, as people know it.
    #[serde(deserialize_with = "ca_name")]
    pub name: String,
    /// The certificates that devices trust, in PEM, served as `/roots.pem`.
    #[serde(default = "default_roots")]
    pub roots: PathBuf,
    /// The root.
    pub root: Root,
    /// The CA that issues.
    pub issuing: Issuing,
}

/// The root CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Part of the addresses of its certificate and CRL; never changed.
    pub id: IssuerId,
    /// Its certificate, in PEM.
    pub certificate: PathBuf,
    /// Its CRL, in DER.
    pub crl: PathBuf,
}

/// The issuing CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuing {
    /// Part of the addresses of its certificate and CRLs; never changed.
    pub id: IssuerId,
    /// Its certificate, in PEM.
    pub certificate: PathBuf,
    /// Other chains of its certificates, each a file of PEM that begins with another certificate of the same key, such as
    /// a cross-signed one (RFC 8555 section 7.4.2).
    #[serde(default)]
    pub alternate_chains: Vec<PathBuf>,
    /// The name of its key; the file is `KEY.key` in the folder `keys.folder`.
    #[serde(with = "key_id")]
    pub key: KeyId,
    /// The addresses in its certificates.
    #[serde(default)]
    pub publication: Publication,
}

impl Ca {
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.roots, &mut self.root.certificate, &mut self.root.crl, &mut self.issuing.certificate]
            .into_iter()
            .chain(&mut self.issuing.alternate_chains)
    }
}

/// The name a CA may have: it becomes part of common names, which have 64 characters at most (RFC 5280 appendix A).
pub fn check_name(name: &str) -> Result<(), String> {
    const MAX: usize = 48;
    let trimmed = name.trim() == name && !name.is_empty();
    if trimmed && name.chars().count() <= MAX && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!(
        "`{}` is not a name for a CA; use 1 to {MAX} characters without spaces at the ends",
        name.escape_debug()
    ))
}

fn default_roots() -> PathBuf {
    "roots.pem".into()
}

fn ca_name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    check_name(&name).map_err(serde::de::Error::custom)?;
    Ok(name)
}

mod key_id {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use signer::KeyId;

    pub(super) fn serialize<S: Serializer>(key: &KeyId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(key.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
