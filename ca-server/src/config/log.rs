//! `[log]`: what is written to standard error, and how.

use serde::{Deserialize, Serialize};

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, also by module: `info,store=debug`.
    #[serde(deserialize_with = "level")]
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

fn level<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let level = String::deserialize(deserializer)?;
    let known = |part: &str| {
        let level = part.rsplit('=').next().unwrap_or(part);
        matches!(level.to_ascii_lowercase().as_str(), "error" | "warn" | "info" | "debug" | "trace" | "off")
    };
    // the filter itself would take any word as the name of a module
    match level.split(',').all(known) && tracing_subscriber::EnvFilter::try_new(&level).is_ok() {
        true => Ok(level),
        false => Err(serde::de::Error::custom(format!(
            "`{level}` is not a log level; write error, warn, info, debug or trace, or info,store=debug"
        ))),
    }
}
