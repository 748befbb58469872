//! uacme of Debian.

use std::path::PathBuf;

use crate::client::Client;
use crate::table::print_version;
use crate::world::{Kind, Setting, World};

async fn new(world: &World) -> Client {
    print_version("uacme", &["sh", "-c", "uacme --version 2>&1 | head -n 1"]).await;
    Client::new(world, "uacme").trusting_by_the_system(world)
}

fn files(client: &Client, name: &str) -> (PathBuf, PathBuf) {
    (client.file("uacme").join(name).join("cert.pem"), client.file("uacme/private").join(name).join("key.pem"))
}

#[tokio::test(flavor = "multi_thread")]
async fn uacme_from_its_registration_to_its_end() {
    let world = World::open().await;
    let client = new(&world).await;
    client.follow("register", &[]).await;
    let names = ["web.site.test", "www.site.test"];
    client.follow("issue-http", &names).await;
    let (chain, key) = files(&client, names[0]);
    let first = world.must_be_good(&chain, &key, &names, Kind::Rsa);
    client.follow("change-key", &[]).await;
    client.follow("renew", &names).await;
    let second = world.must_be_good(&chain, &key, &names, Kind::Rsa);
    assert_ne!(first.serial, second.serial);
    client.follow("revoke", &names).await;
    world.must_be_revoked(&second).await;
    client.follow("renew", &names).await;
    let third = world.must_be_good(&chain, &key, &names, Kind::Rsa);
    client.follow("revoke-by-key", &names).await;
    world.must_be_revoked(&third).await;
    let address = ["127.0.0.1", "web.site.test"];
    client.follow("issue-http", &address).await;
    let (chain, key) = files(&client, address[0]);
    world.must_be_good(&chain, &key, &address, Kind::Rsa);
    client.follow("update", &[]).await;
    client.follow("deactivate", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uacme_with_an_external_account_key_by_dns_and_tls() {
    let world = World::bound().await;
    let mut client = new(&world).await;
    let refused = client.try_to("register", &[]).await;
    assert!(refused.code != 0 && format!("{refused}").contains("external"), "without a key: {refused}");
    client.bind(&world).await;
    client.follow("register-bound", &[]).await;
    client.follow("issue-dns", &["wild.site.test"]).await;
    let (chain, key) = files(&client, "wild.site.test");
    world.must_be_good(&chain, &key, &["*.wild.site.test", "wild.site.test"], Kind::Ecdsa);
    client.follow("issue-tls", &["tls.site.test"]).await;
    let (chain, key) = files(&client, "tls.site.test");
    world.must_be_good(&chain, &key, &["tls.site.test"], Kind::Ecdsa);
}

#[tokio::test(flavor = "multi_thread")]
async fn non_8_uacme_goes_on_after_refused_nonces() {
    let world = World::start(Setting { refuse_nonces: Some(3), ..Setting::default() }).await;
    let client = new(&world).await;
    client.follow("register", &[]).await;
    let names = ["web.site.test", "www.site.test"];
    client.follow("issue-http", &names).await;
    let (chain, key) = files(&client, names[0]);
    world.must_be_good(&chain, &key, &names, Kind::Rsa);
}
