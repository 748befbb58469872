//! `[crl]`: how revocations are published.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use signer::KeyId;

/// Each is signed and stored daily, and stays for as long as its certificates.
const MOST_SHARDS: u32 = 1024;

/// The issuing CA's CRLs (CRL-9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Crl {
    /// From one CRL's thisUpdate to its nextUpdate: how long clients go on when the CA is away.
    #[serde(rename = "life_days", with = "super::limits::days")]
    pub life: Duration,
    /// How often a CRL is published when nothing is revoked; a revocation is published at once.
    #[serde(rename = "publish_hours", with = "super::limits::hours")]
    pub publish_every: Duration,
    /// Over how many CRLs new certificates are spread. Lists that certificates were given before stay published.
    pub shards: u32,
    /// Whether there are delta CRLs beside the full ones.
    pub deltas: bool,
    /// Where a copy of each CRL is written.
    pub folder: PathBuf,
    /// Keys of issuers that issue no more, whose CRLs are signed as long as their certificates live.
    #[serde(with = "key_ids")]
    pub keys: Vec<KeyId>,
}

impl Default for Crl {
    fn default() -> Self {
        Self {
            life: Duration::from_secs(30 * 86_400),
            publish_every: Duration::from_secs(24 * 3600),
            shards: 1,
            deltas: false,
            folder: PathBuf::from("crl"),
            keys: Vec::new(),
        }
    }
}

impl Crl {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        // CRL-9: three missed publications must not yet be an outage
        if self.publish_every * 4 > self.life {
            let why = "a CRL must outlive three missed publications; raise `crl.life_days` or lower this".into();
            return Err(("crl.publish_hours", why));
        }
        if self.life > Duration::from_secs(90 * 86_400) {
            return Err(("crl.life_days", "the signer signs CRLs of 90 days at most; lower it".into()));
        }
        if !(1..=MOST_SHARDS).contains(&self.shards) {
            let why = format!("certificates are spread over 1 to {MOST_SHARDS} CRLs; write one of these");
            return Err(("crl.shards", why));
        }
        Ok(())
    }
}

mod key_ids {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use signer::KeyId;

    pub(super) fn serialize<S: Serializer>(keys: &[KeyId], serializer: S) -> Result<S::Ok, S::Error> {
        keys.iter().map(KeyId::as_str).collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KeyId>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().map(|name| name.parse().map_err(D::Error::custom)).collect()
    }
}
