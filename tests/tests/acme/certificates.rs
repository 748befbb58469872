//! CRT and REV: download and revocation.

use rcgen::KeyPair;
use serde_json::{Value, json};
use tests::acme_raw::{Account, Answer, Jws, Key, b64};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::world::{World, csr, fresh_name, must_verify};

#[tokio::test(flavor = "multi_thread")]
async fn crt_1_2_and_4_to_6_chains() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let issued = world.issue(&account, &[&name]).await;
    let answer = account.get(&issued.url).await.expect("CRT-1", 200, "");
    assert_eq!(answer.text(), issued.chain, "CRT-5: the same bytes for ever");
    assert!(!answer.all("link").iter().any(|link| link.contains("\"up\"")), "CRT-4: {answer}");
    must_verify(&world.ca, &issued.chain);

    let blocks: Vec<&str> = issued.chain.split_inclusive("-----END CERTIFICATE-----\n").collect();
    assert_eq!(blocks.len(), 2, "CRT-2: leaf and intermediate, no root");
    for block in &blocks {
        let lines: Vec<&str> = block.lines().collect();
        assert_eq!(
            (lines[0], lines[lines.len() - 1]),
            ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"),
            "CRT-1"
        );
        let body = &lines[1..lines.len() - 1];
        assert!(body[..body.len() - 1].iter().all(|line| line.len() == 64), "CRT-1: RFC 7468");
        assert!(body.iter().all(|line| (1..=64).contains(&line.len()) && line.is_ascii()), "CRT-1: RFC 7468");
    }
    assert!(!issued.chain.contains('\r') && issued.chain.ends_with("-----\n"), "CRT-1");
    let ders: Vec<Vec<u8>> = blocks.iter().map(|block| crate::world::leaf(block)).collect();
    let [leaf, above] = [0, 1].map(|at| X509Certificate::from_der(&ders[at]).unwrap().1);
    leaf.verify_signature(Some(above.public_key())).expect("CRT-1: each certifies the one before");
    assert_ne!(above.subject().as_raw(), above.issuer().as_raw(), "CRT-2: no root");

    revoke(&account, &issued.leaf(), None).await.expect("REV-3", 200, "");
    let revoked = account.get(&issued.url).await.expect("CRT-6", 200, "");
    assert_eq!(revoked.text(), issued.chain, "CRT-6");
}

/// What is sent to revokeCert.
fn revocation(der: &[u8], reason: Option<i64>) -> Value {
    let mut sent = json!({ "certificate": b64(der) });
    reason.into_iter().for_each(|reason| sent["reason"] = reason.into());
    sent
}

async fn revoke(account: &Account, der: &[u8], reason: Option<i64>) -> Answer {
    account.post(&account.client.url("revokeCert"), &revocation(der, reason)).await
}

async fn revoke_by_key(world: &World, key: &Key, der: &[u8], reason: Option<i64>) -> Answer {
    let url = world.client.url("revokeCert");
    let jws = Jws::new(("jwk", key.jwk()), &world.client.nonce().await, &url, &revocation(der, reason).to_string());
    world.client.post(&url, &jws.sign(key)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rev_1_who_may_revoke() {
    let world = World::shared().await;
    let (owner, stranger, other) = (world.account().await, world.account().await, world.account().await);
    let (name, second) = (fresh_name(), fresh_name());
    let issued = world.issue(&owner, &[&name, &second]).await;
    let der = issued.leaf();
    revoke(&stranger, &der, None).await.expect("REV-1: a stranger", 403, "unauthorized");
    revoke_by_key(&world, &stranger.key, &der, None).await.expect("REV-1: any key", 403, "unauthorized");
    world.ready(&other, &[&name]).await;
    revoke(&other, &der, None).await.expect("REV-1: only one of the names", 403, "unauthorized");
    let pending = world.order(&other, &[&second]).await;
    revoke(&other, &der, None).await.expect("REV-1: the other is not proven", 403, "unauthorized");
    world.prove(&other, &pending).await;
    for reason in [1, 3, 4] {
        revoke(&other, &der, Some(reason)).await.expect("REV-4: holder of the names", 400, "badRevocationReason");
    }
    let done = revoke(&other, &der, Some(5)).await.expect("REV-1: holder of all names", 200, "");
    assert!(done.body.is_empty(), "REV-3");
    revoke(&owner, &der, None).await.expect("REV-5", 400, "alreadyRevoked");
    revoke(&stranger, &der, None).await.expect("REV-5: not told to strangers", 403, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn rev_2_only_certificates_of_this_ca() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let issued = world.issue(&account, &[&name]).await;
    let mut changed = issued.leaf();
    *changed.last_mut().unwrap() ^= 1;
    let foreign = rcgen::generate_simple_self_signed(vec![name.clone()]).unwrap();
    let above = crate::world::leaf(issued.chain.split_inclusive("-----END CERTIFICATE-----\n").nth(1).unwrap());
    for (what, der) in [
        ("another's", foreign.cert.der().to_vec()),
        ("changed", changed),
        ("the CA's own", above),
        ("no certificate", b"x".to_vec()),
        ("empty", Vec::new()),
        ("bytes at the end", [issued.leaf().as_slice(), &[0]].concat()),
        ("a CSR", csr(&[&name], &issued.key)),
    ] {
        let answer = revoke(&account, &der, None).await;
        assert!(matches!(answer.status, 400 | 404) && answer.problem() == "malformed", "REV-2: {what}: {answer}");
    }
    let url = world.client.url("revokeCert");
    for sent in [json!({}), json!({ "certificate": 1 }), json!({ "certificate": "a+/=" })] {
        account.post(&url, &sent).await.expect(&format!("REV-2: {sent}"), 400, "malformed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rev_3_to_5_reasons() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let issued = world.issue(&account, &[&name]).await;
    for reason in [-1, 2, 6, 7, 8, 9, 10, 11, 256, i64::MAX] {
        let answer = revoke(&account, &issued.leaf(), Some(reason)).await;
        answer.expect(&format!("REV-4: {reason}"), 400, "badRevocationReason");
    }
    for (reason, name_of_it) in
        [(0, "unspecified"), (3, "affiliationChanged"), (4, "superseded"), (5, "cessationOfOperation")]
    {
        let issued = world.issue(&account, &[&name]).await;
        let done = revoke(&account, &issued.leaf(), Some(reason)).await.expect(&format!("REV-4: {reason}"), 200, "");
        assert!(done.body.is_empty(), "REV-3");
        revoke(&account, &issued.leaf(), Some(reason)).await.expect("REV-5", 400, "alreadyRevoked");
        let serial = tests::certificate::Leaf::from_der(&issued.leaf()).serial;
        let row = world.ca.json(&["cert", "show", &serial]).await;
        assert_eq!((&row["state"], &row["reason"]), (&json!("revoked"), &json!(name_of_it)), "REV-4");
    }
    let twins =
        futures_util::future::join_all((0..4).map(|_| async { revoke(&account, &issued.leaf(), None).await })).await;
    assert_eq!(twins.iter().filter(|answer| answer.status == 200).count(), 1, "REV-5: many at once: {twins:#?}");
    assert_eq!(twins.iter().filter(|answer| answer.status == 400).count(), 3, "REV-5: many at once: {twins:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rev_1_5_6_and_fin_8_a_compromised_key() {
    let world = World::shared().await;
    let (account, name) = (world.account().await, fresh_name());
    let issued = world.issue(&account, &[&name]).await;
    let der = issued.leaf();
    let key = Key::from_pkcs8(&issued.key.serialize_der());
    revoke(&account, &der, None).await.expect("REV-3", 200, "");
    revoke_by_key(&world, &key, &der, Some(4)).await.expect("REV-5", 400, "alreadyRevoked");
    let order = world.ready(&account, &[&name]).await;
    order.finalize(&account, &csr(&[&name], &issued.key)).await.expect("a revoked key may be used again", 200, "");

    let worse = revoke_by_key(&world, &key, &der, Some(1)).await.expect("REV-5: worse", 200, "");
    assert!(worse.body.is_empty(), "REV-3");
    revoke_by_key(&world, &key, &der, Some(1)).await.expect("REV-5", 400, "alreadyRevoked");
    let order = world.ready(&account, &[&name]).await;
    order.finalize(&account, &csr(&[&name], &issued.key)).await.expect("FIN-8: blocked", 400, "badCSR");
    order.finalize(&account, &csr(&[&name], &KeyPair::generate().unwrap())).await.expect("FIN-8: another key", 200, "");
}
