//! What can be wrong with the configuration, said so that the line can be found and corrected.

use std::path::{Path, PathBuf};

use crate::config::{FILE, spans};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no CA in the folder.
    #[error("there is no {FILE} in {}; make a CA there with `ca-server init --dir {}`, or give its folder with --dir", dir.display(), dir.display())]
    Absent {
        /// The folder.
        dir: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that cannot be used.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, on which key, and what to do.
        message: String,
    },
}

impl ConfigError {
    pub(super) fn from_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let key = spans::key_at(text, offset);
        let told = match error.message() {
            "duplicate key" => "it stands in this file already; change it there: a section and a key are written once",
            other => other,
        };
        let message = match unknown_key(told) {
            Some((unknown, known)) => unknown_key_message(unknown, &known, key.as_deref()),
            None => match key {
                Some(key) => format!("`{key}`: {told}"),
                None => told.to_owned(),
            },
        };
        Self::Line { path: path.to_owned(), line: spans::line(text, offset), message }
    }

    pub(super) fn value(path: &Path, text: &str, key: &'static str, why: String) -> Self {
        let offset = spans::offset_of(text, key).unwrap_or(0);
        Self::Line { path: path.to_owned(), line: spans::line(text, offset), message: format!("`{key}`: {why}") }
    }
}

fn unknown_key_message(unknown: &str, known: &[&str], key: Option<&str>) -> String {
    let section = match key.and_then(|key| key.rsplit_once('.')) {
        Some((section, _)) => format!("in [{section}]"),
        None => "at the top level".to_owned(),
    };
    let remedy = match nearest(unknown, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known there: {}", known.join(", ")),
    };
    format!("unknown key `{unknown}` {section}; {remedy}")
}

/// serde's text: unknown field `x`, expected one of `a`, `b`.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, expected) = rest.split_once('`')?;
    let known = expected.split('`').skip(1).step_by(2).collect();
    Some((unknown, known))
}

fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &&&str| strsim::damerau_levenshtein(unknown, candidate);
    known.iter().min_by_key(distance).filter(|near| distance(near) <= 1 + unknown.len() / 4).copied()
}
