//! Download (RFC 8555 section 7.4.2).

use pki_core::ids::CertificateId;
use pki_core::x509::pem;
use store::certificates;

use super::authenticate::AccountRequest;
use super::{Context, FlowError};

/// The label of RFC 7468 section 5.
const CERTIFICATE: &str = "CERTIFICATE";

/// The chain of a certificate of this account, revoked and expired ones included (protocols CRT-6).
pub async fn download(ctx: &Context, request: &AccountRequest, id: CertificateId) -> Result<String, FlowError> {
    let owner = request.account().id;
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(certificates::find(tx, id).await?)).await?;
    let record =
        found.filter(|record| record.account == Some(owner)).ok_or_else(|| FlowError::not_found("certificate"))?;
    let der = record.state.der().ok_or_else(|| FlowError::not_found("certificate"))?;
    Ok(chain_pem(ctx, der))
}

/// Leaf first; the root stays out, unless the chain would have one member only (certbot insists on two).
pub(crate) fn chain_pem(ctx: &Context, leaf: &[u8]) -> String {
    let mut chain = pem::encode(CERTIFICATE, leaf);
    let (roots, intermediates): (Vec<_>, Vec<_>) = ctx.issuing.chain.iter().partition(|one| one.is_self_issued());
    let rest = if intermediates.is_empty() { roots } else { intermediates };
    for certificate in rest {
        chain.push_str(&pem::encode(CERTIFICATE, certificate.der()));
    }
    chain
}
