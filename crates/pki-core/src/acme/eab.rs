//! External account binding (RFC 8555 section 7.3.4): an HMAC, by a key handed out beforehand, over the account key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::acme::jwk::Jwk;
use crate::acme::jws::{self, JwsError, Parts};
use crate::acme::problem::{Problem, ProblemKind};
use crate::ids::EabKeyId;
use crate::random::{self, Entropy};

/// A binding as a client sent it: its form is right and it is about the account key of the request; the MAC is not
/// verified.
#[derive(Debug)]
pub struct BindingRequest {
    key_id: EabKeyId,
    algorithm: hmac::Algorithm,
    parts: Parts,
}

/// The proof that whoever holds the account key also holds the external key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct VerifiedBinding {
    key_id: EabKeyId,
}

impl VerifiedBinding {
    /// The external key it was made by.
    pub fn key_id(&self) -> EabKeyId {
        self.key_id
    }
}

/// Why a binding is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EabError {
    /// Its form is wrong.
    #[error("the external account binding cannot be read: {0}")]
    Malformed(String),
    /// Its algorithm is not accepted.
    #[error("the external account binding has the algorithm `{0}`; use HS256, HS384 or HS512")]
    Algorithm(String),
    /// No such key, or a wrong MAC: which of the two is nobody's business.
    #[error(
        "the external account binding is refused: its key id is not known or its MAC is wrong; check both, or have a new key made"
    )]
    Refused,
}

impl EabError {
    /// What the client is told.
    pub fn problem(&self) -> Problem {
        let kind = match self {
            // not badSignatureAlgorithm, whose `algorithms` would name those of the request itself
            Self::Malformed(_) | Self::Algorithm(_) => ProblemKind::Malformed,
            Self::Refused => ProblemKind::Unauthorized,
        };
        Problem::new(kind, self.to_string())
    }
}

impl From<JwsError> for EabError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Malformed(why) => Self::Malformed(why),
            other => Self::Malformed(other.to_string()),
        }
    }
}

impl BindingRequest {
    /// Reads the `externalAccountBinding` of a newAccount request that went to `url` under `account_key` (ACC-10).
    pub fn parse(binding: &Value, url: &str, account_key: &Jwk) -> Result<Self, EabError> {
        let object = binding.as_object().ok_or_else(|| malformed("it is not an object"))?;
        let parts = Parts::from_object(object)?;
        let algorithm = algorithm(jws::text(&parts.header, "alg")?)?;
        if parts.header.contains_key("nonce") {
            return Err(malformed("its protected header has a `nonce`"));
        }
        if jws::text(&parts.header, "url")? != url {
            return Err(malformed("its `url` is not the URL of the request"));
        }
        let payload: Value =
            serde_json::from_slice(&parts.payload).map_err(|_| malformed("its payload is not JSON"))?;
        let bound = Jwk::parse(&payload).map_err(|error| EabError::Malformed(error.to_string()))?;
        if bound.thumbprint() != account_key.thumbprint() {
            return Err(malformed("its payload is not the account key of the request"));
        }
        let key_id = jws::text(&parts.header, "kid")?.parse().map_err(|_| EabError::Refused)?;
        Ok(Self { key_id, algorithm, parts })
    }

    /// The key to look up.
    pub fn key_id(&self) -> EabKeyId {
        self.key_id
    }

    /// Verifies the MAC, in constant time, by the secret of that key.
    pub fn verify(self, secret: &[u8]) -> Result<VerifiedBinding, EabError> {
        let key = hmac::Key::new(self.algorithm, secret);
        hmac::verify(&key, &self.parts.signing_input, &self.parts.signature).map_err(|_| EabError::Refused)?;
        Ok(VerifiedBinding { key_id: self.key_id })
    }
}

/// The client's half: the `externalAccountBinding` of a newAccount request.
pub fn create(key_id: &str, secret: &[u8], url: &str, account_key: &Jwk) -> Value {
    let protected = json!({ "alg": "HS256", "kid": key_id, "url": url }).to_string();
    let payload = account_key.canonical_json().as_bytes();
    let input = jws::signing_input(&protected, payload);
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
    jws::flatten(&protected, payload, mac.as_ref())
}

/// A secret of 256 bits whose text begins with a letter or a digit: a leading hyphen breaks the command lines of
/// clients (ACC-11).
pub fn new_secret(entropy: &dyn Entropy) -> Zeroizing<[u8; 32]> {
    loop {
        let secret = Zeroizing::new(random::bytes::<32>(entropy));
        // the last two characters of the alphabet are `-` and `_`
        if secret.first().is_some_and(|first| first >> 2 < 62) {
            return secret;
        }
    }
}

/// The secret as it is handed out: base64url without padding.
pub fn secret_text(secret: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(URL_SAFE_NO_PAD.encode(secret))
}

fn algorithm(name: &str) -> Result<hmac::Algorithm, EabError> {
    match name {
        "HS256" => Ok(hmac::HMAC_SHA256),
        "HS384" => Ok(hmac::HMAC_SHA384),
        "HS512" => Ok(hmac::HMAC_SHA512),
        other => Err(EabError::Algorithm(other.chars().filter(|c| !c.is_control()).take(40).collect())),
    }
}

fn malformed(why: &str) -> EabError {
    EabError::Malformed(why.to_owned())
}

#[cfg(test)]
#[path = "eab_tests.rs"]
mod tests;
