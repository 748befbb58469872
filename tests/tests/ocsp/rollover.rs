//! Two issuing keys: the one that issues, and the one before it, whose leaves live on.

use std::path::{Path, PathBuf};
use std::process::Command;

use pki_core::x509::certificate::Certificate;
use pki_core::x509::ocsp::Status;
use tests::ca::Ca;
use tests::http::ask;
use tests::issuing_key;
use tests::process::run;
use tests::wait;
use tests::world::enrolled;

use crate::world::{OcspAnswer, World, answered, can_answer, id, post, request, serial};

const UNAUTHORIZED: u8 = 6;

/// The identifier of the second key.
const SECOND: &str = "0123456789abcdef0123456789abcdef";

/// OCS-5, OCS-6 and OCS-7: fails when leaves of the former key are not answered for any more, by a server that holds that key
/// or by one that holds none; when an answer is signed by a responder of the other key; or when one key's numbers are good
/// under the other's name.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_5_6_and_7_a_former_key_is_answered_for_while_its_leaves_live() {
    let mut world = World::of(Ca::start_on_postgres().await).await;
    let (former, old_leaf) = (world.ca.issuer(), world.leaf());
    let old_serial = world.serial();
    let former_id = world.ca.issuer_id();
    world.ca.stop().await;
    let second = second_key(&world.ca).await;
    world.ca.serve().await;
    can_answer(&world.ca).await;

    let old_question = request(&[id(&former, &old_serial, false)], &[]);
    let old = post(&world.ca.public_address(), &old_question).await.read();
    assert_eq!(old.told()[0].status, Status::Good);
    verified(&world.ca, &former, &old_leaf, ": good").await;
    let agent = enrolled(&world.ca, "gw-2", "gateway", &["gw-2.site.test"]).await;
    let new_leaf = agent.live("identity").join("current/cert.pem");
    verified(&world.ca, &second, &new_leaf, ": good").await;
    let new_serial: Vec<u8> = serial(&new_leaf);
    let new = post(&world.ca.public_address(), &request(&[id(&second, &new_serial, false)], &[])).await.read();
    let [old_responder, new_responder] =
        [&old, &new].map(|answer| Certificate::parse(&answer.certificates()[0]).unwrap());
    assert_ne!(old_responder.public_key(), new_responder.public_key(), "a responder for each key");

    let crossed = request(&[id(&former, &new_serial, false)], &[]);
    let crossed = post(&world.ca.public_address(), &crossed).await.read();
    assert_eq!(crossed.told()[0].status, Status::Unknown, "of another key");
    let both = request(&[id(&former, &old_serial, false), id(&second, &new_serial, false)], &[]);
    assert_eq!(post(&world.ca.public_address(), &both).await.refusal(), UNAUTHORIZED);
    let fetched = ask(&world.ca.public_address(), &format!("GET /ca/{former_id}.crt"), "", &[]).await;
    let expected = tests::certificate::chain(&former);
    assert_eq!((fetched.status, &*fetched.body), (200, &*expected[0]), "where its leaves say that it is");

    let mut responder = Ca::start_responder_of(&world.ca).await;
    let address = responder.public_address();
    let said = async || post(&address, &old_question).await;
    assert_eq!(answered(&address, &old_question).await.read().told()[0].status, Status::Good);
    verified(&responder, &former, &old_leaf, ": good").await;
    verified(&responder, &second, &new_leaf, ": good").await;
    world.revoke("keyCompromise").await;
    verified(&world.ca, &former, &old_leaf, ": revoked").await;
    let is_revoked = async || matches!(said().await.read().told()[0].status, Status::Revoked { .. });
    wait::until_true("the replica to hear of it", 10, is_revoked).await;
    verified(&responder, &second, &new_leaf, ": good").await;
    responder.stop().await;
    world.ca.stop().await;
}

/// Fails when a former key that no server has any more looks like an outage of the one that issues, or when each request that
/// is given up leaves a job behind that goes on failing.
#[tokio::test(flavor = "multi_thread")]
async fn a_former_key_that_is_gone_is_no_outage_and_piles_up_no_work() {
    let mut ca = Ca::start_on_postgres().await;
    let former = ca.issuer_id();
    ca.stop().await;
    second_key(&ca).await;
    ca.configure(|config| config["crl"]["keys"] = toml::Value::Array(Vec::new()));
    // an hour takes six seconds at the replica, whose clock the CA's is ahead of: a job of the future would wait
    ca.serve_at("+1h").await;
    let mut responder = Ca::responder_of(&ca);
    responder.serve_at("+0 x600").await;
    let count = async |of: &str| ca.query(&format!("SELECT count(*) FROM {of}")).await.trim().parse::<u32>().unwrap();
    let requests = format!("ocsp_responder WHERE issuer_id = '{former}'");
    wait::until_true("two requests to be given up", 60, async || count(&requests).await >= 3).await;
    assert!(count("job WHERE kind = 'sign-ocsp-responder'").await <= 1, "that of the request under way");
    let end = async |issuer: &str, role: &str| {
        let labels = format!("{{issuer=\"{issuer}\",role=\"{role}\"}}");
        let told = async |name: &str| {
            responder.metric(&format!("pilotlight_ocsp_responder_{name}_seconds{labels}")).await.unwrap_or(0.0)
        };
        (told("not_after").await, told("replace_by").await)
    };
    let (not_after, replace_by) = end(SECOND, "issuing").await;
    assert!(0.0 < replace_by && replace_by < not_after, "{replace_by}, {not_after}");
    assert_eq!(end(&former, "former").await, (0.0, 0.0));
    responder.kill();
    ca.kill();
}

/// openssl verifies the answer by this issuing certificate.
async fn verified(ca: &Ca, issuer: &Path, leaf: &Path, status: &str) {
    let mut command = Command::new("openssl");
    command.args(["ocsp", "-issuer"]).arg(issuer).arg("-cert").arg(leaf).arg("-CAfile").arg(ca.roots());
    command.args(["-url", &format!("http://{}/ocsp", ca.public_address()), "-verify_other"]).arg(issuer);
    let said = run(&mut command).await;
    assert!(said.stderr.contains("Response verify OK") && said.stdout.contains(status), "{said}");
}

/// Has the CA issue with another key from its next start on, and go on to sign for the first one.
async fn second_key(ca: &Ca) -> PathBuf {
    let certificate = issuing_key::certified(ca, "second", "Test Issuing CA 2").await;
    ca.query(&format!(
        "INSERT INTO issuer (id, site_id, name, key_id, algorithm, spki_sha256, state, created_at) \
         SELECT '{SECOND}', site_id, 'Test Issuing CA 2', 'second', algorithm, decode(repeat('ab', 32), 'hex'), 'active', \
         created_at + 1 FROM issuer WHERE key_id = 'intermediate'"
    ))
    .await;
    ca.query("UPDATE issuer SET state = 'retired' WHERE key_id = 'intermediate'").await;
    ca.configure(|config| {
        let issuing = config["ca"]["issuing"].as_table_mut().unwrap();
        issuing["id"] = SECOND.into();
        issuing["certificate"] = "ca/second.crt".into();
        issuing["key"] = "second".into();
        config["crl"].as_table_mut().unwrap()["keys"] = vec!["intermediate".to_owned()].into();
    });
    certificate
}
