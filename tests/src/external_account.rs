//! External account keys, by which an account belongs to a device or to whom an administrator gave one (RFC 8555 section 7.3.4).

use std::sync::Arc;

use api::token::EnrolmentToken;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

use crate::acme_raw::{Account, Client, Key, b64, new_account};
use crate::ca::Ca;

/// An external account key as an administrator hands it out.
pub struct External {
    /// Its name.
    pub kid: String,
    /// What it signs with.
    pub secret: Vec<u8>,
}

impl External {
    /// Has an administrator make one.
    pub async fn create(ca: &Ca) -> Self {
        let made = ca.json(&["eab", "create"]).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let (kid, secret) = (text("kid"), text("hmacKey"));
        assert!(secret.starts_with(|c: char| c.is_ascii_alphanumeric()), "ACC-11: {secret}");
        assert!(kid.chars().all(|c| c.is_ascii_alphanumeric()), "ACC-11: {kid}");
        let secret = BASE64_URL_SAFE_NO_PAD.decode(secret).unwrap();
        assert!(secret.len() >= 32, "ACC-11");
        Self { kid, secret }
    }

    /// The key in the token of a device.
    pub fn of_token(token: &str) -> Self {
        let token = EnrolmentToken::parse(token).unwrap();
        Self { secret: BASE64_URL_SAFE_NO_PAD.decode(token.secret.expose()).unwrap(), kid: token.kid }
    }

    /// Registers an account with it.
    pub async fn account(&self, client: &Arc<Client>) -> Account {
        let (key, url) = (Key::new(), client.url("newAccount"));
        let answer = new_account(client, &key, &self.bind(&url, &key.jwk(), |_| ())).await;
        Account { client: Arc::clone(client), key, url: answer.expect("ACC-10", 201, "").location() }
    }

    /// Binds what `payload` says, under a header that `change` may have spoiled.
    pub fn bind(&self, url: &str, payload: &Value, change: impl FnOnce(&mut Value)) -> Value {
        let mut header = json!({ "alg": "HS256", "kid": self.kid, "url": url });
        change(&mut header);
        let algorithm = match header["alg"].as_str() {
            Some("HS384") => hmac::HMAC_SHA384,
            Some("HS512") => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        };
        let (header, payload) = (b64(header.to_string()), b64(payload.to_string()));
        let mac = hmac::sign(&hmac::Key::new(algorithm, &self.secret), format!("{header}.{payload}").as_bytes());
        json!({ "externalAccountBinding": { "protected": header, "payload": payload, "signature": b64(mac) } })
    }
}
