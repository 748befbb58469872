//! What administrators look through: certificates and events.

use pki_core::audit::AuditEvent;
use pki_core::ids::{CertificateId, EventId, Serial};
use pki_core::issuance::record::CertificateRecord;
use store::certificates::NameFilter;
use store::{audit, certificates};

use super::{Context, FlowError};

/// Certificates in the order they were planned, of one name if given.
pub async fn list(
    ctx: &Context,
    name: Option<String>,
    after: Option<CertificateId>,
    limit: u32,
) -> Result<Vec<CertificateRecord>, FlowError> {
    let filter = certificates::Filter { name: name.map(name_filter), ..certificates::Filter::default() };
    ctx.store.read(async move |tx| Ok(certificates::list(tx, &filter, after, limit).await?)).await
}

/// `gw-1.site.test` is a name, `gw-*` a beginning, `*.site.test` a domain.
fn name_filter(text: String) -> NameFilter {
    let text = text.to_ascii_lowercase();
    if let Some(domain) = text.strip_prefix("*.") {
        return NameFilter::Domain(domain.to_owned());
    }
    match text.strip_suffix('*') {
        Some(beginning) => NameFilter::Prefix(beginning.to_owned()),
        None => NameFilter::Exact(text),
    }
}

/// One certificate of the issuing CA.
pub async fn find(ctx: &Context, serial: &Serial) -> Result<CertificateRecord, FlowError> {
    let (issuer, wanted) = (ctx.issuing.id, serial.clone());
    let found = ctx
        .store
        .read(async move |tx| Ok::<_, FlowError>(certificates::find_by_serial(tx, issuer, &wanted).await?))
        .await?;
    found.ok_or_else(|| FlowError::not_found("certificate"))
}

/// Audit events, oldest first.
pub async fn events(ctx: &Context, after: Option<EventId>, limit: u32) -> Result<Vec<AuditEvent>, FlowError> {
    let filter = audit::Filter::default();
    ctx.store.read(async move |tx| Ok(audit::list(tx, &filter, after, limit).await?)).await
}
