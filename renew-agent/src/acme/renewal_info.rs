//! When the CA suggests to renew (RFC 9773).

use std::time::Duration;

use api::acme::RenewalInfo;
use pki_core::acme::renewal_info::CertificateName;
use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;

use super::client::{read_json, unexpected};
use super::{AcmeClient, AcmeError};

/// When a CA says nothing of the kind (RFC 9773 section 4.3 leaves it open).
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);

/// A suggested renewal window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// How long the answer holds.
    pub ask_again_after: Duration,
}

/// The certificate id (RFC 9773 section 4.1); none when the certificate does not name its issuer's key.
pub(crate) fn certificate_id(certificate: &Certificate) -> Option<String> {
    CertificateName::of(certificate).map(|name| name.to_string())
}

impl AcmeClient {
    /// The window for a certificate; `None` when the CA offers none.
    pub async fn renewal_window(&mut self, certificate: &Certificate) -> Result<Option<Window>, AcmeError> {
        const ACTION: &str = "ask when to renew";
        let (Some(base), Some(id)) = (self.directory.renewal_info.clone(), certificate_id(certificate)) else {
            return Ok(None);
        };
        let response = self.get(ACTION, &format!("{base}/{id}")).await?;
        let info: RenewalInfo = read_json(ACTION, &response)?;
        let time = |text: &str| Timestamp::parse_rfc3339(text);
        let (Some(start), Some(end)) = (time(&info.suggested_window.start), time(&info.suggested_window.end)) else {
            return Err(unexpected(ACTION, "the window's times cannot be read".to_owned()));
        };
        if end <= start {
            return Err(unexpected(ACTION, format!("the window ends ({end}) before it begins ({start})")));
        }
        Ok(Some(Window { start, end, ask_again_after: response.retry_after().unwrap_or(ASK_AGAIN) }))
    }
}
