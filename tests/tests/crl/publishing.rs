//! When lists are published, and what is on them.

use std::process::Command;
use std::time::{Duration, Instant};

use pki_core::x509::crl::CrlKind;
use tests::ca::Profile;
use tests::certificate::Leaf;
use tests::process::run_for;
use tests::wait;
use tests::world::enrolled;

use crate::world::{SOON, World, code, metric_or_zero, names, publications};

/// Fails when a revocation waits for the next list of the day, when the report does not tell its list, or when a list covers
/// less than it says.
#[tokio::test(flavor = "multi_thread")]
async fn crl_9_a_revocation_is_on_a_list_at_once() {
    let world = World::start(&[]).await;
    let before = world.list(&world.complete()).await;
    let leaf = world.gateway.issue().await;
    let begun = Instant::now();
    world.revoke(&leaf.serial, "keyCompromise").await;
    let complete = world.named(&world.complete(), &leaf.serial).await;
    let shard = world.named(&world.shard(0), &leaf.serial).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(complete.number() > before.number() && complete.this_update() >= before.this_update());
    assert_eq!((code(&complete, &leaf.serial), code(&shard, &leaf.serial)), (Some(1), Some(1)));
    let told = world.ca.json(&["revocation", "list"]).await;
    assert_eq!(told[0]["firstCrl"], complete.number(), "{told:#}");
    let shown = world.ca.json(&["crl", "show"]).await;
    let shown = shown.as_array().unwrap().iter();
    let of =
        |shard: serde_json::Value| shown.clone().find(|list| list["shard"] == shard && list["covers"] != 0).unwrap();
    assert_eq!(of(serde_json::Value::Null)["covers"], told[0]["number"], "{told:#}");
    assert_eq!(of(0.into())["covers"], told[0]["number"]);
    assert_eq!(metric_or_zero(&world.ca, "pilotlight_crl_waiting_since_seconds").await, 0.0);
    assert!(metric_or_zero(&world.ca, "pilotlight_crl_publication_delay_seconds_bucket{le=\"5\"}").await >= 1.0);
}

/// Fails when many revocations make as many lists, or when one of them is missing at the end.
#[tokio::test(flavor = "multi_thread")]
async fn crl_9_a_burst_of_revocations_makes_few_lists() {
    let mut world = World::start(&[]).await;
    world.gateway.issue().await;
    world.ca.stop().await;
    world.ca.multiply(&[("home", "gateway", 1000, 86_400)]).await;
    world.ca.serve().await;
    let serials = world.ca.query("SELECT serial FROM certificate WHERE serial LIKE '40%'").await;
    let serials: Vec<&str> = serials.lines().take(1000).collect();
    assert_eq!(serials.len(), 1000);
    let before = publications(&world.ca).await.len();
    // one request each, over one connection
    let one = |serial: &&str| {
        format!(
            "url = \"http://localhost/api/v1/certificates/{serial}/revoke\"\njson = \"{{}}\"\noutput = /dev/null\nfail\n"
        )
    };
    let all = serials.iter().map(one).collect::<Vec<_>>().join("next\n");
    let file = world.save("requests", all);
    let begun = Instant::now();
    let socket = world.ca.dir().join("admin.sock");
    let mut command = Command::new("curl");
    // `next` begins anew, also with options that are for all
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("url =", &format!("unix-socket = \"{}\"\nsilent\nurl =", socket.display()));
    std::fs::write(&file, text).unwrap();
    run_for(command.arg("-K").arg(&file), Duration::from_secs(120)).await.success();
    let took = begun.elapsed();
    let list = wait::until("all of them to be on the list", 60, async || {
        Some(world.list(&world.complete()).await).filter(|list| list.entry_count() == 1000)
    })
    .await;
    assert!(serials.iter().all(|serial| names(&list, serial)));
    let lists = publications(&world.ca).await.len() - before;
    // one in every fifth of a second at most, so that it is few whatever the machine
    let most = usize::try_from(took.as_millis() / 200).unwrap() + 3;
    assert!(lists <= most && lists < 500, "{lists} lists in {took:?}");
    let shard = world.list(&world.shard(0)).await;
    assert_eq!(shard.entry_count(), 1000);
}

/// Fails when a hold does not come and go: on the full list, then off it, in the delta as `removeFromCRL` for as long as its
/// base may have named it.
#[tokio::test(flavor = "multi_thread")]
async fn crl_5_7_and_8_a_hold_leaves_the_full_list_and_is_taken_back_in_the_delta() {
    let world = World::start(&[("deltas", true.into())]).await;
    let delta = World::delta(&world.complete());
    let (held, gone) = (world.gateway.issue().await, world.gateway.issue().await);
    world.revoke(&held.serial, "certificateHold").await;
    let full = world.named(&world.complete(), &held.serial).await;
    assert_eq!(code(&full, &held.serial), Some(6));
    assert_eq!(code(&world.named(&delta, &held.serial).await, &held.serial), Some(6));
    world.ca.command(&["cert", "release", &held.serial]).await.success();
    wait::until_true("the full list without it", SOON, async || {
        !names(&world.list(&world.complete()).await, &held.serial)
    })
    .await;
    let newest = wait::until("the delta to take it back", SOON, async || {
        Some(world.list(&delta).await).filter(|list| code(list, &held.serial) == Some(8))
    })
    .await;
    world.revoke(&gone.serial, "superseded").await;
    let full = world.named(&world.complete(), &gone.serial).await;
    assert!(!names(&full, &held.serial));
    let later = world.named(&delta, &gone.serial).await;
    assert_eq!((later.kind(), code(&later, &held.serial)), (newest.kind(), Some(8)), "to the same base");
    assert!(matches!(later.kind(), CrlKind::Delta { base } if *base <= full.number()));

    // from hold to for ever: never off the list between, under the date of the hold (decided in REV-4)
    world.revoke(&held.serial, "certificateHold").await;
    world.named(&world.complete(), &held.serial).await;
    world.revoke(&held.serial, "keyCompromise").await;
    wait::until_true("the reason to be the new one", SOON, async || {
        let list = world.list(&world.complete()).await;
        assert!(names(&list, &held.serial), "never off the list");
        code(&list, &held.serial) == Some(1)
    })
    .await;
}

/// Fails when an entry leaves before a list was made in its time that is past the certificate's end, or stays for ever.
#[tokio::test(flavor = "multi_thread")]
async fn crl_6_an_ended_certificate_leaves_after_one_scheduled_list() {
    let brief = Profile { name: "brief", seconds: 7200 };
    let mut world = World::with(&[brief], &[]).await;
    let agent = enrolled(&world.ca, "gw-2", "brief", &["gw-2.site.test"]).await;
    let serial = Leaf::from_file(&agent.live("identity").join("current/cert.pem")).serial;
    world.revoke(&serial, "keyCompromise").await;
    let list = world.named(&world.complete(), &serial).await;
    world.ca.stop().await;

    world.ca.serve_at("+3h").await;
    world.ca.command(&["crl", "publish"]).await.success();
    world.ca.command(&["crl", "publish"]).await.success();
    let ended = world.list(&world.complete()).await;
    assert!(ended.number() > list.number() && names(&ended, &serial), "it has ended, but no scheduled list told so");
    world.ca.kill();

    world.ca.serve_at("+25h").await;
    let scheduled = wait::until("the list of the day", SOON, async || {
        Some(world.list(&world.complete()).await)
            .filter(|list| list.this_update() > ended.this_update() + Duration::from_secs(3600))
    })
    .await;
    assert!(
        names(&scheduled, &serial) && names(&world.list(&world.shard(0)).await, &serial),
        "the scheduled list past its end"
    );
    world.ca.command(&["crl", "publish"]).await.success();
    wait::until_true("it to leave", SOON, async || !names(&world.list(&world.complete()).await, &serial)).await;
    assert!(!names(&world.list(&world.shard(0)).await, &serial));
    assert_eq!(publications(&world.ca).await.last().unwrap()["details"]["occasion"], "asked");
    world.ca.kill();
}

/// Fails when nothing is published by the clock, or when lists live shorter than three missed publications.
#[tokio::test(flavor = "multi_thread")]
async fn crl_9_lists_are_published_daily_and_live_a_month() {
    let mut world = World::start(&[]).await;
    let first = world.list(&world.complete()).await;
    assert_eq!(first.next_update().since(first.this_update()), Duration::from_secs(30 * 86_400));
    assert_eq!(
        first.number(),
        u64::try_from(first.this_update().unix_seconds()).unwrap(),
        "CRL-2: the time in seconds"
    );
    world.ca.stop().await;
    world.ca.serve_at("+0 x7200").await;
    for list in [world.complete(), world.shard(0)] {
        wait::until_true("the list of the next day", 60, async || {
            world.list(&list).await.this_update() > first.this_update() + Duration::from_secs(86_399)
        })
        .await;
    }
    world.ca.kill();
}
