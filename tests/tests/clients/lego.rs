//! lego of Debian, which Traefik uses too.

use std::path::PathBuf;

use crate::client::Client;
use crate::table::print_version;
use crate::world::{Kind, Setting, World};

async fn new(world: &World) -> Client {
    print_version("lego", &["dpkg-query", "-W", "-f", "${Version}", "lego"]).await;
    Client::new(world, "lego")
}

fn files(client: &Client, name: &str) -> (PathBuf, PathBuf) {
    let file = |ending: &str| client.file("certificates").join(format!("{name}.{ending}"));
    (file("crt"), file("key"))
}

#[tokio::test(flavor = "multi_thread")]
async fn lego_by_http() {
    let mut world = World::open().await;
    let client = new(&world).await;
    let names = ["web.site.test", "www.site.test"];
    client.follow("issue-webroot", &names).await;
    let (chain, key) = files(&client, names[0]);
    let first = world.must_be_good(&chain, &key, &names, Kind::Ecdsa);
    client.follow("renew", &names).await;
    let second = world.must_be_good(&chain, &key, &names, Kind::Ecdsa);
    assert_ne!(first.serial, second.serial);
    client.follow("revoke", &names).await;
    world.must_be_revoked(&second).await;

    world.close_webroot();
    let client = new(&world).await;
    client.follow("issue-standalone", &["alone.site.test"]).await;
    let (chain, key) = files(&client, "alone.site.test");
    world.must_be_good(&chain, &key, &["alone.site.test"], Kind::Rsa);
}

#[tokio::test(flavor = "multi_thread")]
async fn lego_with_an_external_account_key_by_dns_and_tls() {
    let world = World::bound().await;
    let mut client = new(&world).await;
    let refused = client.try_to("issue-webroot", &["web.site.test", "www.site.test"]).await;
    assert!(refused.code != 0 && format!("{refused}").contains("xternal"), "without a key: {refused}");
    client.bind(&world).await;
    let names = ["web.site.test", "www.site.test"];
    client.follow("issue-webroot", &names).await;
    let (chain, key) = files(&client, names[0]);
    world.must_be_good(&chain, &key, &names, Kind::Ecdsa);
    client.follow("issue-dns", &["wild.site.test"]).await;
    let (chain, key) = files(&client, "_.wild.site.test");
    world.must_be_good(&chain, &key, &["*.wild.site.test", "wild.site.test"], Kind::Ecdsa);
    client.follow("issue-tls", &["tls.site.test"]).await;
    let (chain, key) = files(&client, "tls.site.test");
    world.must_be_good(&chain, &key, &["tls.site.test"], Kind::Ecdsa);
}

#[tokio::test(flavor = "multi_thread")]
async fn non_8_lego_goes_on_after_refused_nonces() {
    let world = World::start(Setting { refuse_nonces: Some(3), ..Setting::default() }).await;
    let client = new(&world).await;
    let names = ["web.site.test", "www.site.test"];
    client.follow("issue-webroot", &names).await;
    let (chain, key) = files(&client, names[0]);
    world.must_be_good(&chain, &key, &names, Kind::Ecdsa);
}
