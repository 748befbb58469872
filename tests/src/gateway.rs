//! A device that orders certificates for its own name by hand, and what it gets.

use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::{Value, json};

use crate::acme_raw::{Account, Answer, Client, b64};
use crate::ca::Ca;
use crate::certificate::Leaf;
use crate::external_account::External;

/// A device with an account that is bound to it.
pub struct Gateway {
    /// Its name, which is the first label of its DNS name.
    pub name: String,
    /// The name in its certificates.
    pub dns: String,
    /// Its account.
    pub account: Account,
}

/// A certificate as its holder has it.
pub struct Issued {
    /// In hexadecimal, as the CA lists it.
    pub serial: String,
    /// It and its chain.
    pub pem: String,
    /// It alone.
    pub der: Vec<u8>,
}

impl Gateway {
    /// Registers the device `gw-1` and enrols it.
    pub async fn of(ca: &Ca) -> Self {
        Self::enrol(ca, &Client::of(ca).await, "gw-1").await
    }

    /// Registers a device and enrols it.
    pub async fn enrol(ca: &Ca, client: &Arc<Client>, name: &str) -> Self {
        let dns = format!("{name}.site.test");
        let token = ca.device_add(name, "gateway", &[&dns]).await;
        let account = External::of_token(&token).account(client).await;
        Self { name: name.to_owned(), dns, account }
    }

    /// A new order, ready at once: the device's own name needs no challenge.
    pub async fn order(&self) -> Answer {
        let payload = json!({ "identifiers": [{ "type": "dns", "value": self.dns }], "profile": "gateway" });
        self.post(&self.account.client.url("newOrder"), &payload).await
    }

    /// Finalizes an order with a key of its own.
    pub async fn finalize(&self, order: &Value) -> Answer {
        self.finalize_with(order, &KeyPair::generate().unwrap()).await
    }

    /// Finalizes an order with this key.
    pub async fn finalize_with(&self, order: &Value, key: &KeyPair) -> Answer {
        let mut params = CertificateParams::new(vec![self.dns.clone()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(key).unwrap().der().to_vec();
        self.post(order["finalize"].as_str().unwrap(), &json!({ "csr": b64(csr) })).await
    }

    /// A nonce from before a restart is not good after it: once more, as every client does.
    async fn post(&self, url: &str, payload: &Value) -> Answer {
        let answer = self.account.post(url, payload).await;
        if answer.status == 400 && answer.problem() == "badNonce" {
            self.account.post(url, payload).await
        } else {
            answer
        }
    }

    /// A certificate.
    pub async fn issue(&self) -> Issued {
        self.issue_with(&KeyPair::generate().unwrap()).await
    }

    /// A certificate of this key.
    pub async fn issue_with(&self, key: &KeyPair) -> Issued {
        let order = self.order().await.expect("ORD-1", 201, "").json();
        let done = self.finalize_with(&order, key).await.expect("FIN-1", 200, "").json();
        let pem =
            self.account.get(done["certificate"].as_str().unwrap()).await.expect("CRT-1", 200, "").text().to_owned();
        Issued::of(pem)
    }
}

impl Issued {
    /// Reads what the CA answered.
    pub fn of(pem: String) -> Self {
        let der = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1.contents;
        let serial = Leaf::from_der(&der).serial;
        Self { serial, pem, der }
    }
}
