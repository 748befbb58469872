//! The root's revocation list: signed in a ceremony, maybe in another building, and dropped into the CA's folder. The
//! running CA takes it up without a restart, and says daily when a new one is due.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pki_core::time::Timestamp;

use crate::ceremony::material;
use crate::flows::Context;
use crate::flows::crl::root;

/// How often an overdue list is mentioned.
const REMIND: Duration = Duration::from_secs(24 * 3600);

/// Keeps the served list the newest that was in the file.
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
    /// Looks at `file` and watches it from now on. An older file may have been put there while the CA was away: what was published
    /// last still lies among the copies then, and nothing has been written over it yet.
    pub async fn start(file: PathBuf, ctx: &Context) -> Self {
        if let Ok(copy) = material::root_crl(&root::copy(ctx), &ctx.root.certificate) {
            root::take(ctx, copy);
        }
        let seen = Seen { changed_at: None, reminded_at: ctx.now() };
        let watch = Self { file, seen: Mutex::new(seen) };
        watch.look(ctx).await;
        watch
    }

    /// Looks once. A file that is no list of this root, or an older one, changes nothing.
    pub async fn look(&self, ctx: &Context) {
        let (is_changed, is_due) = self.see(ctx.now());
        if is_changed {
            let found = material::root_crl(&self.file, &ctx.root.certificate).map_err(|error| error.to_string());
            root::offer(ctx, &self.file, found).await;
        }
        if is_due {
            material::warn_when_due(&ctx.root.crl(), ctx.now());
        }
    }

    /// Whether the file is another one than at the last look, and whether it is time to remind.
    fn see(&self, now: Timestamp) -> (bool, bool) {
        let changed_at = changed_at(&self.file);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_changed, is_due) = (changed_at != seen.changed_at, now.since(seen.reminded_at) >= REMIND);
        seen.changed_at = changed_at;
        if is_due {
            seen.reminded_at = now;
        }
        (is_changed, is_due)
    }
}

fn changed_at(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|metadata| metadata.modified()).ok()
}
