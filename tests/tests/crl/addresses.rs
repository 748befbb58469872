//! Where leaves say that their list is, and what lists say whom they are about: the same bytes, whatever changes later.

use pki_core::x509::crl::Crl;
use tests::ca::Ca;
use tests::folders::write;
use tests::http::curl;
use tests::wait;

use crate::programs::{path, webpki};
use crate::world::{SOON, World, leaf_urls, names, scope_urls, served, set_addresses};

/// Fails when a list does not name every address that a leaf carries for it, or forgets one that was given before: rustls
/// would find no list for such leaves, and openssl none in its scope.
#[tokio::test(flavor = "multi_thread")]
async fn crl_3_lists_name_every_address_of_their_leaves_also_after_those_changed() {
    let mut ca = Ca::init(&[]).await;
    let own = format!("http://{}", ca.public_address());
    set_addresses(&ca, &[own.clone(), "http://mirror.site.test:8081".to_owned()]);
    ca.serve().await;
    let mut world = World::of(ca).await;
    let early = world.gateway.issue().await;
    let list = world.list(&world.shard(0)).await;
    assert_eq!(
        leaf_urls(&early),
        [format!("{own}/crl/{}", world.shard(0)), format!("http://mirror.site.test:8081/crl/{}", world.shard(0))]
    );
    assert_eq!(scope_urls(&list), leaf_urls(&early));
    assert_eq!(webpki(&world, &early, &[&list]), Ok(()));

    world.ca.stop().await;
    let moved = format!("http://localhost:{}", world.ca.public_address().rsplit_once(':').unwrap().1);
    set_addresses(&world.ca, &[moved]);
    world.ca.serve().await;
    // at once, and not with the next list of the day
    let list = wait::until("the list to name the new address", SOON, async || {
        Some(world.list(&world.shard(0)).await).filter(|list| scope_urls(list).len() == 3)
    })
    .await;
    let late = world.gateway.issue().await;
    assert_eq!(scope_urls(&list), [leaf_urls(&late), leaf_urls(&early)].concat(), "the new one first, none forgotten");
    for leaf in [&early, &late] {
        assert_eq!(webpki(&world, leaf, &[&list]), Ok(()));
        let said = world.verify(leaf, &["-crl_check", "-extended_crl", "-crl_download"]).await;
        assert_eq!(said.code, 0, "{said}");
    }
    world.revoke(&early.serial, "keyCompromise").await;
    let list = world.named(&world.shard(0), &early.serial).await;
    assert_eq!(webpki(&world, &early, &[&list]), Err(webpki::Error::CertRevoked));
    world.ca.stop().await;
}

/// A profile's own mirrors are the same for all shards. If lists named them, the list of one shard would be taken for that of
/// another, and a revoked leaf for a good one.
#[tokio::test(flavor = "multi_thread")]
async fn crl_3_a_mirror_of_all_shards_is_in_no_lists_scope() {
    const MIRROR: &str = "http://mirror.site.test/ca.crl";
    let mut ca = Ca::init(&[]).await;
    crate::world::configure(&ca, &[("shards", 2.into())]);
    let file = ca.dir().join("policies/gateway.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    write(
        &file,
        text.replace("\nspec:\n", &format!("\nspec:\n  revocation:\n    crlMirrors: [\"{MIRROR}\"]\n")),
        0o644,
    );
    ca.serve().await;
    let world = World::of(ca).await;
    let leaf = world.gateway.issue().await;
    assert_eq!(leaf_urls(&leaf).len(), 2);
    assert_eq!(leaf_urls(&leaf)[1], MIRROR);
    world.revoke(&leaf.serial, "keyCompromise").await;
    world.named(&path(&leaf), &leaf.serial).await;
    let both = [world.list(&world.shard(0)).await, world.list(&world.shard(1)).await];
    assert!(both.iter().all(|list| !scope_urls(list).contains(&MIRROR.to_owned())));
    let orders: [[&Crl; 2]; 2] = [[&both[0], &both[1]], [&both[1], &both[0]]];
    for order in orders {
        assert_eq!(webpki(&world, &leaf, &order), Err(webpki::Error::CertRevoked));
    }
}

/// When there are deltas, list and leaf say where (RFC 5280 sections 4.2.1.15 and 5.2.6); the delta says to what it is one.
#[tokio::test(flavor = "multi_thread")]
async fn crl_8_leaf_and_list_say_where_the_delta_is() {
    let mut world = World::start(&[]).await;
    let without = world.gateway.issue().await;
    assert_eq!(freshest(&world, &without.pem).await, "");
    world.ca.stop().await;
    crate::world::configure(&world.ca, &[("deltas", true.into())]);
    world.ca.serve().await;
    let delta = World::delta(&world.shard(0));
    // switched on: there at once, and not with the next list of the day
    served(&world.ca, &delta).await;
    let leaf = world.gateway.issue().await;
    assert!(freshest(&world, &leaf.pem).await.contains(&delta), "{}", freshest(&world, &leaf.pem).await);
    let list = world.pem(&world.shard(0)).await;
    let mut command = std::process::Command::new("openssl");
    command.args(["crl", "-noout", "-text", "-in"]).arg(list);
    let full = tests::process::run(&mut command).await.success();
    assert!(full.contains("X509v3 Freshest CRL") && full.contains(&delta), "{full}");

    // openssl takes the delta when it is told to, beside a list that does not know of the revocation
    let (root, before) = (world.pem(&world.of_root()).await, world.pem(&world.shard(0)).await);
    assert!(!names(&world.list(&world.shard(0)).await, &leaf.serial));
    world.revoke(&leaf.serial, "keyCompromise").await;
    let newest = world.named(&delta, &leaf.serial).await;
    assert_eq!(newest.number(), world.list(&world.shard(0)).await.number(), "issued together");
    let delta = world.pem(&delta).await;
    let lists = [root.to_str().unwrap(), before.to_str().unwrap(), delta.to_str().unwrap()];
    let files = lists.iter().flat_map(|list| ["-CRLfile", list]);
    let common: Vec<&str> = ["-crl_check_all", "-extended_crl"].into_iter().chain(files).collect();
    assert_eq!(world.verify(&leaf, &common).await.code, 0, "without the delta");
    let said = world.verify(&leaf, &[&["-use_deltas"][..], &common].concat()).await;
    assert!(said.code != 0 && said.stderr.contains("certificate revoked"), "{said}");
}

/// What openssl reads as the place of the delta in a leaf.
async fn freshest(world: &World, pem: &str) -> String {
    let file = world.save("one.pem", pem);
    let mut command = std::process::Command::new("openssl");
    command.args(["x509", "-noout", "-ext", "freshestCRL", "-in"]).arg(file);
    tests::process::run(&mut command).await.stdout
}

/// A leaf's shard is fixed when it is issued: fails when more shards, or fewer, move it or take its list away.
#[tokio::test(flavor = "multi_thread")]
async fn crl_3_more_shards_move_no_leaf() {
    let mut world = World::start(&[]).await;
    let early = world.gateway.issue().await;
    world.ca.stop().await;
    crate::world::configure(&world.ca, &[("shards", 5.into())]);
    world.ca.serve().await;
    for number in 0..5 {
        // the empty ones as well
        served(&world.ca, &world.shard(number)).await;
    }
    world.revoke(&early.serial, "keyCompromise").await;
    let list = world.named(&path(&early), &early.serial).await;
    assert_eq!(scope_urls(&list), leaf_urls(&early));
    let mut late = Vec::new();
    for _ in 0..8 {
        late.push(path(&world.gateway.issue().await));
    }
    late.sort();
    late.dedup();
    assert!(late.len() > 1, "new ones are spread");
    world.ca.stop().await;
    crate::world::configure(&world.ca, &[("shards", 1.into())]);
    world.ca.serve().await;
    for list in &late {
        assert_eq!(curl(&[&world.url(list)]).await.status, 200, "what was given once stays published");
    }
    world.ca.stop().await;
}
