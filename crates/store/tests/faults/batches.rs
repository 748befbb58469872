//! Group commit on SQLite: what one body does to the others of its commit, and what a power cut leaves.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};

use store::{OpenOptions, Store, StoreError, Tx, meta};
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};

use crate::child::Process;

async fn fresh() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(OpenOptions::new("sqlite:test.db", folder.path())).await.unwrap();
    store.migrate().await.unwrap();
    (folder, store)
}

async fn get(store: &Store, key: &'static str) -> Option<String> {
    store.read(async move |tx| meta::get(tx, key).await).await.unwrap()
}

async fn sql(store: &Store, sql: &'static str) -> Result<u64, StoreError> {
    store.write(async move |tx| tx.execute(sql, &[]).await).await
}

type Outcome = Result<(), StoreError>;

/// Keeps the writer at work until the answer is dropped, so that what is handed in meanwhile becomes one commit.
async fn occupied(store: &Store) -> (mpsc::Sender<()>, JoinHandle<Outcome>) {
    let (release, released) = mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let (released, begun) = (std::sync::Mutex::new(released), std::sync::Mutex::new(Some(begun)));
    let store = store.clone();
    let waiting = spawn(async move {
        store
            .write(async move |_: &mut Tx<'_>| {
                let begun = begun.lock().unwrap().take();
                begun.map(|begun| begun.send(()));
                let _ = released.lock().unwrap().recv();
                Ok(())
            })
            .await
    });
    begins.await.unwrap();
    (release, waiting)
}

#[expect(clippy::disallowed_methods, reason = "a test waits for each of its tasks")]
fn spawn(task: impl Future<Output = Outcome> + Send + 'static) -> JoinHandle<Outcome> {
    tokio::spawn(task)
}

/// Hands a body in and comes back when it is in the queue: the first poll of the future puts it there.
async fn queued(mut write: std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>>) -> JoinHandle<Outcome> {
    std::future::poll_fn(|context| {
        assert!(write.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    spawn(write)
}

fn setting(
    store: &Store,
    key: &'static str,
    runs: &Arc<AtomicU32>,
) -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> {
    let (store, runs) = (store.clone(), Arc::clone(runs));
    Box::pin(async move {
        store
            .write(async move |tx| {
                runs.fetch_add(1, Ordering::Relaxed);
                meta::set(tx, key, "1").await
            })
            .await
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_fails_takes_none_of_its_batch_with_it() {
    let (_folder, store) = fresh().await;
    let runs = Arc::default();
    let (release, first) = occupied(&store).await;
    let before = queued(setting(&store, "before", &runs)).await;
    let other = store.clone();
    let failing = queued(Box::pin(async move {
        other
            .write(async |tx| {
                meta::set(tx, "failing", "1").await?;
                tx.execute("INSERT INTO meta (key, value) VALUES ('failing', '2')", &[]).await.map(drop)
            })
            .await
    }))
    .await;
    let after = queued(setting(&store, "after", &runs)).await;
    drop(release);
    first.await.unwrap().unwrap();
    before.await.unwrap().unwrap();
    after.await.unwrap().unwrap();
    assert!(failing.await.unwrap().unwrap_err().is_duplicate());
    assert_eq!(runs.load(Ordering::Relaxed), 2, "nobody ran twice");
    assert_eq!((get(&store, "before").await.is_some(), get(&store, "after").await.is_some()), (true, true));
    assert_eq!(get(&store, "failing").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_commit_fails_each_body_runs_again_alone() {
    let (_folder, store) = fresh().await;
    let table = "CREATE TABLE late (name TEXT REFERENCES meta (key) DEFERRABLE INITIALLY DEFERRED)";
    sql(&store, table).await.unwrap();
    let runs = Arc::default();
    let (release, first) = occupied(&store).await;
    let before = queued(setting(&store, "before", &runs)).await;
    let other = store.clone();
    // deferred: it is the commit that fails, not the statement
    let failing =
        queued(Box::pin(async move { sql(&other, "INSERT INTO late VALUES ('nobody')").await.map(drop) })).await;
    let after = queued(setting(&store, "after", &runs)).await;
    drop(release);
    first.await.unwrap().unwrap();
    before.await.unwrap().unwrap();
    after.await.unwrap().unwrap();
    assert!(matches!(failing.await.unwrap(), Err(StoreError::Dangling { .. })));
    assert_eq!(runs.load(Ordering::Relaxed), 4, "together first, then alone");
    assert_eq!((get(&store, "before").await.is_some(), get(&store, "after").await.is_some()), (true, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_says_so_and_loses_nothing() {
    let (_folder, store) = fresh().await;
    meta_set(&store, "before").await.unwrap();
    let pages = store.read(async |tx| tx.row("PRAGMA page_count", &[]).await).await;
    let pages: Result<_, StoreError> = pages;
    let pages = pages.unwrap().unwrap().fields("pragma").int().unwrap();
    let limit = async |pages: i64| {
        let limited: Result<_, StoreError> =
            store.write(async move |tx| tx.row(format!("PRAGMA max_page_count = {pages}"), &[]).await).await;
        limited.unwrap();
    };
    limit(pages + 2).await;
    let big = async |store: &Store| {
        let written: Outcome = store.write(async |tx| meta::set(tx, "big", &"x".repeat(100_000)).await).await;
        written
    };
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        callers.spawn(async move { (big(&store).await, meta_set(&store, "small").await) });
    }
    for (big, small) in callers.join_all().await {
        let error = big.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }) && error.is_retryable(), "{error}");
        small.unwrap();
    }
    assert_eq!((get(&store, "before").await.is_some(), get(&store, "big").await), (true, None));
    limit(100_000).await;
    big(&store).await.unwrap();
}

async fn meta_set(store: &Store, key: &'static str) -> Outcome {
    store.write(async move |tx| meta::set(tx, key, "1").await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_waits_for_something_else_is_a_fault() {
    let (_folder, store) = fresh().await;
    let outcome: Outcome = store
        .write(async |tx| {
            meta::set(tx, "a", "1").await?;
            tokio::task::yield_now().await;
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Fault { .. })), "{outcome:?}");
    assert_eq!(get(&store, "a").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    let (folder, store) = fresh().await;
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    store.close().await;
    for _ in 0..10 {
        let url = url.clone();
        let acknowledged = tokio::task::spawn_blocking(move || {
            let mut writer = Process::start("writer", &url);
            let mut keys: Vec<_> = (0..200).map_while(|_| writer.next("ack ")).collect();
            writer.kill();
            keys.extend(std::iter::from_fn(|| writer.next("ack ")));
            keys
        });
        let acknowledged = acknowledged.await.unwrap();
        assert!(acknowledged.len() >= 200, "the writer ended early: {}", acknowledged.len());
        let store = Store::open(OpenOptions::new("sqlite:test.db", folder.path())).await.unwrap();
        for key in acknowledged {
            let wanted = key.clone();
            let found: Result<_, StoreError> = store.read(async move |tx| meta::get(tx, &wanted).await).await;
            assert!(found.unwrap().is_some(), "{key} was acknowledged and is gone");
        }
        store.close().await;
    }
}
