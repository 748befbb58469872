//! Power cuts in the middle of a publication.

use tests::folders::write;
use tests::http::curl;
use tests::wait;

use crate::world::{SOON, World, copy_of, names, publications};

/// Fails when a revocation is on no list after a cut before or after the list was stored, when a number comes twice, or when
/// the folder keeps the old one.
#[tokio::test(flavor = "multi_thread")]
async fn crl_2_and_9_a_cut_loses_no_list_and_no_number() {
    for point in ["ca.crl.before_commit", "ca.crl.after_commit"] {
        let mut world = World::start(&[]).await;
        let leaf = world.gateway.issue().await;
        let before = world.list(&world.complete()).await;
        let lists = publications(&world.ca).await.len();
        world.ca.stop().await;
        world.ca.serve_with_failpoint(point).await;
        // the answer may be lost with the server
        world.ca.command(&["cert", "revoke", &leaf.serial]).await;
        world.ca.wait_killed().await;
        let copy = std::fs::read(copy_of(&world.ca.dir(), &world.complete())).unwrap();
        assert_eq!(copy, before.der(), "{point}: whole, and the one before");
        world.ca.serve().await;
        assert_eq!(
            curl(&[&world.url(&world.complete())]).await.status,
            200,
            "{point}: served from the first request on"
        );
        let list = world.named(&world.complete(), &leaf.serial).await;
        assert!(list.number() > before.number(), "{point}");
        assert!(names(&world.named(&world.shard(0), &leaf.serial).await, &leaf.serial), "{point}");
        assert_eq!(publications(&world.ca).await.len(), lists + 1, "{point}: one list came of it");
        wait::until_true("the copy", SOON, async || {
            std::fs::read(copy_of(&world.ca.dir(), &world.complete())).unwrap() == list.der()
        })
        .await;
        world.ca.stop().await;
    }
}

/// A cut in the middle of writing a copy leaves half of it under another name. Fails when that stays in a folder that others
/// mirror, or when a file of somebody else is taken away with it.
#[tokio::test(flavor = "multi_thread")]
async fn crl_10_half_a_copy_does_not_stay_in_the_folder() {
    let mut world = World::start(&[]).await;
    let folder = world.ca.dir().join("crl");
    let issuer = folder.join(world.ca.issuer_id());
    wait::until_true("the folder of the shards", SOON, async || issuer.join("0.crl").is_file()).await;
    world.ca.stop().await;
    let halves = [
        folder.join(format!(".{}.4711.tmp", world.complete())),
        folder.join(".index.json.1.tmp"),
        issuer.join(".0.crl.99999.tmp"),
    ];
    let others = [folder.join(".index.json.tmp"), folder.join(".notes.1.tmp"), issuer.join(".nfs0001")];
    halves.iter().chain(&others).for_each(|file| write(file, "half", 0o644));
    world.ca.serve().await;
    wait::until_true("the halves to be gone", SOON, async || halves.iter().all(|file| !file.exists())).await;
    assert!(others.iter().all(|file| file.is_file()), "files of others stay");
    world.ca.stop().await;
}
