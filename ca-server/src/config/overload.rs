//! `[limits.overload]`: how much work the CA takes on before it says no.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of signed requests. Directories, nonces, renewal information, revocation lists, health and metrics are outside
/// of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overload {
    /// Requests under way at the same time.
    #[serde(deserialize_with = "from_one")]
    pub at_once: usize,
    /// Requests that wait for one of those to end.
    #[serde(deserialize_with = "from_zero")]
    pub waiting: usize,
    /// What would wait longer is answered at once: 503, come back later.
    #[serde(rename = "patience_seconds", with = "super::limits::seconds")]
    pub patience: Duration,
}

impl Default for Overload {
    fn default() -> Self {
        Self { at_once: 128, waiting: 1024, patience: Duration::from_secs(5) }
    }
}

fn from_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    number(deserializer, 1)
}

fn from_zero<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    number(deserializer, 0)
}

fn number<'de, D: serde::Deserializer<'de>>(deserializer: D, least: usize) -> Result<usize, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let in_range = usize::try_from(number).ok().filter(|number| (least..=100_000).contains(number));
    in_range.ok_or_else(|| serde::de::Error::custom(format!("{number} is not a number from {least} to 100000")))
}
