//! What administrators look through: certificates and events.

use data_encoding::HEXLOWER;
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::audit::AuditEvent;
use pki_core::ids::{CertificateId, DeviceName, EventId, Serial};
use pki_core::issuance::record::{CertificateRecord, CertificateState};
use pki_core::revocation::reference::Reference;
use pki_core::revocation::selection::NamePattern;
use ring::digest::{SHA256, digest};
use store::revocations::FirstCrl;
use store::{Tx, audit, certificates, devices, issuers, revocations};

use super::revoke::report::TELLING;
use super::{Context, FlowError};

/// A certificate and the name of the device that holds it.
#[derive(Debug)]
pub struct Listed {
    /// The certificate.
    pub record: CertificateRecord,
    /// Its device, if it has one.
    pub device: Option<DeviceName>,
    /// What is known of its revocation, if it is revoked and one certificate was asked for.
    pub revoked: Option<Revoked>,
}

/// What the audit log and the lists know of a revocation.
#[derive(Debug)]
pub struct Revoked {
    /// The newest event of it; none when that is older than the audit log.
    pub event: Option<AuditEvent>,
    /// The complete list on which it first stood.
    pub first_crl: Option<FirstCrl>,
}

/// Certificates in the order they were planned, of one name if given.
pub async fn list(
    ctx: &Context,
    name: Option<String>,
    after: Option<CertificateId>,
    limit: u32,
) -> Result<Vec<Listed>, FlowError> {
    let filter = certificates::Filter { name: name.as_deref().map(pattern), ..certificates::Filter::default() };
    ctx.store
        .scan(async move |tx| {
            let mut listed = Vec::new();
            for record in certificates::list(tx, &filter, after, limit).await? {
                let device = device_name(tx, &record).await?;
                listed.push(Listed { record, device, revoked: None });
            }
            Ok::<_, FlowError>(listed)
        })
        .await
}

async fn device_name(tx: &mut Tx<'_>, record: &CertificateRecord) -> Result<Option<DeviceName>, FlowError> {
    let Some(id) = record.device else { return Ok(None) };
    Ok(devices::find(tx, id).await?.map(|device| device.name))
}

/// As in a selection, but that a list may be of every name, and that what cannot be a name is not refused: no certificate has it.
fn pattern(text: &str) -> NamePattern {
    match text {
        "*" => NamePattern::Beginning(String::new()),
        text => NamePattern::parse(text).unwrap_or_else(|_| NamePattern::Exact(text.to_owned())),
    }
}

/// The certificate that people name so, of whatever issuing key.
pub async fn find(ctx: &Context, reference: &Reference) -> Result<Listed, FlowError> {
    let found = match reference {
        Reference::Serial(readings) => by_serial(ctx, readings.clone()).await?,
        Reference::Fingerprint(sha256) => by_fingerprint(ctx, *sha256).await?,
    };
    let Some(record) = found else {
        let what = match reference {
            Reference::Serial(readings) => {
                let readings: Vec<String> = readings.iter().map(ToString::to_string).collect();
                format!("the serial number {}", readings.join(" or "))
            }
            Reference::Fingerprint(sha256) => format!("the SHA-256 {}", HEXLOWER.encode(sha256)),
        };
        let detail = format!(
            "this CA has issued no certificate with {what}; `ca-server cert list --name NAME` finds those of a name"
        );
        return Err(FlowError::Problem(Problem::new(ProblemKind::Malformed, detail).with_status(404)));
    };
    ctx.store
        .read(async move |tx| {
            let device = device_name(tx, &record).await?;
            let revoked = revoked(tx, &record).await?;
            Ok::<_, FlowError>(Listed { record: record.clone(), device, revoked })
        })
        .await
}

async fn revoked(tx: &mut Tx<'_>, record: &CertificateRecord) -> Result<Option<Revoked>, FlowError> {
    if !matches!(record.state, CertificateState::Revoked { .. }) {
        return Ok(None);
    }
    let entry = revocations::find(tx, record.issuer, &record.serial).await?;
    let subject = format!("certificate:{}", record.id);
    let event = audit::newest_of(tx, &TELLING, std::slice::from_ref(&subject)).await?.remove(&subject);
    Ok(Some(Revoked { event, first_crl: entry.and_then(|entry| entry.first_crl) }))
}

/// The certificate with one of these serial numbers, whichever key of this CA has issued it.
pub(super) async fn by_serial(ctx: &Context, readings: Vec<Serial>) -> Result<Option<CertificateRecord>, FlowError> {
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

/// Certificates are not filed by it, since each issuance would pay for it: the bytes of all are looked at, page by page, the
/// newest of them last. A file is found by its serial number (docs/adr/0013).
async fn by_fingerprint(ctx: &Context, sha256: [u8; 32]) -> Result<Option<CertificateRecord>, FlowError> {
    const PAGE: u32 = 2000;
    let mut after = None;
    loop {
        let page =
            ctx.store.scan(async move |tx| Ok::<_, FlowError>(certificates::signed(tx, after, PAGE).await?)).await?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        after = Some(*last);
        let found = page.iter().find(|(_, der)| digest(&SHA256, der).as_ref() == sha256);
        if let Some(id) = found.map(|(id, _)| *id) {
            return ctx.store.read(async move |tx| Ok(certificates::find(tx, id).await?)).await;
        }
    }
}

/// Audit events, oldest first.
pub async fn events(ctx: &Context, after: Option<EventId>, limit: u32) -> Result<Vec<AuditEvent>, FlowError> {
    let filter = audit::Filter::default();
    ctx.store.scan(async move |tx| Ok(audit::list(tx, &filter, after, limit).await?)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when a list refuses what it took, or takes one kind of pattern for another.
    #[test]
    fn lists_take_every_pattern_and_a_star_alone() {
        for (text, expected) in [
            ("GW-1.site.test", NamePattern::Exact("gw-1.site.test".to_owned())),
            ("gw-*", NamePattern::Beginning("gw-".to_owned())),
            ("*.Site.test", NamePattern::Domain("site.test".to_owned())),
            ("*", NamePattern::Beginning(String::new())),
            ("", NamePattern::Exact(String::new())),
            ("*.", NamePattern::Exact("*.".to_owned())),
            ("gw-*.test", NamePattern::Exact("gw-*.test".to_owned())),
        ] {
            assert_eq!(pattern(text), expected, "{text}");
        }
    }
}
