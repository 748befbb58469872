//! What administrators look through: certificates and events.

use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::audit::AuditEvent;
use pki_core::ids::{CertificateId, DeviceName, EventId, Serial};
use pki_core::issuance::record::CertificateRecord;
use pki_core::revocation::reference::Reference;
use ring::digest::{SHA256, digest};
use store::certificates::NameFilter;
use store::{Tx, audit, certificates, devices, issuers};

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

/// The certificate that people name so, of whatever issuing key.
pub async fn find(ctx: &Context, reference: &Reference) -> Result<Listed, FlowError> {
    let found = match reference {
        Reference::Serial(readings) => by_serial(ctx, readings.clone()).await?,
        Reference::Fingerprint(sha256) => by_fingerprint(ctx, *sha256).await?,
    };
    let Some(record) = found else {
        let detail = "this CA has issued no such certificate";
        return Err(FlowError::Problem(Problem::new(ProblemKind::Malformed, detail).with_status(404)));
    };
    ctx.store
        .read(async move |tx| {
            let device = device_name(tx, &record).await?;
            Ok::<_, FlowError>(Listed { record: record.clone(), device })
        })
        .await
}

async fn by_serial(ctx: &Context, readings: Vec<Serial>) -> Result<Option<CertificateRecord>, FlowError> {
    ctx.store
        .read(async move |tx| {
            let issuers = issuers::list(tx).await?;
            for serial in &readings {
                for issuer in &issuers {
                    if let Some(record) = certificates::find_by_serial(tx, issuer.id, serial).await? {
                        return Ok(Some(record));
                    }
                }
            }
            Ok::<_, FlowError>(None)
        })
        .await
}

/// Certificates are not filed by it: all are looked at, page by page, the newest of them last.
async fn by_fingerprint(ctx: &Context, sha256: [u8; 32]) -> Result<Option<CertificateRecord>, FlowError> {
    const PAGE: u32 = 2000;
    let is_it =
        |record: &CertificateRecord| record.state.der().is_some_and(|der| digest(&SHA256, der).as_ref() == sha256);
    let mut after = None;
    loop {
        let filter = certificates::Filter::default();
        let page =
            ctx.store.scan(async move |tx| Ok::<_, FlowError>(certificates::list(tx, &filter, after, PAGE).await?));
        let page = page.await?;
        let Some(last) = page.last() else { return Ok(None) };
        after = Some(last.id);
        if let Some(found) = page.into_iter().find(is_it) {
            return Ok(Some(found));
        }
    }
}

/// Audit events, oldest first.
pub async fn events(ctx: &Context, after: Option<EventId>, limit: u32) -> Result<Vec<AuditEvent>, FlowError> {
    let filter = audit::Filter::default();
    ctx.store.scan(async move |tx| Ok(audit::list(tx, &filter, after, limit).await?)).await
}
