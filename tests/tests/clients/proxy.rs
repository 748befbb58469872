//! A reverse proxy that terminates TLS in front of the CA: clients know the proxy's address only (HTP-1, JWS-10).

use tests::folders::Folder;
use tests::nginx::Nginx;
use tests::ports::Port;

use crate::client::Client;
use crate::world::{Kind, Setting, World};

/// A certificate for `localhost` that is its own root, in the folders where nginx looks.
fn certificate(folder: &Folder) -> std::path::PathBuf {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let current = folder.sub("live/current");
    std::fs::write(current.join("fullchain.pem"), made.cert.pem()).unwrap();
    std::fs::write(current.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    current.join("fullchain.pem")
}

#[tokio::test(flavor = "multi_thread")]
async fn htp_1_certbot_and_lego_behind_nginx() {
    let (folder, port) = (Folder::new(), Port::take());
    let (root, outside) = (certificate(&folder), format!("https://localhost:{}", port.number()));
    let world = World::start_configured(Setting::default(), |config| {
        config["external"]["main"] = outside.clone().into();
        config["listen"]["trusted_proxies"] = vec!["127.0.0.1/32"].into();
    })
    .await;
    assert_eq!(world.directory, format!("{outside}/acme/directory"));
    let backend = world.ca.main_address();
    let mut nginx = Nginx::prepare_proxy(port, &folder.path().join("live"), &backend, &world.ca.roots());
    nginx.run().await;

    let (roots, names) = (root.to_str().unwrap(), ["web.site.test", "www.site.test"]);
    let certbot = Client::new(&world, "certbot").with("ROOTS", roots);
    certbot.follow("register", &[]).await;
    certbot.follow("issue-webroot", &names).await;
    let live = certbot.file("config/live").join(names[0]);
    let leaf = world.must_be_good(&live.join("fullchain.pem"), &live.join("privkey.pem"), &names, Kind::Ecdsa);
    certbot.follow("revoke", &names).await;
    world.must_be_revoked(&leaf).await;

    let lego = Client::new(&world, "lego").with("ROOTS", roots);
    lego.follow("issue-webroot", &names).await;
    let files = lego.file("certificates");
    world.must_be_good(&files.join("web.site.test.crt"), &files.join("web.site.test.key"), &names, Kind::Ecdsa);

    // Whatever the CA says is about the proxy's address, and nothing about its own.
    let directory = tests::acme_raw::Client::at(&backend, &world.ca.roots()).await.directory.clone();
    for name in ["newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"] {
        let url = directory[name].as_str().unwrap();
        assert!(url.starts_with(&outside), "HTP-1: {name} is at {url}");
    }
}
