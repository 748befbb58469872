//! Work that survives a crash: written in the transaction that owes it, claimed under a lease, done more than once
//! when a lease runs out. What a kind of job means is not known here.

use pki_core::ids::JobId;
use pki_core::time::Timestamp;

use crate::dialect;
use crate::error::StoreError;
use crate::tx::{Touch, Tx};
use crate::value::{Row, Value};

const TABLE: &str = "job";

/// A piece of work to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob<'a> {
    /// Identifier.
    pub id: JobId,
    /// What to do.
    pub kind: &'a str,
    /// With what.
    pub subject: &'a str,
    /// When, at the earliest.
    pub run_at: Timestamp,
    /// When it was written down.
    pub created_at: Timestamp,
    /// Who begins with it right after the commit; that is its first claim. None: whoever claims it.
    pub lease: Option<&'a Lease>,
}

/// The right to a job for a limited time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The process.
    pub owner: String,
    /// Others may claim the job from then on.
    pub until: Timestamp,
}

/// A piece of work that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Identifier.
    pub id: JobId,
    /// What to do.
    pub kind: String,
    /// With what.
    pub subject: String,
    /// How often it was claimed, this time included; the guard of [`retry`].
    pub attempts: u32,
    /// When it was written down.
    pub created_at: Timestamp,
    /// What went wrong the last time.
    pub last_error: Option<String>,
}

/// Adds a job.
pub async fn insert(tx: &mut Tx<'_>, job: &NewJob<'_>) -> Result<(), StoreError> {
    tx.put(
        (TABLE, job.id),
        Touch::Any,
        "INSERT INTO job (id, kind, subject, run_at, attempts, lease_owner, leased_until, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            Value::text(job.id),
            job.kind.into(),
            job.subject.into(),
            job.run_at.into(),
            u32::from(job.lease.is_some()).into(),
            job.lease.map(|lease| lease.owner.as_str()).into(),
            job.lease.map(|lease| lease.until).into(),
            job.created_at.into(),
        ],
    )
    .await
}

/// Claims what is due and not under another's lease, the longest due first.
pub async fn claim_due(tx: &mut Tx<'_>, now: Timestamp, lease: &Lease, limit: u32) -> Result<Vec<Job>, StoreError> {
    let sql = format!(
        "UPDATE job SET lease_owner = $2, leased_until = $3, attempts = attempts + 1 WHERE id IN \
         (SELECT id FROM job WHERE run_at <= $1 AND (leased_until IS NULL OR leased_until <= $1) \
          ORDER BY run_at, id LIMIT $4{}) \
         RETURNING id, kind, subject, attempts, created_at, last_error",
        dialect::skip_locked(tx)
    );
    let rows = tx.rows(sql, &[now.into(), lease.owner.as_str().into(), lease.until.into(), limit.into()]).await?;
    let mut jobs = rows.into_iter().map(load).collect::<Result<Vec<_>, _>>()?;
    // RETURNING promises no order
    jobs.sort_by_key(|job| job.id);
    Ok(jobs)
}

/// Ends all leases: their holders are gone when no other process works on this database. How many there were.
pub async fn end_leases(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    tx.execute("UPDATE job SET lease_owner = NULL, leased_until = NULL WHERE leased_until IS NOT NULL", &[]).await
}

/// Removes a job that is done, if it is still there.
pub async fn finish(tx: &mut Tx<'_>, id: JobId) -> Result<(), StoreError> {
    tx.put((TABLE, id), Touch::Any, "DELETE FROM job WHERE id = $1", &[Value::text(id)]).await
}

/// Gives a claimed job back, to be run at `run_at`; whether it was still this claim's.
pub async fn retry(tx: &mut Tx<'_>, job: &Job, run_at: Timestamp, error: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE job SET run_at = $3, last_error = $4, lease_owner = NULL, leased_until = NULL \
               WHERE id = $1 AND attempts = $2";
    // an error text has no bound of its own
    let error: String = error.chars().take(1000).collect();
    let values = [Value::text(job.id), job.attempts.into(), run_at.into(), error.into()];
    Ok(tx.execute(sql, &values).await? == 1)
}

/// When the next job is due, or its lease runs out.
pub async fn next_run_at(tx: &mut Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT min(CASE WHEN leased_until IS NOT NULL AND leased_until > run_at THEN leased_until \
               ELSE run_at END) FROM job";
    let row = tx.row(sql, &[]).await?;
    row.map_or(Ok(None), |row| row.fields(TABLE).maybe_time())
}

/// How many jobs wait or run, and how many of them have failed before.
pub async fn count(tx: &mut Tx<'_>) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT count(*), count(last_error) FROM job";
    let Some(row) = tx.row(sql, &[]).await? else { return Ok((0, 0)) };
    let mut fields = row.fields(TABLE);
    Ok((fields.int()?, fields.int()?))
}

fn load(row: Row) -> Result<Job, StoreError> {
    let mut fields = row.fields(TABLE);
    Ok(Job {
        id: fields.id()?,
        kind: fields.text()?,
        subject: fields.text()?,
        attempts: fields.u32()?,
        created_at: fields.time()?,
        last_error: fields.maybe_text()?,
    })
}
