//! mod_md of Debian's Apache.

use tests::wait;

use crate::client::Client;
use crate::world::{Kind, World, print_version};

#[tokio::test(flavor = "multi_thread")]
async fn mod_md_gets_a_certificate_for_its_site() {
    print_version("mod_md", &["dpkg-query", "-W", "-f", "${Version}", "libapache2-mod-md"]).await;
    let mut world = World::open().await;
    world.close_webroot();
    let (client, name) = (Client::new(&world, "mod_md"), "apache.site.test");
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
