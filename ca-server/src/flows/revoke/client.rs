//! Revocation, asked for by ACME clients (RFC 8555 section 7.6).

use pki_core::acme::authorization::Authorization;
use pki_core::acme::problem::ProblemKind;
use pki_core::issuance::record::CertificateRecord;
use pki_core::revocation::{Revoker, authorise};
use pki_core::x509::certificate::Certificate;
use store::authorizations;

use super::write;
use crate::flows::authenticate::{AccountRequest, KeyRequest};
use crate::flows::{Context, FlowError, inventory};

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
            authorizations = proven_names(ctx, request, &record).await?;
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
async fn proven_names(
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
