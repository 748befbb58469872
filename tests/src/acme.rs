//! An ACME account that is no device's: an external account key, names proven by http-01.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pki_core::time::SystemClock;
use pki_core::x509::name::Identifier;
use renew_agent::acme::{AcmeClient, AcmeError, Binding, OrderRequest};
use renew_agent::bundle::Roots;
use renew_agent::config::ChallengeConfig;
use renew_agent::keys::AccountKey;
use zeroize::Zeroizing;

use crate::ca::Ca;
use crate::folders::Folder;
use crate::ports::Port;

/// The account with everything it needs to order a certificate for 127.0.0.1.
pub struct Account {
    folder: Folder,
    directory: String,
    roots: Roots,
    url: String,
    challenge: ChallengeConfig,
}

impl Account {
    /// Lets `ca` look for http-01 at a free port of this machine; call it before the CA starts.
    pub fn answer_at(ca: &Ca) -> Port {
        let port = Port::take();
        ca.configure(|config| {
            config["validation"]["http_port"] = i64::from(port.number()).into();
            config["validation"]["allow_networks"] = vec!["127.0.0.0/8"].into();
        });
        port
    }

    /// Makes an account with an external account key of `ca`.
    pub async fn register(ca: &Ca, port: &Port) -> Self {
        let key = ca.json(&["eab", "create"]).await;
        let text = |name: &str| key[name].as_str().unwrap_or_else(|| panic!("no {name} in {key:#}")).to_owned();
        let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text("hmacKey")).unwrap());
        let roots = Roots::from_pem(&std::fs::read_to_string(ca.roots()).unwrap()).unwrap();
        let challenge = ChallengeConfig { http01_listen: Some(port.address().parse().unwrap()), webroot: None };
        let (folder, directory) = (Folder::new(), text("directory"));
        let mut account = Self { folder, directory, roots, url: String::new(), challenge };
        let mut client = account.connect().await.unwrap();
        account.url = client.register(&Binding { kid: &text("kid"), secret }).await.unwrap();
        account
    }

    /// A client that acts for the account.
    pub async fn client(&self) -> Result<AcmeClient, AcmeError> {
        Ok(self.connect().await?.with_account(self.url.clone()))
    }

    async fn connect(&self) -> Result<AcmeClient, AcmeError> {
        let key = AccountKey::load_or_make(&self.folder.path().join("account.pem")).unwrap();
        AcmeClient::connect(&[], Some(&self.directory), &self.roots, Arc::new(SystemClock), key).await
    }

    /// Orders a certificate of the profile `server` for 127.0.0.1; the order's URL.
    pub async fn order(&self) -> Result<String, AcmeError> {
        let names = [Identifier::parse("ip", "127.0.0.1").unwrap()];
        let request = OrderRequest { names: &names, profile: Some("server"), replaces: None };
        Ok(self.client().await?.new_order(&request).await?.0)
    }

    /// Carries an order through to its chain with the bytes of a certificate request.
    pub async fn complete(&self, url: &str, csr: &[u8]) -> Result<String, AcmeError> {
        let mut client = self.client().await?;
        let order = client.order(url).await?;
        let mut order = client.prove(url, order, &self.challenge).await?;
        if order.status == api::acme::OrderStatus::Ready {
            order = client.finalize(&order, csr).await?;
        }
        let order = client.settled(url, order).await?;
        client.chain(&order).await
    }
}

/// A request for 127.0.0.1 with a good key.
pub fn good_request() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(&key).unwrap().der().to_vec()
}
