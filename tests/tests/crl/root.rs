//! The root's list, whose file comes and goes by hand.

use std::path::PathBuf;

use pki_core::x509::crl::Crl;
use serde_json::Value;
use tests::certificate::{hex, sha256};
use tests::wait;

use crate::world::{SOON, World, alarm, all_clear, copy_of, metric_or_zero};

/// Seconds within which the CA has looked at the file.
const LOOKED: u64 = 60;

fn file(world: &World) -> PathBuf {
    world.ca.dir().join("ca/root.crl")
}

/// Signs the root's list anew, without the CA.
async fn sign(world: &World) -> Crl {
    let passphrase = world.ca.passphrase_file();
    world.ca.command(&["root", "sign", "--passphrase-file", passphrase.to_str().unwrap()]).await.success();
    Crl::parse(&std::fs::read(file(world)).unwrap()).unwrap()
}

async fn served(world: &World, list: &Crl, why: &str) {
    assert_eq!(world.list(&world.of_root()).await.der(), list.der(), "{why}");
}

/// The copy in the folder is that of a list, and the index tells of that one.
async fn copied(world: &World, list: &Crl) {
    let name = world.of_root();
    wait::until_true("the copy of the root's list", SOON, async || {
        let Ok(index) = std::fs::read(world.ca.dir().join("crl/index.json")) else { return false };
        let index: Value = serde_json::from_slice(&index).unwrap();
        let line = index.as_array().unwrap().iter().find(|line| line["file"] == name.as_str());
        line.is_some_and(|line| line["sha256"] == hex(&sha256(list.der())) && line["number"] == list.number())
            && std::fs::read(copy_of(&world.ca.dir(), &name)).is_ok_and(|copy| copy == list.der())
    })
    .await;
}

/// Somebody puts last year's file back, while the CA runs and while it does not. Fails when the older list is served although the
/// newer one is known, when a copy is replaced by an older one, when nobody is told, or when the CA serves none at all.
#[tokio::test(flavor = "multi_thread")]
async fn crl_2_the_roots_list_does_not_go_back() {
    let mut world = World::start(&[]).await;
    let old = std::fs::read(file(&world)).unwrap();
    let new = sign(&world).await;
    assert!(new.number() > Crl::parse(&old).unwrap().number());
    wait::until_true("the new list", LOOKED, async || world.list(&world.of_root()).await == new).await;
    copied(&world, &new).await;

    std::fs::write(file(&world), &old).unwrap();
    let told = format!("is not what was published last, which is {0}; {0} is served", new.number());
    alarm_within(&world, LOOKED, &told).await;
    served(&world, &new, "it does not go back while the CA runs").await;
    copied(&world, &new).await;
    assert_eq!(world.ca.log().matches(&told).count(), 1, "once");

    world.ca.restart().await;
    alarm(&world.ca, "root", &told).await;
    served(&world, &new, "nor when it starts").await;
    copied(&world, &new).await;
    let end = metric_or_zero(&world.ca, "pilotlight_root_crl_next_update_seconds").await;
    assert_eq!(end as i64, new.next_update().unix_seconds());

    // nothing has the newer one any more: services that want a list get the one that there is
    world.ca.stop().await;
    std::fs::remove_file(copy_of(&world.ca.dir(), &world.of_root())).unwrap();
    world.ca.serve().await;
    let told = format!("which is {}; {} is served", new.number(), Crl::parse(&old).unwrap().number());
    alarm(&world.ca, "root", &told).await;
    served(&world, &Crl::parse(&old).unwrap(), "better than none").await;

    let newest = sign(&world).await;
    assert!(newest.number() > new.number());
    all_clear(&world.ca, "root").await;
    served(&world, &newest, "a ceremony mends it").await;
    copied(&world, &newest).await;
    world.ca.stop().await;
}

async fn alarm_within(world: &World, seconds: u64, words: &str) {
    wait::until_true("the older file to be seen", seconds, async || world.ca.log().contains(words)).await;
    alarm(&world.ca, "root", words).await;
}
