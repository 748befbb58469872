//! Keys, signed requests and accounts of the raw client.

use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Map, Value, json};

use super::{Answer, Client, b64};
use crate::certificate::sha256;

/// An account key of the kind ES256.
pub struct Key {
    pair: EcdsaKeyPair,
    /// PKCS #8, for those who want to do something else with it.
    pub pkcs8: Vec<u8>,
}

impl Key {
    /// Makes one.
    pub fn new() -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// Reads one.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Self {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new()).unwrap();
        Self { pair, pkcs8: pkcs8.to_vec() }
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..]) })
    }

    /// RFC 7638.
    pub fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        b64(sha256(canonical.as_bytes()))
    }

    /// r and s in fixed length.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

/// A request before it is signed.
#[derive(Debug, Clone)]
pub struct Jws {
    /// The protected header.
    pub protected: Map<String, Value>,
    /// The payload.
    pub payload: String,
}

impl Jws {
    /// A request as it should be: `by` is `("kid", URL)` or `("jwk", KEY)`.
    pub fn new(by: (&str, Value), nonce: &str, url: &str, payload: &str) -> Self {
        let mut protected = Map::new();
        protected.insert("alg".into(), "ES256".into());
        protected.insert(by.0.into(), by.1);
        protected.insert("nonce".into(), nonce.into());
        protected.insert("url".into(), url.into());
        Self { protected, payload: payload.to_owned() }
    }

    /// Signs it, in flattened serialisation.
    pub fn sign(&self, key: &Key) -> Value {
        sign_text(&Value::Object(self.protected.clone()).to_string(), &self.payload, key)
    }
}

/// Signs a protected header that may be anything.
pub fn sign_text(protected: &str, payload: &str, key: &Key) -> Value {
    let (protected, payload) = (b64(protected), b64(payload));
    let signature = b64(key.sign(format!("{protected}.{payload}").as_bytes()));
    json!({ "protected": protected, "payload": payload, "signature": signature })
}

/// A registered account.
pub struct Account {
    /// Where it is registered.
    pub client: Arc<Client>,
    /// Its key.
    pub key: Key,
    /// Its URL.
    pub url: String,
}

impl Account {
    /// Registers a new key without any binding.
    pub async fn register(client: &Arc<Client>) -> Self {
        Self::register_with(client, &json!({})).await
    }

    /// Registers a new key.
    pub async fn register_with(client: &Arc<Client>, payload: &Value) -> Self {
        let key = Key::new();
        let url = new_account(client, &key, payload).await.expect("newAccount", 201, "").location();
        Self { client: Arc::clone(client), key, url }
    }

    /// A request of this account, not signed yet.
    pub async fn jws(&self, url: &str, payload: &str) -> Jws {
        Jws::new(("kid", self.url.clone().into()), &self.client.nonce().await, url, payload)
    }

    /// POSTs a payload.
    pub async fn post(&self, url: &str, payload: &Value) -> Answer {
        self.post_text(url, &payload.to_string()).await
    }

    /// POSTs a payload that may be no JSON.
    pub async fn post_text(&self, url: &str, payload: &str) -> Answer {
        let jws = self.jws(url, payload).await;
        self.client.post(url, &jws.sign(&self.key)).await
    }

    /// POST-as-GET.
    pub async fn get(&self, url: &str) -> Answer {
        self.post_text(url, "").await
    }
}

/// POSTs newAccount with a key.
pub async fn new_account(client: &Client, key: &Key, payload: &Value) -> Answer {
    let url = client.url("newAccount");
    let jws = Jws::new(("jwk", key.jwk()), &client.nonce().await, &url, &payload.to_string());
    client.post(&url, &jws.sign(key)).await
}
