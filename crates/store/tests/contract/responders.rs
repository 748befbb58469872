//! What OCSP responders ask for, and the states that they answer with.

use pki_core::ids::{IssuerId, ResponderId, Serial};
use pki_core::issuance::record::{CertificateRecord, CertificateState, Revocation};
use pki_core::revocation::Reason;
use store::certificates::{self, CertificateStatus};
use store::responders::{self, ResponderRecord, ResponderState};
use store::{Store, StoreError, Value};

use crate::fixtures::{at, certificate, dns, entropy, issuer, read, store_certificate, tick, write};

crate::on_both! {
    a_request_comes_back_in_every_state, one_of_two_settles_it, old_requests_are_forgotten, damaged_requests_are_noticed,
    ocs_5_only_what_was_signed_has_a_state, ocs_11_a_state_is_that_of_the_revocation
}

fn request(seconds: i64) -> ResponderRecord {
    ResponderRecord {
        id: ResponderId::new(tick(), &entropy()),
        issuer: issuer(),
        replica: "replica \u{e4}".to_owned(),
        spki: vec![0x30; 91],
        proof: vec![0, 0xff, 7],
        state: ResponderState::Requested,
        created_at: at(seconds),
        version: 1,
    }
}

async fn stored(store: &Store, seconds: i64) -> ResponderRecord {
    let record = request(seconds);
    let row = record.clone();
    write(store, async move |tx| responders::insert(tx, &row).await).await.unwrap();
    record
}

async fn find(store: &Store, id: ResponderId) -> Option<ResponderRecord> {
    read(store, async move |tx| responders::find(tx, id).await).await
}

async fn settle(store: &Store, id: ResponderId, state: &ResponderState, version: i64) -> Result<i64, StoreError> {
    let state = state.clone();
    write(store, async move |tx| responders::settle(tx, id, &state, version).await).await
}

async fn a_request_comes_back_in_every_state(store: &Store) {
    let record = stored(store, 1).await;
    assert_eq!(find(store, request(1).id).await, None);
    assert_eq!(find(store, record.id).await, Some(record.clone()));
    for (version, state) in (1..).zip([
        ResponderState::Planned { tbs: vec![0x30, 0, 1] },
        ResponderState::Issued { der: vec![0x30, 0, 2] },
        ResponderState::Refused { error: "no \u{1f511}".to_owned() },
    ]) {
        assert_eq!(settle(store, record.id, &state, version).await, Ok(version + 1));
        let expected = ResponderRecord { state, version: version + 1, ..record.clone() };
        assert_eq!(find(store, record.id).await, Some(expected));
    }
}

/// Fails when two servers that sign the same request both believe that theirs is the certificate.
async fn one_of_two_settles_it(store: &Store) {
    let record = stored(store, 1).await;
    let [first, second] = [1, 2].map(|octet| ResponderState::Issued { der: vec![octet] });
    settle(store, record.id, &first, 1).await.unwrap();
    assert!(matches!(settle(store, record.id, &second, 1).await, Err(StoreError::Conflict { .. })));
    assert_eq!(find(store, record.id).await.map(|found| found.state), Some(first));
}

async fn old_requests_are_forgotten(store: &Store) {
    let (old, new) = (stored(store, 1).await, stored(store, 2).await);
    assert_eq!(write(store, async |tx| responders::forget(tx, at(2)).await).await, Ok(1));
    assert_eq!((find(store, old.id).await, find(store, new.id).await), (None, Some(new)));
}

async fn damaged_requests_are_noticed(store: &Store) {
    for sql in [
        "UPDATE ocsp_responder SET state = 'issued' WHERE id = $1",
        "UPDATE ocsp_responder SET state = 'tired' WHERE id = $1",
        "UPDATE ocsp_responder SET error = 'x' WHERE id = $1",
    ] {
        let id = stored(store, 1).await.id;
        write(store, async move |tx| tx.execute(sql, &[Value::text(id)]).await).await.unwrap();
        let found = store.read(async move |tx| responders::find(tx, id).await).await;
        assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{sql}: {found:?}");
    }
}

async fn status(store: &Store, issuer: IssuerId, serial: &Serial) -> Option<CertificateStatus> {
    let serial = serial.clone();
    read(store, async move |tx| certificates::status(tx, issuer, &serial).await).await
}

async fn kept(store: &Store, state: CertificateState) -> CertificateRecord {
    let record = CertificateRecord { state, ..certificate(issuer(), &[dns("a.test")]) };
    store_certificate(store, &record).await;
    record
}

/// Fails when a certificate that is planned, that another issuer has signed, or that nobody has, is said to exist.
async fn ocs_5_only_what_was_signed_has_a_state(store: &Store) {
    let planned = kept(store, CertificateState::Planned { tbs: vec![0x30; 9] }).await;
    let issued = kept(store, CertificateState::Issued { der: vec![0x30; 9] }).await;
    assert_eq!(status(store, planned.issuer, &planned.serial).await, None);
    assert_eq!(status(store, planned.issuer, &issued.serial).await, None);
    assert_eq!(status(store, issued.issuer, &Serial::random(&entropy())).await, None);
    let good = CertificateStatus { revocation: None, not_after: issued.not_after };
    assert_eq!(status(store, issued.issuer, &issued.serial).await, Some(good));
}

/// Fails when time or reason are others than those on the list, or stay after a hold was released.
async fn ocs_11_a_state_is_that_of_the_revocation(store: &Store) {
    for reason in [None, Some(Reason::KeyCompromise), Some(Reason::CertificateHold)] {
        let record = kept(store, CertificateState::Issued { der: vec![0x30; 9] }).await;
        let revocation = Revocation { at: at(77), reason };
        let (row, change) = (record.clone(), revocation.clone());
        store.write_held(async move |tx| certificates::revoke(tx, &row, &change).await).await.unwrap();
        let expected = CertificateStatus { revocation: Some(revocation), not_after: record.not_after };
        assert_eq!(status(store, record.issuer, &record.serial).await, Some(expected));
        if reason == Some(Reason::CertificateHold) {
            let held = CertificateRecord { version: record.version + 1, ..record.clone() };
            store.write_held(async move |tx| certificates::release(tx, &held, at(78)).await).await.unwrap();
            let found = status(store, record.issuer, &record.serial).await;
            assert_eq!(found, Some(CertificateStatus { revocation: None, not_after: record.not_after }));
        }
    }
}
