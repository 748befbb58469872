//! The crate rustls-acme, on a TLS listener of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, AcmeState, EventOk, UseChallenge};
use tests::folders::Folder;
use tests::https::trusting;
use tests::webroot::Webroot;
use tokio::net::TcpListener;
use tokio_rustls::LazyConfigAcceptor;

use crate::table::print_crate_version;
use crate::world::{Kind, Setting, World};

/// Certificates that are renewed, at two thirds of their life, while the test waits.
const SHORT: Setting =
    Setting { bound: false, postgres: false, refuse_nonces: None, seconds: Some(12), challenge: None };

type State = AcmeState<std::io::Error>;

fn state(world: &World, folder: &Path, names: &[&str], challenge: UseChallenge) -> State {
    print_crate_version("rustls-acme");
    AcmeConfig::new_with_client_config(names, Arc::new(trusting(&world.ca.roots())))
        .contact(["mailto:ops@site.test"])
        .directory(&world.directory)
        .challenge_type(challenge)
        .cache(DirCache::new(folder.to_owned()))
        .state()
}

/// Lets it work until it uses a certificate that it did not use before.
async fn next_certificate(state: &mut State) {
    let deployed = async {
        loop {
            match state.next().await.unwrap() {
                Ok(EventOk::DeployedNewCert) => return,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), deployed).await.expect("a new certificate");
}

/// Lets it work until what it uses is in its folder: the key and the chain in one file.
async fn stored(state: &mut State, folder: &Path) -> PathBuf {
    while !matches!(state.next().await.unwrap().unwrap(), EventOk::CertCacheStore) {}
    let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.find(|file| file.file_name().unwrap().to_string_lossy().starts_with("cached_cert")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rustls_acme_by_http_renews_by_itself() {
    let mut world = World::start(SHORT).await;
    world.close_webroot();
    let (folder, names) = (Folder::new(), ["web.site.test", "www.site.test"]);
    let mut state = state(&world, folder.path(), &names, UseChallenge::Http01);
    let resolver = state.resolver();
    let _server = Webroot::answering(&world.http, move |path| {
        let token = path.strip_prefix(".well-known/acme-challenge/")?;
        resolver.get_http_01_key_auth(token).map(String::into_bytes)
    });
    next_certificate(&mut state).await;
    let file = stored(&mut state, folder.path()).await;
    let first = world.must_be_good(&file, &file, &names, Kind::Ecdsa);
    next_certificate(&mut state).await;
    let file = stored(&mut state, folder.path()).await;
    let second = world.must_be_good(&file, &file, &names, Kind::Ecdsa);
    assert_ne!(first.serial, second.serial);
}

#[tokio::test(flavor = "multi_thread")]
async fn rustls_acme_by_tls() {
    let world = World::open().await;
    let (folder, names) = (Folder::new(), ["tls.site.test"]);
    let mut state = state(&world, folder.path(), &names, UseChallenge::TlsAlpn01);
    let challenge = state.challenge_rustls_config();
    let listener = TcpListener::bind(world.tls.address()).await.unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let hello = LazyConfigAcceptor::new(Default::default(), stream).await.unwrap();
            let _ = hello.into_stream(Arc::clone(&challenge)).await;
        }
    });
    next_certificate(&mut state).await;
    let file = stored(&mut state, folder.path()).await;
    world.must_be_good(&file, &file, &names, Kind::Ecdsa);
    server.abort();
}
