//! The highest numbers that were ever published, in a file beside the configuration. A database that knows less was
//! restored from an old backup: it is noticed, and numbers go on beyond the marks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pki_core::ids::IssuerId;
use serde::{Deserialize, Serialize};
use signer::durable::{self, Existing};
use store::crls::CrlRecord;
use store::revocations;

use super::trouble::append;
use super::{Context, FlowError};
use crate::flows::denied;
use crate::flows::record::{With, event};
use crate::telemetry::crl::Part;

/// The name of the mark of revocations.
const REVOCATIONS: &str = "revocation";

/// High-water marks, by what they are of.
#[derive(Debug)]
pub struct Marks {
    path: PathBuf,
    values: Mutex<Values>,
    /// One writes the file at a time, the newest last.
    writing: tokio::sync::Mutex<()>,
    /// Whether the log and the audit log tell already that the database is behind.
    is_told: AtomicBool,
}

#[derive(Debug)]
struct Values {
    marks: BTreeMap<String, u64>,
    /// Whether the file knows less than this.
    is_owed: bool,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    marks: BTreeMap<String, u64>,
}

/// The name of the mark of a scope.
pub(super) fn scope(issuer: IssuerId, shard: Option<u32>) -> String {
    shard.map_or_else(|| format!("crl/{issuer}"), |shard| format!("crl/{issuer}/{shard}"))
}

impl Marks {
    /// Reads the file; one that is not there is made with the first list.
    pub fn load(path: PathBuf) -> Result<Self, String> {
        let damaged = |why: String| {
            format!(
                "cannot read the marks in {}: {why}; restore the file, or remove it if the database was never restored",
                path.display()
            )
        };
        let values = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(damaged(error.to_string())),
            Ok(bytes) => {
                let document: Document = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
                document.marks
            }
        };
        let values = Values { marks: values, is_owed: false };
        Ok(Self {
            path,
            values: Mutex::new(values),
            writing: tokio::sync::Mutex::default(),
            is_told: AtomicBool::new(false),
        })
    }

    /// Remembers numbers before they can be forgotten elsewhere. What could not be written is written the next time.
    pub(super) async fn raise(&self, numbers: impl IntoIterator<Item = (String, u64)>) -> Result<(), String> {
        self.take_in(numbers);
        let _writing = self.writing.lock().await;
        let Some(owed) = self.owed() else { return Ok(()) };
        let (path, marks) = (self.path.clone(), owed.clone());
        let written = tokio::task::spawn_blocking(move || write(&path, marks)).await;
        written.unwrap_or_else(|_| Err("the thread that writes the high-water marks ended".to_owned()))?;
        let mut values = self.lock();
        values.is_owed = values.marks != owed;
        Ok(())
    }

    fn take_in(&self, numbers: impl IntoIterator<Item = (String, u64)>) {
        let mut values = self.lock();
        for (name, number) in numbers {
            if values.marks.get(&name).is_none_or(|mark| *mark < number) {
                values.marks.insert(name, number);
                values.is_owed = true;
            }
        }
    }

    fn owed(&self) -> Option<BTreeMap<String, u64>> {
        let values = self.lock();
        values.is_owed.then(|| values.marks.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is marked now.
    pub(super) fn known(&self) -> Known {
        Known(self.lock().marks.clone())
    }

    /// The marks of an issuer's lists.
    pub(super) fn of(&self, issuer: IssuerId) -> BTreeMap<Option<u32>, u64> {
        let values = self.lock();
        let complete = scope(issuer, None);
        let of = |(name, number): (&String, &u64)| match name.strip_prefix(&complete)? {
            "" => Some((None, *number)),
            shard => Some((Some(shard.strip_prefix('/')?.parse().ok()?), *number)),
        };
        values.marks.iter().filter_map(of).collect()
    }
}

fn write(path: &Path, marks: BTreeMap<String, u64>) -> Result<(), String> {
    let text = serde_json::to_vec_pretty(&Document { version: 1, marks }).map_err(|error| error.to_string())?;
    durable::write(path, &text, 0o600, Existing::Replace).map_err(|error| {
        format!(
            "cannot write the high-water marks in {}: {error}; check the space and the rights on that folder",
            path.display()
        )
    })
}

/// What was marked before the database was read: whoever publishes meanwhile raises the marks beyond what was read.
pub(super) struct Known(BTreeMap<String, u64>);

impl Known {
    pub(super) fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    fn of(&self, record: &CrlRecord) -> u64 {
        self.get(&scope(record.issuer, record.shard))
    }

    /// Whether a newer list than this was published.
    pub(super) fn is_beyond(&self, record: &CrlRecord) -> bool {
        self.of(record) > record.number
    }
}

/// What the database turned out to be.
pub(super) struct Findings {
    /// The number of the last revocation.
    pub(super) head: u64,
    /// Issuers whose lists have to be made anew, beyond the marks.
    pub(super) behind: Vec<IssuerId>,
}

/// Notices a database that knows less than was published. The numbers of revocations jump ahead at once.
pub(super) async fn hold_against(
    ctx: &Context,
    known: &Known,
    records: &[CrlRecord],
    head: u64,
) -> Result<Findings, FlowError> {
    let is_told = &ctx.crls.marks.is_told;
    let behind: Vec<&CrlRecord> = records.iter().filter(|record| known.is_beyond(record)).collect();
    let mark = known.get(REVOCATIONS);
    if behind.is_empty() && mark <= head {
        is_told.store(false, Ordering::Relaxed);
        return note(ctx, head, Vec::new()).await;
    }
    if !is_told.swap(true, Ordering::Relaxed) {
        let first = behind.first();
        tell(ctx, first.map_or(head, |record| record.number), first.map_or(mark, |record| known.of(record))).await;
    }
    let head = if mark > head {
        let by = mark.saturating_sub(head).saturating_add(1);
        let head = ctx.store.write(async move |tx| Ok::<_, FlowError>(revocations::advance(tx, by).await?)).await?;
        // numbers that were seen here may have been given again before this jump
        ctx.crls.quiet.forget();
        ctx.denied.forget();
        denied::after_commit(ctx).await;
        head
    } else {
        head
    };
    let mut issuers: Vec<IssuerId> = behind.iter().map(|record| record.issuer).collect();
    issuers.dedup();
    note(ctx, head, issuers).await
}

async fn tell(ctx: &Context, known: u64, marked: u64) {
    tracing::error!(
        known,
        marked,
        "the database knows less than was published: it was restored from an old backup. Numbers go on beyond; revoke again what was revoked since that backup"
    );
    ctx.metrics.crl.went_back();
    let noticed = event(ctx, "system", "database.behind", format_args!("issuer:{}", ctx.issuing.id))
        .with("known", known)
        .with("marked", marked);
    append(ctx, noticed).await;
}

async fn note(ctx: &Context, head: u64, behind: Vec<IssuerId>) -> Result<Findings, FlowError> {
    let noted = ctx.crls.marks.raise([(REVOCATIONS.to_owned(), head)]).await;
    super::report(ctx, Part::Marks, None, noted).await;
    Ok(Findings { head, behind })
}
