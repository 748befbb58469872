//! What is said of revoked certificates: what the list says, at every server, and no more once a hold is released.

use pki_core::revocation::Reason;
use pki_core::x509::ocsp::Status;
use tests::ca::Ca;
use tests::http::ask;
use tests::wait;
use tests::world::enrolled;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::world::{OcspAnswer, World, post, request};

/// What the first list of the issuing CA says of a serial number: Unix seconds, and the code of a reason. By another parser.
async fn on_the_list(ca: &Ca, serial: &[u8]) -> Option<(i64, Option<u8>)> {
    let answer = ask(&ca.public_address(), &format!("GET /crl/{}/0.crl", ca.issuer_id()), "", &[]).await;
    if answer.status == 404 {
        return None; // nothing is published yet
    }
    let (_, list) = CertificateRevocationList::from_der(&answer.body).unwrap();
    let entry = list.iter_revoked_certificates().find(|entry| entry.raw_serial() == serial)?;
    Some((entry.revocation_date.timestamp(), entry.reason_code().map(|(_, reason)| reason.0)))
}

async fn told(ca: &Ca, question: &[u8]) -> Status {
    post(&ca.public_address(), question).await.read().told()[0].status
}

/// OCS-11: fails when answer and list differ in time or reason, or when a reason is shown that nobody gave.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_11_answers_say_what_the_list_says() {
    let mut world = World::start().await;
    for (name, word, reason) in [
        ("gw-2", "unspecified", None),
        ("gw-3", "keyCompromise", Some(Reason::KeyCompromise)),
        ("gw-4", "certificateHold", Some(Reason::CertificateHold)),
    ] {
        world.agent = enrolled(&world.ca, name, "gateway", &[&format!("{name}.site.test")]).await;
        let (serial, question) = (world.serial(), request(&[world.id(&world.serial())], &[]));
        assert_eq!(told(&world.ca, &question).await, Status::Good);
        world.revoke(word).await;
        let Status::Revoked { at, reason: shown } = told(&world.ca, &question).await else { panic!("{word}") };
        assert_eq!(shown, reason, "{word}");
        let listed = wait::until("the list to have it", 30, async || on_the_list(&world.ca, &serial).await).await;
        assert_eq!(listed, (at.unix_seconds(), reason.map(Reason::code)), "{word}");
    }
    world.release().await;
    let question = request(&[world.id(&world.serial())], &[]);
    assert_eq!(told(&world.ca, &question).await, Status::Good, "a hold that is over");
    let serial = world.serial();
    wait::until_true("the list to let it go", 30, async || on_the_list(&world.ca, &serial).await.is_none()).await;
}

/// OCS-11 and OCS-12: fails when another server goes on with an answer that it has kept, or does not follow back and forth.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_11_and_12_every_server_follows_a_hold_and_its_release() {
    let world = World::of(Ca::start_on_postgres().await).await;
    let mut full = Ca::start_replica_of(&world.ca).await;
    let mut responder = Ca::start_responder_of(&world.ca).await;
    let question = request(&[world.id(&world.serial())], &[]);
    let all = [&world.ca, &full, &responder];
    let everywhere = async |what: &str, is_so: fn(Status) -> bool| {
        for ca in all {
            wait::until_true(what, 10, async || is_so(told(ca, &question).await)).await;
        }
    };
    for _ in 0..2 {
        everywhere("good", |status| status == Status::Good).await;
        world.revoke("certificateHold").await;
        everywhere("on hold", |status| matches!(status, Status::Revoked { reason: Some(Reason::CertificateHold), .. }))
            .await;
        world.release().await;
    }
    world.revoke("keyCompromise").await;
    everywhere("revoked", |status| matches!(status, Status::Revoked { reason: Some(Reason::KeyCompromise), .. })).await;
    let mut statuses = Vec::new();
    for ca in all {
        statuses.push(told(ca, &question).await);
    }
    assert!(statuses.windows(2).all(|pair| pair[0] == pair[1]), "the same time: {statuses:?}");
    let serial = world.serial();
    let Status::Revoked { at, .. } = statuses[0] else { panic!("{statuses:?}") };
    let listed = Some((at.unix_seconds(), Some(Reason::KeyCompromise.code())));
    let is_listed = async || on_the_list(&responder, &serial).await == listed;
    wait::until_true("the replica without keys to hand out the list as well", 30, is_listed).await;
    full.stop().await;
    responder.stop().await;
}
