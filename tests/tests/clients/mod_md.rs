//! mod_md of Debian's Apache.

use tests::wait;

use crate::client::Client;
use crate::table::print_version;
use crate::world::{Kind, World};

async fn gets_a_certificate(mut world: World, client: Client) {
    print_version("mod_md", &["dpkg-query", "-W", "-f", "${Version}", "libapache2-mod-md"]).await;
    world.close_webroot();
    let name = "apache.site.test";
    let mut process = client.start("run", &[name]);
    let log = client.file("error.log");
    wait::until_true("mod_md to have a certificate", 60, async || {
        process.must_run();
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("will be activated on next"))
    })
    .await;
    client.follow("reload", &[name]).await;
    let folder = client.file("md/domains").join(name);
    let (chain, key) = (folder.join("pubcert.pem"), folder.join("privkey.pem"));
    wait::until_true("Apache to take it up", 60, async || {
        process.must_run();
        chain.exists() && key.exists()
    })
    .await;
    world.must_be_good(&chain, &key, &[name], Kind::Rsa);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mod_md_by_http() {
    let world = World::open().await;
    let client = Client::new(&world, "mod_md");
    gets_a_certificate(world, client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mod_md_with_an_external_account_key_by_tls() {
    let world = World::bound().await;
    let mut client = Client::new(&world, "mod_md").with("CHALLENGE", "tls-alpn-01");
    client.bind(&world).await;
    gets_a_certificate(world, client).await;
}
