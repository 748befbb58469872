//! The program as people and scripts meet it: exit codes, what goes to which stream, and errors that say what to do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ca-server"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("PILOTLIGHT_DIR").env_remove("CREDENTIALS_DIRECTORY").env_remove("PILOTLIGHT_FAILPOINT");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A failure: its exit code, nothing on standard output, one sentence on standard error.
fn failure(output: &Output, code: i32) -> String {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert_eq!(text(&output.stdout), "");
    assert!(!told.contains('\u{1b}'), "colours are for terminals: {told}");
    told
}

const INIT: [&str; 11] = [
    "init",
    "--dir",
    "ca",
    "--name",
    "Plant 7",
    "--dns-name",
    "ca.site.test",
    "--domain",
    "site.test",
    "--passphrase-file",
    "pass",
];

fn initialised() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pass"), "correct horse\n").unwrap();
    let output = run(folder.path(), &INIT);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(
        told.contains("https://ca.site.test:8443/acme/directory") && told.contains("ca-server serve --dir ca"),
        "{told}"
    );
    // a test takes no port that anything else may have
    let file = folder.path().join("ca/ca-server.toml");
    let text = fs::read_to_string(&file).unwrap();
    let listen = ["[::]:8443", "[::]:8080", "127.0.0.1:9180"];
    fs::write(&file, listen.iter().fold(text, |text, address| text.replace(address, "127.0.0.1:0"))).unwrap();
    folder
}

#[test]
fn help_is_0_and_wrong_usage_is_2() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["--help"]).status.code(), Some(0));
    assert_eq!(run(folder.path(), &["device", "add", "--help"]).status.code(), Some(0));
    failure(&run(folder.path(), &["frobnicate"]), 2);
    let told = failure(&run(folder.path(), &[&INIT[..], &["--root-out", "x"]].concat()), 2);
    assert!(told.contains("--root-out is for --root offline"), "{told}");
    let without_domain: Vec<&str> =
        INIT.into_iter().filter(|word| !matches!(*word, "--domain" | "site.test")).collect();
    fs::write(folder.path().join("pass"), "x").unwrap();
    let told = failure(&run(folder.path(), &without_domain), 2);
    assert!(told.contains("--no-name-constraints"), "{told}");
    assert!(!folder.path().join("ca").exists());
}

#[test]
fn a_folder_that_is_taken_is_left_alone() {
    let folder = initialised();
    let before = fs::read(folder.path().join("ca/keys/root.key")).unwrap();
    let told = failure(&run(folder.path(), &INIT), 1);
    assert!(told.contains("is not empty; choose another folder"), "{told}");
    assert_eq!(fs::read(folder.path().join("ca/keys/root.key")).unwrap(), before);
}

#[test]
fn the_configuration_is_checked_and_printed() {
    let folder = initialised();
    let output = run(folder.path(), &["config", "check", "--dir", "ca"]);
    assert_eq!(output.status.code(), Some(0));
    let told = text(&output.stdout);
    assert!(told.contains("in force") && told.contains("main = \"127.0.0.1:0\""), "{told}");
    // the folder is found by its environment variable, too
    let found = command(folder.path(), &["config", "check"]).env("PILOTLIGHT_DIR", "ca").output().unwrap();
    assert_eq!(found.stdout, output.stdout);
    let file = folder.path().join("ca/ca-server.toml");
    let changed = fs::read_to_string(&file).unwrap().replace("http_port", "htp_port");
    let line = 1 + changed.lines().position(|line| line.starts_with("htp_port")).unwrap();
    fs::write(&file, changed).unwrap();
    for arguments in
        [&["config", "check", "--dir", "ca"][..], &["serve", "--dir", "ca"], &["device", "list", "--dir", "ca"]]
    {
        let told = failure(&run(folder.path(), arguments), 1);
        let expected =
            format!("ca/ca-server.toml:{line}: unknown key `htp_port` in [validation]; did you mean `http_port`?");
        assert!(told.contains(&expected), "{told}");
    }
}

#[test]
fn a_missing_or_wrong_passphrase_is_one_clear_sentence() {
    let folder = initialised();
    let told = failure(&run(folder.path(), &["serve", "--dir", "ca"]), 1);
    assert!(told.contains("no passphrase is given; use --passphrase-file"), "{told}");
    fs::write(folder.path().join("wrong"), "wrong\n").unwrap();
    let told = failure(&run(folder.path(), &["serve", "--dir", "ca", "--passphrase-file", "wrong"]), 1);
    assert!(told.contains("the passphrase does not open the key ca/keys/"), "{told}");
    let told = failure(&run(folder.path(), &["serve", "--dir", "ca", "--passphrase-file", "absent"]), 1);
    assert!(told.contains("cannot read the passphrase file absent"), "{told}");
    // a systemd credential is found by itself
    let credentials = folder.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("pilotlight-passphrase"), "wrong\n").unwrap();
    let mut serve = command(folder.path(), &["serve", "--dir", "ca"]);
    let told = failure(&serve.env("CREDENTIALS_DIRECTORY", &credentials).output().unwrap(), 1);
    assert!(told.contains("the passphrase does not open the key"), "{told}");
}

#[test]
fn unreadable_keys_and_certificates_name_the_file() {
    let folder = initialised();
    let (key, serve) =
        (folder.path().join("ca/keys/intermediate.key"), ["serve", "--dir", "ca", "--passphrase-file", "pass"]);
    let kept = fs::read(&key).unwrap();
    fs::write(&key, "junk").unwrap();
    let told = failure(&run(folder.path(), &serve), 1);
    assert!(told.contains("ca/keys/intermediate.key is not an encrypted private key"), "{told}");
    fs::remove_file(&key).unwrap();
    let told = failure(&run(folder.path(), &serve), 1);
    assert!(told.contains("cannot read the key ca/keys/intermediate.key"), "{told}");
    fs::write(&key, kept).unwrap();
    fs::copy(folder.path().join("ca/ca/root.crt"), folder.path().join("ca/ca/intermediate.crt")).unwrap();
    let told = failure(&run(folder.path(), &serve), 1);
    assert!(told.contains("intermediate.crt: it is the root itself"), "{told}");
    fs::remove_file(folder.path().join("ca/roots.pem")).unwrap();
    let told = failure(&run(folder.path(), &serve), 1);
    assert!(told.contains("cannot read ca/roots.pem"), "{told}");
}

#[test]
fn the_root_crl_is_signed_without_a_server() {
    let folder = initialised();
    let sign = ["root", "sign", "--dir", "ca", "--passphrase-file", "pass"];
    let before = fs::read(folder.path().join("ca/ca/root.crl")).unwrap();
    let output = run(folder.path(), &sign);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_ne!(fs::read(folder.path().join("ca/ca/root.crl")).unwrap(), before);
    let told = failure(&run(folder.path(), &[&sign[..], &["--root-key", "absent"]].concat()), 1);
    assert!(told.contains("cannot read the key absent"), "{told}");
}

#[test]
fn without_a_server_administration_says_how_to_start_one() {
    let folder = initialised();
    for arguments in [
        &["device", "list"][..],
        &["device", "add", "gw-1", "--profile", "gateway"],
        &["cert", "list"],
        &["crl", "publish"],
    ] {
        let told = failure(&run(folder.path(), &[arguments, &["--dir", "ca"]].concat()), 1);
        assert!(told.contains("no ca-server is running on ca; start it with `ca-server serve --dir ca`"), "{told}");
    }
    let told = failure(&run(&folder.path().join("ca/keys"), &["device", "list"]), 1);
    assert!(told.contains("there is no ca-server.toml in .") && told.contains("ca-server init"), "{told}");
}

#[test]
fn a_token_that_could_not_be_written_is_never_made() {
    let folder = initialised();
    fs::write(folder.path().join("taken"), "x").unwrap();
    let add =
        ["device", "add", "gw-1", "--profile", "gateway", "--dns", "gw-1.site.test", "--dir", "ca", "--token-file"];
    for (file, expected) in [("taken", "exists already"), ("absent/file", "there is no folder absent")] {
        let told = failure(&run(folder.path(), &[&add[..], &[file]].concat()), 1);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn the_database_is_migrated_and_checked() {
    let folder = initialised();
    for arguments in [&["migrate", "--dir", "ca"][..], &["db", "check", "--dir", "ca"]] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("is up to date"));
    }
}

/// A power cut in the last moment of `init`: nothing is there, and the next one succeeds.
#[cfg(feature = "failpoints")]
#[test]
fn init_that_is_cut_off_leaves_nothing_that_counts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pass"), "correct horse\n").unwrap();
    let cut = command(folder.path(), &INIT).env("PILOTLIGHT_FAILPOINT", "ca.init.before_publish").output().unwrap();
    assert_eq!(cut.status.code(), None, "killed by a signal");
    assert!(!folder.path().join("ca").exists());
    assert!(folder.path().join(".ca.init").exists(), "the leftover of the cut");
    assert_eq!(run(folder.path(), &INIT).status.code(), Some(0));
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
