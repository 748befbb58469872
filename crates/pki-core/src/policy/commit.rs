//! The commit that policies were taken from.

use std::fmt;
use std::str::FromStr;

/// The name of a commit or of another revision in the place where policies are kept: `8f14e45f…`, `main@sha1:8f14…`, `v12`.
/// It stands in certificates' records, metrics and logs, so it is short and has no character that means anything there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit(String);

/// A text that is no name of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a commit is named by 1 to 100 letters, digits and . _ / @ : + -")]
pub struct NoCommit;

impl Commit {
    /// Characters in the longest name.
    pub const MOST: usize = 100;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Commit {
    type Err = NoCommit;

    fn from_str(text: &str) -> Result<Self, NoCommit> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/@:+-".contains(&byte);
        let is_good = (1..=Self::MOST).contains(&text.len()) && text.bytes().all(is_plain);
        is_good.then(|| Self(text.to_owned())).ok_or(NoCommit)
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_a_short_plain_word() {
        for good in ["8f14e45fceea167a5a36dedd4bea2543a1b2c3d4", "main@sha1:8f14e45f", "v1.2+build/7", &"a".repeat(100)]
        {
            assert_eq!(good.parse::<Commit>().unwrap().to_string(), *good);
        }
        for bad in ["", " ", "a b", "a\n", "\"", "a\\", "é", "{}", &"a".repeat(101)] {
            assert_eq!(bad.parse::<Commit>(), Err(NoCommit), "{bad:?}");
        }
    }
}
