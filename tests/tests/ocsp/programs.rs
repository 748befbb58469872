//! What openssl, GnuTLS, Python's cryptography and pkilint say of our answers.

use std::path::PathBuf;
use std::process::Command;

use tests::pkilint::tools;
use tests::process::run;

use crate::world::{World, id, nonce, request};

/// OCS-1, OCS-4, OCS-5, OCS-9 and OCS-11: fails when openssl cannot verify an answer, or reads another status.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_1_4_5_9_and_ocs_11_openssl_verifies_every_answer() {
    let world = World::start().await;
    let leaf = world.leaf();
    let leaf = leaf.to_str().unwrap();
    let forms: [&[&str]; 4] = [&[], &["-no_nonce"], &["-sha256"], &["-sha256", "-no_nonce"]];
    for form in forms {
        let said = world.openssl(&[form, &["-cert", leaf]].concat()).await;
        assert!(said.stderr.contains("Response verify OK"), "{form:?}: {}{}", said.stdout, said.stderr);
        assert!(said.stdout.contains(": good") && !said.stderr.contains("WARNING"), "{form:?}: {}", said.stdout);
        let said = world.openssl(&[form, &["-serial", "0x1234567890abcdef1234"]].concat()).await;
        assert!(said.stderr.contains("Response verify OK") && said.stdout.contains(": unknown"), "{form:?}");
    }
    let mut foreign = Command::new("openssl");
    foreign.args(["ocsp", "-issuer"]).arg(world.ca.roots()).args(["-cert", leaf, "-url", &world.url(), "-noverify"]);
    let said = run(&mut foreign).await;
    assert!(said.stdout.contains("unauthorized (6)") || said.stderr.contains("unauthorized (6)"), "{said}");
    let several = world.openssl(&["-cert", leaf, "-serial", "0x12345678"]).await;
    assert!(several.stdout.contains(": good") && several.stdout.contains("0x12345678: unknown"), "{}", several.stdout);

    world.revoke("superseded").await;
    let list = world.ca.command(&["crl", "show"]).await.success();
    for form in forms {
        let said = world.openssl(&[form, &["-cert", leaf]].concat()).await;
        assert!(said.stdout.contains(": revoked") && said.stdout.contains("Reason: superseded"), "{}", said.stdout);
    }
    assert!(!list.is_empty());
}

/// The same by GnuTLS, which asks with SHA-1 and knows nonces.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_1_5_and_ocs_9_gnutls_verifies_every_answer() {
    let world = World::start().await;
    let ask = async |more: &[&str]| {
        let mut command = Command::new("ocsptool");
        command.arg(format!("--ask={}", world.url())).arg("--load-issuer").arg(world.ca.issuer());
        command.arg("--load-cert").arg(world.leaf()).args(more);
        run(&mut command).await.success()
    };
    for more in [&[][..], &["--nonce"]] {
        let said = ask(more).await;
        assert!(said.contains("Certificate Status: good") && said.contains("Success"), "{said}");
    }
    world.revoke("keyCompromise").await;
    let said = ask(&[]).await;
    assert!(said.contains("Certificate Status: revoked"), "{said}");
}

/// Every kind of answer, for programs that read files.
async fn answers(world: &World) -> Vec<(&'static str, PathBuf)> {
    let serial = world.serial();
    let sha256 = id(&world.ca.issuer(), &serial, true);
    let mut answers = vec![
        ("good", world.post(&request(&[world.id(&serial)], &[])).await),
        ("good, by SHA-256", world.post(&request(&[sha256], &[])).await),
        ("good, with nonce", world.post(&request(&[world.id(&serial)], &[nonce(&[7; 32])])).await),
        ("unknown", world.post(&request(&[world.id(&[1])], &[])).await),
        ("unknown, with nonce", world.post(&request(&[world.id(&[1])], &[nonce(&[5; 32])])).await),
        ("two", world.post(&request(&[world.id(&serial), world.id(&[1])], &[])).await),
    ];
    world.revoke("certificateHold").await;
    answers.push(("revoked, on hold", world.post(&request(&[world.id(&serial)], &[])).await));
    world.revoke("keyCompromise").await;
    answers.push(("revoked", world.post(&request(&[world.id(&serial)], &[])).await));
    answers.push(("revoked, with nonce", world.post(&request(&[world.id(&serial)], &[nonce(&[9; 16])])).await));
    answers.iter().map(|(kind, answer)| (*kind, world.save(&kind.replace(", ", "-"), &answer.body))).collect()
}

/// OCS-8 and OCS-14 among others: pkilint finds nothing in any kind of answer, and Python's cryptography reads the same.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_7_8_and_ocs_14_pkilint_and_cryptography_find_nothing_wrong() {
    let tools = tools();
    let world = World::start().await;
    for (kind, file) in answers(&world).await {
        let mut lint = Command::new(tools.join("lint_ocsp_response"));
        lint.args(["lint", "-s", "NOTICE", "-f", "TEXT"]).arg(&file);
        let said = run(&mut lint).await;
        assert_eq!((said.code, said.stdout.trim()), (0, ""), "{kind}: {}", said.stderr);
        if kind == "two" {
            continue; // cryptography reads single answers by these names
        }
        let mut python = Command::new(tools.join("python3"));
        python.args(["-c", CRYPTOGRAPHY]).arg(&file).arg(world.ca.issuer());
        let said = run(&mut python).await.success();
        let status = kind.split(',').next().unwrap();
        assert_eq!(said.trim(), format!("{} SHA256 verified", status.to_uppercase()), "{kind}");
    }
}

/// Reads an answer, and verifies it by the certificate in it and that by the issuer.
const CRYPTOGRAPHY: &str = r#"
import sys
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
response = ocsp.load_der_ocsp_response(open(sys.argv[1], "rb").read())
issuer = x509.load_pem_x509_certificate(open(sys.argv[2], "rb").read())
[responder] = response.certificates
responder.verify_directly_issued_by(issuer)
responder.public_key().verify(response.signature, response.tbs_response_bytes, ec.ECDSA(response.signature_hash_algorithm))
usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
assert [purpose.dotted_string for purpose in usage] == ["1.3.6.1.5.5.7.3.9"], usage
responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
digest = hashes.Hash(hashes.SHA1())
digest.update(responder.public_key().public_bytes(
    __import__("cryptography.hazmat.primitives.serialization", fromlist=["x"]).Encoding.X962,
    __import__("cryptography.hazmat.primitives.serialization", fromlist=["x"]).PublicFormat.UncompressedPoint))
assert response.responder_key_hash == digest.finalize(), "named by its key"
assert response.this_update_utc <= response.produced_at_utc < response.next_update_utc
print(response.certificate_status.name, response.signature_hash_algorithm.name.upper(), "verified")
"#;
