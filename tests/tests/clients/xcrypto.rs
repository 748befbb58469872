//! golang.org/x/crypto/acme of Debian, on which autocert and cert-manager stand: `xcrypto.go`, built as Debian builds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::folders::Folder;
use tests::process::{Ran, run_for};
use tokio::sync::OnceCell;

use crate::table::print_version;
use crate::world::{Kind, Setting, World};

/// The program, and the folder that goes away with it.
static PROGRAM: OnceCell<(PathBuf, Folder)> = OnceCell::const_new();

async fn program() -> &'static Path {
    let built = PROGRAM.get_or_init(async || {
        print_version("x/crypto/acme", &["dpkg-query", "-W", "-f", "${Version}", "golang-golang-x-crypto-dev"]).await;
        let folder = Folder::new();
        let (target, cache) = (folder.path().join("xcrypto"), folder.sub("cache"));
        let mut command = Command::new("/usr/bin/go");
        command.args(["build", "-o"]).arg(&target).arg("xcrypto.go");
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients"));
        command.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", cache);
        command.env("GOFLAGS", "").env("GOTOOLCHAIN", "local").env_remove("GOROOT");
        run_for(&mut command, Duration::from_secs(180)).await.success();
        (target, folder)
    });
    &built.await.0
}

async fn try_to(world: &World, state: &Folder, steps: &[&str], names: &[&str], key: Option<&(String, String)>) -> Ran {
    let mut command = Command::new(program().await);
    command.args(steps).env("DIRECTORY", &world.directory).env("ROOTS", world.ca.roots());
    command.env("STATE", state.path()).env("WEBROOT", world.webroot()).env("TLS_ADDRESS", world.tls.address());
    command.env("DNS_ADD", world.dns.add_command());
    for (variable, name) in ["NAME", "OTHER"].iter().zip(names) {
        command.env(variable, name);
    }
    if let Some((kid, secret)) = key {
        command.env("KID", kid).env("HMAC", secret);
    }
    run_for(&mut command, Duration::from_secs(100)).await
}

async fn lives_through(world: &World) {
    let (state, names) = (Folder::new(), ["web.site.test", "www.site.test"]);
    let (chain, key) = (state.path().join("chain.pem"), state.path().join("key.pem"));
    let steps = ["register", "http-01", "revoke", "change-key", "http-01", "revoke-by-key", "deactivate"];
    try_to(world, &state, &steps, &names, None).await.success();
    let leaf = world.must_be_good(&chain, &key, &names, Kind::Ecdsa);
    world.must_be_revoked(&leaf).await;
    let all = world.ca.certificates().await;
    assert!(all.len() == 2 && all.iter().all(|row| row["state"] == "revoked"), "{all:#?}");
    assert_ne!(all[0]["serial"], all[1]["serial"], "renewed by another order");
}

#[tokio::test(flavor = "multi_thread")]
async fn xcrypto_from_its_registration_to_its_end() {
    lives_through(&World::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn non_8_xcrypto_goes_on_after_refused_nonces() {
    lives_through(&World::start(Setting { refuse_nonces: Some(3), ..Setting::default() }).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xcrypto_with_an_external_account_key_by_dns_and_tls() {
    let world = World::bound().await;
    let state = Folder::new();
    let refused = try_to(&world, &state, &["register"], &[], None).await;
    assert!(refused.code != 0 && refused.stderr.contains("externalAccountRequired"), "{refused}");
    let (chain, private) = (state.path().join("chain.pem"), state.path().join("key.pem"));
    for (kind, names) in
        [("dns-01", ["*.wild.site.test", "wild.site.test"].as_slice()), ("tls-alpn-01", &["tls.site.test"])]
    {
        let key = world.external_key().await;
        try_to(&world, &state, &["register", kind], names, Some(&key)).await.success();
        world.must_be_good(&chain, &private, names, Kind::Ecdsa);
    }
}
