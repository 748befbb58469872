//! The account: made once, bound to this device by the token's secret (RFC 8555 sections 7.3 and 7.3.4).

use api::acme::NewAccount;
use pki_core::acme::eab;
use pki_core::acme::jws::KeyRef;
use zeroize::Zeroizing;

use super::client::unexpected;
use super::{AcmeClient, AcmeError, Payload};

/// The external account key of a token.
pub struct Binding<'a> {
    /// Its id.
    pub kid: &'a str,
    /// Its secret octets.
    pub secret: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Binding<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Binding").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl AcmeClient {
    /// Makes the account, or finds the one this key has already: the same token and key any number of times
    /// (RFC 8555 section 7.3.1). From here on the client acts for it. Returns its URL.
    pub async fn register(&mut self, binding: &Binding<'_>) -> Result<String, AcmeError> {
        const ACTION: &str = "make an account at the CA";
        let url = self.directory.new_account.clone();
        let public = self.key().public().clone();
        let payload = Payload::json(&NewAccount {
            terms_of_service_agreed: self.directory.meta.terms_of_service.is_some().then_some(true),
            external_account_binding: Some(eab::create(binding.kid, &binding.secret, &url, &public)),
            ..NewAccount::default()
        })?;
        let response = self.signed(ACTION, &url, &payload, &KeyRef::Jwk(public)).await?;
        let account = response.header("location").map(str::to_owned);
        let account = account.ok_or_else(|| unexpected(ACTION, "the CA's answer names no account".to_owned()))?;
        self.set_account(account.clone());
        Ok(account)
    }
}
