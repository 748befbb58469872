//! Audit events, nonces, sites and facts about the database.

use std::collections::HashSet;

use std::collections::BTreeMap;

use pki_core::audit::AuditEvent;
use pki_core::ids::{EventId, SiteName};
use store::audit::{self, Filter};
use store::{Store, StoreError, Value, meta, nonces, sites};

use crate::fixtures::{at, entropy, read, write};

crate::on_both! { events_come_back, events_are_checked, a_nonce_is_spent_once, facts_are_set, home_is_there }

fn event(seconds: i64, action: &str, subject: &str) -> AuditEvent {
    AuditEvent {
        v: AuditEvent::VERSION,
        id: EventId::new(at(seconds), &entropy()),
        at: at(seconds),
        actor: "uid:0".to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        details: BTreeMap::from([("name".to_owned(), "gw-1 \u{1f511}".to_owned())]),
    }
}

async fn events_come_back(store: &Store) {
    let events =
        [event(1, "device.add", "device:1"), event(2, "device.add", "device:2"), event(3, "device.retire", "device:1")];
    let to_store = events.clone();
    write(store, async move |tx| {
        for event in &to_store {
            audit::append(tx, event).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let list = async |filter: Filter, after: Option<EventId>, limit: u32| {
        read(store, async move |tx| audit::list(tx, &filter, after, limit).await).await
    };
    assert_eq!(list(Filter::default(), None, 9).await, events);
    assert_eq!(list(Filter::default(), Some(events[0].id), 1).await, events[1..2]);
    let subject = Some("device:1".to_owned());
    let of_one = list(Filter { subject: subject.clone(), ..Filter::default() }, None, 9).await;
    assert_eq!(of_one, [events[0].clone(), events[2].clone()]);
    let action = Some("device.retire".to_owned());
    assert_eq!(list(Filter { subject, action }, None, 9).await, events[2..]);
    let newest = async |limit: u32| read(store, async move |tx| audit::newest(tx, "device:1", limit).await).await;
    assert_eq!(newest(9).await, [events[2].clone(), events[0].clone()]);
    assert_eq!(newest(1).await, events[2..]);
    let find = async |id: EventId| read(store, async move |tx| audit::find(tx, id).await).await;
    assert_eq!(find(events[1].id).await.as_ref(), Some(&events[1]));
    assert_eq!(find(event(9, "device.add", "device:9").id).await, None);
}

async fn events_are_checked(store: &Store) {
    let (mine, other) = (event(1, "a.b", "c:1"), event(2, "a.b", "c:1"));
    let (id, bytes) = (mine.id, other.canonical_bytes());
    write(store, async move |tx| {
        audit::append(tx, &mine).await?;
        tx.execute("UPDATE audit_event SET bytes = $2 WHERE id = $1", &[Value::text(id), (&bytes).into()]).await
    })
    .await
    .unwrap();
    let list = async |tx: &mut store::Tx<'_>| audit::list(tx, &Filter::default(), None, 9).await;
    let error = store.read(list).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { table: "audit_event", .. }), "{error}");
}

async fn a_nonce_is_spent_once(store: &Store) {
    let spend = async |nonce: &'static str, end: i64| {
        let spent = [(nonce.to_owned(), at(end))];
        let fresh = write(store, async move |tx| nonces::spend_all(tx, &spent).await).await.unwrap();
        fresh.contains(nonce)
    };
    assert!(spend("a", 10).await);
    assert!(!spend("a", 10).await);
    assert!(spend("b", 20).await);
    let several = ["c", "b", "d", "d"].map(|nonce| (nonce.to_owned(), at(20)));
    let fresh = write(store, async move |tx| nonces::spend_all(tx, &several).await).await.unwrap();
    assert_eq!(fresh, HashSet::from(["c".to_owned(), "d".to_owned()]));
    assert_eq!(write(store, async |tx| nonces::purge(tx, at(15), 10).await).await, Ok(1));
    assert!(!spend("b", 20).await);
    assert!(spend("a", 30).await, "forgotten; its age alone refuses it by now");
}

async fn facts_are_set(store: &Store) {
    let get = async || read(store, async |tx| meta::get(tx, "epoch").await).await;
    assert_eq!(get().await, None);
    for value in ["1", "2"] {
        write(store, async move |tx| meta::set(tx, "epoch", value).await).await.unwrap();
        assert_eq!(get().await.as_deref(), Some(value));
    }
}

async fn home_is_there(store: &Store) {
    let north: SiteName = "north".parse().unwrap();
    let add = async |tx: &mut store::Tx<'_>| sites::insert(tx, &"north".parse().unwrap(), at(1)).await;
    assert_eq!(write(store, add).await, Ok(true));
    assert_eq!(write(store, add).await, Ok(false));
    assert_eq!(read(store, async |tx| sites::list(tx).await).await, [SiteName::home(), north]);
}
