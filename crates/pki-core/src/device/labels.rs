//! What people write on a device's record for profiles to use: keys with a value each, few and short.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Labels of one device. They are read with every request of its accounts.
const MOST: usize = 16;

/// Octets of a key, and of a value.
const LONGEST: usize = 63;

/// The key of a label: letters, digits, `-`, `_` and `.`, with a letter or digit at both ends, 63 octets at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelKey(String);

/// The value of a label: letters, digits, spaces inside, and the punctuation of ASCII without comma, quotes and backslash;
/// 63 octets at most, and never empty. What may be put where is for the template to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelValue(String);

/// The labels of a device: sixteen at most, each key once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<LabelKey, LabelValue>);

/// What shall become of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelChange {
    /// It has this value from now on; written `KEY=VALUE`.
    Set(LabelKey, LabelValue),
    /// It is gone, if there was one; written `KEY-`.
    Remove(LabelKey),
}

/// What a device has to be labelled with to be looked for; written `KEY` or `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSelector {
    /// It has this label,
    pub key: LabelKey,
    /// with this value; with any when none.
    pub value: Option<LabelValue>,
}

/// Why a text is no label, or labels can not be a device's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Not a key.
    #[error(
        "`{0}` cannot be the key of a label; write 63 or fewer letters, digits, '-', '_' and '.', with a letter or digit \
         at both ends"
    )]
    Key(String),
    /// Not a value.
    #[error(
        "`{value}` cannot be the value of the label `{key}`; write 1 to {LONGEST} octets of letters, digits, spaces (not \
         at the ends) and punctuation without comma, quotes and backslash"
    )]
    Value {
        /// The label.
        key: String,
        /// What was given, shortened.
        value: String,
    },
    /// Neither `KEY=VALUE` nor whatever else is expected.
    #[error("`{text}` is no label; write {expected}")]
    Form {
        /// What was given, shortened.
        text: String,
        /// What it has to look like.
        expected: &'static str,
    },
    /// One key, two orders.
    #[error("the label `{0}` is named twice; name it once")]
    Twice(LabelKey),
    /// More than a device may have.
    #[error("a device has {MOST} labels at most, and this would make {0}; remove some with `KEY-`")]
    TooMany(usize),
}

impl LabelKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LabelValue {
    /// Reads the value of the label `key`.
    pub fn parse(key: &LabelKey, text: &str) -> Result<Self, LabelError> {
        let may_be = |c: char| {
            c.is_alphanumeric() || c == ' ' || c.is_ascii_punctuation() && !matches!(c, ',' | '"' | '\'' | '`' | '\\')
        };
        let is_one = (1..=LONGEST).contains(&text.len())
            && text.chars().all(may_be)
            && text.trim_matches(' ').len() == text.len();
        let refuse = || LabelError::Value { key: key.to_string(), value: shorten(text) };
        if is_one { Ok(Self(text.to_owned())) } else { Err(refuse()) }
    }

    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelKey {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let is_one = text.len() <= LONGEST
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && is_end(text.chars().next())
            && is_end(text.chars().next_back());
        if is_one { Ok(Self(text.to_owned())) } else { Err(LabelError::Key(shorten(text))) }
    }
}

/// `KEY=VALUE` in its two parts.
fn pair(key: &str, value: &str) -> Result<(LabelKey, LabelValue), LabelError> {
    let key: LabelKey = key.parse()?;
    let value = LabelValue::parse(&key, value)?;
    Ok((key, value))
}

impl FromStr for LabelChange {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        match (text.split_once('='), text.strip_suffix('-')) {
            (Some((key, value)), _) => pair(key, value).map(|(key, value)| Self::Set(key, value)),
            (None, Some(key)) => Ok(Self::Remove(key.parse()?)),
            (None, None) => Err(LabelError::Form { text: shorten(text), expected: "KEY=VALUE, or KEY- to remove it" }),
        }
    }
}

impl FromStr for LabelSelector {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        match text.split_once('=') {
            Some((key, value)) => pair(key, value).map(|(key, value)| Self { key, value: Some(value) }),
            None => Ok(Self { key: text.parse()?, value: None }),
        }
    }
}

impl Labels {
    /// Reads keys and values.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, LabelError> {
        let set = |(key, value)| pair(key, value).map(|(key, value)| LabelChange::Set(key, value));
        Self::default().changed(pairs.into_iter().map(set).collect::<Result<Vec<_>, _>>()?)
    }

    /// With all of these changes made.
    pub fn changed(&self, changes: impl IntoIterator<Item = LabelChange>) -> Result<Self, LabelError> {
        let (mut labels, mut named) = (self.0.clone(), Vec::new());
        for change in changes {
            let (LabelChange::Set(key, _) | LabelChange::Remove(key)) = &change;
            if named.contains(key) {
                return Err(LabelError::Twice(key.clone()));
            }
            named.push(key.clone());
            match change {
                LabelChange::Set(key, value) => labels.insert(key, value),
                LabelChange::Remove(key) => labels.remove(&key),
            };
        }
        if labels.len() > MOST { Err(LabelError::TooMany(labels.len())) } else { Ok(Self(labels)) }
    }

    /// The value of a label.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(LabelValue::as_str)
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for LabelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LabelChange {
    /// `KEY=VALUE` or `KEY-`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(key, value) => write!(f, "{key}={}", value.0),
            Self::Remove(key) => write!(f, "{key}-"),
        }
    }
}

impl fmt::Display for Labels {
    /// `line=Line 4,role=edge`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (key, value)) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

impl Borrow<str> for LabelKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// For messages: what can be shown of a text that may be anything.
fn shorten(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(LONGEST).collect()
}

#[cfg(test)]
impl Labels {
    /// Labels that nobody could store, for the tests of what takes them.
    pub(crate) fn unchecked<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(key, value): (&str, &str)| (LabelKey(key.to_owned()), LabelValue(value.to_owned()));
        Self(pairs.into_iter().map(owned).collect())
    }
}

#[cfg(test)]
#[path = "labels_tests.rs"]
mod tests;
