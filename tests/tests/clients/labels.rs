//! A device with a certificate that its label gives it, by the clients of other people: the token of a device holds an
//! external account key, and a client that registers with it is that device.

use api::token::EnrolmentToken;
use nix::sys::signal::Signal;
use tests::folders::write;
use tests::wait;

use crate::client::Client;
use crate::world::{Kind, Setting, World};

const BY_ROLE: &str = "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata: { name: by-role }\nspec:\n\
    \x20 identifiers: { dns: [{ template: \"{device.labels.role}.site.test\" }] }\n\
    \x20 keys: { ecdsa: true, rsaMinBits: 2048 }\n  usage: { extendedKeyUsage: [serverAuth] }\n\
    \x20 lifetime: 1d\n  backdate: 1m\n  renewal: { at: 0.5, grace: 1d }\n  requires: { binding: device }\n";

/// A CA whose policy has got that profile while it runs.
async fn world() -> World {
    let world = World::start(Setting { bound: true, ..Setting::default() }).await;
    write(&world.ca.dir().join("policies/by-role.yaml"), BY_ROLE, 0o644);
    world.ca.signal(Signal::SIGHUP);
    wait::until_true("the profile to be in force", 30, async || {
        world.ca.command(&["profile", "show", "by-role"]).await.code == 0
    })
    .await;
    world
}

/// Registers a device with further arguments; the client that has its token.
async fn device(world: &World, title: &str, name: &str, arguments: &[&str]) -> Client {
    let token =
        world.ca.command(&[&["device", "add", name, "--profile", "by-role"], arguments].concat()).await.success();
    let token = EnrolmentToken::parse(token.trim()).unwrap();
    Client::new(world, title).with("KID", &token.kid).with("HMAC", token.secret.expose())
}

/// Fails unless a client was refused with the rule, the label, the device and the remedy.
#[track_caller]
fn must_be_told(said: &str, device: &str) {
    // clients break lines as they like
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "(rule identifiers.allowed)".to_owned(),
        format!("the label `role`, which the device `{device}` does not have"),
        format!("`ca-server device label {device} role=VALUE`"),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lego_gets_the_name_that_a_label_gives_and_none_without() {
    let world = world().await;
    let name = ["edge.site.test"];
    let client = device(&world, "lego", "gw-1", &["--label", "role=edge"]).await;
    client.follow("issue-standalone", &name).await;
    let file = |ending: &str| client.file("certificates").join(format!("edge.site.test.{ending}"));
    world.must_be_good(&file("crt"), &file("key"), &name, Kind::Rsa);
    let client = device(&world, "lego", "gw-2", &["--label", "role=gone"]).await;
    world.ca.command(&["device", "label", "gw-2", "role-"]).await.success();
    let refused = client.try_to("issue-standalone", &["gone.site.test"]).await;
    assert_ne!(refused.code, 0, "{refused}");
    must_be_told(&format!("{refused}"), "gw-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn certbot_gets_the_name_of_another_label_after_it_was_changed() {
    let world = world().await;
    let client = device(&world, "certbot", "gw-1", &["--label", "role=core"]).await;
    world.ca.command(&["device", "label", "gw-1", "role-"]).await.success();
    client.follow("register-bound", &[]).await;
    let name = ["edge.site.test"];
    let refused = client.try_to("issue-standalone", &name).await;
    assert_ne!(refused.code, 0, "{refused}");
    // this certbot stumbles over problems with subproblems, and leaves what it was told in its log
    must_be_told(&std::fs::read_to_string(client.file("logs/letsencrypt.log")).unwrap(), "gw-1");
    world.ca.command(&["device", "label", "gw-1", "role=edge"]).await.success();
    client.follow("issue-standalone", &name).await;
    let live = client.file("config/live/edge.site.test");
    world.must_be_good(&live.join("fullchain.pem"), &live.join("privkey.pem"), &name, Kind::Rsa);
}
