//! An inventory: devices of the profile `gateway`, each with a certificate. Every tenth stands in a zone of its own, and has a label that
//! says so.

use std::time::Duration;

use pki_core::device::{Device, DeviceState, Labels};
use pki_core::ids::{CertificateId, DeviceId, IssuerId, LineageId, Serial, SiteName};
use pki_core::issuance::record::{CertificateRecord, CertificateState, Source};
use pki_core::random::{self, SystemEntropy};
use pki_core::time::{Clock, SystemClock, Timestamp};
use pki_core::x509::name::Identifier;
use store::{Store, StoreError, certificates, devices};

/// How long certificates and authorizations live.
pub(crate) const LIFE: Duration = Duration::from_secs(30 * 86_400);

/// Devices of one commit.
const BATCH: usize = 500;

/// Adds devices and their certificates, whose bytes are `der`; `tell` hears how many there are.
pub(crate) async fn fill(store: &Store, count: usize, der: &[u8], tell: impl Fn(usize, usize)) {
    let (now, issuer) = (SystemClock.now(), IssuerId::random(&SystemEntropy::new()));
    for first in (0..count).step_by(BATCH) {
        let until = count.min(first + BATCH);
        let made: Vec<_> = (first..until).map(|number| holder(number, issuer, now, der)).collect();
        let written: Result<(), StoreError> = store
            .write(async move |tx| {
                for (device, certificate) in &made {
                    devices::insert(tx, device).await?;
                    certificates::insert(tx, certificate).await?;
                }
                Ok(())
            })
            .await;
        written.unwrap();
        tell(until, count);
    }
}

/// One device with its certificate.
pub(crate) fn holder(number: usize, issuer: IssuerId, now: Timestamp, der: &[u8]) -> (Device, CertificateRecord) {
    let is_plant = number.is_multiple_of(10);
    let zone = if is_plant { "plant.site.test" } else { "site.test" };
    let name = format!("gw-{number}.{zone}");
    let device = Device {
        id: DeviceId::random(&SystemEntropy::new()),
        site: SiteName::home(),
        name: format!("gw-{number}").parse().unwrap(),
        profile: "gateway".parse().unwrap(),
        dns: vec![name.parse().unwrap()],
        ips: Vec::new(),
        labels: Labels::parse(is_plant.then_some(("zone", "plant"))).unwrap(),
        state: DeviceState::Enrolled { at: now },
        created_at: now,
        last_seen_at: None,
        version: 0,
    };
    let identifier = Identifier::parse("dns", &name).unwrap();
    let certificate = CertificateRecord { device: Some(device.id), ..certificate(issuer, &identifier, now, der) };
    (device, certificate)
}

/// A certificate in force for one name, of nobody.
pub(crate) fn certificate(issuer: IssuerId, identifier: &Identifier, now: Timestamp, der: &[u8]) -> CertificateRecord {
    let entropy = SystemEntropy::new();
    CertificateRecord {
        id: CertificateId::new(now, &entropy),
        issuer,
        serial: Serial::random(&entropy),
        site: SiteName::home(),
        device: None,
        account: None,
        order: None,
        source: Source::Acme,
        profile: "gateway".parse().unwrap(),
        policy_revision: "0123456789abcdef".repeat(4),
        policy_commit: None,
        epoch: 1,
        identifiers: vec![identifier.clone()],
        spki_sha256: random::bytes(&entropy),
        not_before: now,
        not_after: now + LIFE,
        lineage: LineageId::new(now, &entropy),
        generation: 1,
        predecessor: None,
        confirmed_at: None,
        shard: 0,
        crl_urls: vec![format!("http://ca.seed.test:8080/crl/{issuer}/0.crl")],
        state: CertificateState::Issued { der: der.to_vec() },
        created_at: now,
        version: 2,
    }
}
