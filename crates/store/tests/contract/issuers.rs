//! Issuers, their certificates and their lists.

use std::sync::Arc;

use pki_core::ids::{CertificateId, IssuerId, SiteName};
use pki_core::renewal::window::Replacement;
use store::crls::{self, CrlRecord, Lists, Scheduled};
use store::issuers::{self, IssuerCertificateRecord, IssuerRecord, IssuerState};
use store::{Store, StoreError};

use crate::fixtures::{at, entropy, read, write};

crate::on_both! { come_back_as_they_were, one_record_for_a_key, states_are_guarded, replacements_come_and_go, list_numbers_only_rise, the_last_end_counts }

fn issuer(seconds: i64) -> IssuerRecord {
    IssuerRecord {
        id: IssuerId::random(&entropy()),
        site: SiteName::home(),
        name: "Site CA 1".to_owned(),
        key_id: "issuing-1".to_owned(),
        algorithm: "ECDSA P-256".to_owned(),
        spki_sha256: pki_core::random::bytes(&entropy()),
        state: IssuerState::Active,
        replacement: None,
        created_at: at(seconds),
    }
}

/// Adds an issuing key.
pub(crate) async fn stored(store: &Store, seconds: i64) -> IssuerRecord {
    let issuer = issuer(seconds);
    let to_store = issuer.clone();
    write(store, async move |tx| issuers::insert(tx, &to_store).await).await.unwrap();
    issuer
}

/// A certificate of an issuing key that ends so many seconds after [`at`]'s beginning.
fn certificate(issuer: IssuerId, end: i64) -> IssuerCertificateRecord {
    IssuerCertificateRecord {
        id: CertificateId::new(at(end), &entropy()),
        issuer,
        parent: None,
        der: vec![0x30; 900],
        not_before: at(0),
        not_after: at(end),
        sha256: pki_core::random::bytes(&entropy()),
        created_at: at(1),
    }
}

async fn store_certificates(store: &Store, certificates: &[IssuerCertificateRecord]) {
    let certificates = certificates.to_vec();
    write(store, async move |tx| {
        for certificate in &certificates {
            issuers::insert_certificate(tx, certificate).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
}

async fn come_back_as_they_were(store: &Store) {
    let (root, issuing) = (stored(store, 1).await, stored(store, 2).await);
    let older = IssuerCertificateRecord { parent: Some(root.id), ..certificate(issuing.id, 1) };
    let newer = IssuerCertificateRecord { created_at: at(2), ..certificate(issuing.id, 2) };
    store_certificates(store, &[older.clone(), newer.clone()]).await;
    let id = issuing.id;
    assert_eq!(read(store, async move |tx| issuers::list_certificates(tx, id).await).await, [newer, older]);
    assert_eq!(read(store, async move |tx| issuers::find(tx, id).await).await.as_ref(), Some(&issuing));
    assert_eq!(read(store, async |tx| issuers::list(tx).await).await, [root, issuing]);
}

/// Fails when the end of an older, longer certificate, or of another key, is told.
async fn the_last_end_counts(store: &Store) {
    let (one, two, bare) = (stored(store, 1).await.id, stored(store, 2).await.id, stored(store, 3).await.id);
    let certificates = [(one, 500), (one, 900), (one, 700), (two, 800)].map(|(issuer, end)| certificate(issuer, end));
    store_certificates(store, &certificates).await;
    let ends = read(store, async |tx| issuers::ends(tx).await).await;
    assert_eq!([one, two, bare].map(|id| ends.get(&id).copied()), [Some(at(900)), Some(at(800)), None]);
}

async fn one_record_for_a_key(store: &Store) {
    let mut twin = stored(store, 1).await;
    twin.id = IssuerId::random(&entropy());
    let error = write(store, async move |tx| issuers::insert(tx, &twin).await).await.unwrap_err();
    assert!(error.is_duplicate(), "{error}");
}

async fn states_are_guarded(store: &Store) {
    let id = stored(store, 1).await.id;
    let retire =
        async move |tx: &mut store::Tx<'_>| issuers::set_state(tx, id, IssuerState::Active, IssuerState::Retired).await;
    write(store, retire).await.unwrap();
    assert_eq!(read(store, async move |tx| issuers::find(tx, id).await).await.unwrap().state, IssuerState::Retired);
    assert!(matches!(write(store, retire).await, Err(StoreError::Conflict { .. })));
}

async fn replacements_come_and_go(store: &Store) {
    let id = stored(store, 1).await.id;
    for replacement in [Some(Replacement { from: at(5), until: at(9) }), None] {
        write(store, async move |tx| issuers::set_replacement(tx, id, replacement).await).await.unwrap();
        let found = read(store, async move |tx| issuers::find(tx, id).await).await.unwrap();
        assert_eq!(found.replacement, replacement);
    }
}

async fn list_numbers_only_rise(store: &Store) {
    let issuer = stored(store, 1).await.id;
    let publish = async |shard: Option<u32>, number: u64, previous: Option<u64>| {
        let der = |first: u8| Arc::new([&[first][..], &[u8::try_from(number).unwrap(); 299]].concat());
        let lists = Lists { number, full: der(1), delta: (number > 10).then(|| der(2)) };
        let crl = record(issuer, shard, number);
        write(store, async move |tx| crls::publish(tx, &crl, &lists, previous).await).await
    };
    let conflicts = |outcome: Result<(), StoreError>| matches!(outcome, Err(StoreError::Conflict { .. }));
    assert!(conflicts(publish(None, 10, Some(9)).await), "there is no list to replace");
    publish(None, 10, None).await.unwrap();
    publish(Some(0), 5, None).await.unwrap();
    assert!(conflicts(publish(None, 11, None).await), "there is a list already");
    assert!(conflicts(publish(None, 12, Some(9)).await), "another number stands there");
    assert!(conflicts(publish(None, 10, Some(10)).await), "the number does not rise");
    publish(None, 11, Some(10)).await.unwrap();
    let lists = async |shard| read(store, async move |tx| crls::lists(tx, issuer, shard).await).await;
    let complete = lists(None).await.unwrap();
    assert_eq!((complete.number, complete.full[0], complete.full[1]), (11, 1, 11));
    assert_eq!(complete.delta.unwrap()[..2], [2, 11]);
    assert_eq!(lists(Some(0)).await.unwrap().delta, None);
    assert_eq!(lists(Some(1)).await, None);
    let all = read(store, async |tx| crls::list(tx).await).await;
    assert_eq!(all, [record(issuer, None, 11), record(issuer, Some(0), 5)]);
}

fn record(issuer: IssuerId, shard: Option<u32>, number: u64) -> CrlRecord {
    let (this_update, next_update) = (at(1), at(2));
    let urls = shard.map(|shard| format!("http://ca.test/{shard}.crl")).into_iter().collect();
    let scheduled = Scheduled { number: number - 1, at: at(0), covers: 3 };
    CrlRecord { issuer, shard, number, this_update, next_update, entries: 7, covers: 4, urls, scheduled }
}
