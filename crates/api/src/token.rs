//! The enrolment token: one line that lets one device find its CA, recognise it and prove that it is expected.
//!
//! `plt1.LENGTH.CHECK.BODY`: LENGTH counts the characters of BODY, CHECK is its CRC-32 in hexadecimal, BODY is
//! base64url of JSON. Length and check find what copying and wrapping do to long lines; against forgery nothing
//! protects a token and nothing has to, since its secret is what the CA verifies. It stays readable for as long as
//! it may lie in a warehouse: several CA addresses, several root pins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// What a token of this version begins with.
const PREFIX: &str = "plt1";

/// More than any token with a dozen addresses and pins needs.
const MAX_LENGTH: usize = 8 * 1024;

/// The least a secret may weigh (ACC-11 asks for 32 octets, and that is what the CA makes).
const MIN_SECRET_OCTETS: usize = 16;

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// What a device needs to enrol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentToken {
    /// Addresses of the CA, as `https://name-or-address:port`, best first.
    pub ca: Vec<String>,
    /// SHA-256 of root certificates in lower-case hexadecimal; a chain to any of them is believed.
    pub root_sha256: Vec<String>,
    /// The `kid` of the external account binding.
    pub kid: String,
    /// The HMAC key of the external account binding, base64url.
    pub secret: Secret,
}

/// A text that never shows in `Debug` and is wiped from memory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the secret over.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one use it has.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Why a line is no token. None of the texts repeats any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Something else altogether.
    #[error(
        "this is not an enrolment token: a token begins with `plt1.`; take the line that `ca-server device add` printed"
    )]
    NotAToken,
    /// A token of another version.
    #[error(
        "the enrolment token has version `{version}`, but this program reads `plt1`: use a program of the CA's version"
    )]
    OtherVersion {
        /// What stands in place of `plt1`.
        version: String,
    },
    /// The end is missing.
    #[error("the enrolment token is cut short: {missing} characters are missing; copy the whole line")]
    CutShort {
        /// How many.
        missing: usize,
    },
    /// Something follows the end.
    #[error("{extra} characters follow the end of the enrolment token; copy the one line only")]
    TooLong {
        /// How many.
        extra: usize,
    },
    /// Some character is wrong.
    #[error(
        "the enrolment token is damaged: its check does not fit; copy it again, or make another by `ca-server device token`"
    )]
    Damaged,
    /// Length and check fit, but not what is inside.
    #[error("the enrolment token is whole, but {0}; make another by `ca-server device token`")]
    Content(String),
}

impl EnrolmentToken {
    /// The one line.
    pub fn to_line(&self) -> Zeroizing<String> {
        let json = Zeroizing::new(serde_json::to_vec(self).expect("a struct of strings always serialises"));
        let body = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*json));
        Zeroizing::new(format!("{PREFIX}.{}.{:08x}.{}", body.len(), CRC.checksum(body.as_bytes()), *body))
    }

    /// Reads the line. White space anywhere in it is dropped: terminals and mails wrap long lines.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if text.len() > 2 * MAX_LENGTH {
            return Err(TokenError::NotAToken);
        }
        let line = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect::<String>());
        let body = body(&line)?;
        let json = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Damaged)?);
        let token: Self = serde_json::from_slice(&json)
            // serde's message may quote a value, so only its place is told
            .map_err(|error| TokenError::Content(format!("its JSON does not fit at column {}", error.column())))?;
        token.check()?;
        Ok(token)
    }

    fn check(&self) -> Result<(), TokenError> {
        let bad = |what: &str| Err(TokenError::Content(what.to_owned()));
        if self.ca.is_empty() || self.ca.iter().any(|address| !address.starts_with("https://")) {
            return bad("it names no address that begins with `https://`");
        }
        let is_sha256 = |pin: &String| pin.len() == 64 && pin.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if self.root_sha256.is_empty() || !self.root_sha256.iter().all(is_sha256) {
            return bad("a root fingerprint is not a SHA-256 in lower-case hexadecimal");
        }
        if self.kid.is_empty() || !self.kid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return bad("its key id is not made of letters and digits");
        }
        let secret = URL_SAFE_NO_PAD.decode(self.secret.expose()).map(Zeroizing::new);
        match secret {
            Ok(secret) if secret.len() >= MIN_SECRET_OCTETS => Ok(()),
            _ => bad("its secret is not base64url of 16 octets or more"),
        }
    }
}

/// The body of a line whose version, length and check fit.
fn body(line: &str) -> Result<&str, TokenError> {
    let (version, rest) = line.split_once('.').ok_or_else(|| unversioned(line))?;
    if version != PREFIX {
        return Err(match is_version(version) {
            true => TokenError::OtherVersion { version: version.to_owned() },
            false => TokenError::NotAToken,
        });
    }
    let Some((length, rest)) = rest.split_once('.') else { return Err(TokenError::CutShort { missing: 1 }) };
    let length: usize = length.parse().ok().filter(|length| *length <= MAX_LENGTH).ok_or(TokenError::Damaged)?;
    let Some((check, body)) = rest.split_once('.') else { return Err(TokenError::CutShort { missing: length }) };
    if body.len() < length {
        return Err(TokenError::CutShort { missing: length - body.len() });
    }
    if body.len() > length {
        return Err(TokenError::TooLong { extra: body.len() - length });
    }
    if check != format!("{:08x}", CRC.checksum(body.as_bytes())) {
        return Err(TokenError::Damaged);
    }
    Ok(body)
}

/// Whether it reads `plt` and a number.
fn is_version(text: &str) -> bool {
    text.len() <= 8
        && text.strip_prefix("plt").is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A line without any dot: the beginning of a token, or nothing of the kind.
fn unversioned(line: &str) -> TokenError {
    if line == PREFIX { TokenError::CutShort { missing: 1 } } else { TokenError::NotAToken }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> EnrolmentToken {
        EnrolmentToken {
            ca: vec!["https://ca.site.test:8443".into(), "https://192.0.2.1:8443".into()],
            root_sha256: vec!["ab".repeat(32), "01".repeat(32)],
            kid: "0123456789abcdef0123456789abcdef".into(),
            secret: Secret::new("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I".into()),
        }
    }

    #[test]
    fn a_token_reads_back_however_it_is_wrapped() {
        let line = token().to_line();
        assert!(line.starts_with("plt1.") && !line.contains(char::is_whitespace));
        assert_eq!(EnrolmentToken::parse(&line), Ok(token()));
        let wrapped: String =
            line.as_bytes().chunks(60).map(|c| format!("  {}\r\n", std::str::from_utf8(c).unwrap())).collect();
        assert_eq!(EnrolmentToken::parse(&wrapped), Ok(token()));
    }

    #[test]
    fn every_cut_is_seen_as_a_cut() {
        let line = token().to_line();
        for end in 4..line.len() {
            let outcome = EnrolmentToken::parse(&line[..end]);
            assert!(matches!(outcome, Err(TokenError::CutShort { .. })), "{end}: {outcome:?}");
        }
        assert_eq!(EnrolmentToken::parse(&line[..line.len() - 3]), Err(TokenError::CutShort { missing: 3 }));
        assert_eq!(
            EnrolmentToken::parse(&format!("{}{}", *line, *line)),
            Err(TokenError::TooLong { extra: line.len() })
        );
    }

    #[test]
    fn every_changed_character_is_seen() {
        let line = token().to_line();
        for at in 0..line.len() {
            let mut changed = line.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(EnrolmentToken::parse(&changed).is_err(), "{at}");
        }
    }

    #[test]
    fn other_texts_are_told_apart() {
        assert_eq!(EnrolmentToken::parse(""), Err(TokenError::NotAToken));
        assert_eq!(EnrolmentToken::parse("eyJhbGciOi.J9.x"), Err(TokenError::NotAToken));
        assert_eq!(
            EnrolmentToken::parse("plt2.4.00000000.AAAA"),
            Err(TokenError::OtherVersion { version: "plt2".into() })
        );
        assert_eq!(EnrolmentToken::parse("plt1.99999999999999999999.0.A"), Err(TokenError::Damaged));
        assert_eq!(EnrolmentToken::parse(&"plt1.".repeat(10_000)), Err(TokenError::NotAToken));
    }

    #[test]
    fn content_is_checked_and_never_repeated() {
        let mut bad = token();
        bad.secret = Secret::new("kurz".into());
        let told = EnrolmentToken::parse(&bad.to_line()).unwrap_err().to_string();
        assert!(told.contains("secret is not base64url") && !told.contains("kurz"), "{told}");
        let mut bad = token();
        bad.ca = vec!["http://ca.site.test".into()];
        assert!(matches!(EnrolmentToken::parse(&bad.to_line()), Err(TokenError::Content(_))));
        let mut bad = token();
        bad.root_sha256 = vec!["AB".repeat(32)];
        assert!(matches!(EnrolmentToken::parse(&bad.to_line()), Err(TokenError::Content(_))));
        assert!(!format!("{:?}", token()).contains("c2VjcmV0"));
    }
}
