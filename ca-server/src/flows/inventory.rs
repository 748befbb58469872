//! What administrators look through: certificates and events.

use pki_core::audit::AuditEvent;
use pki_core::ids::{CertificateId, DeviceName, EventId, Serial};
use pki_core::issuance::record::CertificateRecord;
use store::certificates::NameFilter;
use store::{Tx, audit, certificates, devices};

use super::{Context, FlowError};

/// A certificate and the name of the device that holds it.
#[derive(Debug)]
pub struct Listed {
    /// The certificate.
    pub record: CertificateRecord,
    /// Its device, if it has one.
    pub device: Option<DeviceName>,
}

/// Certificates in the order they were planned, of one name if given.
pub async fn list(
    ctx: &Context,
    name: Option<String>,
    after: Option<CertificateId>,
    limit: u32,
) -> Result<Vec<Listed>, FlowError> {
    let filter = certificates::Filter { name: name.map(name_filter), ..certificates::Filter::default() };
    ctx.store
        .scan(async move |tx| {
            let mut listed = Vec::new();
            for record in certificates::list(tx, &filter, after, limit).await? {
                let device = device_name(tx, &record).await?;
                listed.push(Listed { record, device });
            }
            Ok::<_, FlowError>(listed)
        })
        .await
}

async fn device_name(tx: &mut Tx<'_>, record: &CertificateRecord) -> Result<Option<DeviceName>, FlowError> {
    let Some(id) = record.device else { return Ok(None) };
    Ok(devices::find(tx, id).await?.map(|device| device.name))
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
pub async fn find(ctx: &Context, serial: &Serial) -> Result<Listed, FlowError> {
    let (issuer, wanted) = (ctx.issuing.id, serial.clone());
    let found = ctx
        .store
        .read(async move |tx| {
            let Some(record) = certificates::find_by_serial(tx, issuer, &wanted).await? else { return Ok(None) };
            let device = device_name(tx, &record).await?;
            Ok::<_, FlowError>(Some(Listed { record, device }))
        })
        .await?;
    found.ok_or_else(|| FlowError::not_found("certificate"))
}

/// Audit events, oldest first.
pub async fn events(ctx: &Context, after: Option<EventId>, limit: u32) -> Result<Vec<AuditEvent>, FlowError> {
    let filter = audit::Filter::default();
    ctx.store.scan(async move |tx| Ok(audit::list(tx, &filter, after, limit).await?)).await
}
