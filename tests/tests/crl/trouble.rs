//! What goes wrong while lists are published: the last ones stay served, somebody is told, and it goes on by itself.

use tests::acme_raw::Client;
use tests::ca::{Ca, Profile};
use tests::certificate::Leaf;
use tests::disk::SmallDisk;
use tests::folders::write;
use tests::gateway::Gateway;
use tests::http::curl;
use tests::wait;
use tests::world::enrolled;

use crate::world::{
    NOBODY, SOON, World, alarm, all_clear, copy_of, list_of, metric_or_zero, move_revocations, names, published, served,
};

/// The folder's disk is full: HTTP goes on with new lists, the old copy stays whole, and the new one is written by itself
/// once there is room. Fails when it needs a restart or the next revocation for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crl_10_a_full_disk_below_the_folder_keeps_the_old_copy() {
    let mut ca = Ca::init(&[]).await;
    let disk = SmallDisk::mount(&ca.dir().join("crl"), 1);
    ca.serve().await;
    let world = World::of(ca).await;
    let file = copy_of(&world.ca.dir(), &world.complete());
    let old = wait::until("the first copy", SOON, async || std::fs::read(&file).ok()).await;
    disk.fill();
    world.revoked("keyCompromise").await;
    let list = world.list(&world.complete()).await;
    alarm(&world.ca, "folder", "cannot write the copy").await;
    assert_eq!(std::fs::read(&file).unwrap(), old, "whole, and the one before");
    disk.empty();
    all_clear(&world.ca, "folder").await;
    assert_eq!(std::fs::read(&file).unwrap(), list.der());
}

/// A folder that cannot be written at all, from the first list on.
#[tokio::test(flavor = "multi_thread")]
async fn crl_10_a_folder_that_cannot_be_written_stops_nothing_else() {
    let mut ca = Ca::init(&[]).await;
    write(&ca.dir().join("crl"), "in the way", 0o644);
    ca.serve().await;
    let world = World::of(ca).await;
    alarm(&world.ca, "folder", "check the space and the rights on that folder").await;
    world.revoked("superseded").await;
    std::fs::remove_file(world.ca.dir().join("crl")).unwrap();
    all_clear(&world.ca, "folder").await;
    let copy = std::fs::read(copy_of(&world.ca.dir(), &world.complete())).unwrap();
    assert_eq!(copy, curl(&[&world.url(&world.complete())]).await.body);
}

/// The database's disk is full: no list can be stored, so none is served that is not. Fails when the old list is gone or the
/// new one is handed out although it was not stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crl_9_a_full_disk_below_the_database_keeps_the_old_list() {
    let mut ca = Ca::init(&[]).await;
    let disk = SmallDisk::take_over(&ca.dir(), 24);
    ca.serve().await;
    published(&ca).await;
    let complete = format!("{}.crl", ca.issuer_id());
    let before = list_of(&ca, &complete).await;
    disk.fill();
    let refused = ca.command(&["crl", "publish"]).await;
    assert_eq!(refused.code, 1, "{refused}");
    alarm(&ca, "publish", "issuer").await;
    assert_eq!(list_of(&ca, &complete).await.der(), before.der(), "the one before is served on");
    disk.empty();
    wait::until_true("publication to go on", 60, async || ca.command(&["crl", "publish"]).await.code == 0).await;
    all_clear(&ca, "publish").await;
    assert!(list_of(&ca, &complete).await.number() > before.number());
    ca.stop().await;
}

/// An old copy of the database is put back. Fails when a number is given again, when a list older than what was published is
/// served even for a moment, or when nobody is told.
#[tokio::test(flavor = "multi_thread")]
async fn crl_2_numbers_go_on_after_an_old_copy_of_the_database() {
    let mut world = World::start(&[("shards", 2.into())]).await;
    world.ca.stop().await;
    let database = world.ca.dir().join("pilotlight.db");
    let old = std::fs::read(&database).unwrap();
    world.ca.serve().await;
    let mut revoked = Vec::new();
    for _ in 0..3 {
        let leaf = world.revoked("superseded").await;
        revoked.push(leaf);
    }
    let before =
        [world.list(&world.complete()).await, world.list(&world.shard(0)).await, world.list(&world.shard(1)).await];
    let counted = world.ca.json(&["revocation", "list"]).await;
    let last = counted.as_array().unwrap().iter().map(|row| row["number"].as_u64().unwrap()).max().unwrap();
    world.ca.stop().await;

    for beside in ["pilotlight.db-wal", "pilotlight.db-shm"] {
        let _ = std::fs::remove_file(world.ca.dir().join(beside));
    }
    std::fs::write(&database, old).unwrap();
    world.ca.serve().await;
    let lists = [world.complete(), world.shard(0), world.shard(1)];
    for (list, before) in lists.iter().zip(&before) {
        let url = world.url(list);
        let number = wait::until("a list beyond the last one", SOON, async || {
            let answer = curl(&[&url]).await;
            let crl = (answer.status == 200).then(|| pki_core::x509::crl::Crl::parse(&answer.body).unwrap())?;
            assert!(crl.number() >= before.number(), "{list}: an old number was served again");
            (crl.number() > before.number()).then(|| crl.number())
        })
        .await;
        let copy = std::fs::read(copy_of(&world.ca.dir(), list)).unwrap();
        assert!(pki_core::x509::crl::Crl::parse(&copy).unwrap().number() >= before.number(), "{number}");
    }
    assert!(metric_or_zero(&world.ca, "pilotlight_crl_number_went_back_total").await >= 1.0);
    assert!(world.ca.log().contains("it was restored from an old backup"), "{}", world.ca.log());
    let audit = world.ca.command(&["audit", "list"]).await.success();
    assert!(audit.contains("database.behind"), "{audit}");

    // what is revoked now has a number that nobody has seen
    let gateway = Gateway::enrol(&world.ca, &Client::of(&world.ca).await, "gw-2").await;
    let leaf = gateway.issue().await;
    world.revoke(&leaf.serial, "keyCompromise").await;
    world.named(&world.complete(), &leaf.serial).await;
    let told = world.ca.json(&["revocation", "list"]).await;
    assert!(told[0]["number"].as_u64().unwrap() > last, "{told:#}");
    world.ca.stop().await;
}

/// Somebody changes the database by hand. Fails when a list is published on which a revoked certificate is good again.
#[tokio::test(flavor = "multi_thread")]
async fn crl_12_no_entry_vanishes_without_a_reason() {
    let mut world = World::start(&[]).await;
    let leaf = world.revoked("keyCompromise").await;
    let before = world.list(&world.complete()).await;
    world.ca.stop().await;
    move_revocations(&world.ca, NOBODY).await;
    world.ca.serve().await;
    let refused = world.ca.command(&["crl", "publish"]).await;
    assert_eq!(refused.code, 1, "{refused}");
    alarm(&world.ca, "publish", "would vanish from it without a reason").await;
    assert_eq!(world.list(&world.complete()).await.der(), before.der(), "the one before is served on");
    let issuer = world.ca.issuer_id();
    world.ca.stop().await;
    move_revocations(&world.ca, &issuer).await;
    world.ca.serve().await;
    world.ca.command(&["crl", "publish"]).await.success();
    assert!(names(&world.list(&world.complete()).await, &leaf.serial));
    world.ca.stop().await;
}

/// The bytes of a list in the database are none. Fails when that keeps it from being made anew, or the others from being
/// served.
#[tokio::test(flavor = "multi_thread")]
async fn crl_9_a_damaged_list_in_the_database_is_made_anew() {
    let mut world = World::start(&[]).await;
    let leaf = world.gateway.issue().await;
    world.revoke(&leaf.serial, "keyCompromise").await;
    let (complete, shard) = (world.complete(), world.shard(0));
    for (damaged, other, scope) in [(&complete, &shard, -1), (&shard, &complete, 0)] {
        let before = world.named(damaged, &leaf.serial).await;
        world.named(other, &leaf.serial).await;
        world.ca.stop().await;
        world.ca.query(&format!("UPDATE crl SET der = x'3003020100' WHERE shard = {scope}")).await;
        world.ca.serve().await;
        assert!(names(&world.list(other).await, &leaf.serial), "served from the first request on");
        let list = served(&world.ca, damaged).await;
        assert!(names(&list, &leaf.serial) && list.number() > before.number());
        all_clear(&world.ca, "publish").await;
    }
    world.ca.stop().await;
}

/// The clock is stepped back by ten days. Fails when a list is dated before the last one or takes a lower number, when
/// nobody is told that relying parties will not believe it yet, or when what is revoked and valid leaves the list because
/// one was made at a time at which it would have ended.
#[tokio::test(flavor = "multi_thread")]
async fn crl_2_and_9_no_list_is_dated_before_the_last_one() {
    let brief = Profile { name: "brief", seconds: 7200 };
    let mut world = World::with(&[brief], &[]).await;
    let agent = enrolled(&world.ca, "gw-2", "brief", &["gw-2.site.test"]).await;
    let valid = Leaf::from_file(&agent.live("identity").join("current/cert.pem")).serial;
    let leaf = world.gateway.issue().await;
    world.revoke(&valid, "superseded").await;
    world.named(&world.complete(), &valid).await;
    world.ca.stop().await;
    world.ca.serve_at("+10d").await;
    let ahead = wait::until("the list of that day", SOON, async || {
        let list = world.list(&world.complete()).await;
        Some(list).filter(|list| list.this_update().unix_seconds() > now() + 86_400)
    })
    .await;
    world.ca.kill();
    world.ca.serve().await;
    alarm(&world.ca, "clock", "set the clock").await;
    world.revoke(&leaf.serial, "keyCompromise").await;
    let list = world.named(&world.complete(), &leaf.serial).await;
    assert!(list.number() > ahead.number(), "the number rises");
    assert_eq!(list.this_update(), ahead.this_update(), "and no date goes back");
    assert!(list.next_update() > list.this_update());
    assert!(names(&list, &valid), "it is revoked, and ends in two hours");
    world.ca.stop().await;
    world.ca.serve_at("+11d").await;
    all_clear(&world.ca, "clock").await;
    world.ca.kill();
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// The marks cannot be written: lists go on, and somebody is told for as long as it lasts. Fails when the alarm ends although
/// the file was not written.
#[tokio::test(flavor = "multi_thread")]
async fn crl_2_marks_that_cannot_be_written_are_told_until_they_are() {
    let mut ca = Ca::init(&[]).await;
    // nothing is renamed over a folder that has something in it
    std::fs::create_dir_all(ca.dir().join("high-water.json/in-the-way")).unwrap();
    let refused = tests::process::run(&mut ca.serve_command()).await;
    assert!(refused.code == 1 && refused.stderr.contains("cannot read the marks"), "{refused}");
    std::fs::remove_dir_all(ca.dir().join("high-water.json")).unwrap();
    ca.serve().await;
    published(&ca).await;
    let file = ca.dir().join("high-water.json");
    wait::until_true("the marks", SOON, async || file.is_file()).await;
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir_all(file.join("in-the-way")).unwrap();
    ca.command(&["crl", "publish"]).await.success();
    alarm(&ca, "marks", "cannot write the high-water marks").await;
    let before = metric_or_zero(&ca, "pilotlight_crl_publication_failures_total{part=\"marks\"}").await;
    wait::until_true("another try", SOON, async || {
        metric_or_zero(&ca, "pilotlight_crl_publication_failures_total{part=\"marks\"}").await > before
    })
    .await;
    alarm(&ca, "marks", "cannot write the high-water marks").await;
    std::fs::remove_dir_all(&file).unwrap();
    all_clear(&ca, "marks").await;
    let marks: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let complete = format!("{}.crl", ca.issuer_id());
    assert_eq!(marks["marks"][format!("crl/{}", ca.issuer_id())], list_of(&ca, &complete).await.number());
    ca.stop().await;
}
