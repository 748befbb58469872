//! dehydrated of Debian.

use std::path::PathBuf;

use crate::client::Client;
use crate::table::print_version;
use crate::world::{Kind, World};

async fn new(world: &World) -> Client {
    print_version("dehydrated", &["sh", "-c", "dehydrated --version | grep -i '^dehydrated version'"]).await;
    Client::new(world, "dehydrated")
}

fn files(client: &Client, name: &str) -> (PathBuf, PathBuf) {
    let folder = client.file("certs").join(name);
    (folder.join("fullchain.pem"), folder.join("privkey.pem"))
}

#[tokio::test(flavor = "multi_thread")]
async fn dehydrated_from_its_registration_to_its_end() {
    let world = World::open().await;
    let client = new(&world).await;
    client.follow("register", &[]).await;
    let names = ["web.site.test", "www.site.test"];
    client.follow("issue-http", &names).await;
    let (chain, key) = files(&client, names[0]);
    let first = world.must_be_good(&chain, &key, &names, Kind::Rsa);
    client.follow("renew", &names).await;
    let second = world.must_be_good(&chain, &key, &names, Kind::Rsa);
    assert_ne!(first.serial, second.serial);
    client.follow("revoke", &names).await;
    world.must_be_revoked(&second).await;
    client.follow("update", &[]).await;
    client.follow("deactivate", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dehydrated_with_an_external_account_key_by_dns_and_tls() {
    let world = World::bound().await;
    let mut client = new(&world).await;
    let refused = client.try_to("register", &[]).await;
    assert!(refused.code != 0 && format!("{refused}").contains("external"), "without a key: {refused}");
    client.bind(&world).await;
    client.follow("register", &[]).await;
    client.follow("issue-dns", &["wild.site.test"]).await;
    let (chain, key) = files(&client, "wild.site.test");
    world.must_be_good(&chain, &key, &["*.wild.site.test", "wild.site.test"], Kind::Ecdsa);
    client.follow("issue-tls", &["tls.site.test"]).await;
    let (chain, key) = files(&client, "tls.site.test");
    world.must_be_good(&chain, &key, &["tls.site.test"], Kind::Ecdsa);
}
