//! Another issuing key below the root of a CA, made by openssl.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::ca::Ca;
use crate::folders::write;
use crate::process::run;

/// Makes a key and puts it where the CA looks for the key of that name, encrypted as its own are; the file of the plain one.
pub async fn make(ca: &Ca, name: &str) -> PathBuf {
    let (plain, key) = (ca.dir().join(format!("{name}.plain")), ca.dir().join(format!("keys/{name}.key")));
    let mut command = Command::new("openssl");
    command.args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]).arg(&plain);
    run(&mut command).await.success();
    let mut command = Command::new("openssl");
    command.args(["pkcs8", "-topk8", "-v2", "aes256", "-scrypt", "-in"]).arg(&plain).arg("-out").arg(&key);
    run(command.arg("-passout").arg(passphrase(ca))).await.success();
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    plain
}

/// Makes a key of that name and a certificate of it by the root, whose file it returns. The key identifier in it is made by
/// SHA-1, not as the CA makes its own.
pub async fn certified(ca: &Ca, name: &str, subject: &str) -> PathBuf {
    let [certificate, request, extensions] =
        ["crt", "csr", "ext"].map(|ending| ca.dir().join(format!("ca/{name}.{ending}")));
    let plain = make(ca, name).await;
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-key"]).arg(&plain).arg("-subj").arg(format!("/CN={subject}"));
    run(command.arg("-out").arg(&request)).await.success();
    let text = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n\
                subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
    write(&extensions, text, 0o644);
    let mut command = Command::new("openssl");
    command.args(["x509", "-req", "-days", "300", "-in"]).arg(&request).arg("-extfile").arg(&extensions);
    command.arg("-CA").arg(ca.dir().join("ca/root.crt")).arg("-CAkey").arg(ca.dir().join("keys/root.key"));
    run(command.arg("-passin").arg(passphrase(ca)).arg("-out").arg(&certificate)).await.success();
    for file in [plain, request, extensions] {
        std::fs::remove_file(file).unwrap();
    }
    certificate
}

fn passphrase(ca: &Ca) -> String {
    format!("file:{}", ca.passphrase_file().display())
}
