//! What is revoked, since when, by whom and why.

use pki_core::audit::AuditEvent;
use pki_core::revocation::selection::Selection;
use store::audit;
use store::revocations::report::{self as rows, Reported};

use crate::flows::{Context, FlowError};

/// Events that tell of a revocation, the surest first: a certificate may be revoked in the moment it is issued.
pub(in crate::flows) const TELLING: [&str; 2] = ["certificate.revoke", "certificate.issue"];

/// A revoked certificate, and the event that tells who revoked it.
#[derive(Debug)]
pub struct Told {
    /// The certificate.
    pub reported: Reported,
    /// The newest event of its revocation; none when that is older than the audit log.
    pub event: Option<AuditEvent>,
}

/// Revoked certificates of a selection, in the order they were revoked; those behind the number `after`.
pub async fn list(ctx: &Context, selection: Selection, after: u64, limit: u32) -> Result<Vec<Told>, FlowError> {
    ctx.store
        .scan(async move |tx| {
            let reported = rows::list(tx, &selection, after, limit).await?;
            let subjects: Vec<String> = reported.iter().map(|one| format!("certificate:{}", one.certificate)).collect();
            let mut events = audit::newest_of(tx, &TELLING, &subjects).await?;
            let told = reported.into_iter().zip(&subjects);
            Ok::<_, FlowError>(
                told.map(|(reported, subject)| Told { reported, event: events.remove(subject) }).collect(),
            )
        })
        .await
}
