//! Where the passphrase of the keys comes from: the command line's file, the configuration's, a systemd credential,
//! or a person at a terminal. The first one that is there decides.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use signer::{Passphrase, PassphraseError};
use zeroize::Zeroizing;

/// The name of the systemd credential (`LoadCredentialEncrypted=pilotlight-passphrase`).
pub const CREDENTIAL: &str = "pilotlight-passphrase";

/// No passphrase, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseSourceError {
    /// Nowhere to take it from.
    #[error(
        "the keys are encrypted and no passphrase is given; use --passphrase-file FILE, keys.passphrase_file in ca-server.toml, the systemd credential {CREDENTIAL}, or run this on a terminal"
    )]
    None,
    /// A file that cannot be read.
    #[error("cannot read the passphrase file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file without a usable passphrase.
    #[error("{}: {source}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PassphraseError,
    },
    /// What was typed cannot be used.
    #[error("{0}")]
    Typed(String),
}

/// Whether a passphrase exists already or is chosen now: a new one is typed twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// Opens keys that exist.
    Existing,
    /// Will encrypt new keys.
    New,
}

/// Finds the passphrase. `option` is `--passphrase-file`, `configured` is `keys.passphrase_file` (empty for none).
pub fn find(option: Option<&Path>, configured: &Path, prompt: Prompt) -> Result<Passphrase, PassphraseSourceError> {
    let configured = (!configured.as_os_str().is_empty()).then_some(configured);
    match option.or(configured) {
        Some(path) => from_file(path),
        None => match credential() {
            Some(path) => from_file(&path),
            None => from_terminal(prompt),
        },
    }
}

/// The first line of a file.
pub fn from_file(path: &Path) -> Result<Passphrase, PassphraseSourceError> {
    let mut text = Zeroizing::new(String::new());
    let limit = u64::try_from(Passphrase::MAX).unwrap_or(u64::MAX).saturating_add(2);
    let read = File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text));
    read.map_err(|source| PassphraseSourceError::Read { path: path.to_owned(), source })?;
    Passphrase::from_first_line(&text).map_err(|source| PassphraseSourceError::Unfit { path: path.to_owned(), source })
}

#[expect(clippy::disallowed_methods, reason = "systemd hands credentials over by this variable")]
fn credential() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?).join(CREDENTIAL);
    path.exists().then_some(path)
}

fn from_terminal(prompt: Prompt) -> Result<Passphrase, PassphraseSourceError> {
    if !std::io::stdin().is_terminal() {
        return Err(PassphraseSourceError::None);
    }
    let ask = |question: &str| -> Result<Zeroizing<String>, PassphraseSourceError> {
        let typed = rpassword::prompt_password(question).map(Zeroizing::new);
        typed.map_err(|error| {
            PassphraseSourceError::Typed(format!("cannot read the passphrase from the terminal: {error}"))
        })
    };
    let typed = match prompt {
        Prompt::Existing => ask("Passphrase of the CA keys: ")?,
        Prompt::New => ask("New passphrase for the CA keys: ")?,
    };
    if prompt == Prompt::New && *typed != *ask("The same again: ")? {
        return Err(PassphraseSourceError::Typed(
            "the two passphrases differ; nothing was changed, run the command again".into(),
        ));
    }
    Passphrase::from_first_line(&typed).map_err(|error| PassphraseSourceError::Typed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_comes_before_the_configuration_and_errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::write(&one, "first\n").unwrap();
        assert!(find(Some(&one), &two, Prompt::Existing).is_ok());
        let absent = find(None, &two, Prompt::Existing).unwrap_err().to_string();
        assert!(absent.contains("two") && absent.contains("cannot read"), "{absent}");
        std::fs::write(&two, "\n").unwrap();
        let empty = find(None, &two, Prompt::Existing).unwrap_err().to_string();
        assert!(empty.contains("two") && empty.contains("empty"), "{empty}");
    }
}
