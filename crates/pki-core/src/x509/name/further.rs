//! Names that certificates carry beside those that ACME orders: URIs, e-mail addresses, permanent identifiers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{DnsName, NameError, refuse};

/// Longer than any name in use.
const MAX_URI: usize = 1024;
const MAX_PERMANENT: usize = 128;

/// An absolute URI in ASCII (RFC 3986), its scheme in lower case; no fragment, no `.` or `..` as segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UriName(String);

/// A mailbox (RFC 5321), its domain in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// The value of a permanent identifier (RFC 4043), such as a serial number; without assigner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PermanentId(String);

impl FromStr for UriName {
    type Err = NameError;

    /// Two spellings that a service may take for one are refused rather than compared: segments `.` and `..`, also
    /// percent-encoded, and in SPIFFE IDs everything their specification does not know.
    fn from_str(text: &str) -> Result<Self, NameError> {
        const KIND: &str = "URI";
        if text.len() > MAX_URI {
            return refuse(text, KIND, "it is longer than 1024 characters");
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return refuse(text, KIND, "it has no scheme; write for example urn:... or spiffe://...");
        };
        let letters = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(letters) || rest.is_empty() {
            return refuse(text, KIND, "it has no scheme; write for example urn:... or spiffe://...");
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte)) {
            return refuse(text, KIND, "it holds a character that no absolute URI has");
        }
        let dots = rest.to_ascii_lowercase().replace("%2e", ".");
        if dots.split(['/', '?']).any(|segment| segment == "." || segment == "..") {
            return refuse(text, KIND, "it has a segment `.` or `..`");
        }
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "spiffe" {
            spiffe(rest).or_else(|reason| refuse(text, KIND, reason))?;
        }
        Ok(Self(format!("{scheme}:{rest}")))
    }
}

/// SPIFFE-ID section 2: a trust domain, and segments of letters, digits, `.`, `-` and `_`.
fn spiffe(rest: &str) -> Result<(), &'static str> {
    let Some(rest) = rest.strip_prefix("//") else { return Err("a SPIFFE ID begins with spiffe://") };
    let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
    let in_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    if domain.is_empty() || !domain.chars().all(in_domain) {
        return Err("the trust domain of a SPIFFE ID has lower-case letters, digits, `.`, `-` and `_`");
    }
    let in_path = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let is_segment = |segment: &str| !segment.is_empty() && segment.chars().all(in_path);
    match path {
        Some(path) if !path.split('/').all(is_segment) => {
            Err("the path of a SPIFFE ID has segments of letters, digits, `.`, `-` and `_`, and none at its end")
        }
        _ => Ok(()),
    }
}

impl FromStr for EmailAddress {
    type Err = NameError;

    /// Plain mailboxes only: no quotes, no comments, no address as domain.
    fn from_str(text: &str) -> Result<Self, NameError> {
        const KIND: &str = "e-mail address";
        let Some((local, domain)) = text.rsplit_once('@') else {
            return refuse(text, KIND, "it has no `@`");
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        let is_atom = |atom: &str| !atom.is_empty() && atom.chars().all(fits);
        if local.len() > 64 || !local.split('.').all(is_atom) {
            return refuse(text, KIND, "what stands before the `@` is no plain mailbox of at most 64 characters");
        }
        match domain.parse::<DnsName>() {
            Ok(domain) if !domain.is_wildcard() => Ok(Self(format!("{local}@{domain}"))),
            _ => refuse(text, KIND, "what stands after the `@` is no DNS name"),
        }
    }
}

impl EmailAddress {
    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for PermanentId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const KIND: &str = "permanent identifier";
        let length = text.chars().count();
        if !(1..=MAX_PERMANENT).contains(&length) {
            return refuse(text, KIND, "it has none or more than 128 characters");
        }
        if text.chars().any(char::is_control) || text.trim() != text {
            return refuse(text, KIND, "it holds control characters, or blanks around it");
        }
        Ok(Self(text.to_owned()))
    }
}

macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// As text, in its one spelling.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

text!(UriName);
text!(EmailAddress);
text!(PermanentId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_have_one_spelling() {
        let uri: UriName = "SPIFFE://site.test/gw/gw-1".parse().unwrap();
        assert_eq!(uri.as_str(), "spiffe://site.test/gw/gw-1");
        for good in ["urn:gw-1:opcua", "https://site.test/a?b=c", "opc.tcp://gw-1:4840", "spiffe://site.test"] {
            assert!(good.parse::<UriName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "gw-1",
            ":x",
            "1a:x",
            "urn:",
            "urn:a b",
            "urn:a\u{e4}",
            "https://a/../b",
            "https://a/%2E%2e/b",
            "https://a/./b",
            "https://a#b",
            "spiffe:a",
            "spiffe://",
            "spiffe://A/x",
            "spiffe://a/x/",
            "spiffe://a//x",
            "spiffe://a/x?y",
            "spiffe://a/%41",
            "spiffe://u@a/x",
        ] {
            assert!(bad.parse::<UriName>().is_err(), "{bad}");
        }
        assert!(format!("urn:{}", "a".repeat(2000)).parse::<UriName>().is_err());
    }

    #[test]
    fn mailboxes_are_plain() {
        assert_eq!("Ana.B+x@Site.Test".parse::<EmailAddress>().unwrap().as_str(), "Ana.B+x@site.test");
        for bad in
            ["", "a", "@a.test", "a@", "a@*.test", "a..b@a.test", ".a@a.test", "\"a\"@a.test", "a@1.2.3.4", "a b@c"]
        {
            assert!(bad.parse::<EmailAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn permanent_identifiers_are_one_line() {
        assert!("SN 0042/7".parse::<PermanentId>().is_ok());
        for bad in ["", " a", "a\nb", &"a".repeat(129)] {
            assert!(bad.parse::<PermanentId>().is_err(), "{bad}");
        }
    }
}
