//! Caddy of Debian, whose ACME client is acmez.

use std::path::{Path, PathBuf};

use tests::wait;

use crate::client::Client;
use crate::table::print_version;
use crate::world::{Kind, Setting, World};

const NAME: &str = "caddy.site.test";

/// Where Caddy puts what it got, below a folder named after the directory's address.
fn stored(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let certificates = folder.join("storage/certificates");
    let issuer = std::fs::read_dir(certificates).ok()?.next()?.ok()?.path();
    let file = |ending: &str| issuer.join(NAME).join(format!("{NAME}.{ending}"));
    // The last of the three files that it writes.
    file("json").exists().then(|| (file("crt"), file("key")))
}

async fn serves(world: &mut World, client: &Client, block: &str) {
    print_version("Caddy", &["caddy", "version"]).await;
    world.close_webroot();
    let mut process = client.start(block, &[NAME]);
    let (chain, key) = wait::until("Caddy to have a certificate", 60, async || {
        process.must_run();
        stored(&client.file(""))
    })
    .await;
    world.must_be_good(&chain, &key, &[NAME], Kind::Ecdsa);
    assert!(process.stop().await.success(), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_by_http() {
    let mut world = World::start(Setting { challenge: Some("http-01"), ..Setting::default() }).await;
    let client = Client::new(&world, "Caddy");
    serves(&mut world, &client, "run").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_with_an_external_account_key_by_tls() {
    let setting = Setting { bound: true, challenge: Some("tls-alpn-01"), ..Setting::default() };
    let mut world = World::start(setting).await;
    let mut client = Client::new(&world, "Caddy");
    client.bind(&world).await;
    serves(&mut world, &client, "run-bound").await;
}
