//! Taking back what was issued: one certificate, a set, or all that a device has, and what is told of it afterwards.
//!
//! [`client`] is for ACME clients, the others are for administrators. Whatever they revoke is numbered in the transaction that
//! revokes it, and known here once that is committed ([`super::denied`]).

pub mod client;
pub mod device;
mod lift;
pub mod one;
pub mod plan;
pub mod report;
pub mod set;
mod sweep;

use failpoint::failpoint;
use pki_core::issuance::record::{CertificateRecord, Revocation};
use pki_core::revocation::Reason;
use store::{audit, certificates};

use super::denied::after_commit;
use super::record::{With, event};
use super::{Context, FlowError};

/// Why, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Why<'a> {
    /// What lists tell.
    pub reason: Option<Reason>,
    /// What the audit log keeps besides.
    pub comment: Option<&'a str>,
    /// Who asked.
    pub actor: &'a str,
}

/// Stores a revocation that was decided.
async fn write(
    ctx: &Context,
    record: &CertificateRecord,
    revocation: Revocation,
    comment: Option<&str>,
    actor: &str,
) -> Result<(), FlowError> {
    let record = record.clone();
    let revoked = event(ctx, actor, "certificate.revoke", format_args!("certificate:{}", record.id))
        .with("serial", &record.serial)
        .with("reason", Reason::name_of(revocation.reason))
        .with("comment", comment.unwrap_or_default());
    let reason = revocation.reason;
    ctx.store
        .write_held(async move |tx| {
            audit::append(tx, &revoked).await?;
            certificates::revoke(tx, &record, &revocation).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    failpoint!("ca.revoke.after_commit");
    ctx.metrics.revoked(reason, 1);
    after_commit(ctx).await;
    Ok(())
}
