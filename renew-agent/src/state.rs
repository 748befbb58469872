//! What the agent remembers, and where: one folder, versioned JSON, every write atomic and durable.
//!
//! Certificates and keys are the truth (see [`crate::install`]); what stands in `state/` can be lost without losing
//! a certificate. Knows nothing of how certificates are obtained.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pki_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::files::{self, Access, FileError};

/// The largest state file ever read.
const LIMIT: u64 = 256 * 1024;

/// Why something could not be remembered or recalled.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The content is not what the agent writes.
    #[error("cannot read {}: {detail}; remove the file and run `renew-agent enroll` again with the same token", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Written by a later release.
    #[error("cannot read {}: it has version {found}, this agent knows {known}; use the newer renew-agent", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version this agent writes.
        known: u32,
    },
    /// Another agent works on the same folder.
    #[error("another renew-agent is using {}; stop it first (`systemctl stop renew-agent`), or give another --dir", .0.display())]
    Locked(PathBuf),
}

/// A kind of state file.
pub trait Document: Serialize + DeserializeOwned {
    /// Raised by every change that older agents cannot read.
    const VERSION: u32;
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    body: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

/// Reads a state file; `None` when it is not there.
pub fn load<T: Document>(path: &Path) -> Result<Option<T>, StateError> {
    let Some(bytes) = files::read(path, LIMIT)? else { return Ok(None) };
    let damaged = |error: serde_json::Error| StateError::Damaged { path: path.to_owned(), detail: error.to_string() };
    let head: VersionOnly = serde_json::from_slice(&bytes).map_err(damaged)?;
    if head.version > T::VERSION {
        return Err(StateError::Newer { path: path.to_owned(), found: head.version, known: T::VERSION });
    }
    serde_json::from_slice::<Versioned<T>>(&bytes).map(|document| Some(document.body)).map_err(damaged)
}

/// Writes a state file: atomic, durable, for the agent's eyes only.
pub fn save<T: Document>(path: &Path, body: &T) -> Result<(), StateError> {
    let document = Versioned { version: T::VERSION, body };
    let mut bytes = serde_json::to_vec_pretty(&document)
        .map_err(|error| StateError::Damaged { path: path.to_owned(), detail: error.to_string() })?;
    bytes.push(b'\n');
    Ok(files::replace(path, &bytes, Access::SECRET)?)
}

/// The folder of one agent.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// Names the folder; nothing is touched.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the folders that are missing. Others may pass through to `live`, nobody looks into `state`.
    pub fn prepare(&self) -> Result<(), StateError> {
        files::make_dir(&self.dir, 0o755)?;
        files::make_dir(&self.dir.join("live"), 0o755)?;
        Ok(files::make_dir(&self.dir.join("state"), 0o700)?)
    }

    /// Which CA this node belongs to.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.json")
    }

    /// The pinned roots, PEM.
    pub fn roots(&self) -> PathBuf {
        self.dir.join("roots.pem")
    }

    /// The account's private key, PKCS #8 PEM.
    pub fn account_key(&self) -> PathBuf {
        self.dir.join("account.key")
    }

    /// The account's URL.
    pub fn account(&self) -> PathBuf {
        self.dir.join("account.json")
    }

    /// What the CA says this device is.
    pub fn device(&self) -> PathBuf {
        self.dir.join("device.json")
    }

    /// When the CA was last reached.
    pub fn contact(&self) -> PathBuf {
        self.dir.join("contact.json")
    }

    /// Where one certificate stands.
    pub fn certificate_state(&self, name: &str) -> PathBuf {
        self.dir.join("state").join(format!("{name}.json"))
    }

    /// The private key of the certificate that is being ordered.
    pub fn pending_key(&self, name: &str) -> PathBuf {
        self.dir.join("state").join(format!("{name}.key"))
    }

    /// The wish of a person for another certificate, which the daemon fulfils and removes.
    pub fn demand(&self, name: &str) -> PathBuf {
        self.dir.join("state").join(format!("{name}.renew"))
    }

    /// The folder of one certificate's generations.
    pub fn live(&self, name: &str) -> PathBuf {
        self.dir.join("live").join(name)
    }

    /// Takes the folder for this process; released when the process ends, however it ends.
    pub fn lock(&self) -> Result<Lock, StateError> {
        self.prepare()?;
        let path = self.dir.join("agent.lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let mut file = files::on("open", &path, opened)?;
        match file.try_lock() {
            Ok(()) => {
                // For `renew`, which wakes the process that holds the lock.
                let pid = format!("{}\n", std::process::id());
                files::on("write", &path, file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())))?;
                Ok(Lock { _file: file })
            }
            Err(std::fs::TryLockError::WouldBlock) => Err(StateError::Locked(self.dir.clone())),
            Err(std::fs::TryLockError::Error(error)) => Ok(files::on("lock", &path, Err(error))?),
        }
    }
}

impl Home {
    /// The process that holds the lock; only meaningful while [`lock`](Self::lock) is refused.
    pub fn holder(&self) -> Option<i32> {
        let bytes = files::read(&self.dir.join("agent.lock"), 32).ok().flatten()?;
        std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
    }
}

/// Proof that no other agent works on the folder.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The CA of this node, as its enrolment token named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaRecord {
    /// Base addresses, tried in turn.
    pub addresses: Vec<String>,
    /// SHA-256 of the pinned roots' DER, hexadecimal.
    pub root_sha256: Vec<String>,
    /// The external account key that this node was enrolled with.
    pub kid: String,
}

impl Document for CaRecord {
    const VERSION: u32 = 1;
}

/// The account at the CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Its URL, the `kid` of every request.
    pub url: String,
    /// The directory it was made at.
    pub directory: String,
}

impl Document for AccountRecord {
    const VERSION: u32 = 1;
}

/// What the CA says this device is; absent for an account that is bound to no device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// The device's name.
    pub device: String,
    /// The profile of its certificates.
    pub profile: String,
    /// Its DNS names.
    pub dns: Vec<String>,
    /// Its IP addresses.
    pub ip: Vec<String>,
    /// When to renew, in thousandths of a certificate's life.
    pub renew_at_permille: Option<u16>,
}

impl Document for DeviceRecord {
    const VERSION: u32 = 1;
}

/// How the last attempts to reach the CA went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The last answer of the CA.
    pub reached_at: Option<Timestamp>,
    /// Since when there has been none.
    pub unreachable_since: Option<Timestamp>,
    /// What the last failed attempt met.
    pub last_error: Option<String>,
}

impl Document for Contact {
    const VERSION: u32 = 1;
}

/// Where one certificate stands between two moments of rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateState {
    /// The order that is on its way.
    pub order: Option<OrderInFlight>,
    /// Attempts that failed since the last success.
    pub failure: Option<Failure>,
    /// A generation that its service has not been seen to present yet.
    pub debt: Option<Debt>,
    /// A generation that was taken back because the service stopped shaking hands with it.
    pub held: Option<Held>,
    /// What the last probe saw.
    pub last_probe: Option<ProbeRecord>,
    /// SHA-256 of a leaf that is in service and that the CA has not been told of, hexadecimal.
    pub unreported: Option<String>,
    /// When the CA suggests to renew the certificate (RFC 9773).
    pub suggested: Option<Suggestion>,
    /// When to ask for that next.
    pub ask_window_at: Option<Timestamp>,
}

impl Document for CertificateState {
    const VERSION: u32 = 1;
}

/// An order that the CA knows; its key stands beside the state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderInFlight {
    /// The order's URL.
    pub url: String,
    /// When it was made.
    pub since: Timestamp,
}

/// What went wrong, how often, and when it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Attempts that failed in a row.
    pub attempts: u32,
    /// The first of them.
    pub since: Timestamp,
    /// The next one.
    pub next_attempt: Timestamp,
    /// What the last one met.
    pub error: String,
}

/// "Reload owed": written before the swap, cleared when a probe has seen the leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// The generation that is, or is about to be, current.
    pub generation: u64,
    /// SHA-256 of its leaf, hexadecimal.
    pub leaf_sha256: String,
    /// When the debt was made.
    pub since: Timestamp,
    /// The generation that was in service before.
    pub came_from: Option<u64>,
    /// Whether the service shook hands before the swap; unknown without a probe.
    pub served_before: Option<bool>,
    /// Reloads that failed so far.
    pub failure: Option<Failure>,
}

/// A generation taken back. It is installed again before another certificate is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its number.
    pub generation: u64,
    /// How often it was taken back.
    pub attempts: u32,
    /// How often any generation was taken back since the service last accepted one.
    pub refusals: u32,
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRecord {
    /// When.
    pub at: Timestamp,
    /// Whether the wanted leaf was seen.
    pub seen: bool,
    /// What was seen, or why nothing was.
    pub detail: String,
}

/// A renewal window that the CA suggested (RFC 9773 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// For which leaf, hexadecimal SHA-256.
    pub leaf_sha256: String,
    /// Begin of the window.
    pub start: Timestamp,
    /// End of the window.
    pub end: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_reads_back_and_an_older_agent_refuses_a_newer_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        home.prepare().unwrap();
        let path = home.certificate_state("web");
        assert_eq!(load::<CertificateState>(&path).unwrap(), None);
        let state = CertificateState {
            held: Some(Held { generation: 4, attempts: 1, refusals: 1 }),
            ..CertificateState::default()
        };
        save(&path, &state).unwrap();
        assert_eq!(load(&path).unwrap(), Some(state));
        std::fs::write(&path, r#"{"version": 9}"#).unwrap();
        assert!(matches!(load::<CertificateState>(&path), Err(StateError::Newer { found: 9, .. })));
        std::fs::write(&path, "").unwrap();
        assert!(matches!(load::<CertificateState>(&path), Err(StateError::Damaged { .. })));
    }

    #[test]
    fn a_second_agent_is_refused_and_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let first = home.lock().unwrap();
        let refusal = home.lock().unwrap_err();
        assert!(refusal.to_string().starts_with("another renew-agent is using "), "{refusal}");
        assert_eq!(home.holder(), i32::try_from(std::process::id()).ok());
        drop(first);
        home.lock().unwrap();
    }
}
