//! Several issuing keys: one that issues no more goes on to sign its lists, by its own name and key identifier.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::ca::Ca;
use tests::http::curl;
use tests::issuing_key;
use tests::process::run;
use tests::wait;

use crate::world::{World, alarm, all_clear, configure, list_of, metric_or_zero, names, served};

/// The key of before, whose certificate has an identifier that is not made the way ours are (SHA-1 instead of RFC 7093).
const OLD: &str = "0123456789abcdef0123456789abcdef";

/// A revoked certificate of that key.
const SERIAL: &str = "4000000000000000000000000000beef";

/// Fails when the lists of a key that issues no more end with it, are signed by another key, or carry a computed authority
/// key identifier instead of the issuer's own one (CRL-2); and when a key that is missing is not told of.
#[tokio::test(flavor = "multi_thread")]
async fn crl_2_and_9_a_key_that_issues_no_more_signs_its_lists() {
    let mut ca = Ca::init(&[]).await;
    ca.serve().await;
    let mut world = World::of(ca).await;
    let leaf = world.gateway.issue().await;
    world.ca.stop().await;
    let certificate = retired(&world.ca).await;
    let list = format!("{OLD}.crl");

    // its key is not named: nobody signs for it, everything else goes on
    world.ca.serve().await;
    alarm(&world.ca, "key", "name the key in `crl.keys`").await;
    assert_eq!(curl(&[&world.url(&list)]).await.status, 404);
    world.revoke(&leaf.serial, "superseded").await;
    world.named(&world.complete(), &leaf.serial).await;
    world.ca.stop().await;

    configure(&world.ca, &[("keys", vec!["old".to_owned()].into())]);
    world.ca.serve().await;
    all_clear(&world.ca, "key").await;
    let crl = served(&world.ca, &list).await;
    assert!(names(&crl, SERIAL) && !names(&crl, &leaf.serial));
    let shard = list_of(&world.ca, &format!("{OLD}/0.crl")).await;
    assert!(names(&shard, SERIAL), "its shard goes on as well");
    let file = world.pem(&list).await;
    let mut command = Command::new("openssl");
    command.args(["crl", "-noout", "-text", "-in"]).arg(file).arg("-CAfile").arg(&certificate);
    let said = run(&mut command).await;
    assert!(said.stderr.contains("verify OK"), "{said}");
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-ext", "subjectKeyIdentifier", "-in"]).arg(&certificate);
    let identifier = run(&mut command).await.success();
    assert!(said.stdout.contains(identifier.lines().nth(1).unwrap().trim()), "{identifier}: {said}");

    // asked for, all keys publish
    let before = list_of(&world.ca, &list).await.number();
    world.ca.command(&["crl", "publish"]).await.success();
    assert!(list_of(&world.ca, &list).await.number() > before);
    world.ca.stop().await;
}

/// The last certificate of an issuer has ended, and with it every leaf. Fails when its key is still asked for, when anybody is
/// alarmed about its lists, or when its last list is gone.
#[tokio::test(flavor = "multi_thread")]
async fn crl_9_an_issuer_whose_certificate_has_ended_needs_no_key() {
    let mut world = World::start(&[]).await;
    world.ca.stop().await;
    configure(&world.ca, &[("keys", vec!["old".to_owned()].into())]);
    retired(&world.ca).await;
    world.ca.serve().await;
    let list = format!("{OLD}.crl");
    served(&world.ca, &list).await;
    let number = format!("pilotlight_crl_number{{issuer=\"{OLD}\",scope=\"complete\"}}");
    let last = list_of(&world.ca, &list).await;
    assert!(metric_or_zero(&world.ca, &number).await > 0.0);
    world.ca.stop().await;

    configure(&world.ca, &[("keys", Vec::<String>::new().into())]);
    world.ca.serve().await;
    alarm(&world.ca, "key", "needed until 20").await;
    assert!(metric_or_zero(&world.ca, &number).await > 0.0, "alerts see its lists end");
    world.ca.stop().await;
    let ended = "UPDATE issuer_certificate SET not_after = not_before + 1000";
    world.ca.query(&format!("{ended} WHERE issuer_id = '{OLD}'")).await;
    world.ca.serve().await;
    world.ca.command(&["crl", "publish"]).await.success();
    assert_eq!(list_of(&world.ca, &list).await.der(), last.der(), "the last one is served on");
    all_clear(&world.ca, "key").await;
    assert!(metric_or_zero(&world.ca, &number).await < 0.5, "nobody waits for another one");
    world.ca.stop().await;
}

/// An issuer whose signatures are good for nothing: another key stands under its name. Fails when that keeps the issuing key's
/// lists waiting, when its own list is served although it does not verify, or when nobody is told.
#[tokio::test(flavor = "multi_thread")]
async fn crl_9_and_12_an_issuer_that_cannot_sign_keeps_no_other_one_waiting() {
    let mut world = World::start(&[]).await;
    let leaf = world.gateway.issue().await;
    world.ca.stop().await;
    configure(&world.ca, &[("keys", vec!["old".to_owned()].into())]);
    retired(&world.ca).await;
    issuing_key::make(&world.ca, "old").await;
    world.ca.serve().await;
    alarm(&world.ca, "publish", OLD).await;
    assert_eq!(curl(&[&world.url(&format!("{OLD}.crl"))]).await.status, 404);
    // until it is left alone for longer and longer
    wait::until_true("four tries", 60, async || {
        metric_or_zero(&world.ca, "pilotlight_crl_publication_failures_total{part=\"publish\"}").await >= 4.0
    })
    .await;
    let begun = Instant::now();
    world.revoke(&leaf.serial, "superseded").await;
    world.named(&world.complete(), &leaf.serial).await;
    world.named(&world.shard(0), &leaf.serial).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    alarm(&world.ca, "publish", OLD).await;
    world.ca.stop().await;
}

/// Makes an issuing key of before by openssl, and writes it and a revoked certificate of it into the database.
async fn retired(ca: &Ca) -> PathBuf {
    let certificate = issuing_key::certified(ca, "old", "Old Issuing CA").await;
    let argument = serde_json::json!([OLD, certificate.to_str().unwrap(), SERIAL]).to_string();
    ca.python(INSERT, &argument).await;
    certificate
}

const INSERT: &str = r#"
import base64, hashlib, json, os, sqlite3, sys, time
issuer, file, serial = json.loads(sys.argv[2])
text = open(file).read()
der = base64.b64decode("".join(text.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0].split()))
database = sqlite3.connect(sys.argv[1])
database.row_factory = sqlite3.Row
def copy(table, where, **changed):
    row = dict(database.execute(f"SELECT * FROM {table} WHERE {where} LIMIT 1").fetchone())
    row.update(changed)
    names = ", ".join(row)
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
copy("issuer", "key_id = 'intermediate'", id=issuer, name="Old Issuing CA", key_id="old", state="retired", spki_sha256=os.urandom(32))
copy("issuer_certificate", "parent_issuer_id IS NOT NULL", id=os.urandom(16).hex(), issuer_id=issuer, der=der, sha256=hashlib.sha256(der).digest())
now = int(time.time() * 1000)
number = database.execute("UPDATE revocation_head SET number = number + 1 RETURNING number").fetchone()[0]
row = (issuer, bytes.fromhex(serial).rjust(20, b"\0"), 0, os.urandom(16).hex(), number, "revoked", now, 1, now + 86400000)
database.execute("INSERT INTO revocation (issuer_id, serial, shard, certificate_id, number, state, revoked_at, reason, not_after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
database.commit()
"#;
