//! Account keys as JSON Web Keys (RFC 7517), checked, and their thumbprints (RFC 7638).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use der::Decode;
use der::asn1::UintRef;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::acme::jwa::JwsAlgorithm;
use crate::acme::problem::{Problem, ProblemKind};
use crate::x509::encoding;
use crate::x509::key::{KeyAlgorithm, KeyError, PublicKey};

/// SHA-256 of a key in its canonical form (RFC 7638); its text is base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint(pub [u8; 32]);

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// A text that is no thumbprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key thumbprint is 43 characters of base64url")]
pub struct BadThumbprint;

impl FromStr for Thumbprint {
    type Err = BadThumbprint;
    fn from_str(text: &str) -> Result<Self, BadThumbprint> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadThumbprint)?;
        bytes.try_into().map(Self).map_err(|_| BadThumbprint)
    }
}

/// A public account key, strong enough to be one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Jwk {
    canonical: String,
    key: PublicKey,
}

/// Why a JWK is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It is no JWK.
    #[error("the account key is not a JSON Web Key: {0}")]
    Malformed(&'static str),
    /// A kind of key, or a use of one, that accounts cannot have.
    #[error("the account key cannot be used: {0}")]
    Unsupported(&'static str),
    /// Its numbers are no key, or a weak one.
    #[error("the account key is refused: {0}")]
    Key(#[from] KeyError),
}

impl JwkError {
    /// The type of problem to answer with.
    pub const fn kind(&self) -> ProblemKind {
        match self {
            Self::Malformed(_) => ProblemKind::Malformed,
            Self::Unsupported(_) | Self::Key(_) => ProblemKind::BadPublicKey,
        }
    }

    /// What the client is told.
    pub fn problem(&self) -> Problem {
        Problem::new(self.kind(), self.to_string())
    }
}

impl Jwk {
    /// Reads and checks a JWK as a client sent it (JWS-5, JWS-7). Members that are not needed are dropped.
    pub fn parse(value: &Value) -> Result<Self, JwkError> {
        let members = Members(value.as_object().ok_or(JwkError::Malformed("it is not an object"))?);
        members.check_public()?;
        let (key, canonical) = match members.text("kty")? {
            "EC" => members.ec()?,
            "RSA" => members.rsa()?,
            "OKP" => members.okp()?,
            _ => return Err(JwkError::Unsupported("its `kty` is none of EC, RSA and OKP")),
        };
        members.check_purpose(key.algorithm())?;
        Ok(Self { canonical, key })
    }

    /// Reads the stored form.
    pub fn from_canonical_json(text: &str) -> Result<Self, JwkError> {
        let value = serde_json::from_str(text).map_err(|_| JwkError::Malformed("it is not JSON"))?;
        match Self::parse(&value)? {
            key if key.canonical == text => Ok(key),
            _ => Err(JwkError::Malformed("it is not in canonical form")),
        }
    }

    /// The JWK of a key at hand: what a client sends, or the key of a certificate in comparable form.
    pub fn from_public_key(key: &PublicKey) -> Result<Self, JwkError> {
        let canonical = match key.algorithm() {
            KeyAlgorithm::EcdsaP256 => ec_json("P-256", key.bits())?,
            KeyAlgorithm::EcdsaP384 => ec_json("P-384", key.bits())?,
            KeyAlgorithm::EcdsaP521 => ec_json("P-521", key.bits())?,
            KeyAlgorithm::Ed25519 => okp_canonical(&URL_SAFE_NO_PAD.encode(key.bits())),
            KeyAlgorithm::Rsa { .. } => rsa_json(key.bits())?,
        };
        Ok(Self { canonical, key: key.clone() })
    }

    /// The canonical JSON of RFC 7638: required members only, sorted, no white space. Also the stored form.
    pub fn canonical_json(&self) -> &str {
        &self.canonical
    }

    /// The same as a JSON value.
    pub fn to_value(&self) -> Value {
        serde_json::from_str(&self.canonical).expect("the canonical form was made as JSON")
    }

    /// SHA-256 of the canonical form.
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint(Sha256::digest(&self.canonical).into())
    }

    /// The key itself.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The one algorithm that goes with it.
    pub fn algorithm(&self) -> JwsAlgorithm {
        JwsAlgorithm::for_key(self.key.algorithm())
    }

    /// What a challenge response has to show: the token and the thumbprint (RFC 8555 section 8.1).
    pub fn key_authorization(&self, token: &str) -> String {
        format!("{token}.{}", self.thumbprint())
    }
}

struct Members<'a>(&'a Map<String, Value>);

/// Private members of EC, OKP, RSA and symmetric keys (RFC 7518 section 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl Members<'_> {
    /// Whoever sends a private key has told it to everybody on the way: it must not become an account key.
    fn check_public(&self) -> Result<(), JwkError> {
        if PRIVATE.iter().any(|name| self.0.contains_key(*name)) {
            return Err(JwkError::Unsupported("it has private members; make a new key and send its public half only"));
        }
        Ok(())
    }

    /// `alg` and `use` have to agree with the key and with signing, when they are there.
    fn check_purpose(&self, key: KeyAlgorithm) -> Result<(), JwkError> {
        if let Some(algorithm) = self.0.get("alg") {
            let named = algorithm.as_str().and_then(JwsAlgorithm::from_name);
            if named != Some(JwsAlgorithm::for_key(key)) {
                return Err(JwkError::Unsupported("its `alg` does not go with its kind of key"));
            }
        }
        match self.0.get("use") {
            None => Ok(()),
            Some(Value::String(purpose)) if purpose == "sig" => Ok(()),
            Some(_) => Err(JwkError::Unsupported("its `use` is not `sig`")),
        }
    }

    fn text(&self, name: &'static str) -> Result<&str, JwkError> {
        const MISSING: JwkError = JwkError::Malformed("a required member is missing or is not a text");
        self.0.get(name).and_then(Value::as_str).ok_or(MISSING)
    }

    fn octets(&self, name: &'static str) -> Result<Vec<u8>, JwkError> {
        URL_SAFE_NO_PAD
            .decode(self.text(name)?)
            .map_err(|_| JwkError::Malformed("a member is not base64url without padding"))
    }

    fn ec(&self) -> Result<(PublicKey, String), JwkError> {
        let (curve, algorithm, length) = match self.text("crv")? {
            "P-256" => ("P-256", KeyAlgorithm::EcdsaP256, 32),
            "P-384" => ("P-384", KeyAlgorithm::EcdsaP384, 48),
            "P-521" => ("P-521", KeyAlgorithm::EcdsaP521, 66),
            _ => return Err(JwkError::Unsupported("its curve is none of P-256, P-384 and P-521")),
        };
        let (x, y) = (self.octets("x")?, self.octets("y")?);
        if x.len() != length || y.len() != length {
            return Err(JwkError::Malformed(
                "its coordinates do not have the full length of the curve (RFC 7518 6.2.1.2)",
            ));
        }
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        Ok((PublicKey::from_point(algorithm, &point)?, ec_canonical(curve, self.text("x")?, self.text("y")?)))
    }

    fn rsa(&self) -> Result<(PublicKey, String), JwkError> {
        let (n, e) = (self.octets("n")?, self.octets("e")?);
        if n.first().is_none_or(|octet| *octet == 0) || e.first().is_none_or(|octet| *octet == 0) {
            return Err(JwkError::Malformed(
                "a number of it is empty or begins with a zero octet (RFC 7518 section 2)",
            ));
        }
        Ok((PublicKey::from_rsa(&n, &e)?, rsa_canonical(self.text("n")?, self.text("e")?)))
    }

    fn okp(&self) -> Result<(PublicKey, String), JwkError> {
        if self.text("crv")? != "Ed25519" {
            return Err(JwkError::Unsupported("its curve is not Ed25519"));
        }
        let key = PublicKey::from_point(KeyAlgorithm::Ed25519, &self.octets("x")?)?;
        Ok((key, okp_canonical(self.text("x")?)))
    }
}

// The values are base64url and curve names, so nothing in them needs escaping.

fn ec_canonical(curve: &str, x: &str, y: &str) -> String {
    format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
}

fn rsa_canonical(n: &str, e: &str) -> String {
    format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
}

fn okp_canonical(x: &str) -> String {
    format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
}

fn ec_json(curve: &str, point: &[u8]) -> Result<String, JwkError> {
    let coordinates = point.strip_prefix(&[4]).ok_or(JwkError::Malformed("its point is compressed"))?;
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    Ok(ec_canonical(curve, &URL_SAFE_NO_PAD.encode(x), &URL_SAFE_NO_PAD.encode(y)))
}

fn rsa_json(bits: &[u8]) -> Result<String, JwkError> {
    let numbers = encoding::whole_sequence(bits, |reader| -> Result<_, der::Error> {
        Ok((UintRef::decode(reader)?, UintRef::decode(reader)?))
    });
    let (n, e) = numbers.map_err(KeyError::from)?;
    Ok(rsa_canonical(&URL_SAFE_NO_PAD.encode(n.as_bytes()), &URL_SAFE_NO_PAD.encode(e.as_bytes())))
}

#[cfg(test)]
#[path = "jwk_tests.rs"]
mod tests;
