//! What publication stands on cannot be written or does not answer: the folder, the database, the signer. The last lists stay
//! served, somebody is told, and it goes on by itself.

use tests::ca::{Ca, plain_get};
use tests::disk::SmallDisk;
use tests::wait;

use crate::world::{SOON, World, alarm, all_clear, copy_of, list_of, metric_or_zero, names, published};

/// The folder's disk was mounted read-only, as a disk with faults is. Fails when the old copy is touched, when lists are not
/// served meanwhile, or when the copies are not written by themselves afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crl_10_a_read_only_folder_keeps_the_old_copy() {
    let mut ca = Ca::init(&[]).await;
    let disk = SmallDisk::mount(&ca.dir().join("crl"), 4);
    ca.serve().await;
    let world = World::of(ca).await;
    let file = copy_of(&world.ca.dir(), &world.complete());
    let old = wait::until("the first copy", SOON, async || std::fs::read(&file).ok()).await;
    let held = file.canonicalize().unwrap();
    wait::until_true("the disk to rest", SOON, async || world.ca.dir().join("crl/index.json").is_file()).await;
    disk.close();
    world.revoked("keyCompromise").await;
    let list = world.list(&world.complete()).await;
    alarm(&world.ca, "folder", "cannot write the copy").await;
    assert_eq!(std::fs::read(&held).unwrap(), old, "whole, and the one before");
    disk.open();
    all_clear(&world.ca, "folder").await;
    assert_eq!(std::fs::read(&file).unwrap(), list.der());
}

/// The database takes no writes, as one that a failover has left read-only. Fails when the old list is gone, when one is handed
/// out that was not stored, or when publication does not go on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn crl_9_a_read_only_database_keeps_the_old_list() {
    let mut ca = Ca::start_on_postgres().await;
    published(&ca).await;
    let complete = format!("{}.crl", ca.issuer_id());
    let before = list_of(&ca, &complete).await;
    read_only(&ca, "on").await;
    let refused = ca.command(&["crl", "publish"]).await;
    assert_eq!(refused.code, 1, "{refused}");
    alarm(&ca, "publish", "read-only").await;
    assert_eq!(list_of(&ca, &complete).await.der(), before.der(), "the one before is served on");
    read_only(&ca, "off").await;
    wait::until_true("publication to go on", 60, async || ca.command(&["crl", "publish"]).await.code == 0).await;
    all_clear(&ca, "publish").await;
    assert!(list_of(&ca, &complete).await.number() > before.number());
    ca.stop().await;
}

/// Whether transactions of new connections may only read; there are no others then.
async fn read_only(ca: &Ca, how: &str) {
    let sql = format!(
        "SET transaction_read_only = off; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only \
         = {how}', current_database()); END $$; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = \
         current_database() AND pid <> pg_backend_pid()"
    );
    ca.query(&sql).await;
    wait::until_true("the CA to have connected again", SOON, async || {
        plain_get(&ca.operations_address(), "/readyz").await.is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    })
    .await;
}

/// The signer is too busy for a list. Fails when a list is served that is not whole, when nobody is told, or when the revocation
/// waits for a restart or for the next one.
#[tokio::test(flavor = "multi_thread")]
async fn crl_9_a_signer_that_is_too_slow_keeps_the_old_list() {
    let mut world = World::start(&[]).await;
    let (first, second) = (world.gateway.issue().await, world.gateway.issue().await);
    let before = world.list(&world.complete()).await;
    world.ca.stop().await;
    world.ca.serve_refusing("ca.crl.sign", 1).await;
    world.revoke(&first.serial, "keyCompromise").await;
    alarm(&world.ca, "publish", "the signer did not sign a revocation list in time").await;
    assert!(metric_or_zero(&world.ca, "pilotlight_crl_waiting_since_seconds").await > 0.0);
    assert_eq!(world.list(&world.complete()).await.der(), before.der(), "the one before is served on");

    // of the lists of the second publication the first is refused, once
    world.ca.stop().await;
    world.ca.serve_refusing("ca.crl.sign", 3).await;
    let list = world.named(&world.complete(), &first.serial).await;
    let failures = "pilotlight_crl_publication_failures_total{part=\"publish\"}";
    assert_eq!(metric_or_zero(&world.ca, failures).await, 0.0);
    world.revoke(&second.serial, "superseded").await;
    assert!(world.named(&world.complete(), &second.serial).await.number() > list.number());
    assert!(names(&world.named(&world.shard(0), &second.serial).await, &first.serial), "both lists are of one making");
    assert_eq!(metric_or_zero(&world.ca, failures).await, 1.0, "it was tried again by itself");
    all_clear(&world.ca, "publish").await;
    world.ca.stop().await;
}
