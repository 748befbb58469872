//! What can go wrong with a key file, and with a signature.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A key file that could not be made, read or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file could not be read.
    #[error(
        "cannot read the key {}: {source}; check that the file is there and that the user running this program may read it", path.display()
    )]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write {}: {source}; check the space and the rights on that folder", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is already there.
    #[error("{} exists already and is not overwritten; move it away or choose another name", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The passphrase does not fit.
    #[error("the passphrase does not open the key {}; give the one that was used when the key was made", path.display())]
    WrongPassphrase {
        /// Which file.
        path: PathBuf,
    },
    /// The file is no encrypted private key.
    #[error("{} is not an encrypted private key (PKCS#8 in PEM): {why}", path.display())]
    NotAKey {
        /// Which file.
        path: PathBuf,
        /// What was found instead, and the remedy where one is known.
        why: String,
    },
    /// A key of a kind that cannot be used here.
    #[error("{} cannot be used: {why}; use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits", path.display())]
    Unsupported {
        /// Which file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// A key could not be generated.
    #[error("cannot generate a key of the kind {algorithm}: {why}")]
    Generate {
        /// The kind asked for.
        algorithm: String,
        /// Why.
        why: String,
    },
}

/// A signature that was not given: "again, later" or "a person must look".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The signer was too slow or overloaded; the same request may succeed later.
    #[error("{what}; it is tried again in {} s", after.as_secs())]
    Retry {
        /// What was attempted and what happened.
        what: String,
        /// How long to wait.
        after: Duration,
    },
    /// Trying again cannot help.
    #[error("{what}")]
    NeedsPerson {
        /// What was attempted, what happened and what to do.
        what: String,
    },
}

impl SignError {
    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self::NeedsPerson { what: what.into() }
    }
}
