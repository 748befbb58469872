//! What is held, page by page.

use pki_core::acme::account::Binding;
use pki_core::ids::CertificateId;
use pki_core::issuance::record::{CertificateRecord, CertificateState, Revocation};
use pki_core::time::Timestamp;
use store::certificates::holdings::{self, Holdings};
use store::{Store, StoreError, accounts, certificates, devices, eab_keys};

use crate::fixtures::{account, at, certificate, device, dns, eab_key, issuer, write};

crate::on_both! { what_is_in_force_comes_with_its_holder }

async fn page(store: &Store, now: Timestamp, after: Option<CertificateId>, with_der: bool, limit: u32) -> Holdings {
    store
        .scan(async move |tx| Ok::<_, StoreError>(holdings::page(tx, now, after, with_der, limit).await?))
        .await
        .unwrap()
}

/// Fails when a page leaves one out or repeats it, tells of one that is not in force, or of another's device.
async fn what_is_in_force_comes_with_its_holder(store: &Store) {
    let (gateways, key, issuer) = (["gw-1", "gw-2"].map(device), eab_key(None), issuer());
    let mut bound = account();
    bound.binding = Some(Binding { key: key.id, device: None });
    let free = account();
    let state = CertificateState::Issued { der: vec![1, 2, 3] };
    let of = |name: &str| CertificateRecord { state: state.clone(), ..certificate(issuer, &[dns(name)]) };
    let [first, second] = [0, 1].map(|number| CertificateRecord { device: Some(gateways[number].id), ..of("gw.test") });
    let third = CertificateRecord { account: Some(bound.id), ..of("bound.test") };
    let fourth = CertificateRecord { account: Some(free.id), ..of("free.test") };
    let revocation = Revocation { at: at(1), reason: None };
    let revoked =
        CertificateRecord { state: CertificateState::Revoked { der: vec![4], revocation }, ..of("gone.test") };
    let over = CertificateRecord { not_after: at(9), ..of("over.test") };
    let planned = certificate(issuer, &[dns("planned.test")]);
    let expected = [first.id, second.id, third.id, fourth.id];
    let all = [first, second, third, fourth, revoked, over, planned];
    let owners = gateways.clone();
    write(store, async move |tx| {
        for device in &owners {
            devices::insert(tx, device).await?;
        }
        eab_keys::insert(tx, &key).await?;
        for account in [&bound, &free] {
            accounts::insert(tx, account).await?;
        }
        for certificate in &all {
            certificates::insert(tx, certificate).await?;
        }
        Ok(())
    })
    .await
    .unwrap();

    let whole = page(store, at(10), None, true, 100).await;
    assert_eq!(whole.certificates.iter().map(|one| one.id).collect::<Vec<_>>(), expected);
    assert_eq!(whole.devices.values().collect::<Vec<_>>(), gateways.iter().collect::<Vec<_>>());
    let holders: Vec<_> =
        whole.certificates.iter().map(|one| (one.device, one.is_bound, one.account.is_some())).collect();
    let [one, other] = gateways.each_ref().map(|device| Some(device.id));
    assert_eq!(holders, [(one, false, false), (other, false, false), (None, true, true), (None, false, true)]);
    assert!(whole.certificates.iter().all(|one| one.der.as_deref() == Some(&[1, 2, 3])));

    let begin = page(store, at(10), None, false, 1).await;
    assert_eq!((begin.certificates[0].id, begin.devices.len(), &begin.certificates[0].der), (expected[0], 1, &None));
    let rest = page(store, at(10), Some(expected[1]), false, 100).await;
    assert_eq!((rest.certificates.len(), rest.devices.len()), (2, 0));
    for (now, count) in [(at(10), 4), (at(9), 5), (at(1_000_000), 0)] {
        let counted = store.scan(async move |tx| holdings::count(tx, now).await).await;
        assert_eq!(counted, Ok::<_, StoreError>(count));
    }
}
