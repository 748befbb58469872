//! The passphrase of the CA's key files.

use std::fmt;

use zeroize::Zeroizing;

/// A passphrase: erased from memory when dropped, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// A text that is no passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    /// Nothing at all.
    #[error("the passphrase is empty; give at least one character on the first line")]
    Empty,
    /// More than openssl would read.
    #[error("the passphrase is longer than {} bytes; choose a shorter one", Passphrase::MAX)]
    TooLong,
}

impl Passphrase {
    /// The most bytes a passphrase may have: what openssl accepts as `-passin file:`.
    pub const MAX: usize = 1022;

    /// Takes the first line of `text`, as openssl does with a passphrase file.
    pub fn from_first_line(text: &str) -> Result<Self, PassphraseError> {
        let line = text.lines().next().unwrap_or_default();
        match line.len() {
            0 => Err(PassphraseError::Empty),
            length if length > Self::MAX => Err(PassphraseError::TooLong),
            _ => Ok(Self(Zeroizing::new(line.to_owned()))),
        }
    }

    /// The bytes that keys are derived from.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_counts_and_nothing_is_printed() {
        let passphrase = Passphrase::from_first_line("correct horse \r\nsecond\n").unwrap();
        assert_eq!(passphrase.bytes(), b"correct horse ");
        assert_eq!(format!("{passphrase:?}"), "Passphrase(redacted)");
        assert_eq!(Passphrase::from_first_line("\nx").unwrap_err(), PassphraseError::Empty);
        assert_eq!(Passphrase::from_first_line(&"x".repeat(1023)).unwrap_err(), PassphraseError::TooLong);
    }
}
