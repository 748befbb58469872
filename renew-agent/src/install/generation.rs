//! Writing one generation, reading it back, and letting old ones go.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use pki_core::x509::pem;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Generation, InstallError, KEEP, Live, hex};
use crate::bundle::Verified;
use crate::files::{self, Access, FileError};
use crate::keys::NodeKey;

/// Written last: a folder without it is the remains of a power cut.
const META: &str = "meta.json";
const META_VERSION: u32 = 1;
/// The largest file of a generation.
const LIMIT: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Meta {
    version: u32,
    written_at: Timestamp,
    leaf_sha256: String,
    not_after: String,
    names: Vec<String>,
    /// SHA-256 of each file, hexadecimal.
    files: BTreeMap<String, String>,
}

/// Why a generation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is missing, empty, altered, or belongs to another.
    #[error("generation {number} is damaged: {detail}")]
    Damaged {
        /// Which generation.
        number: u64,
        /// What is wrong with it.
        detail: String,
    },
}

struct Member {
    name: &'static str,
    bytes: Zeroizing<Vec<u8>>,
    secret: bool,
}

impl Live {
    /// Writes a new generation with its final owners and modes, and makes it durable. `current` does not move.
    pub fn write(&self, verified: &Verified, now: Timestamp) -> Result<Generation, InstallError> {
        files::make_dir(&self.dir, self.mode_of_dir)?;
        let number = self.numbers()?.last().copied().unwrap_or(0).saturating_add(1);
        let dir = self.generation_dir(number);
        files::on("create the folder", &dir, fs::create_dir(&dir))?;
        failpoint::failpoint!("agent.install.dir_made");
        self.fill(&dir, verified, now).inspect_err(|_| {
            // Without its remains the disk has room for the next attempt.
            let _ = fs::remove_dir_all(&dir);
        })?;
        files::sync_dir(&self.dir)?;
        Ok(Generation { number, leaf: verified.leaf().clone(), written_at: now })
    }

    fn fill(&self, dir: &Path, verified: &Verified, now: Timestamp) -> Result<(), InstallError> {
        files::on("set the mode of", dir, set_mode(dir, self.mode_of_dir))?;
        let mut sums = BTreeMap::new();
        for member in members(verified) {
            let access = if member.secret { self.secret } else { Access { mode: 0o644, ..self.secret } };
            files::write_new(&dir.join(member.name), &member.bytes, access)?;
            sums.insert(member.name.to_owned(), hex(ring_sha256(&member.bytes).as_ref()));
            failpoint::failpoint!("agent.install.file_written");
        }
        let meta = Meta {
            version: META_VERSION,
            written_at: now,
            leaf_sha256: hex(&verified.leaf().sha256()),
            not_after: verified.leaf().not_after().rfc3339(),
            names: verified.leaf().identifiers().iter().map(ToString::to_string).collect(),
            files: sums,
        };
        let text = serde_json::to_vec_pretty(&meta)
            .map_err(|error| InstallError::Describe { name: self.name.clone(), detail: error.to_string() })?;
        files::replace(&dir.join(META), &text, Access::PUBLIC)?;
        Ok(files::sync_dir(dir)?)
    }

    /// Reads a generation back and checks every file of it.
    pub fn read(&self, number: u64) -> Result<Generation, Unsound> {
        let dir = self.generation_dir(number);
        let damaged = |detail: String| Unsound::Damaged { number, detail };
        let text = files::read(&dir.join(META), LIMIT)?.ok_or_else(|| damaged(format!("{META} is missing")))?;
        let meta: Meta = serde_json::from_slice(&text).map_err(|error| damaged(format!("{META}: {error}")))?;
        for (name, sum) in &meta.files {
            let bytes = files::read(&dir.join(name), LIMIT)?.map(Zeroizing::new);
            let bytes = bytes.ok_or_else(|| damaged(format!("{name} is missing")))?;
            if bytes.is_empty() || hex(ring_sha256(&bytes).as_ref()) != *sum {
                return Err(damaged(format!("{name} is not what was written")));
            }
        }
        let leaf = matching_leaf(&dir).map_err(damaged)?;
        Ok(Generation { number, leaf, written_at: meta.written_at })
    }

    /// Removes all but the newest generations; the current one and those of `keep` are never removed.
    pub fn prune(&self, keep: &[Option<u64>]) -> Result<(), InstallError> {
        let current = self.current_number();
        let numbers = self.numbers()?;
        let surplus = numbers.len().saturating_sub(KEEP);
        for number in numbers.into_iter().take(surplus) {
            if Some(number) != current && !keep.contains(&Some(number)) {
                self.remove(number)?;
            }
        }
        Ok(())
    }

    /// Removes a generation: its description first, so that a half-removed one is never taken for whole.
    pub(super) fn remove(&self, number: u64) -> Result<(), InstallError> {
        let dir = self.generation_dir(number);
        files::remove_if_there(&dir.join(META))?;
        Ok(files::on("remove", &dir, fs::remove_dir_all(&dir))?)
    }
}

fn members(verified: &Verified) -> Vec<Member> {
    let leaf = pem::to_pem(verified.leaf());
    let chain = pem::bundle_to_pem(verified.chain());
    let key = verified.key().to_pem();
    let full = format!("{leaf}{chain}");
    let bundle = Zeroizing::new(format!("{}{full}", key.as_str()));
    let public = |name, text: &str| Member { name, bytes: Zeroizing::new(text.as_bytes().to_vec()), secret: false };
    let secret = |name, text: &str| Member { secret: true, ..public(name, text) };
    let mut members = vec![
        public("cert.pem", &leaf),
        public("fullchain.pem", &full),
        public("roots.pem", verified.roots_pem()),
        secret("key.pem", &key),
        secret("bundle.pem", &bundle),
    ];
    // A leaf directly under the root has no chain; an empty file would look like the work of a power cut.
    members.push(public("chain.pem", if chain.is_empty() { verified.roots_pem() } else { &chain }));
    members
}

fn matching_leaf(dir: &Path) -> Result<Certificate, String> {
    let text = |name: &str| {
        let bytes = files::read(&dir.join(name), LIMIT).map_err(|error| error.to_string())?;
        bytes.map(Zeroizing::new).ok_or_else(|| format!("{name} is missing"))
    };
    let leaf = text("cert.pem")?;
    let leaf = std::str::from_utf8(&leaf).map_err(|error| format!("cert.pem: {error}"))?;
    let leaf = pem::parse_pem_bundle(leaf).map_err(|error| format!("cert.pem: {error}"))?;
    let leaf = leaf.into_iter().next().ok_or("cert.pem is empty")?;
    let key = NodeKey::from_pem("key.pem", &text("key.pem")?).map_err(|error| error.to_string())?;
    if leaf.public_key().spki_der() != key.spki_der() {
        return Err("cert.pem is not for key.pem".to_owned());
    }
    Ok(leaf)
}

fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn ring_sha256(bytes: &[u8]) -> ring::digest::Digest {
    ring::digest::digest(&ring::digest::SHA256, bytes)
}
