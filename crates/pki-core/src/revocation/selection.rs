//! Which certificates are meant: `profile=gateway site!=home label.line=3 name=*.line3.test issued-before=2026-03-01`.
//!
//! Conditions are separated by white space and all of them have to hold. A value with white space stands in quotes, double
//! or single. The word `all` alone means every certificate: an empty text, which a script makes by mistake, means nothing.

use std::fmt;

use data_encoding::HEXLOWER;

use super::Reason;
use crate::ids::{DeviceName, ProfileName, SiteName};
use crate::time::Timestamp;

/// Longest text that is read, in octets.
const MAX_TEXT: usize = 4096;

/// Most conditions.
const MAX_CONDITIONS: usize = 32;

const FIELDS: &str = "issuer, profile, site, device, label.KEY, name, key, reason, issued-after, issued-before, \
                      expires-after, expires-before, revoked-after and revoked-before";

/// Conditions on certificates, all of which have to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    conditions: Vec<Condition>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// On what.
    pub test: Test,
    /// Whether it must not hold.
    pub negated: bool,
}

/// What is held against a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Its issuing key, by id or name.
    Issuer(String),
    /// The profile it was issued by.
    Profile(ProfileName),
    /// Its site.
    Site(SiteName),
    /// The device that holds it.
    Device(DeviceName),
    /// A label of that device.
    Label {
        /// Its name.
        key: String,
        /// What it says.
        value: String,
    },
    /// A name it carries.
    Name(NamePattern),
    /// SHA-256 of its public key (SubjectPublicKeyInfo).
    Key([u8; 32]),
    /// Why it was revoked; none when no reason was given.
    Reason(Option<Reason>),
    /// A point in time.
    Time {
        /// Which.
        moment: Moment,
        /// At or after it, or before it.
        side: Side,
        /// The point.
        at: Timestamp,
    },
}

/// A name, or many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// This name or address.
    Exact(String),
    /// Names and addresses that begin so: `gw-*`.
    Beginning(String),
    /// A domain and every name under it: `*.line3.test`.
    Domain(String),
}

/// Points in the life of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// When it was made.
    Issued,
    /// Its last second.
    Expires,
    /// When it was revoked.
    Revoked,
}

/// Where a point lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At a time or after it.
    After,
    /// Before it.
    Before,
}

/// A text that is no selection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Nothing stands there.
    #[error("no condition is given; write `all` when every certificate is meant")]
    Empty,
    /// More than anybody writes.
    #[error("the conditions are longer than {MAX_TEXT} octets or more than {MAX_CONDITIONS}")]
    TooLong,
    /// No end of a quotation.
    #[error("a quote is opened and not closed")]
    Quote,
    /// No operator.
    #[error(
        "`{0}` is no condition; write FIELD=VALUE or FIELD!=VALUE, a value with spaces in quotes, where FIELD is one of {FIELDS}"
    )]
    NoCondition(String),
    /// An unknown field.
    #[error("there is no field `{0}`; there are {FIELDS}")]
    NoField(String),
    /// `!=` where it has no sense.
    #[error("`{0}` takes `=` only")]
    NotNegated(String),
    /// A value that does not fit.
    #[error("{field}: {why}")]
    Value {
        /// Of which field.
        field: String,
        /// What is wrong, and what is expected.
        why: String,
    },
}

impl Selection {
    /// Reads a text as people write it.
    pub fn parse(text: &str) -> Result<Self, SelectionError> {
        if text.len() > MAX_TEXT {
            return Err(SelectionError::TooLong);
        }
        let words = words(text)?;
        match words.as_slice() {
            [] => return Err(SelectionError::Empty),
            [word] if word == "all" => return Ok(Self::default()),
            words if words.len() > MAX_CONDITIONS => return Err(SelectionError::TooLong),
            _ => {}
        }
        words.iter().map(|word| condition(word)).collect::<Result<_, _>>().map(|conditions| Self { conditions })
    }

    /// The conditions; none when every certificate is meant.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

/// White space separates; within quotes it does not.
fn words(text: &str) -> Result<Vec<String>, SelectionError> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => (quote, begun) = (Some(c), true),
            (c, None) if c.is_whitespace() => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => {
                begun = true;
                word.push(c);
            }
        }
    }
    if quote.is_some() {
        return Err(SelectionError::Quote);
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

/// As [`words`] reads it: one word.
fn quoted(word: &str) -> String {
    if !word.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')) {
        return word.to_owned();
    }
    // a double quote stands in single ones, and everything else in double ones
    format!("\"{}\"", word.replace('"', "\"'\"'\""))
}

fn condition(word: &str) -> Result<Condition, SelectionError> {
    let (field, value) = word.split_once('=').ok_or_else(|| SelectionError::NoCondition(word.to_owned()))?;
    let (field, negated) = field.strip_suffix('!').map_or((field, false), |field| (field, true));
    let test = test(field, value)?;
    if negated && matches!(test, Test::Time { .. }) {
        return Err(SelectionError::NotNegated(field.to_owned()));
    }
    Ok(Condition { test, negated })
}

fn test(field: &str, value: &str) -> Result<Test, SelectionError> {
    let wrong = |why: String| SelectionError::Value { field: field.to_owned(), why };
    if value.is_empty() {
        return Err(wrong("the value is missing".to_owned()));
    }
    if let Some((moment, side)) = moment(field) {
        let expected = || wrong(format!("`{value}` is no time; write 2026-03-01 or 2026-03-01T12:00:00Z"));
        return Ok(Test::Time { moment, side, at: time(value).ok_or_else(expected)? });
    }
    Ok(match field {
        "issuer" => Test::Issuer(value.to_owned()),
        "profile" => Test::Profile(value.parse().map_err(|error| wrong(format!("{error}")))?),
        "site" => Test::Site(value.parse().map_err(|error| wrong(format!("{error}")))?),
        "device" => Test::Device(value.parse().map_err(|error| wrong(format!("{error}")))?),
        "name" => Test::Name(NamePattern::parse(value).map_err(wrong)?),
        "key" => Test::Key(key(value).ok_or_else(|| {
            wrong(format!(
                "`{value}` is no SHA-256 of a public key: 64 hexadecimal digits, as `cert show` has them at `key SHA-256`"
            ))
        })?),
        "reason" if value.eq_ignore_ascii_case("none") => Test::Reason(None),
        "reason" => Test::Reason(Some(Reason::from_name(value).ok_or_else(|| {
            wrong(format!(
                "`{value}` is not a reason of RFC 5280, such as keyCompromise or certificateHold, nor `none`"
            ))
        })?)),
        _ => match field.strip_prefix("label.") {
            Some("") | None => return Err(SelectionError::NoField(field.to_owned())),
            Some(key) => Test::Label { key: key.to_owned(), value: value.to_owned() },
        },
    })
}

fn key(value: &str) -> Option<[u8; 32]> {
    let digits = value.replace(':', "").to_ascii_lowercase();
    HEXLOWER.decode(digits.as_bytes()).ok()?.try_into().ok()
}

fn moment(field: &str) -> Option<(Moment, Side)> {
    let (moment, side) = field.split_once('-')?;
    let moment = match moment {
        "issued" => Moment::Issued,
        "expires" => Moment::Expires,
        "revoked" => Moment::Revoked,
        _ => return None,
    };
    match side {
        "after" => Some((moment, Side::After)),
        "before" => Some((moment, Side::Before)),
        _ => None,
    }
}

/// RFC 3339, or a date, which is its first second in UTC.
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(text).or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
}

impl NamePattern {
    /// `gw-1.site.test` is a name, `gw-*` a beginning, `*.site.test` a domain.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.to_ascii_lowercase();
        let pattern = match (text.strip_prefix("*."), text.strip_suffix('*')) {
            (Some(domain), _) => Self::Domain(domain.to_owned()),
            (None, Some(beginning)) => Self::Beginning(beginning.to_owned()),
            (None, None) => Self::Exact(text.clone()),
        };
        let (Self::Exact(rest) | Self::Beginning(rest) | Self::Domain(rest)) = &pattern;
        if rest.is_empty() || rest.contains('*') {
            return Err(format!("`{text}` is no name; write gw-1.site.test, gw-* or *.site.test"));
        }
        Ok(pattern)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Beginning(name) => write!(f, "{name}*"),
            Self::Domain(name) => write!(f, "*.{name}"),
        }
    }
}

impl fmt::Display for Selection {
    /// A text that [`Selection::parse`] reads as the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conditions.is_empty() {
            return f.write_str("all");
        }
        for (place, condition) in self.conditions.iter().enumerate() {
            write!(f, "{}{condition}", if place > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, value) = match &self.test {
            Test::Issuer(value) => ("issuer".to_owned(), value.clone()),
            Test::Profile(name) => ("profile".to_owned(), name.to_string()),
            Test::Site(name) => ("site".to_owned(), name.to_string()),
            Test::Device(name) => ("device".to_owned(), name.to_string()),
            Test::Label { key, value } => (format!("label.{key}"), value.clone()),
            Test::Name(pattern) => ("name".to_owned(), pattern.to_string()),
            Test::Key(sha256) => ("key".to_owned(), HEXLOWER.encode(sha256)),
            Test::Reason(reason) => ("reason".to_owned(), reason.map_or("none", Reason::name).to_owned()),
            Test::Time { moment, side, at } => {
                let moment = match moment {
                    Moment::Issued => "issued",
                    Moment::Expires => "expires",
                    Moment::Revoked => "revoked",
                };
                let side = if *side == Side::After { "after" } else { "before" };
                (format!("{moment}-{side}"), at.rfc3339())
            }
        };
        let operator = if self.negated { "!=" } else { "=" };
        f.write_str(&quoted(&format!("{field}{operator}{value}")))
    }
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
