//! Revocation, asked for by ACME clients (RFC 8555 section 7.6).

use std::sync::atomic::Ordering;

use failpoint::failpoint;
use pki_core::acme::authorization::Authorization;
use pki_core::acme::problem::ProblemKind;
use pki_core::issuance::record::{CertificateRecord, Revocation};
use pki_core::revocation::{Reason, Revoker, authorise};
use pki_core::x509::certificate::Certificate;
use store::{audit, authorizations, certificates};

use super::authenticate::{AccountRequest, KeyRequest};
use super::denied::after_commit;
use super::record::{With, event};
use super::{Context, FlowError, inventory};

/// Who signed a revokeCert request.
#[derive(Debug)]
pub enum Signer<'a> {
    /// An account.
    Account(&'a AccountRequest),
    /// The key inside the request, which may be the certificate's own.
    Key(&'a KeyRequest),
}

/// Revokes the certificate in `der`; a second time is `alreadyRevoked`.
pub async fn by_client(ctx: &Context, signer: Signer<'_>, der: &[u8], reason: Option<i64>) -> Result<(), FlowError> {
    match try_by_client(ctx, &signer, der, reason).await {
        // Somebody else was faster: decided anew, on the certificate as it is now.
        Err(FlowError::Conflict(_)) => try_by_client(ctx, &signer, der, reason).await,
        outcome => outcome,
    }
}

async fn try_by_client(ctx: &Context, signer: &Signer<'_>, der: &[u8], reason: Option<i64>) -> Result<(), FlowError> {
    let record = find_exactly(ctx, der).await?;
    let authorizations;
    let (revoker, actor) = match signer {
        Signer::Account(request) => {
            authorizations = proven(ctx, request, &record).await?;
            let id = request.account().id;
            (Revoker::Account { id, authorizations: &authorizations }, format!("account:{id}"))
        }
        Signer::Key(request) if request.key().public_key().spki_sha256() == record.spki_sha256 => {
            (Revoker::CertificateKey, format!("key:{}", request.key().thumbprint()))
        }
        Signer::Key(_) => {
            return Err(FlowError::problem(
                ProblemKind::Unauthorized,
                "the request is not signed by the certificate's key",
            ));
        }
    };
    let revocation = authorise(&record, revoker, reason, ctx.now())?;
    write(ctx, &record, revocation, None, &actor).await
}

/// Only the very certificate counts, byte for byte (protocols REV-2).
async fn find_exactly(ctx: &Context, der: &[u8]) -> Result<CertificateRecord, FlowError> {
    let unknown = || FlowError::problem(ProblemKind::Malformed, "this CA has not issued that certificate");
    let certificate = Certificate::parse(der).map_err(|_| unknown())?;
    // of former issuing keys too
    let found = inventory::by_serial(ctx, vec![certificate.serial().clone()]).await?;
    found.filter(|record| record.state.der() == Some(der)).ok_or_else(unknown)
}

/// What the account has proven of the names in the certificate.
async fn proven(
    ctx: &Context,
    request: &AccountRequest,
    record: &CertificateRecord,
) -> Result<Vec<Authorization>, FlowError> {
    let (account, now, names) = (request.account().id, ctx.now(), record.identifiers.clone());
    ctx.store
        .read(async move |tx| {
            let mut found = Vec::new();
            for name in &names {
                found.extend(authorizations::find_valid(tx, account, name, now).await?);
            }
            Ok::<_, FlowError>(found)
        })
        .await
}

/// Stores a revocation that was decided.
pub(super) async fn write(
    ctx: &Context,
    record: &CertificateRecord,
    revocation: Revocation,
    comment: Option<&str>,
    actor: &str,
) -> Result<(), FlowError> {
    let record = record.clone();
    let revoked = event(ctx, actor, "certificate.revoke", format_args!("certificate:{}", record.id))
        .with("serial", &record.serial)
        .with("reason", revocation.reason.unwrap_or(Reason::Unspecified).name())
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
    ctx.metrics.certificates_revoked.fetch_add(1, Ordering::Relaxed);
    ctx.metrics.revocation.revoked(reason, 1);
    after_commit(ctx).await;
    Ok(())
}
