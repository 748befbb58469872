//! Keys on disk: made, encrypted, read by openssl, opened again, and every way that can fail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use pki_core::random::SystemEntropy;
use pki_core::x509::key::{KeyAlgorithm, SignatureAlgorithm};
use signer::{
    Envelope, FileSigner, KeyFileError, KeyId, Passphrase, Purpose, SignError, Signer, SiteKey, generate_key,
};

const CHECKPOINT: &[u8] = b"ca.site.test/audit\n12\nAAAA\n";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::from_first_line(text).unwrap()
}

fn make(folder: &Path, algorithm: KeyAlgorithm) -> KeyId {
    let key = KeyId::intermediate();
    generate_key(folder, &key, algorithm, &passphrase("correct horse"), &SystemEntropy::new()).unwrap();
    key
}

fn open(folder: &Path, text: &str) -> Result<FileSigner, KeyFileError> {
    FileSigner::open(folder, &passphrase(text), &[KeyId::intermediate()], Envelope::serving())
}

fn openssl(folder: &Path, arguments: &[&str]) -> String {
    fs::write(folder.join("pass"), "correct horse\n").unwrap();
    let output = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn every_kind_of_key_signs_what_its_public_half_verifies() {
    let kinds =
        [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384, KeyAlgorithm::Ed25519, KeyAlgorithm::Rsa { bits: 3072 }];
    for kind in kinds {
        let folder = tempfile::tempdir().unwrap();
        let key = make(folder.path(), kind);
        let signer = open(folder.path(), "correct horse").unwrap();
        let public = signer.public_key(&key).unwrap();
        assert_eq!(public.algorithm(), kind);
        let algorithm = SignatureAlgorithm::for_issuer(kind);
        let signature = signer.sign(&key, Purpose::AuditCheckpoint, algorithm, CHECKPOINT).await.unwrap();
        public.verify(algorithm, CHECKPOINT, &signature).unwrap();
        // openssl opens the file, and sees the same public key
        let file = folder.path().join(key.file_name());
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let path = file.to_str().unwrap();
        let pem = openssl(folder.path(), &["pkey", "-in", path, "-passin", "file:pass", "-pubout"]);
        let (_, spki) = pkcs8::Document::from_pem(&pem).unwrap();
        assert_eq!(spki.as_bytes(), public.spki_der(), "{kind}");
        let wrong = SignatureAlgorithm::EcdsaSha512;
        let refused = signer.sign(&key, Purpose::AuditCheckpoint, wrong, CHECKPOINT).await.unwrap_err();
        assert!(matches!(refused, SignError::NeedsPerson { .. }), "{refused}");
    }
}

#[test]
fn keys_that_openssl_made_open_as_well() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, options) in [
        ("EC", &["-pkeyopt", "ec_paramgen_curve:P-384"][..]),
        ("ED25519", &[]),
        ("RSA", &["-pkeyopt", "rsa_keygen_bits:2048"]),
    ] {
        let file = folder.path().join("intermediate.key");
        let file = file.to_str().unwrap();
        openssl(folder.path(), &[&["genpkey", "-algorithm", kind, "-out", "plain"], options].concat());
        openssl(folder.path(), &["pkcs8", "-topk8", "-scrypt", "-in", "plain", "-out", file, "-passout", "file:pass"]);
        open(folder.path(), "correct horse").unwrap();
        // PBKDF2 is what openssl uses when it is not told otherwise
        openssl(folder.path(), &["pkcs8", "-topk8", "-in", "plain", "-out", file, "-passout", "file:pass"]);
        open(folder.path(), "correct horse").unwrap();
    }
}

#[test]
fn a_wrong_passphrase_says_so_and_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), KeyAlgorithm::EcdsaP256);
    // bad padding and, once in 256 times, bad DER: both are a wrong passphrase
    for attempt in 0..40 {
        let refused = open(folder.path(), &format!("wrong {attempt}")).unwrap_err();
        assert!(matches!(refused, KeyFileError::WrongPassphrase { .. }), "{refused}");
        assert!(refused.to_string().contains("intermediate.key"), "{refused}");
        assert!(!format!("{refused} {refused:?}").contains("wrong "), "{refused}");
    }
}

#[test]
fn unreadable_files_name_the_path_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let told = |text: &str| {
        fs::write(folder.path().join("intermediate.key"), text).unwrap();
        open(folder.path(), "x").unwrap_err().to_string()
    };
    let absent = open(folder.path(), "x").unwrap_err().to_string();
    assert!(absent.contains("intermediate.key") && absent.contains("check that the file is there"), "{absent}");
    for junk in ["", "hello", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"] {
        let text = told(junk);
        assert!(text.contains("is not an encrypted private key") && text.contains("restore"), "{text}");
    }
    openssl(folder.path(), &["genpkey", "-algorithm", "ED25519", "-out", "plain"]);
    let plain = told(&fs::read_to_string(folder.path().join("plain")).unwrap());
    assert!(plain.contains("`PRIVATE KEY`") && plain.contains("openssl pkcs8 -topk8"), "{plain}");
    openssl(folder.path(), &["genpkey", "-algorithm", "X25519", "-out", "plain"]);
    let other = ["pkcs8", "-topk8", "-scrypt", "-in", "plain", "-out", "intermediate.key", "-passout", "file:pass"];
    openssl(folder.path(), &other);
    let unfit = open(folder.path(), "correct horse").unwrap_err().to_string();
    assert!(unfit.contains("cannot be used") && unfit.contains("use ECDSA P-256"), "{unfit}");
}

#[test]
fn a_file_that_would_cost_gigabytes_to_open_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    openssl(folder.path(), &["genpkey", "-algorithm", "ED25519", "-out", "plain"]);
    // seventeen times what we write ourselves; openssl stays below its own limit of 32 MiB because r is small
    let options = ["-scrypt_N", "16384", "-scrypt_r", "8", "-scrypt_p", "17"];
    let base = ["pkcs8", "-topk8", "-in", "plain", "-out", "intermediate.key", "-passout", "file:pass"];
    openssl(folder.path(), &[&base[..], &options].concat());
    let refused = open(folder.path(), "correct horse").unwrap_err().to_string();
    assert!(refused.contains("would cost far more"), "{refused}");
}

#[test]
fn an_existing_key_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), KeyAlgorithm::EcdsaP256);
    let before = fs::read(folder.path().join("intermediate.key")).unwrap();
    let entropy = SystemEntropy::new();
    let again = generate_key(folder.path(), &KeyId::intermediate(), KeyAlgorithm::Ed25519, &passphrase("x"), &entropy);
    assert!(matches!(again, Err(KeyFileError::Exists { .. })));
    assert_eq!(fs::read(folder.path().join("intermediate.key")).unwrap(), before);
}

#[test]
fn openssl_can_show_and_reencrypt_the_site_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.key");
    SiteKey::create(&path, &passphrase("correct horse"), &SystemEntropy::new()).unwrap();
    let text = openssl(folder.path(), &["pkey", "-in", "site.key", "-passin", "file:pass", "-noout", "-text_pub"]);
    assert!(text.contains("ED25519"), "{text}");
    let wrong = SiteKey::load(&path, &passphrase("x"), std::sync::Arc::new(SystemEntropy::new())).unwrap_err();
    assert!(matches!(wrong, KeyFileError::WrongPassphrase { .. }));
}
