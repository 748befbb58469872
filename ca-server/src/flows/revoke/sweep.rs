//! Revoking many certificates in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use pki_core::audit::AuditEvent;
use pki_core::ids::CertificateId;
use pki_core::issuance::record::{CertificateRecord, Revocation};
use pki_core::random::Entropy;
use pki_core::revocation::{Reason, Status, Step, step_of_many};
use pki_core::time::Timestamp;
use store::certificates::many;
use store::{Tx, audit, certificates};

use crate::flows::record::{With, event_at};
use crate::flows::{Context, FlowError};

/// Certificates of one transaction: some ten milliseconds, for which others wait.
pub(super) const BATCH: u32 = 500;

/// Where the next look begins, when this one found as many as it was to find.
pub(super) fn next(ids: &[CertificateId], limit: u32) -> Option<CertificateId> {
    ids.last().copied().filter(|_| ids.len() >= usize::try_from(limit).unwrap_or(usize::MAX))
}

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
        let records = many::hold_many(tx, ids).await?;
        let mut steps = BTreeMap::<_, Vec<&CertificateRecord>>::new();
        for record in &records {
            let step = step_of_many(&Status::from(&record.state), record.not_after, self.reason, self.now);
            let Step::Revoke(revocation) = step else { continue };
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

    fn event(&self, record: &CertificateRecord, revocation: &Revocation) -> AuditEvent {
        let subject = format_args!("certificate:{}", record.id);
        event_at((self.now, self.entropy.as_ref()), &self.actor, "certificate.revoke", subject)
            .with("serial", &record.serial)
            .with("reason", Reason::name_of(revocation.reason))
            .with("comment", &self.comment)
            .with("with", &self.cause)
    }
}
