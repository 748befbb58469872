//! Revoking many certificates in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use pki_core::audit::AuditEvent;
use pki_core::ids::CertificateId;
use pki_core::issuance::record::{CertificateRecord, Revocation};
use pki_core::random::Entropy;
use pki_core::revocation::{Reason, Status, Step, step};
use pki_core::time::Timestamp;
use store::certificates::selected;
use store::{Tx, audit, certificates};

use super::record::{With, event_at};
use super::{Context, FlowError};

/// Certificates of one transaction: some ten milliseconds, for which others wait.
pub(super) const BATCH: u32 = 500;

/// Why many certificates are revoked: owned, so that a transaction can take it along.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    pub(super) reason: Option<Reason>,
    pub(super) comment: String,
    pub(super) actor: String,
    /// What they were revoked with, as `device:...`.
    pub(super) cause: String,
    now: Timestamp,
    entropy: Arc<dyn Entropy>,
}

impl Sweep {
    pub(super) fn new(ctx: &Context, reason: Option<Reason>, comment: &str, actor: &str, cause: String) -> Self {
        let (now, entropy) = (ctx.now(), Arc::clone(&ctx.entropy));
        Self { reason, comment: comment.to_owned(), actor: actor.to_owned(), cause, now, entropy }
    }

    /// Revokes those of these certificates that are not revoked so already; how many. Comes last in its transaction but for
    /// denials (`store::revocations`).
    pub(super) async fn revoke(&self, tx: &mut Tx<'_>, ids: &[CertificateId]) -> Result<usize, FlowError> {
        let records = selected::hold_many(tx, ids).await?;
        let mut steps = BTreeMap::<_, Vec<&CertificateRecord>>::new();
        for record in &records {
            let Step::Revoke(revocation) = self.step(record) else { continue };
            audit::append(tx, &self.event(record, &revocation)).await?;
            steps.entry((revocation.at, revocation.reason.map(Reason::code))).or_default().push(record);
        }
        let mut revoked = 0;
        for ((at, _), records) in steps {
            certificates::revoke_many(tx, &records, &Revocation { at, reason: self.reason }).await?;
            revoked += records.len();
        }
        Ok(revoked)
    }

    fn step(&self, record: &CertificateRecord) -> Step {
        // one that has ended is no part of a set, whatever the reason
        if record.not_after < self.now {
            return Step::Expired(record.not_after);
        }
        step(&Status::from(&record.state), record.not_after, self.reason, self.now)
    }

    fn event(&self, record: &CertificateRecord, revocation: &Revocation) -> AuditEvent {
        let subject = format_args!("certificate:{}", record.id);
        event_at((self.now, self.entropy.as_ref()), &self.actor, "certificate.revoke", subject)
            .with("serial", &record.serial)
            .with("reason", revocation.reason.unwrap_or(Reason::Unspecified).name())
            .with("comment", &self.comment)
            .with("with", &self.cause)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use store::revocations::denials::{self, Kind};
    use store::{OpenOptions, Store, StoreError};
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::super::denied::Denied;
    use super::*;

    /// Fails when a full batch, and an account and a device that go with it, are read like the absence of a server: the answer
    /// to whoever takes a device out waits then until the searches of others have ended.
    #[tokio::test]
    async fn what_a_batch_changes_is_known_while_others_search() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(OpenOptions::new("sqlite:test.db", folder.path())).await.unwrap();
        store.migrate().await.unwrap();
        // as many searches as SQLite is given at once, and more; they end when `end` does
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let (begun, mut is_begun) = tokio::sync::mpsc::unbounded_channel();
        let mut searches = JoinSet::new();
        for _ in 0..4 {
            let (ended, begun) = (Arc::clone(&ended), begun.clone());
            searches.spawn(store.scan(async move |_| {
                begun.send(()).unwrap();
                ended.lock().unwrap().recv().unwrap_err();
                Ok::<_, StoreError>(())
            }));
        }
        is_begun.recv().await.unwrap();
        is_begun.recv().await.unwrap();

        let all = BATCH + 2;
        let denied = store.write(async move |tx| {
            for number in 0..all {
                denials::deny(tx, Kind::ApiKey, number, Timestamp::from_unix_seconds(0)).await?;
            }
            Ok::<_, StoreError>(())
        });
        denied.await.unwrap();
        let known = Denied::new(Arc::default());
        let read = timeout(std::time::Duration::from_secs(20), known.catch_up(&store)).await;
        drop(end);
        assert_eq!(read.expect("it waits for the searches").unwrap(), u64::from(all));
    }
}
