//! acme.sh is in no registry; `by_regex.sh` reads answers by the rules that it reads by (protocols part 0 and 1.13).

use std::process::Command;

use tests::folders::Folder;
use tests::process::{Ran, run};

use crate::world::{Kind, Setting, World};

struct Client<'a> {
    world: &'a World,
    folder: Folder,
    key: Option<(String, String)>,
}

impl<'a> Client<'a> {
    fn new(world: &'a World, key: Option<(String, String)>) -> Self {
        println!("acme.sh: the rules of 3.1.4");
        Self { world, folder: Folder::new(), key }
    }

    async fn try_to(&self, arguments: &[&str], names: &[&str]) -> Ran {
        let world = self.world;
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/by_regex.sh"));
        command.args(arguments).env("DIRECTORY", &world.directory).env("ROOTS", world.ca.roots());
        command.env("STATE", self.folder.path()).env("EMAIL", "ops@site.test").env("WEBROOT", world.webroot());
        command.env("DNS_HOST", "127.0.0.1").env("DNS_PORT", world.dns.port().to_string());
        for (variable, name) in ["NAME", "OTHER"].iter().zip(names) {
            command.env(variable, name);
        }
        if let Some((kid, secret)) = &self.key {
            command.env("KID", kid).env("HMAC", secret);
        }
        run(&mut command).await
    }

    async fn must(&self, arguments: &[&str], names: &[&str]) -> String {
        let ran = self.try_to(arguments, names).await;
        assert_eq!(ran.code, 0, "{arguments:?}: {ran}");
        ran.stdout
    }

    fn leaf(&self, names: &[&str]) -> tests::certificate::Leaf {
        let (chain, key) = (self.folder.path().join("chain.pem"), self.folder.path().join("key.pem"));
        self.world.must_be_good(&chain, &key, names, Kind::Ecdsa)
    }
}

async fn lives_through(world: &World) {
    let client = Client::new(world, None);
    client.must(&["register"], &[]).await;
    let names = ["web.site.test", "www.site.test"];
    client.must(&["issue", "http-01"], &names).await;
    let first = client.leaf(&names);
    client.must(&["renew", "http-01"], &names).await;
    let second = client.leaf(&names);
    assert_ne!(first.serial, second.serial);
    client.must(&["revoke"], &[]).await;
    world.must_be_revoked(&second).await;
    client.must(&["deactivate"], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acme_sh_from_its_registration_to_its_end() {
    lives_through(&World::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn non_4_and_8_acme_sh_goes_on_after_refused_nonces() {
    lives_through(&World::start(Setting { refuse_nonces: Some(3), ..Setting::default() }).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ari_4_acme_sh_says_what_it_replaces_and_goes_on_without_where_that_is_refused() {
    let world = World::open().await;
    let client = Client::new(&world, None);
    client.must(&["register"], &[]).await;
    let names = ["web.site.test", "www.site.test"];
    client.must(&["issue", "http-01"], &names).await;
    let chain = client.folder.path().join("chain.pem");
    let first = std::fs::read(&chain).unwrap();
    let said = client.must(&["renew", "http-01"], &names).await;
    assert!(said.contains("window from") && !said.contains("without replaces"), "ARI-1: {said}");
    std::fs::write(&chain, first).unwrap();
    let said = client.must(&["renew", "http-01"], &names).await;
    assert!(said.contains("without replaces"), "ARI-4: replaced already: {said}");
    client.leaf(&names);
}

#[tokio::test(flavor = "multi_thread")]
async fn acme_sh_with_an_external_account_key_proves_a_wildcard_by_dns() {
    let world = World::bound().await;
    let refused = Client::new(&world, None).try_to(&["register"], &[]).await;
    assert!(refused.code != 0 && format!("{refused}").contains("externalAccountRequired"), "{refused}");
    let client = Client::new(&world, Some(world.external_key().await));
    client.must(&["register"], &[]).await;
    let names = ["*.wild.site.test", "wild.site.test"];
    client.must(&["issue", "dns-01"], &names).await;
    client.leaf(&names);
}
