//! `[crl]`: how revocations are published.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
}

impl Default for Crl {
    fn default() -> Self {
        Self { life: Duration::from_secs(30 * 86_400), publish_every: Duration::from_secs(24 * 3600) }
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
        Ok(())
    }
}
