//! `[agent]`: where state is kept and what is logged.

use std::path::PathBuf;

use serde::Deserialize;

/// Where state is kept unless somebody says otherwise.
const DEFAULT_STATE: &str = "/var/lib/renew-agent";

/// The section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSection {
    /// The folder of keys, certificates and state.
    pub state: PathBuf,
    /// The least important message that is logged.
    pub log: LogLevel,
    /// How lines look.
    pub log_format: LogFormat,
    /// Certificates that are renewed at the same time, at most.
    pub parallel: u8,
}

impl Default for AgentSection {
    fn default() -> Self {
        Self { state: DEFAULT_STATE.into(), log: LogLevel::Info, log_format: LogFormat::Auto, parallel: 4 }
    }
}

/// Importance of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// With time on a terminal, without under systemd, whose journal has its own.
    Auto,
    /// Always with time.
    Full,
}
