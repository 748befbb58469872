//! acme-tiny of Debian: RSA accounts, requests made by openssl.

use crate::client::Client;
use crate::table::print_version;
use crate::world::{Kind, Setting, World};

async fn new(world: &World) -> Client {
    print_version("acme-tiny", &["dpkg-query", "-W", "-f", "${Version}", "acme-tiny"]).await;
    Client::new(world, "acme-tiny")
}

#[tokio::test(flavor = "multi_thread")]
async fn fin_4_acme_tiny_with_its_name_in_the_subject_only() {
    let world = World::open().await;
    let client = new(&world).await;
    let name = "tiny.site.test";
    client.follow("prepare", &[name]).await;
    client.follow("issue", &[name]).await;
    let (chain, key) = (client.file("tiny.site.test.pem"), client.file("tiny.site.test.key"));
    let first = world.must_be_good(&chain, &key, &[name], Kind::Rsa);
    client.follow("issue", &[name]).await;
    let second = world.must_be_good(&chain, &key, &[name], Kind::Rsa);
    assert_ne!(first.serial, second.serial, "a second run renews");
}

#[tokio::test(flavor = "multi_thread")]
async fn dir_3_acme_tiny_is_given_a_profile_by_its_directory() {
    let world = World::open().await;
    let directory = world.directory.replace("/acme/", "/acme/p/hour/");
    let client = new(&world).await.with("DIRECTORY", &directory);
    let name = "hour.site.test";
    client.follow("prepare", &[name]).await;
    client.follow("issue", &[name]).await;
    let (chain, key) = (client.file("hour.site.test.pem"), client.file("hour.site.test.key"));
    let leaf = world.must_be_good(&chain, &key, &[name], Kind::Rsa);
    assert_eq!(leaf.not_after - leaf.not_before, 3600, "the life that the profile `hour` gives");
}

#[tokio::test(flavor = "multi_thread")]
async fn non_8_acme_tiny_with_several_names_goes_on_after_refused_nonces() {
    let world = World::start(Setting { refuse_nonces: Some(3), ..Setting::default() }).await;
    let client = new(&world).await;
    client.follow("prepare", &["account.site.test"]).await;
    let names = ["a.site.test", "b.site.test"];
    client.follow("prepare-several", &names).await;
    client.follow("issue", &names).await;
    let (chain, key) = (client.file("a.site.test.pem"), client.file("a.site.test.key"));
    world.must_be_good(&chain, &key, &names, Kind::Ecdsa);
}
