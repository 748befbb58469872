//! What is revoked and denied, and its numbering.

use std::collections::BTreeSet;

use pki_core::ids::{AccountId, DeviceId, IssuerId, Serial, SiteName};
use pki_core::issuance::record::{CertificateRecord, CertificateState, Revocation};
use pki_core::revocation::Reason;
use store::revocations::denials::{self, Denial, Subject};
use store::revocations::{self, Change, Entry, Event, FirstCrl, Standing};
use store::{Store, StoreError, certificates};

use crate::fixtures::{at, certificate, dns, entropy, issuer, read, store_certificate, write};

crate::on_both! {
    a_revocation_is_numbered, a_worse_reason_is_another_change, a_hold_is_released, lists_come_by_serial_number,
    denials_are_in_the_same_numbering, what_fails_takes_no_number, revoked_at_once_by_many, many_in_one_statement,
    the_first_list_of_each_is_remembered
}

fn held() -> Revocation {
    Revocation { at: at(5), reason: Some(Reason::CertificateHold) }
}

async fn stored(store: &Store, issuer: IssuerId, serial: Option<&str>) -> CertificateRecord {
    let mut record = certificate(issuer, &[dns("a.test")]);
    record.state = CertificateState::Issued { der: vec![0x31; 700] };
    record.serial = serial.map_or(record.serial, |serial| serial.parse().unwrap());
    store_certificate(store, &record).await;
    record
}

async fn revoke(store: &Store, record: &CertificateRecord, revocation: &Revocation) -> Result<i64, StoreError> {
    let (record, revocation) = (record.clone(), revocation.clone());
    store.write_held(async move |tx| certificates::revoke(tx, &record, &revocation).await).await
}

async fn events(store: &Store, number: u64, limit: u32) -> Vec<Event> {
    read(store, async move |tx| revocations::since(tx, number, limit).await).await
}

async fn head(store: &Store) -> u64 {
    read(store, async |tx| revocations::head(tx).await).await
}

async fn find(store: &Store, record: &CertificateRecord) -> Option<Entry> {
    let (issuer, serial) = (record.issuer, record.serial.clone());
    read(store, async move |tx| revocations::find(tx, issuer, &serial).await).await
}

async fn a_revocation_is_numbered(store: &Store) {
    assert_eq!((head(store).await, events(store, 0, 9).await), (0, vec![]));
    let (first, second) = (stored(store, issuer(), None).await, stored(store, issuer(), Some("7f")).await);
    for record in [&first, &second] {
        assert_eq!(find(store, record).await, None);
        assert_eq!(revoke(store, record, &held()).await, Ok(1));
    }
    let entry =
        |number, record| Entry { number, change: Change::of(record, Standing::Revoked(held())), first_crl: None };
    let expected = [entry(1, &first), entry(2, &second)];
    assert_eq!(events(store, 0, 9).await, expected.clone().map(Event::Certificate));
    assert_eq!(events(store, 1, 9).await, [Event::Certificate(expected[1].clone())]);
    assert_eq!(events(store, 0, 1).await, [Event::Certificate(expected[0].clone())]);
    assert_eq!((head(store).await, events(store, 2, 9).await), (2, vec![]));
    assert_eq!(find(store, &second).await, Some(expected[1].clone()));
}

async fn a_worse_reason_is_another_change(store: &Store) {
    let record = stored(store, issuer(), None).await;
    revoke(store, &record, &held()).await.unwrap();
    let worse = Revocation { at: at(5), reason: Some(Reason::KeyCompromise) };
    assert!(matches!(revoke(store, &record, &worse).await, Err(StoreError::Conflict { .. })), "an old version");
    revoke(store, &CertificateRecord { version: 1, ..record.clone() }, &worse).await.unwrap();
    let [Event::Certificate(entry)] = &events(store, 0, 9).await[..] else { panic!("one row") };
    assert_eq!((entry.number, &entry.change.standing), (2, &Standing::Revoked(worse)));
}

async fn a_hold_is_released(store: &Store) {
    let record = stored(store, issuer(), None).await;
    let release = async |version: i64| {
        let record = CertificateRecord { version, ..record.clone() };
        write(store, async move |tx| certificates::release(tx, &record, at(8)).await).await
    };
    assert!(matches!(release(0).await, Err(StoreError::Conflict { .. })), "it is not on hold");
    revoke(store, &record, &held()).await.unwrap();
    assert_eq!(release(1).await, Ok(2));
    assert_eq!(find(store, &record).await.unwrap().change.standing, Standing::Released(at(8)));
    let id = record.id;
    let row = read(store, async move |tx| certificates::find(tx, id).await).await.unwrap();
    assert_eq!((row.state, row.version), (record.state.clone(), 2));
    let revocation = Revocation { at: at(9), reason: Some(Reason::Superseded) };
    revoke(store, &CertificateRecord { version: 2, ..record.clone() }, &revocation).await.unwrap();
    assert!(matches!(release(3).await, Err(StoreError::Conflict { .. })), "only a hold is released");
    assert_eq!(find(store, &record).await.unwrap().number, 3);
}

async fn lists_come_by_serial_number(store: &Store) {
    let (mine, other) = (issuer(), issuer());
    // as text the first would be the greatest, as numbers of any length the last is
    let serials = ["0f", "7f", "80", "01ff", "0200", "40000000000000000000000000000001"];
    for serial in serials.iter().rev() {
        revoke(store, &stored(store, mine, Some(serial)).await, &held()).await.unwrap();
    }
    revoke(store, &stored(store, other, Some("10")).await, &held()).await.unwrap();
    let page = async |after: Option<Serial>, limit: u32| {
        let page = async move |tx: &mut store::Tx<'_>| revocations::page(tx, mine, after.as_ref(), limit).await;
        read(store, page).await.into_iter().map(|entry| entry.serial.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 99).await, serials);
    assert_eq!(page(None, 2).await, serials[..2]);
    assert_eq!(page("80".parse().ok(), 2).await, serials[3..5]);
    assert_eq!(page(serials[5].parse().ok(), 2).await, [""; 0]);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let last = after.clone();
        let some = read(store, async move |tx| revocations::revoked(tx, last.as_ref(), 4).await).await;
        after = some.last().cloned();
        all.extend(some);
        if after.is_none() {
            break;
        }
    }
    let of = |wanted| all.iter().filter(move |(issuer, _)| *issuer == wanted).map(|(_, serial)| serial.to_string());
    assert_eq!(
        (of(mine).collect::<Vec<_>>(), of(other).collect::<Vec<_>>()),
        (serials.map(str::to_owned).into(), vec!["10".to_owned()])
    );
    let listed = async |serials: &[&str]| {
        let serials: Vec<Serial> = serials.iter().map(|serial| serial.parse().unwrap()).collect();
        let some = read(store, async move |tx| revocations::listed_of(tx, mine, &serials).await).await;
        some.into_iter().map(|entry| entry.serial.to_string()).collect::<BTreeSet<_>>()
    };
    assert_eq!(listed(&["0200", "10", "7f", "55"]).await, ["0200", "7f"].map(str::to_owned).into(), "not the other's");
}

async fn the_first_list_of_each_is_remembered(store: &Store) {
    let (mine, other) = (issuer(), issuer());
    let mut records = Vec::new();
    for (place, issuer) in (0..).zip([mine, mine, other, mine]) {
        let mut record = certificate(issuer, &[dns("a.test")]);
        (record.shard, record.state) = (place, CertificateState::Issued { der: vec![1] });
        store_certificate(store, &record).await;
        revoke(store, &record, &held()).await.unwrap();
        records.push(record);
    }
    let shards =
        async |number: u64| read(store, async move |tx| revocations::shards_since(tx, mine, number).await).await;
    assert_eq!((shards(0).await, shards(1).await, shards(4).await), (vec![0, 1, 3], vec![1, 3], vec![]));
    let waiting = async |number: u64| {
        let waiting = read(store, async move |tx| revocations::waiting_since(tx, mine, number).await).await;
        (waiting.count, waiting.oldest)
    };
    assert_eq!((waiting(0).await, waiting(4).await), ((3, Some(at(5))), (0, None)));
    let mark = async |from: u64, to: u64, number: u64| {
        let crl = FirstCrl { number, at: at(20) };
        write(store, async move |tx| revocations::mark_first(tx, mine, (from, to), crl).await).await.unwrap()
    };
    assert_eq!((mark(0, 3, 77).await, mark(0, 9, 78).await), (2, 1));
    assert_eq!(waiting(0).await, (3, None), "what is on a list already does not wait since it was revoked");
    let mut first = Vec::new();
    for record in &records {
        first.push(find(store, record).await.unwrap().first_crl.map(|crl| crl.number));
    }
    assert_eq!(first, [Some(77), Some(77), None, Some(78)]);
    // whatever gets worse stays on the lists; whatever was released comes back as something new
    let again = |record: &CertificateRecord, version| CertificateRecord { version, ..record.clone() };
    revoke(store, &again(&records[0], 1), &held()).await.unwrap();
    assert!(find(store, &records[0]).await.unwrap().first_crl.is_some());
    let released = again(&records[0], 2);
    write(store, async move |tx| certificates::release(tx, &released, at(8)).await).await.unwrap();
    revoke(store, &again(&records[0], 3), &held()).await.unwrap();
    assert_eq!(find(store, &records[0]).await.unwrap().first_crl, None);
}

async fn denials_are_in_the_same_numbering(store: &Store) {
    let record = stored(store, issuer(), None).await;
    let device = Subject::Device(DeviceId::random(&entropy()));
    let subjects = [
        device.clone(),
        Subject::Session("uid:1000".to_owned()),
        Subject::Account(AccountId::random(&entropy())),
        Subject::Site(SiteName::home()),
        Subject::ApiKey("k-1".to_owned()),
    ];
    for subject in subjects.clone() {
        write(store, async move |tx| denials::deny(tx, &subject, at(3)).await).await.unwrap();
    }
    revoke(store, &record, &held()).await.unwrap();
    let again = device.clone();
    let allowed = write(store, async move |tx| denials::allow(tx, &again, at(4)).await).await;
    assert_eq!(allowed, Ok(7));
    let denial =
        |number, subject: &Subject, is_denied, at| Denial { subject: Ok(subject.clone()), number, is_denied, at };
    let mut expected: Vec<Denial> =
        (2..).zip(&subjects[1..]).map(|(number, subject)| denial(number, subject, true, at(3))).collect();
    expected.push(denial(7, &device, false, at(4)));
    let mut all = events(store, 0, 9).await;
    assert_eq!(all.iter().map(Event::number).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7], "1 has moved to 7");
    assert_eq!(events(store, 2, 2).await, all[1..3]);
    let denials = read(store, async |tx| revocations::denials_since(tx, 2, 9).await).await;
    assert_eq!(denials, expected[1..]);
    let revoked = all.remove(4);
    assert!(matches!(&revoked, Event::Certificate(entry) if entry.change.certificate == record.id));
    assert_eq!(all, expected.into_iter().map(Event::Denial).collect::<Vec<_>>());
    let subject = Subject::Certificate(record.issuer, record.serial);
    let denied = write(store, async move |tx| denials::deny(tx, &subject, at(5)).await).await;
    assert!(matches!(denied, Err(StoreError::Fault { .. })), "{denied:?}");
}

async fn what_fails_takes_no_number(store: &Store) {
    let failed: Result<(), StoreError> = write(store, async |tx| {
        denials::deny(tx, &Subject::Site(SiteName::home()), at(3)).await?;
        Err(StoreError::Closed)
    })
    .await;
    assert_eq!(failed, Err(StoreError::Closed));
    assert_eq!(head(store).await, 0);
    let key = Subject::ApiKey("k".to_owned());
    assert_eq!(write(store, async move |tx| denials::deny(tx, &key, at(3)).await).await, Ok(1));
}

/// Numbers of transactions that run side by side have no gaps, and who reads along sees each of them: a number that became
/// visible before a smaller one would be skipped.
async fn revoked_at_once_by_many(store: &Store) {
    const MANY: u64 = 60;
    let mut revokers = tokio::task::JoinSet::new();
    for _ in 0..MANY {
        let (store, record) = (store.clone(), stored(store, issuer(), None).await);
        revokers.spawn(async move { revoke(&store, &record, &held()).await.unwrap() });
    }
    let mut seen = Vec::new();
    while seen.len() < usize::try_from(MANY).unwrap() {
        let after = seen.last().copied().unwrap_or(0);
        let page = store.look(async move |tx| revocations::since(tx, after, 7).await).await;
        seen.extend(page.unwrap_or_else(|error: StoreError| panic!("{error}")).iter().map(Event::number));
    }
    revokers.join_all().await;
    assert_eq!(seen, (1..=MANY).collect::<Vec<_>>());
    assert_eq!(head(store).await, MANY);
}

async fn many_in_one_statement(store: &Store) {
    let mut records = Vec::new();
    let issuer = issuer();
    for _ in 0..131 {
        records.push(stored(store, issuer, None).await);
    }
    let batch = records.clone();
    let last =
        write(store, async move |tx| certificates::revoke_many(tx, &batch.iter().collect::<Vec<_>>(), &held()).await);
    assert_eq!(last.await, Ok(131));
    let found = events(store, 0, 1000).await;
    let told = found.iter().map(|event| match event {
        Event::Certificate(entry) => (entry.number, entry.change.certificate),
        Event::Denial(denial) => panic!("{denial:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), (1..).zip(records.iter().map(|record| record.id)).collect::<Vec<_>>());
    let none = write(store, async |tx| certificates::revoke_many(tx, &[], &held()).await).await;
    assert_eq!(none, Ok(131), "nothing takes no number");
}
