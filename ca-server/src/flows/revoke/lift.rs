//! Releasing many certificates from their hold in one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use pki_core::ids::CertificateId;
use pki_core::issuance::record::CertificateRecord;
use pki_core::random::Entropy;
use pki_core::revocation::{Status, is_released_of_many};
use pki_core::time::Timestamp;
use store::certificates::many;
use store::{Tx, audit, certificates, devices};

use crate::flows::record::{With, event_at};
use crate::flows::{Context, FlowError};

/// Why many certificates are released: owned, so that a transaction can take it along.
#[derive(Debug, Clone)]
pub(super) struct Lift {
    comment: String,
    actor: String,
    /// What they are released with, as `set:...`.
    cause: String,
    now: Timestamp,
    entropy: Arc<dyn Entropy>,
}

impl Lift {
    pub(super) fn new(ctx: &Context, comment: &str, actor: &str, cause: &str) -> Self {
        let (now, entropy) = (ctx.now(), Arc::clone(&ctx.entropy));
        Self { comment: comment.to_owned(), actor: actor.to_owned(), cause: cause.to_owned(), now, entropy }
    }

    /// Releases those of these certificates that are on hold; how many. A device that is out of service gets nothing back, also
    /// when that happens at the same moment: whoever takes one out changes its row first, so it is held first here too. Comes
    /// last in its transaction (`store::revocations`).
    pub(super) async fn release(&self, tx: &mut Tx<'_>, ids: &[CertificateId]) -> Result<usize, FlowError> {
        let in_service: BTreeSet<_> = devices::hold_in_service_of(tx, ids).await?.into_iter().collect();
        let records = many::hold_many(tx, ids).await?;
        let comes_back = |record: &&CertificateRecord| {
            record.device.is_none_or(|device| in_service.contains(&device))
                && is_released_of_many(&Status::from(&record.state), record.not_after, self.now)
        };
        let released: Vec<&CertificateRecord> = records.iter().filter(comes_back).collect();
        for record in &released {
            let subject = format_args!("certificate:{}", record.id);
            let event = event_at((self.now, self.entropy.as_ref()), &self.actor, "certificate.release", subject)
                .with("serial", &record.serial)
                .with("comment", &self.comment)
                .with("with", &self.cause);
            audit::append(tx, &event).await?;
        }
        if !released.is_empty() {
            certificates::release_many(tx, &released, self.now).await?;
        }
        Ok(released.len())
    }
}
