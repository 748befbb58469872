//! The configuration: one main file, drop-ins beside it, read as one and checked once.
//!
//! Raw TOML becomes a checked [`Config`]; unknown keys and impossible values are refused with file, line and what to
//! write instead (agents.md failure 27). One section, one file.

mod agent;
mod certificate;
mod challenge;
mod owner;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use agent::{AgentSection, LogFormat, LogLevel};
pub use certificate::{CertificateConfig, DEFAULT_NAME};
pub use challenge::ChallengeConfig;

use crate::files::{self, FileError};

/// Where the configuration is looked for.
pub const DEFAULT_FILE: &str = "/etc/renew-agent/agent.toml";
/// The largest configuration file.
const LIMIT: u64 = 1 << 20;

/// Why the configuration is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that was asked for is not there.
    #[error("there is no configuration file {}; correct --config, or create it", .0.display())]
    Missing(PathBuf),
    /// The text is not what is expected.
    #[error("{}, line {line}: {message}", file.display())]
    Text {
        /// In which file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong and what to write instead.
        message: String,
    },
    /// Two parts contradict each other.
    #[error("{}: {message}", file.display())]
    Conflict {
        /// In which file.
        file: PathBuf,
        /// What contradicts what.
        message: String,
    },
}

/// Everything the operator decided.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The `[agent]` section.
    pub agent: AgentSection,
    /// The `[challenge]` section: how names are proven that no device record holds.
    pub challenge: ChallengeConfig,
    /// Every `[[certificate]]`, in the order of files and lines.
    pub certificates: Vec<CertificateConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    agent: Option<AgentSection>,
    challenge: Option<ChallengeConfig>,
    #[serde(default)]
    certificate: Vec<CertificateConfig>,
}

impl Config {
    /// Reads `file` and `conf.d/*.toml` beside it. A missing file is an error only when somebody named it.
    pub fn load(file: &Path, named: bool) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let mut origin = BTreeMap::new();
        match files::read(file, LIMIT)? {
            Some(bytes) => config.merge(file, &bytes, &mut origin)?,
            None if named => return Err(ConfigError::Missing(file.to_owned())),
            None => {}
        }
        for drop_in in drop_ins(file)? {
            if let Some(bytes) = files::read(&drop_in, LIMIT)? {
                config.merge(&drop_in, &bytes, &mut origin)?;
            }
        }
        Ok(config)
    }

    fn merge(&mut self, file: &Path, bytes: &[u8], origin: &mut BTreeMap<String, PathBuf>) -> Result<(), ConfigError> {
        let raw = parse(file, bytes)?;
        let conflict = |message| ConfigError::Conflict { file: file.to_owned(), message };
        let mut once = |section: &str| match origin.insert(format!("[{section}]"), file.to_owned()) {
            None => Ok(()),
            Some(other) => {
                Err(conflict(format!("[{section}] stands here and in {}; keep it in one file", other.display())))
            }
        };
        if let Some(agent) = raw.agent {
            once("agent")?;
            self.agent = agent;
        }
        if let Some(challenge) = raw.challenge {
            once("challenge")?;
            self.challenge = challenge;
        }
        for certificate in raw.certificate {
            if let Some(other) = origin.insert(certificate.name.clone(), file.to_owned()) {
                let message = format!(
                    "the certificate `{}` is configured twice, also in {}; give each its own `name`",
                    certificate.name,
                    other.display()
                );
                return Err(conflict(message));
            }
            self.certificates.push(certificate);
        }
        Ok(())
    }
}

fn parse(file: &Path, bytes: &[u8]) -> Result<RawConfig, ConfigError> {
    let at = |line, message| ConfigError::Text { file: file.to_owned(), line, message };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        at(1 + before.iter().filter(|byte| **byte == b'\n').count(), "the text is not UTF-8".to_owned())
    })?;
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        at(1 + before.matches('\n').count(), advise(error.message()))
    })
}

/// Adds the nearest known word to a complaint about an unknown one.
fn advise(message: &str) -> String {
    let words: Vec<_> = message.split('`').skip(1).step_by(2).collect();
    let Some((found, known)) = words.split_first().filter(|_| message.starts_with("unknown ")) else {
        return message.trim().to_owned();
    };
    let near = known.iter().map(|word| (distance(found, word), word)).min();
    match near {
        Some((distance, word)) if distance <= 3 => format!("{}; did you mean `{word}`?", message.trim()),
        _ => message.trim().to_owned(),
    }
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for ((to, above_left), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            left = (left + 1).min(above + 1).min(above_left + usize::from(from != *to));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let dir = file.with_file_name("conf.d");
    let entries = match std::fs::read_dir(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => files::on("list", &dir, other)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = files::on("list", &dir, entry)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
