//! What a transaction promises on either database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use store::{Store, StoreError, Tx, meta};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::fixtures::{read, write};

crate::on_both! {
    errors_roll_back, a_failed_statement_spoils_its_transaction, bodies_that_depend_on_each_other_are_in_turn,
    a_failing_body_spoils_no_other, reads_see_one_state, reads_cannot_write, panics_reach_their_caller,
    futures_run_in_tasks, a_healthy_store_says_so, null_has_a_type, a_closed_store_says_so, migrating_again_does_nothing
}

/// What a flow would return: its own refusals, and what the store reports.
#[derive(Debug, PartialEq)]
enum FlowError {
    Refused,
    Store(StoreError),
}

impl From<StoreError> for FlowError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn get(store: &Store, key: &'static str) -> Option<String> {
    read(store, async move |tx| meta::get(tx, key).await).await
}

async fn errors_roll_back(store: &Store) {
    let outcome: Result<(), FlowError> = store
        .write(async |tx| {
            meta::set(tx, "a", "1").await?;
            Err(FlowError::Refused)
        })
        .await;
    assert_eq!(outcome, Err(FlowError::Refused));
    assert_eq!(get(store, "a").await, None);
}

async fn a_failed_statement_spoils_its_transaction(store: &Store) {
    let outcome = write(store, async |tx| {
        meta::set(tx, "a", "1").await?;
        let insert = "INSERT INTO meta (key, value) VALUES ('a', '2')";
        assert!(tx.execute(insert, &[]).await.unwrap_err().is_duplicate());
        assert!(meta::get(tx, "a").await.is_err(), "nothing more can be done in it");
        Ok(())
    })
    .await;
    assert!(outcome.unwrap_err().is_duplicate());
    assert_eq!(get(store, "a").await, None);
}

/// Each reads, decides and writes. Were two of them at work at once, an increment would be lost.
async fn bodies_that_depend_on_each_other_are_in_turn(store: &Store) {
    write(store, async |tx| meta::set(tx, "counter", "0").await).await.unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        callers.spawn(async move {
            for _ in 0..5 {
                while let Err(error) = write(&store, increment).await {
                    assert!(error.is_retryable(), "{error}");
                }
            }
        });
    }
    callers.join_all().await;
    assert_eq!(get(store, "counter").await.as_deref(), Some("40"));
}

async fn increment(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let counter: u32 = meta::get(tx, "counter").await?.unwrap().parse().unwrap();
    meta::set(tx, "counter", &(counter + 1).to_string()).await
}

async fn a_failing_body_spoils_no_other(store: &Store) {
    let start = Arc::new(Barrier::new(30));
    let mut callers = JoinSet::new();
    for number in 0..30 {
        let (store, start) = (store.clone(), Arc::clone(&start));
        callers.spawn(async move {
            start.wait().await;
            let outcome: Result<(), FlowError> = store
                .write(async move |tx| {
                    meta::set(tx, &format!("k{number}"), "x").await?;
                    if number % 3 == 0 { Err(FlowError::Refused) } else { Ok(()) }
                })
                .await;
            (number, outcome)
        });
    }
    for (number, outcome) in callers.join_all().await {
        let kept = read(store, async move |tx| meta::get(tx, &format!("k{number}")).await).await;
        if number % 3 == 0 {
            assert_eq!((outcome, kept), (Err(FlowError::Refused), None));
        } else {
            assert_eq!((outcome, kept.as_deref()), (Ok(()), Some("x")));
        }
    }
}

async fn reads_see_one_state(store: &Store) {
    // another thread writes between the two reads of one body, which waits for it without giving its thread away
    let (written, writes) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel::<()>();
    let (begun, writes) = (std::sync::Mutex::new(Some(begun)), std::sync::Mutex::new(writes));
    let reader = store.clone();
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        read(&reader, async move |tx| {
            let before = meta::get(tx, "a").await?;
            drop(begun.lock().unwrap().take());
            let _ = writes.lock().unwrap().recv();
            Ok((before, meta::get(tx, "a").await?))
        })
        .await
    });
    let _ = begins.await;
    // a store of its own: the reader occupies the thread of its store on PostgreSQL
    let other = crate::world::again(store).await;
    write(&other, async |tx| meta::set(tx, "a", "new").await).await.unwrap();
    drop(written);
    assert_eq!(reading.join_next().await.unwrap().unwrap(), (None, None));
    assert_eq!(get(store, "a").await.as_deref(), Some("new"));
}

async fn reads_cannot_write(store: &Store) {
    for outcome in [
        store.read(async |tx| meta::set(tx, "a", "1").await).await,
        store.scan(async |tx| meta::set(tx, "a", "1").await).await,
    ] {
        let outcome: Result<(), StoreError> = outcome;
        assert!(matches!(outcome, Err(StoreError::ReadOnly { .. })), "{outcome:?}");
    }
}

async fn panics_reach_their_caller(store: &Store) {
    let mut caller = JoinSet::new();
    let panicking = store.clone();
    caller.spawn(async move {
        write(&panicking, async |tx| -> Result<(), StoreError> {
            meta::set(tx, "a", "1").await?;
            panic!("a fault of the body")
        })
        .await
    });
    assert!(caller.join_next().await.unwrap().unwrap_err().is_panic());
    write(store, async |tx| meta::set(tx, "b", "1").await).await.unwrap();
    assert_eq!((get(store, "a").await, get(store, "b").await.as_deref()), (None, Some("1")));
}

/// Handlers of the server are spawned, so what the store returns has to be sendable with bodies that own and borrow.
async fn futures_run_in_tasks(store: &Store) {
    let runs = Arc::new(AtomicU32::new(0));
    let (counted, own, name) = (Arc::clone(&runs), store.clone(), "name".to_owned());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (wanted, counter) = (name.clone(), Arc::clone(&counted));
        let set = async move |tx: &mut Tx<'_>| {
            counter.fetch_add(1, Ordering::Relaxed);
            meta::set(tx, &wanted, "1").await?;
            meta::get(tx, &wanted).await
        };
        let written: Result<_, FlowError> = own.write(async move |tx| Ok(set(tx).await?)).await;
        let wanted = name.clone();
        let read: Result<_, FlowError> = own.read(async move |tx| Ok(meta::get(tx, &wanted).await?)).await;
        let scanned: Result<_, FlowError> = own.scan(async move |tx| Ok(meta::get(tx, &name).await?)).await;
        assert_eq!(written, Ok(Some("1".to_owned())));
        assert_eq!((&read, &scanned), (&written, &written));
    });
    tasks.join_all().await;
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

async fn a_healthy_store_says_so(store: &Store) {
    store.health().await.unwrap();
}

async fn null_has_a_type(store: &Store) {
    let sql = "INSERT INTO eab_key (id, device_id, state, state_at, sealed_secret, created_at) VALUES ($1, $2, 'x', $3, $4, 0)";
    write(store, async move |tx| {
        let none: [store::Value<'_>; 3] = [None::<&str>.into(), None::<i64>.into(), None::<&[u8]>.into()];
        let [text, int, bytes] = none;
        tx.execute(sql, &["k".into(), text, int, bytes]).await
    })
    .await
    .unwrap();
}

async fn a_closed_store_says_so(store: &Store) {
    write(store, async |tx| meta::set(tx, "a", "1").await).await.unwrap();
    store.close().await;
    assert_eq!(write(store, async |tx| meta::set(tx, "a", "2").await).await, Err(StoreError::Closed));
    assert_eq!(store.read(async |tx| meta::get(tx, "a").await).await, Err(StoreError::Closed));
    assert_eq!(store.scan(async |tx| meta::get(tx, "a").await).await, Err(StoreError::Closed));
    store.close().await;
}

async fn migrating_again_does_nothing(store: &Store) {
    assert_eq!(store.pending_migrations().await, Ok(vec![]));
    assert_eq!(store.migrate().await, Ok(vec![]));
}
