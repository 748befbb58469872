//! Several servers on one database, responders' certificates that replace themselves, and servers that cannot sign.

use nix::sys::signal::Signal;
use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use pki_core::x509::ocsp::{Response, Status};
use tests::ca::{Ca, plain_get};
use tests::database::query;
use tests::http::Answer;
use tests::process::run;
use tests::wait;

use crate::world::{OcspAnswer, World, answered, nonce, post, request};

const TRY_LATER: u8 = 3;

/// OCS-7 and OCS-15: a process without any key of the CA asks for its certificate through a row, answers with it, and
/// learns of revocations; while nobody can sign for it, it says so. Fails when it needs a key, or answers without.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_7_and_15_a_replica_without_keys_answers() {
    let mut world = World::of(Ca::start_on_postgres().await).await;
    let question = request(&[world.id(&world.serial())], &[]);
    let mut responder = Ca::responder_of(&world.ca);
    assert!(!responder.dir().join("keys").exists());
    let address = responder.public_address();

    world.ca.stop().await;
    responder.begin();
    wait::until_true("the replica to listen", 30, async || tokio::net::TcpStream::connect(&address).await.is_ok())
        .await;
    assert_eq!(post(&address, &question).await.refusal(), TRY_LATER, "nobody has signed its certificate");
    let ready = plain_get(&responder.operations_address(), "/readyz").await.unwrap();
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");

    world.ca.serve().await;
    let first = answered(&address, &question).await.read();
    assert_eq!(first.told()[0].status, Status::Good);
    assert_ne!(responder_of(&first).public_key(), responder_of(&world.post(&question).await.read()).public_key());
    let audit = world.ca.command(&["audit", "list"]).await.success();
    assert!(audit.matches("ocsp_responder.issue").count() >= 2, "{audit}");

    world.revoke("keyCompromise").await;
    let is_revoked = |answer: Answer| matches!(answer.read().told()[0].status, Status::Revoked { .. });
    wait::until_true("the replica to hear of it", 30, async || is_revoked(post(&address, &question).await)).await;

    for path in ["/roots.pem", "/metrics"] {
        let of = if path == "/metrics" { responder.operations_address() } else { address.clone() };
        assert!(plain_get(&of, path).await.unwrap().starts_with("HTTP/1.1 200"), "{path}");
    }
    assert!(tokio::net::TcpStream::connect(responder.main_address()).await.is_err(), "nothing else is served");
    world.ca.stop().await;
    responder.signal(Signal::SIGHUP);
    let alone = post(&address, &question).await;
    assert!(
        alone.body.len() > 5 && is_revoked(alone.clone()),
        "it goes on without the others: {alone:?}\n{}",
        responder.log()
    );
    responder.stop().await;
}

/// OCS-15: fails when a question that needs the database is answered as if the database had said something, or is never
/// answered again; what is kept is given meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_15_while_the_database_is_away_clients_are_told_to_come_back() {
    let world = World::of(Ca::start_on_postgres().await).await;
    let question = request(&[world.id(&world.serial())], &[]);
    let kept = world.get(&question).await;
    assert_eq!(kept.read().told()[0].status, Status::Good);
    let url = world.ca.database();
    let (server, name) = url.rsplit_once('/').unwrap();
    let name = name.split('?').next().unwrap().to_owned();
    let others = url.replace(&format!("{server}/{name}"), &format!("{server}/postgres"));
    let admit = async |is_open: bool| {
        query(&others, &format!("ALTER DATABASE \"{name}\" WITH ALLOW_CONNECTIONS {is_open}")).await;
        query(&others, &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
            .await;
    };
    admit(false).await;
    let other = request(&[world.id(&[7])], &[]);
    assert_eq!(world.get(&other).await.refusal(), TRY_LATER);
    assert_eq!(world.get(&request(&[world.id(&world.serial())], &[nonce(&[1; 32])])).await.refusal(), TRY_LATER);
    assert_eq!(world.get(&question).await.body, kept.body, "what is kept is given");
    admit(true).await;
    let found = answered(&world.ca.public_address(), &other).await;
    assert_eq!(found.read().told()[0].status, Status::Unknown);
}

/// A responder without the database of a server that issues would have nothing to answer from.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_7_a_responder_needs_a_database_that_others_share() {
    let ca = Ca::init(&[]).await;
    let responder = Ca::responder_of(&ca);
    let said = run(&mut responder.serve_command()).await;
    assert_ne!(said.code, 0);
    assert!(
        said.stderr.contains("a responder works on the database of servers that issue, so it needs PostgreSQL"),
        "{said}"
    );
}

/// OCS-7: under a clock where an hour takes a second, a responder's certificate of a day is replaced at half of its life,
/// and no question is refused meanwhile. Fails when it is not, or when an answer outlives the certificate behind it.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_7_the_responders_certificate_replaces_itself() {
    let mut ca = Ca::init(&[]).await;
    ca.configure(|config| {
        let ocsp = [("responder_days", 1), ("answer_hours", 4), ("max_age_seconds", 60)];
        let ocsp = ocsp.map(|(key, value)| (key.to_owned(), toml::Value::from(value)));
        config.insert("ocsp".to_owned(), toml::Table::from_iter(ocsp).into());
    });
    ca.serve_at("+0 x3600").await;
    let address = ca.public_address();
    crate::world::can_answer(&ca).await;
    let issuer = ca.issuer();
    let question = request(&[crate::world::id(&issuer, &[1], false)], &[]);
    let mut seen: Vec<Certificate> = Vec::new();
    wait::until_true("three certificates", 120, async || {
        let answer = post(&address, &question).await.read();
        let responder = responder_of(&answer);
        let told = &answer.told()[0];
        assert!(told.next_update.unwrap() <= responder.not_after() && told.this_update >= responder.not_before());
        if seen.last().is_none_or(|last| last.der() != responder.der()) {
            seen.push(responder);
        }
        seen.len() >= 3
    })
    .await;
    let ends: Vec<Timestamp> = seen.iter().map(Certificate::not_after).collect();
    assert!(ends.windows(2).all(|pair| pair[0] < pair[1]), "{ends:?}");
    assert!(seen.windows(2).all(|pair| pair[1].not_before() < pair[0].not_after()), "replaced before its end");
    assert!(seen.windows(2).all(|pair| pair[0].public_key() != pair[1].public_key()), "each with a key of its own");
    ca.kill();
}

/// Fails when a CA whose responder's certificate could not be written down, or came out wrong, does not try again once the
/// fault is over, and so answers tryLater for an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_responders_certificate_that_failed_is_soon_tried_again() {
    let mut ca = Ca::init_on_postgres(&[]).await;
    let issuer = ca.dir().join("ca/intermediate.crt");
    let question = request(&[crate::world::id(&issuer, &[1], false)], &[]);
    for fault in ["RAISE EXCEPTION 'a fault'", "NEW.der := '\\x3000'"] {
        ca.query(&format!(
            "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {fault}; RETURN NEW; END $$; \
             CREATE TRIGGER fault BEFORE UPDATE ON ocsp_responder FOR EACH ROW WHEN (NEW.state = 'issued') \
             EXECUTE FUNCTION fault()"
        ))
        .await;
        ca.begin();
        let address = ca.public_address();
        wait::until_true("it to listen", 30, async || tokio::net::TcpStream::connect(&address).await.is_ok()).await;
        assert_eq!(post(&address, &question).await.refusal(), TRY_LATER, "{fault}");
        ca.query("DROP FUNCTION fault CASCADE").await;
        crate::world::can_answer(&ca).await;
        ca.stop().await;
    }
}

/// OCS-14: what has ended is still told, with how far back that goes.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_14_ended_certificates_are_told_with_an_archive_cutoff() {
    let mut world = World::start().await;
    let question = request(&[world.id(&world.serial())], &[]);
    let cutoff = [0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x06];
    let has_cutoff = |answer: &Answer| answer.body.windows(cutoff.len()).any(|octets| octets == cutoff);
    let living = world.post(&question).await;
    assert!(!has_cutoff(&living), "it lives");
    world.ca.stop().await;
    world.ca.serve_at("+380d").await;
    crate::world::can_answer(&world.ca).await;
    let ended = world.post(&question).await;
    assert_eq!(ended.read().told()[0].status, Status::Good);
    assert!(has_cutoff(&ended), "{ended:?}");
    world.ca.kill();
}

/// OCS-5: a certificate that is recorded and not signed does not exist for anybody who asks.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_5_a_planned_certificate_is_unknown() {
    let mut world = World::of(Ca::start_on_postgres().await).await;
    let responder = Ca::start_responder_of(&world.ca).await;
    world.ca.stop().await;
    world.ca.serve_with_failpoint("ca.issue.after_record").await;
    let agent = tests::agent::Agent::new();
    agent.configure("[[certificate]]\nname = \"identity\"\n");
    let token = world.ca.device_add("gw-2", "gateway", &["gw-2.site.test"]).await;
    let (enrolled, ()) = tokio::join!(agent.enroll(&token), world.ca.wait_killed());
    assert_ne!(enrolled.code, 0);
    let rows = world.ca.query("SELECT serial FROM certificate WHERE state = 'planned'").await;
    let [serial] = rows.lines().collect::<Vec<_>>()[..] else { panic!("one is planned: {rows}") };
    let serial: Vec<u8> =
        (0..serial.len()).step_by(2).map(|at| u8::from_str_radix(&serial[at..at + 2], 16).unwrap()).collect();
    let answer = post(&responder.public_address(), &request(&[world.id(&serial)], &[])).await.read();
    assert_eq!(answer.told()[0].status, Status::Unknown);
    world.ca.serve().await;
    let is_good = |answer: Response| answer.told()[0].status == Status::Good;
    wait::until_true("it to be signed", 30, async || {
        is_good(post(&responder.public_address(), &request(&[world.id(&serial)], &[])).await.read())
    })
    .await;
}

fn responder_of(answer: &Response) -> Certificate {
    let [certificate] = answer.certificates() else { panic!("one certificate comes along: {answer:?}") };
    Certificate::parse(certificate).unwrap()
}
