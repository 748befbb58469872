//! Jobs.

use pki_core::ids::JobId;
use store::jobs::{self, Job, Lease, NewJob};
use store::{Store, StoreError};
use tokio::task::JoinSet;

use crate::fixtures::{at, entropy, read, write};

crate::on_both! {
    due_ones_are_claimed_in_turn, what_is_born_leased_is_left_to_its_owner, lost_leases_are_claimed_again, retries_belong_to_their_claim, the_next_time_is_known,
    leases_end_with_their_process, many_workers_claim_each_job_once
}

async fn stored(store: &Store, subject: &'static str, run_at: i64) -> JobId {
    let id = JobId::new(at(run_at), &entropy());
    write(store, async move |tx| {
        jobs::insert(tx, &NewJob { id, kind: "validate", subject, run_at: at(run_at), created_at: at(0), lease: None })
            .await
    })
    .await
    .unwrap();
    id
}

fn lease(owner: &str, until: i64) -> Lease {
    Lease { owner: owner.to_owned(), until: at(until) }
}

async fn claim(store: &Store, now: i64, until: i64, limit: u32) -> Vec<Job> {
    write(store, async move |tx| jobs::claim_due(tx, at(now), &lease("server-1", until), limit).await).await.unwrap()
}

async fn due_ones_are_claimed_in_turn(store: &Store) {
    for (subject, run_at) in [("c", 3), ("a", 1), ("later", 11), ("b", 2)] {
        stored(store, subject, run_at).await;
    }
    let subjects = |jobs: &[Job]| jobs.iter().map(|job| job.subject.clone()).collect::<Vec<_>>();
    let first = claim(store, 10, 60, 2).await;
    assert_eq!(subjects(&first), ["a", "b"]);
    assert_eq!((first[0].attempts, first[0].kind.as_str(), first[0].created_at), (1, "validate", at(0)));
    assert_eq!(subjects(&claim(store, 10, 60, 2).await), ["c"]);
    assert!(claim(store, 10, 60, 2).await.is_empty());
    let id = first[0].id;
    for _ in 0..2 {
        assert_eq!(write(store, async move |tx| jobs::finish(tx, id).await).await, Ok(()), "done is done");
    }
    assert_eq!(read(store, async |tx| jobs::count(tx).await).await, (3, 0));
}

async fn what_is_born_leased_is_left_to_its_owner(store: &Store) {
    let id = JobId::new(at(1), &entropy());
    let lease = lease("server-2", 20);
    write(store, async move |tx| {
        let lease = Some(&lease);
        jobs::insert(tx, &NewJob { id, kind: "validate", subject: "a", run_at: at(1), created_at: at(0), lease }).await
    })
    .await
    .unwrap();
    assert!(claim(store, 19, 60, 9).await.is_empty());
    let lost = claim(store, 20, 60, 9).await;
    assert_eq!(lost.iter().map(|job| (job.id, job.attempts)).collect::<Vec<_>>(), [(id, 2)], "its owner had the first");
}

async fn lost_leases_are_claimed_again(store: &Store) {
    stored(store, "a", 1).await;
    assert_eq!(claim(store, 10, 20, 9).await.len(), 1);
    assert!(claim(store, 19, 60, 9).await.is_empty());
    assert_eq!(claim(store, 20, 60, 9).await[0].attempts, 2);
}

async fn retries_belong_to_their_claim(store: &Store) {
    stored(store, "a", 1).await;
    let lost = claim(store, 10, 20, 9).await.remove(0);
    let held = claim(store, 20, 60, 9).await.remove(0);
    let retry = async |job: Job, run_at: i64| {
        write(store, async move |tx| jobs::retry(tx, &job, at(run_at), "the signer is away").await).await.unwrap()
    };
    assert!(!retry(lost, 30).await, "another worker has it by now");
    assert!(retry(held, 50).await);
    assert!(claim(store, 49, 99, 9).await.is_empty());
    let again = claim(store, 50, 99, 9).await.remove(0);
    assert_eq!((again.attempts, again.last_error.as_deref()), (3, Some("the signer is away")));
}

async fn the_next_time_is_known(store: &Store) {
    let next = async || read(store, async |tx| jobs::next_run_at(tx).await).await;
    assert_eq!(next().await, None);
    stored(store, "a", 30).await;
    stored(store, "b", 10).await;
    assert_eq!(next().await, Some(at(10)));
    claim(store, 10, 20, 1).await;
    assert_eq!(next().await, Some(at(20)), "the end of the lease");
    claim(store, 20, 99, 1).await;
    assert_eq!(next().await, Some(at(30)));
}

async fn leases_end_with_their_process(store: &Store) {
    stored(store, "claimed", 1).await;
    stored(store, "waiting", 90).await;
    assert_eq!(claim(store, 5, 60, 9).await.len(), 1);
    assert_eq!(write(store, async |tx| jobs::end_leases(tx).await).await, Ok(1));
    let again = claim(store, 6, 60, 9).await;
    assert_eq!(again.iter().map(|job| (job.subject.as_str(), job.attempts)).collect::<Vec<_>>(), [("claimed", 2)]);
}

async fn many_workers_claim_each_job_once(store: &Store) {
    for _ in 0..40 {
        stored(store, "x", 1).await;
    }
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        workers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed: Result<_, StoreError> =
                    store.write(async |tx| jobs::claim_due(tx, at(5), &lease("w", 60), 3).await).await;
                match claimed {
                    Ok(jobs) if jobs.is_empty() => return mine,
                    Ok(jobs) => mine.extend(jobs.iter().map(|job| job.id)),
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
            }
        });
    }
    let mut claimed: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), 40);
    assert!(claim(store, 5, 60, 9).await.is_empty());
}
