//! The root's revocation list: signed in a ceremony, maybe in another building, and dropped into the CA's folder. The
//! running CA takes it up without a restart, and says daily when a new one is due.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use pki_core::time::Timestamp;

use crate::ceremony::material;
use crate::flows::Context;

/// How often an overdue list is mentioned.
const REMIND: Duration = Duration::from_secs(24 * 3600);

/// Keeps the served list the one in the file.
#[derive(Debug)]
pub struct RootCrlWatch {
    file: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    changed_at: Option<SystemTime>,
    reminded_at: Timestamp,
}

impl RootCrlWatch {
    /// Watches `file`, which was read at `now`.
    pub fn new(file: PathBuf, now: Timestamp) -> Self {
        let changed_at = changed_at(&file);
        Self { file, seen: Mutex::new(Seen { changed_at, reminded_at: now }) }
    }

    /// Looks once. A file that is no list of this root changes nothing.
    pub fn look(&self, ctx: &Context) {
        let now = ctx.now();
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let changed_at = changed_at(&self.file);
        if changed_at != seen.changed_at {
            seen.changed_at = changed_at;
            match material::root_crl(&self.file, &ctx.root.certificate) {
                Ok(crl) => {
                    tracing::info!(number = crl.number(), until = %crl.next_update(), "took up the root's new CRL");
                    ctx.metrics.root_crl_next_update.store(crl.next_update().unix_seconds(), Ordering::Relaxed);
                    ctx.root.replace_crl(crl);
                }
                Err(error) => tracing::error!(%error, "the root's CRL is not changed"),
            }
        }
        if now.since(seen.reminded_at) >= REMIND {
            seen.reminded_at = now;
            material::warn_when_due(&ctx.root.crl(), now);
        }
    }
}

fn changed_at(file: &std::path::Path) -> Option<SystemTime> {
    file.metadata().and_then(|metadata| metadata.modified()).ok()
}
