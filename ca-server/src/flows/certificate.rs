//! Download (RFC 8555 section 7.4.2).

use pki_core::ids::CertificateId;
use pki_core::x509::certificate::Certificate;
use pki_core::x509::pem;
use store::certificates;

use super::authenticate::AccountRequest;
use super::{Context, FlowError};

/// The label of RFC 7468 section 5.
const CERTIFICATE: &str = "CERTIFICATE";

/// The chain of a certificate of this account, revoked and expired ones included (protocols CRT-6): the default one, or an
/// alternate counted from 1.
pub async fn download(
    ctx: &Context,
    request: &AccountRequest,
    id: CertificateId,
    alternate: usize,
) -> Result<String, FlowError> {
    let owner = request.account().id;
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(certificates::find(tx, id).await?)).await?;
    let record =
        found.filter(|record| record.account == Some(owner)).ok_or_else(|| FlowError::not_found("certificate"))?;
    let der = record.state.der().ok_or_else(|| FlowError::not_found("certificate"))?;
    let chain = match alternate.checked_sub(1) {
        None => &ctx.issuing.chain,
        Some(place) => ctx.alternates.get(place).ok_or_else(|| FlowError::not_found("chain"))?,
    };
    Ok(pem_of(chain, der))
}

/// The default chain of a leaf.
pub(crate) fn chain_pem(ctx: &Context, leaf: &[u8]) -> String {
    pem_of(&ctx.issuing.chain, leaf)
}

/// Leaf first; the root stays out, unless the chain would have one member only (certbot insists on two).
fn pem_of(above: &[Certificate], leaf: &[u8]) -> String {
    let mut chain = pem::encode(CERTIFICATE, leaf);
    let (roots, intermediates): (Vec<_>, Vec<_>) = above.iter().partition(|one| one.is_self_issued());
    let rest = if intermediates.is_empty() { roots } else { intermediates };
    for certificate in rest {
        chain.push_str(&pem::encode(CERTIFICATE, certificate.der()));
    }
    chain
}
