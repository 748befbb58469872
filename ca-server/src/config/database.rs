//! `[database]`: where everything is remembered.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite:FILE`, the file relative to DIR, or `postgres://user@host/name`.
    pub url: DatabaseUrl,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: DatabaseUrl("sqlite:pilotlight.db".into()) }
    }
}

/// A database URL; its password is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole URL, with its password: for the store only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether other processes may use the same database.
    pub fn is_shared(&self) -> bool {
        !self.0.starts_with("sqlite:")
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let rest = text.split_once(':').map_or("", |(_, rest)| rest);
        match scheme {
            "sqlite" if !rest.is_empty() => Ok(Self(text.to_owned())),
            "postgres" | "postgresql" if rest.starts_with("//") => Ok(Self(text.to_owned())),
            // the text may hold a password, so it is not repeated
            _ => Err("expected sqlite:FILE or postgres://user@host/database".into()),
        }
    }
}

impl TryFrom<String> for DatabaseUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redacted = self.0.split_once("//").and_then(|(scheme, rest)| {
            let (user, host) = rest.rsplit_once('@')?;
            let (name, _) = user.split_once(':')?;
            Some(format!("{scheme}//{name}:redacted@{host}"))
        });
        let text = redacted.as_deref().unwrap_or(&self.0);
        // libpq also takes the password as a parameter
        match text.split_once("password=") {
            Some((before, after)) => {
                let rest = after.split_once('&').map_or(String::new(), |(_, rest)| format!("&{rest}"));
                write!(f, "{before}password=redacted{rest}")
            }
            None => f.write_str(text),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}
