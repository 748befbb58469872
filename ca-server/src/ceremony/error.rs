//! Why a ceremony was not held, or its files cannot be used.

use std::io;
use std::path::PathBuf;

use pki_core::issuance::plan::PlanError;
use pki_core::issuance::seal::SealError;
use pki_core::time::Timestamp;
use pki_core::x509::crl::CrlError;
use signer::{KeyFileError, SignError};
use store::StoreError;

use crate::config::ConfigError;

/// Why a ceremony was not held, or what it left cannot be used. Whatever it is, nothing was changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum CeremonyError {
    /// What was asked for does not fit together.
    #[error("{0}")]
    Request(String),
    /// The folder is not free.
    #[error("{} is not empty; choose another folder, or move what is in it away", path.display())]
    NotEmpty { path: PathBuf },
    /// Somebody else is at it.
    #[error("another `ca-server init` is working on {}; wait for it to end", path.display())]
    Busy { path: PathBuf },
    /// A file could not be read or written.
    #[error("cannot {attempt} {}: {source}; check the space and the rights there", path.display())]
    File { attempt: &'static str, path: PathBuf, source: io::Error },
    /// A file does not hold what it should.
    #[error("{}: {why}; restore it from a backup, or correct the [ca] section of ca-server.toml", path.display())]
    Content { path: PathBuf, why: String },
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A key that is not the certificate's.
    #[error("the key in {} is not the one of the certificate {}; give the key that was made with it", key.display(), certificate.display())]
    OtherKey { key: PathBuf, certificate: PathBuf },
    /// A certificate could not be planned.
    #[error("the {what} certificate cannot be made: {source}")]
    Plan { what: &'static str, source: PlanError },
    /// A signature was not given.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A certificate did not survive the second look.
    #[error(
        "the {what} certificate was signed but is not what was planned: {source}; nothing was kept, please report this"
    )]
    Seal { what: &'static str, source: SealError },
    /// The root's CRL could not be made.
    #[error("the root's CRL cannot be made: {0}")]
    Crl(#[from] CrlError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database has a CA already.
    #[error("the database {name} belongs to another CA already; give an empty one with --database")]
    DatabaseTaken { name: String },
    /// The configuration that was written does not hold.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The machine's clock is before the CA's beginning.
    #[error(
        "it is {now} by this machine's clock, but this CA's certificates begin at {begin}: the clock is wrong; set it (`timedatectl set-ntp true`, or `date -s`) and start again"
    )]
    ClockBehind { now: Timestamp, begin: Timestamp },
}

impl CeremonyError {
    pub(super) fn file(attempt: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { attempt, path, source }
    }
}
