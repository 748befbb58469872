//! JSON Web Signatures as RFC 8555 section 6.2 restricts them: read, checked and verified; and put together.
//!
//! [`FlatJws`] is what arrived, [`Verified`] what its signature vouches for. Whether the URL is the one that was
//! asked, whether the nonce is fresh and whose key it is are questions for whoever has requests and accounts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::acme::json;
use crate::acme::jwk::{Jwk, JwkError};
use crate::acme::problem::{Problem, ProblemKind};

pub use crate::acme::jwa::{ALGORITHMS, JwsAlgorithm};

/// More than any request needs: a CSR of 16 KiB is 22 KiB in base64url, and 29 KiB in the payload.
pub const MAX_BODY: usize = 64 * 1024;

const MAX_NONCE: usize = 512;

/// A signed request as it arrived: its form is right, its signature not verified.
#[derive(Debug, Clone)]
pub struct FlatJws {
    protected: Protected,
    parts: Parts,
}

/// The protected header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// How it is signed.
    pub algorithm: JwsAlgorithm,
    /// The anti-replay nonce; none in an inner JWS only.
    pub nonce: Option<String>,
    /// The URL the request was signed for.
    pub url: String,
    /// By which key.
    pub key: KeyRef,
}

/// The key of a request: in the request, or by the URL of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRef {
    /// `jwk`.
    Jwk(Jwk),
    /// `kid`.
    Kid(String),
}

/// A request whose signature was verified.
#[derive(Debug, Clone)]
#[must_use]
pub struct Verified {
    /// The protected header.
    pub protected: Protected,
    /// What was signed.
    pub payload: Payload,
}

/// The payload of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Empty: the resource is to be read (section 6.3).
    PostAsGet,
    /// Not empty, and supposed to be JSON.
    Json(Vec<u8>),
}

/// Why a request is refused before anybody looks at what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Its form is wrong.
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    /// Its algorithm is not accepted.
    #[error("the signature algorithm `{0}` is not accepted; use one of ES256, ES384, ES512, RS256 and EdDSA")]
    Algorithm(String),
    /// Its key is not accepted.
    #[error(transparent)]
    Key(#[from] JwkError),
    /// Key and algorithm do not go together.
    #[error("the algorithm {given} does not go with the account key, which signs by {expected}")]
    Mismatch {
        /// The algorithm of the header.
        given: JwsAlgorithm,
        /// The algorithm of the key.
        expected: JwsAlgorithm,
    },
    /// The signature is not by this key over this request.
    #[error("the signature of the request does not verify by the account key")]
    Signature,
}

impl JwsError {
    /// The type of problem to answer with.
    pub const fn kind(&self) -> ProblemKind {
        match self {
            Self::Malformed(_) | Self::Signature => ProblemKind::Malformed,
            Self::Algorithm(_) => ProblemKind::BadSignatureAlgorithm,
            Self::Key(error) => error.kind(),
            Self::Mismatch { .. } => ProblemKind::BadPublicKey,
        }
    }

    /// The `algorithms` member of the problem, which goes with [`ProblemKind::BadSignatureAlgorithm`].
    pub fn algorithms(&self) -> Option<&'static [&'static str]> {
        matches!(self, Self::Algorithm(_)).then_some(&ALGORITHMS)
    }

    /// What the client is told.
    pub fn problem(&self) -> Problem {
        Problem::new(self.kind(), self.to_string())
    }
}

impl FlatJws {
    /// Reads the body of a request: [`MAX_BODY`] at most, flattened serialisation, a nonce (JWS-1 to JWS-5).
    pub fn parse(body: &[u8]) -> Result<Self, JwsError> {
        let jws = Self::read(body)?;
        match jws.protected.nonce {
            Some(_) => Ok(jws),
            None => refuse("its protected header has no `nonce`"),
        }
    }

    /// Reads the inner JWS of keyChange: it has a `jwk` and no nonce (RFC 8555 section 7.3.5).
    pub fn parse_inner(body: &[u8]) -> Result<Self, JwsError> {
        let jws = Self::read(body)?;
        match jws.protected {
            Protected { nonce: Some(_), .. } => refuse("its inner JWS has a `nonce`"),
            Protected { key: KeyRef::Kid(_), .. } => {
                refuse("its inner JWS has a `kid` where the new key belongs as `jwk`")
            }
            _ => Ok(jws),
        }
    }

    fn read(body: &[u8]) -> Result<Self, JwsError> {
        let parts = Parts::parse(body)?;
        let protected = Protected::read(&parts.header)?;
        Ok(Self { protected, parts })
    }

    /// The header, which nothing vouches for yet: enough to find the key.
    pub fn protected(&self) -> &Protected {
        &self.protected
    }

    /// Verifies the signature by the key of the account, or by the one in the header.
    pub fn verify(self, key: &Jwk) -> Result<Verified, JwsError> {
        let Self { protected, parts } = self;
        if protected.algorithm != key.algorithm() {
            return Err(JwsError::Mismatch { given: protected.algorithm, expected: key.algorithm() });
        }
        let signature = protected.algorithm.signature_to_x509(&parts.signature).ok_or(JwsError::Signature)?;
        key.public_key()
            .verify(protected.algorithm.signature_algorithm(), &parts.signing_input, &signature)
            .map_err(|_| JwsError::Signature)?;
        let payload = if parts.payload.is_empty() { Payload::PostAsGet } else { Payload::Json(parts.payload) };
        Ok(Verified { protected, payload })
    }
}

impl Protected {
    fn read(header: &Map<String, Value>) -> Result<Self, JwsError> {
        let algorithm = text(header, "alg")?;
        let algorithm = JwsAlgorithm::from_name(algorithm)
            .ok_or_else(|| JwsError::Algorithm(algorithm.chars().filter(|c| !c.is_control()).take(40).collect()))?;
        let key = match (header.get("jwk"), header.get("kid")) {
            (Some(key), None) => KeyRef::Jwk(Jwk::parse(key)?),
            (None, Some(_)) => KeyRef::Kid(text(header, "kid")?.to_owned()),
            (Some(_), Some(_)) => return refuse("its protected header has both `jwk` and `kid`"),
            (None, None) => return refuse("its protected header has neither `jwk` nor `kid`"),
        };
        if let KeyRef::Jwk(key) = &key
            && key.algorithm() != algorithm
        {
            return Err(JwsError::Mismatch { given: algorithm, expected: key.algorithm() });
        }
        Ok(Self { algorithm, nonce: nonce(header)?, url: text(header, "url")?.to_owned(), key })
    }
}

/// NON-3: a nonce outside the alphabet of base64url is malformed, not merely unknown.
fn nonce(header: &Map<String, Value>) -> Result<Option<String>, JwsError> {
    if !header.contains_key("nonce") {
        return Ok(None);
    }
    let nonce = text(header, "nonce")?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if nonce.len() > MAX_NONCE || !nonce.bytes().all(fits) {
        return refuse("its `nonce` is not base64url");
    }
    Ok(Some(nonce.to_owned()))
}

/// The three parts of a flattened JWS, decoded, with a header that may be read.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) header: Map<String, Value>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) signing_input: Vec<u8>,
}

impl Parts {
    fn parse(body: &[u8]) -> Result<Self, JwsError> {
        if body.len() > MAX_BODY {
            return refuse("it is longer than 64 KiB");
        }
        Self::from_object(&json::object(body).map_err(JwsError::Malformed)?)
    }

    /// JWS-1: exactly the flattened form. Members nobody knows are ignored.
    pub(super) fn from_object(object: &Map<String, Value>) -> Result<Self, JwsError> {
        if object.contains_key("header") || object.contains_key("signatures") {
            return refuse("it has an unprotected header or several signatures; use the flattened serialisation");
        }
        let (protected, payload) = (text(object, "protected")?, text_or_empty(object, "payload")?);
        let header = json::object(&decode("protected", protected)?)
            .map_err(|why| JwsError::Malformed(format!("of its protected header: {why}")))?;
        if header.contains_key("crit") || header.contains_key("b64") {
            return refuse("its protected header asks for extensions by `crit` or `b64`");
        }
        Ok(Self {
            header,
            payload: decode("payload", payload)?,
            signature: decode("signature", text(object, "signature")?)?,
            signing_input: format!("{protected}.{payload}").into_bytes(),
        })
    }
}

fn refuse<T>(why: &str) -> Result<T, JwsError> {
    Err(JwsError::Malformed(why.to_owned()))
}

pub(super) fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, JwsError> {
    match text_or_empty(object, name)? {
        "" => Err(JwsError::Malformed(format!("its member `{name}` is empty"))),
        text => Ok(text),
    }
}

fn text_or_empty<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, JwsError> {
    let text = object.get(name).and_then(Value::as_str);
    text.ok_or_else(|| JwsError::Malformed(format!("its member `{name}` is missing or is not a text")))
}

/// JWS-2: without padding, without white space, without stray bits at the end.
fn decode(name: &str, text: &str) -> Result<Vec<u8>, JwsError> {
    let decoded = URL_SAFE_NO_PAD.decode(text);
    decoded.map_err(|_| JwsError::Malformed(format!("its member `{name}` is not base64url without padding")))
}

/// The signing half: the protected header of a request, as JSON. An inner JWS has no nonce.
pub fn protected_header(algorithm: JwsAlgorithm, key: &KeyRef, nonce: Option<&str>, url: &str) -> String {
    let mut header = Map::new();
    header.insert("alg".into(), algorithm.name().into());
    if let Some(nonce) = nonce {
        header.insert("nonce".into(), nonce.into());
    }
    header.insert("url".into(), url.into());
    match key {
        KeyRef::Jwk(key) => header.insert("jwk".into(), key.to_value()),
        KeyRef::Kid(kid) => header.insert("kid".into(), kid.as_str().into()),
    };
    Value::Object(header).to_string()
}

/// What has to be signed (RFC 7515 section 5.1).
pub fn signing_input(protected_json: &str, payload: &[u8]) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(protected_json), URL_SAFE_NO_PAD.encode(payload))
}

/// The body of the request. An ECDSA signature is r and s in fixed length.
pub fn flatten(protected_json: &str, payload: &[u8], signature: &[u8]) -> Value {
    serde_json::json!({
        "protected": URL_SAFE_NO_PAD.encode(protected_json),
        "payload": URL_SAFE_NO_PAD.encode(payload),
        "signature": URL_SAFE_NO_PAD.encode(signature),
    })
}

#[cfg(test)]
#[path = "jws_tests.rs"]
mod tests;
