//! certbot of Debian.

use crate::client::Client;
use crate::table::print_version;
use crate::world::{Kind, Setting, World};

async fn new(world: &World) -> Client {
    print_version("certbot", &["certbot", "--version"]).await;
    Client::new(world, "certbot")
}

fn live(client: &Client, name: &str) -> (std::path::PathBuf, std::path::PathBuf) {
    let folder = client.file("config/live").join(name);
    (folder.join("fullchain.pem"), folder.join("privkey.pem"))
}

#[tokio::test(flavor = "multi_thread")]
async fn certbot_from_its_registration_to_its_end() {
    let mut world = World::open().await;
    let client = new(&world).await;
    client.follow("register", &[]).await;
    let names = ["web.site.test", "www.site.test"];
    client.follow("issue-webroot", &names).await;
    let (chain, key) = live(&client, names[0]);
    let first = world.must_be_good(&chain, &key, &names, Kind::Ecdsa);
    client.follow("renew", &names).await;
    let second = world.must_be_good(&chain, &key, &names, Kind::Ecdsa);
    assert_ne!(first.serial, second.serial, "a renewed certificate is another one");
    client.follow("revoke", &names).await;
    world.must_be_revoked(&second).await;
    assert_eq!(world.state(&first).await["state"], "issued", "the one before it is not meant");

    world.close_webroot();
    let name = ["alone.site.test"];
    client.follow("issue-standalone", &name).await;
    let (chain, key) = live(&client, name[0]);
    let leaf = world.must_be_good(&chain, &key, &name, Kind::Rsa);
    client.follow("revoke-by-key", &name).await;
    world.must_be_revoked(&leaf).await;
    client.follow("update", &[]).await;
    client.follow("deactivate", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certbot_with_an_external_account_key_proves_a_wildcard_by_dns_on_postgres() {
    let world = World::start(Setting { bound: true, postgres: true, ..Setting::default() }).await;
    let mut client = new(&world).await;
    let refused = client.try_to("register", &[]).await;
    assert!(refused.code != 0 && format!("{refused}").contains("xternal"), "without a key: {refused}");
    client.bind(&world).await;
    client.follow("register-bound", &[]).await;
    let name = "wild.site.test";
    client.follow("issue-dns", &[name]).await;
    let (chain, key) = live(&client, name);
    world.must_be_good(&chain, &key, &["*.wild.site.test", name], Kind::Ecdsa);
    client.follow("renew", &[]).await;
    world.must_be_good(&chain, &key, &["*.wild.site.test", name], Kind::Ecdsa);
}

#[tokio::test(flavor = "multi_thread")]
async fn non_8_certbot_goes_on_after_refused_nonces() {
    let world = World::start(Setting { refuse_nonces: Some(3), ..Setting::default() }).await;
    let client = new(&world).await;
    client.follow("register", &[]).await;
    let names = ["web.site.test", "www.site.test"];
    client.follow("issue-webroot", &names).await;
    let (chain, key) = live(&client, names[0]);
    world.must_be_good(&chain, &key, &names, Kind::Ecdsa);
}
