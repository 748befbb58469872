//! Certificates of the CA's own issuing key, some of them revoked: what responders and lists are measured with.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use pki_core::ids::IssuerId;
use pki_core::issuance::record::{CertificateRecord, Revocation};
use pki_core::revocation::Reason;
use pki_core::time::{Clock, SystemClock};
use pki_core::x509::name::Identifier;
use store::{Store, StoreError, certificates, devices, issuers};

use crate::inventory::{certificate, holder};
use crate::{BATCH, progress};

/// Octets of a certificate.
const CERTIFICATE: usize = 750;

/// How the signer knows the key that issues, after `ca-server init`.
const KEY: &str = "intermediate";

/// Serial numbers of good certificates that are told.
const LISTED: usize = 10_000;

/// Adds certificates, of which the first `revoked` are revoked, and a device `gw-ten` with ten more. Serial numbers go to
/// files, in hexadecimal, a line each: those of 10,000 good ones to `serials`, those of the device to `SERIALS.device`.
pub(crate) async fn fill(store: &Store, (good, revoked): (usize, usize), serials: &str) {
    let issuer = issuing(store).await;
    device_with_ten(store, issuer, &format!("{serials}.device")).await;
    let mut file = BufWriter::new(File::create(serials).expect("the file of serial numbers can be written"));
    let (count, now) = (good + revoked, SystemClock.now());
    for first in (0..count).step_by(BATCH) {
        let until = count.min(first + BATCH);
        let made: Vec<CertificateRecord> = (first..until)
            .map(|number| {
                let name = Identifier::parse("dns", &format!("gw-{number}.site.test")).unwrap();
                certificate(issuer, &name, now, &[0x30; CERTIFICATE])
            })
            .collect();
        for (_, record) in (first..until).zip(&made).filter(|(number, _)| number + LISTED >= count) {
            writeln!(file, "{}", record.serial).unwrap();
        }
        let to_revoke = revoked.saturating_sub(first).min(made.len());
        let written: Result<(), StoreError> = store
            .write(async move |tx| {
                for record in &made {
                    certificates::insert(tx, record).await?;
                }
                let gone: Vec<&CertificateRecord> = made.iter().take(to_revoke).collect();
                if !gone.is_empty() {
                    let revocation = Revocation { at: now, reason: Some(Reason::CessationOfOperation) };
                    certificates::revoke_many(tx, &gone, &revocation).await?;
                }
                Ok(())
            })
            .await;
        written.unwrap();
        progress(until, count);
    }
    file.flush().unwrap();
}

async fn device_with_ten(store: &Store, issuer: IssuerId, serials: &str) {
    let now = SystemClock.now();
    let (mut device, first) = holder(1, issuer, now, &[0x30; CERTIFICATE]);
    device.name = "gw-ten".parse().unwrap();
    let name = Identifier::parse("dns", "gw-1.site.test").unwrap();
    let further = (1..10).map(|_| {
        let record = certificate(issuer, &name, now, &[0x30; CERTIFICATE]);
        CertificateRecord { device: first.device, ..record }
    });
    let all: Vec<CertificateRecord> = std::iter::once(first.clone()).chain(further).collect();
    let text: String = all.iter().map(|record| format!("{}\n", record.serial)).collect();
    std::fs::write(serials, text).expect("the file of serial numbers can be written");
    let written: Result<(), StoreError> = store
        .write(async move |tx| {
            devices::insert(tx, &device).await?;
            for record in &all {
                certificates::insert(tx, record).await?;
            }
            Ok(())
        })
        .await;
    written.unwrap();
}

async fn issuing(store: &Store) -> IssuerId {
    let all: Result<_, StoreError> = store.read(async |tx| issuers::list(tx).await).await;
    let found = all.unwrap().into_iter().find(|issuer| issuer.key_id == KEY);
    found.expect("`ca-server init` has made the database").id
}
