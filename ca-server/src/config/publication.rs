//! `[ca.issuing.publication]`: the addresses that certificates of this issuer carry.

use serde::{Deserialize, Serialize};

use super::external::ExternalUrl;

/// Where others find what they need to check a certificate (X5-11): each an address like `external.public`, to which the
/// paths of the public listener are added. An empty list means `external.public` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publication {
    /// Of OCSP responders; the path is `/ocsp`.
    pub ocsp_urls: Vec<ExternalUrl>,
    /// Of the issuer's own certificate; the path is `/ca/ISSUER.crt`.
    pub ca_urls: Vec<ExternalUrl>,
    /// Of revocation lists; the path is `/crl/ISSUER/SHARD.crl`.
    pub crl_urls: Vec<ExternalUrl>,
}

impl Publication {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, urls) in [
            ("ca.issuing.publication.ocsp_urls", &self.ocsp_urls),
            ("ca.issuing.publication.ca_urls", &self.ca_urls),
            ("ca.issuing.publication.crl_urls", &self.crl_urls),
        ] {
            if let Some(url) = urls.iter().find(|url| url.is_https()) {
                let why = format!(
                    "whoever fetches from {url} cannot verify a certificate yet (RFC 5280 section 8); begin it with http://"
                );
                return Err((key, why));
            }
        }
        Ok(())
    }
}
