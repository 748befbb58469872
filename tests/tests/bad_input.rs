//! Bad input: each case gives one clear sentence with what to do, the right exit code, and changes nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use tests::acme::Account;
use tests::agent::Agent;
use tests::ca::{Ca, Profile, at_time, snapshot};
use tests::disk::SmallDisk;
use tests::folders::Folder;
use tests::process::{Process, Ran, run};
use tests::wait;
use tests::world::{enrolled, must_be_consistent};

/// What a refusal by `program` must look like: exit code 1, nothing on standard output, one sentence with every word.
#[track_caller]
fn refused(ran: &Ran, program: &str, words: &[&str]) {
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(ran.stdout, "", "{ran}");
    let sentences: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with(program)).collect();
    assert_eq!(sentences.len(), 1, "{ran}");
    for word in words {
        assert!(sentences[0].contains(word), "{word:?} is missing: {ran}");
    }
    assert_eq!(ran.stderr.lines().last(), Some(sentences[0]), "it is the last word, and one line: {ran}");
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("RUST_BACKTRACE"), "{ran}");
}

#[track_caller]
fn ca_refused(ran: &Ran, words: &[&str]) {
    refused(ran, "error: ", words);
}

#[track_caller]
fn agent_refused(ran: &Ran, words: &[&str]) {
    refused(ran, "renew-agent: ", words);
}

/// A folder's files without what a program holds only while it runs, and the log of SQLite when it is empty.
fn lasting(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let passing = |(path, content): &(PathBuf, Vec<u8>)| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_empty_log = name.ends_with("-wal") && content.is_empty();
        is_empty_log || name.ends_with(".lock") || name.ends_with("-shm") || name == "addresses.json"
    };
    snapshot(folder).into_iter().filter(|file| !passing(file)).collect()
}

/// `serve` fails, says why, and leaves the folder as it was.
async fn serve_refused(ca: &Ca, words: &[&str]) {
    let before = lasting(&ca.dir());
    let ran = run(&mut ca.serve_command()).await;
    ca_refused(&ran, words);
    assert!(lasting(&ca.dir()) == before, "something in the folder changed: {ran}");
    assert!(!ca.dir().join("admin.sock").exists(), "a socket without a server stayed: {ran}");
}

/// Holds one of SQLite's locks on a file of the database, as another process would. A lock of the open file: an
/// ordinary one would end as soon as this process looks into the file and closes it again. Waits while the CA has it.
fn hold(file: &Path, (start, length): (i64, i64)) -> File {
    let file = File::options().read(true).write(true).open(file).unwrap();
    let lock = libc::flock {
        l_type: libc::F_WRLCK.try_into().unwrap(),
        l_whence: libc::SEEK_SET.try_into().unwrap(),
        l_start: start,
        l_len: length,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLKW(&lock)).unwrap();
    file
}

const ADD_GW_2: &[&str] = &["device", "add", "gw-2", "--profile", "gateway", "--dns", "gw-2.site.test"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_the_ca_cannot_use() {
    let mut ca = Ca::init(&[]).await;
    // One start makes the database, so that nothing is missing but what a case takes away.
    ca.serve().await;
    ca.stop().await;
    let file = |name: &str| ca.dir().join(name);
    let replaced = async |name: &str, text: &str, words: &[&str]| {
        let good = std::fs::read(file(name)).unwrap();
        std::fs::write(file(name), text).unwrap();
        serve_refused(&ca, words).await;
        std::fs::write(file(name), good).unwrap();
    };

    let config = std::fs::read_to_string(file("ca-server.toml")).unwrap();
    let surprise = config.replace("[listen]", "[listen]\nsurprise = 1");
    let line = 1 + config.lines().position(|line| line.starts_with("operations")).unwrap();
    let misspelt = config.replace("operations =", "operatoins =");
    let place = format!("ca-server.toml:{line}:");
    replaced("ca-server.toml", &surprise, &["ca-server.toml:", "`surprise` in [listen]", "known there: "]).await;
    replaced("ca-server.toml", &misspelt, &[&place, "`operatoins` in [listen]", "did you mean `operations`?"]).await;
    replaced("ca-server.toml", "[listen\n", &["ca-server.toml:1:"]).await;
    replaced(
        "policies/gateway.yaml",
        "surprise: 1\n",
        &["gateway.yaml: ", "line 1", "`surprise` is not known here", "`apiVersion`, `kind`"],
    )
    .await;
    const RESTORE: &str = "restore it from a backup";
    replaced("keys/intermediate.key", "no key\n", &["keys/intermediate.key is not an encrypted", RESTORE]).await;
    replaced("keys/site.key", "no key\n", &["keys/site.key is not an encrypted private key", RESTORE]).await;
    replaced("ca/intermediate.crt", "no certificate\n", &["ca/intermediate.crt: ", RESTORE]).await;
    let open = rcgen::KeyPair::generate().unwrap().serialize_pem();
    replaced("keys/intermediate.key", &open, &["it holds `PRIVATE KEY`", "openssl pkcs8 -topk8"]).await;
    let root_key = std::fs::read_to_string(file("keys/root.key")).unwrap();
    let other = ["the key in ", "is not the one of the certificate ", "the key that was made with it"];
    replaced("keys/intermediate.key", &root_key, &other).await;

    let key = file("keys/intermediate.key");
    std::fs::rename(&key, file("elsewhere")).unwrap();
    let unreadable = ["cannot read the key ", "keys/intermediate.key: ", "check that the file is there"];
    serve_refused(&ca, &unreadable).await;
    std::fs::create_dir(&key).unwrap();
    serve_refused(&ca, &unreadable).await;
    std::fs::remove_dir(&key).unwrap();
    std::fs::rename(file("elsewhere"), &key).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o000)).unwrap();
    let before = lasting(&ca.dir());
    let ran = run(&mut without_override(&ca.serve_command())).await;
    ca_refused(&ran, &["cannot read the key ", "Permission denied", "the user running this program may read it"]);
    assert!(lasting(&ca.dir()) == before);
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();

    // Everything is as it was, so it starts.
    ca.serve().await;
}

/// The same command without the right of root to read what nobody may.
fn without_override(command: &Command) -> Command {
    let mut without = Command::new("setpriv");
    without.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search", "--"]);
    without.arg(command.get_program()).args(command.get_args()).env("NO_COLOR", "1");
    without
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_passphrase() {
    let mut ca = Ca::init(&[]).await;
    let passphrase = ca.passphrase_file();
    let write = |text: &str| std::fs::write(&passphrase, text).unwrap();
    let right = std::fs::read_to_string(&passphrase).unwrap();
    write("a wrong passphrase\n");
    const WRONG: &[&str] = &["the passphrase does not open the key ", ".key; give the one that was used"];
    serve_refused(&ca, WRONG).await;
    let before = lasting(&ca.dir());
    let file = passphrase.display().to_string();
    ca_refused(&ca.command(&["root", "sign", "--passphrase-file", &file]).await, WRONG);
    assert!(lasting(&ca.dir()) == before, "the root's CRL is the old one");
    write("\n");
    serve_refused(&ca, &[&file, "empty"]).await;
    std::fs::remove_file(&passphrase).unwrap();
    serve_refused(&ca, &["cannot read the passphrase file ", &file]).await;
    ca_refused(&ca.command(&["serve"]).await, &["no passphrase is given", "--passphrase-file FILE"]);
    write(&right);

    // Everything is as it was, so it starts.
    ca.serve().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_holds() {
    let mut ca = Ca::start(&[]).await;
    let second = run(&mut ca.serve_command()).await;
    ca_refused(&second, &["another ca-server runs on ", "stop it first"]);
    ca.stop().await;

    let config = ca.config();
    for listener in ["main", "public", "operations"] {
        let address = config["listen"][listener].as_str().unwrap();
        let taken = TcpListener::bind(address).unwrap();
        let setting = format!("listen.{listener}");
        let remedy = format!("stop it or change {setting}");
        serve_refused(&ca, &[address, &setting, "another program uses that port", &remedy]).await;
        // Whoever has it keeps it.
        let client = TcpStream::connect(address).unwrap();
        assert_eq!(taken.accept().unwrap().1, client.local_addr().unwrap());
    }
}

/// Where SQLite locks the file as a whole: PENDING_BYTE and what follows it (os.h of SQLite).
const WHOLE_FILE: (i64, i64) = (0x4000_0000, 512);
/// Where writers exclude each other in WAL mode: WAL_WRITE_LOCK of the index (walformat.html of SQLite).
const WRITER: (i64, i64) = (120, 1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_another_process_has_locked() {
    let mut ca = Ca::start(&[]).await;
    let agent = enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]).await;
    let leaf = agent.leaf("identity");
    let writer = hold(&ca.dir().join("pilotlight.db-shm"), WRITER);
    let (known, devices) = (ca.certificates().await, ca.json(&["device", "list"]).await);
    const LOCKED: &[&str] = &["locked by another process", "nothing was changed", "end that process"];
    ca_refused(&ca.command(ADD_GW_2).await, LOCKED);
    let renewal = agent.command(&["renew", "identity"]).await;
    assert_eq!(renewal.code, 1, "{renewal}");
    assert!(renewal.stderr.contains("503") && renewal.stderr.contains("locked by another process"), "{renewal}");
    assert_eq!(agent.leaf("identity"), leaf, "the old certificate stays");
    assert_eq!(ca.certificates().await, known);
    assert_eq!(ca.json(&["device", "list"]).await, devices);
    drop(writer);
    ca.command(ADD_GW_2).await.success();
    agent.command(&["renew", "identity"]).await.success();
    must_be_consistent(&ca, &agent, "identity").await;

    ca.stop().await;
    let whole = hold(&ca.dir().join("pilotlight.db"), WHOLE_FILE);
    serve_refused(&ca, &["pilotlight.db is locked by another process", "`fuser`", "try again"]).await;
    drop(whole);
    ca.serve().await;
}

/// Fails when a policy decides that the audit log does not know of, or when the change is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_is_in_force_when_its_change_is_recorded() {
    let ca = Ca::start(&[]).await;
    let writer = hold(&ca.dir().join("pilotlight.db-shm"), WRITER);
    Profile { name: "late", seconds: 3600 }.write_into(&ca);
    ca.signal(nix::sys::signal::Signal::SIGHUP);
    wait::until_true("the reload to be put off", 60, async || {
        ca.log().contains("the policies are not changed: that cannot be recorded; it is tried again")
    })
    .await;
    ca_refused(&ca.command(&["profile", "show", "late"]).await, &["profile"]);
    drop(writer);
    wait::until_true("the profile", 60, async || ca.command(&["profile", "show", "late"]).await.code == 0).await;
    let events = ca.json(&["audit", "list", "--limit", "1000"]).await;
    let loaded = |event: &&serde_json::Value| event["action"] == "policy.load" && event["details"]["by"] == "reload";
    assert_eq!(events.as_array().unwrap().iter().filter(loaded).count(), 1, "{events:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_usage_has_its_own_exit_code() {
    let ca = Ca::init(&[]).await;
    for arguments in [&["device", "ad"][..], &["serve", "--surprise"], &["device", "add", "gw-1"]] {
        let ran = ca.command(arguments).await;
        assert_eq!(ran.code, 2, "{ran}");
    }
    let agent = Agent::new();
    for arguments in [&["enrol"][..], &["enroll"], &["renew"]] {
        let ran = agent.command(arguments).await;
        assert_eq!(ran.code, 2, "{ran}");
    }
    let before = lasting(&ca.dir());
    let again = run(&mut ca.init_command()).await;
    assert_eq!(again.code, 1, "{again}");
    assert!(again.stderr.contains(&ca.dir().display().to_string()), "{again}");
    assert!(lasting(&ca.dir()) == before, "a CA that exists is never touched by init");
    // Commands for a CA that does not run say so.
    ca_refused(&ca.command(&["device", "list"]).await, &["ca-server serve"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_before_the_roots_begin() {
    let mut ca = Ca::init(&[]).await;
    let faked = |command: &Command| at_time("2020-01-01 00:00:00", command);
    let before = lasting(&ca.dir());
    let ran = run(&mut faked(&ca.serve_command())).await;
    ca_refused(&ran, &["2020-01-01", "this CA's certificates begin at ", "the clock is wrong; set it (`timedatectl"]);
    assert!(lasting(&ca.dir()) == before, "something changed: {ran}");
    assert!(!ca.dir().join("admin.sock").exists(), "{ran}");

    ca.serve().await;
    let token = ca.device_add("gw-1", "gateway", &["gw-1.site.test"]).await;
    let agent = Agent::new();
    agent.configure("[[certificate]]\nname = \"identity\"\n");
    let file = agent.config().with_file_name("token");
    std::fs::write(&file, &token).unwrap();
    let enroll = agent.program(&["enroll", "--token-file", file.to_str().unwrap()]);
    let ran = run(&mut faked(&enroll)).await;
    agent_refused(&ran, &["2020-01-01", "before the CA's root begins", "set the clock (`timedatectl", "enrol again"]);
    assert!(lasting(&agent.state()).is_empty(), "{:?}", lasting(&agent.state()).keys());
    // The token was not spent.
    agent.enroll(&token).await.success();
    must_be_consistent(&ca, &agent, "identity").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_ca() {
    let ca = Ca::init(&[]).await;
    let dir = ca.dir();
    let disk = SmallDisk::take_over(&dir, 24);
    disk.fill();
    const FULL: &[&str] = &["no space is left", "nothing was changed; free disk space"];
    let before = lasting(&dir);
    let ran = run(&mut ca.serve_command()).await;
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("space"), "{ran}");
    assert!(lasting(&dir) == before && !dir.join("admin.sock").exists(), "{ran}");
    disk.empty();

    // Its log is on a full disk as well: lines are lost, and nothing else.
    let serve = ca.serve_command();
    let mut logless = Command::new("sh");
    logless.args(["-c", "exec \"$0\" \"$@\" 2>/dev/full"]).arg(serve.get_program()).args(serve.get_args());
    let mut process = Process::start("ca-server", &mut logless, dir.with_file_name("aside").join("serve.log"));
    wait::until_true("the CA", 30, async || ca.command(&["status"]).await.code == 0).await;
    let early = enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]).await;

    disk.fill();
    let leaf = early.leaf("identity");
    let known = ca.certificates().await.len();
    let ran = early.command(&["renew", "identity"]).await;
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(early.leaf("identity"), leaf, "the old certificate stays");
    assert!(ran.stderr.contains("503") && FULL.iter().all(|word| ran.stderr.contains(word)), "{ran}");
    ca_refused(&ca.command(ADD_GW_2).await, FULL);
    assert_eq!(ca.certificates().await.len(), known, "reading goes on, and nothing half done is there");

    disk.empty();
    let token = wait::until("the CA to go on", 30, async || {
        let added = ca.command(ADD_GW_2).await;
        (added.code == 0).then_some(added.stdout)
    })
    .await;
    early.command(&["renew", "identity"]).await.success();
    must_be_consistent(&ca, &early, "identity").await;
    let late = Agent::new();
    late.configure("[[certificate]]\nname = \"identity\"\n");
    late.enroll(token.trim()).await.success();
    must_be_consistent(&ca, &late, "identity").await;
    assert!(process.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_agent() {
    let ca = Ca::start(&[]).await;
    let agent = Agent::new();
    let disk = SmallDisk::mount(&agent.state(), 1);
    agent.configure("[[certificate]]\nname = \"identity\"\n");
    let token = ca.device_add("gw-1", "gateway", &["gw-1.site.test"]).await;
    disk.fill();
    let full = agent.enroll(&token).await;
    agent_refused(&full, &["cannot write ", "No space left", "nothing was changed: free some space and try again"]);
    assert!(lasting(&agent.state()).keys().all(|file| file.ends_with("ballast")));
    disk.empty();
    agent.enroll(&token).await.success();
    let leaf = agent.leaf("identity");

    disk.fill();
    let full = agent.command(&["renew", "identity"]).await;
    assert_eq!(full.code, 1, "{full}");
    assert!(full.stderr.contains("free some space"), "{full}");
    assert_eq!(agent.leaf("identity"), leaf, "the old certificate stays");
    agent.pair_must_match("identity");
    disk.empty();
    agent.command(&["renew", "identity"]).await.success();
    assert_ne!(agent.leaf("identity"), leaf);
    must_be_consistent(&ca, &agent, "identity").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_the_agent_cannot_use() {
    let ca = Ca::start(&[]).await;
    let agent = enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]).await;
    let good = std::fs::read(agent.config()).unwrap();
    for (sections, word) in [
        ("[[certificate]]\nname = \"identity\"\nrenw_at = 0.5\n", "`renw_at`, expected one of"),
        ("[[certificate]]\nname = \"identity\"\nrenw_at = 0.5\n", "did you mean `renew_at`?"),
        ("[[certificate]]\nname = \"identity\"\nsurprise = 1\n", "surprise"),
        ("[[certificate]]\n[certificate.service]\ntype = \"nginx\"\nsurprise = 1\n", "surprise"),
        ("[[certificate]]\n[[certificate.probe]]\naddress = \"nowhere\"\n", "host:port"),
        ("[[certificate]]\nmode = \"0644\"\n", "0640"),
    ] {
        agent.configure(sections);
        let before = lasting(&agent.state());
        agent_refused(&agent.once().await, &["agent.toml", "line ", word]);
        assert!(lasting(&agent.state()) == before);
    }
    std::fs::write(agent.config(), good).unwrap();

    let key = snapshot(&agent.state()).into_keys().find(|path| path.file_name().unwrap() == "account.key");
    let key = key.unwrap_or_else(|| panic!("{:#?}", snapshot(&agent.state()).keys()));
    let good = std::fs::read(&key).unwrap();
    std::fs::write(&key, "no key\n").unwrap();
    let ran = agent.command(&["renew", "identity"]).await;
    agent_refused(&ran, &["cannot use the private key of the account"]);
    std::fs::write(&key, good).unwrap();
    agent.command(&["renew", "identity"]).await.success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_of_no_use() {
    let (mut ca, mut other) = tokio::join!(Ca::start(&[]), Ca::start(&[]));
    let token = ca.device_add("gw-1", "gateway", &["gw-1.site.test"]).await;
    let agent = Agent::new();
    agent.configure("[[certificate]]\nname = \"identity\"\n");
    let nothing = BTreeMap::new();

    agent_refused(&agent.enroll("rubbish").await, &["token"]);
    agent_refused(&agent.enroll(&token[..token.len() - 1]).await, &["token"]);
    assert!(lasting(&agent.state()) == nothing);

    // Another CA answers where the token's own should.
    ca.stop().await;
    other.stop().await;
    let addresses = ca.config();
    other.configure(|config| {
        config["listen"]["main"] = addresses["listen"]["main"].clone();
        config["external"]["main"] = addresses["external"]["main"].clone();
    });
    other.serve().await;
    let wrong = ["this token belongs to another CA: https://", "shows the root ", "take a token that this CA printed"];
    agent_refused(&agent.enroll(&token).await, &wrong);
    assert!(lasting(&agent.state()) == nothing);
    // An enrolled node stays with its own CA, even when it was told to give it up.
    let settled = enrolled(&other, "gw-5", "gateway", &["gw-5.site.test"]).await;
    let before = lasting(&settled.state());
    let file = agent.config().with_file_name("token");
    let forced = settled.command(&["enroll", "--force", "--token-file", file.to_str().unwrap()]).await;
    agent_refused(&forced, &wrong);
    assert!(lasting(&settled.state()) == before, "{forced}");
    assert_eq!(other.certificates().await.len(), 1);
    other.stop().await;

    // Nobody answers at all.
    agent_refused(&agent.enroll(&token).await, &["localhost", "Connection refused", "enrol again with the same token"]);
    assert!(lasting(&agent.state()) == nothing);

    // A token that was replaced by another one.
    ca.serve().await;
    let fresh = ca.command(&["device", "token", "gw-1"]).await.success();
    agent_refused(&agent.enroll(&token).await, &["ca-server device token"]);
    agent.enroll(fresh.trim()).await.success();
    must_be_consistent(&ca, &agent, "identity").await;
    // A token that another node has used up: that one keeps everything, the refusal is shown to the administrator.
    let (thief, known) = (Agent::new(), ca.certificates().await);
    thief.configure("[[certificate]]\nname = \"identity\"\n");
    let refusal = ["the CA refuses this token: ", "was used", "`ca-server device token NAME`"];
    agent_refused(&thief.enroll(fresh.trim()).await, &refusal);
    assert!(!thief.live("identity").join("current").exists());
    assert_eq!(ca.certificates().await, known);
    let device = ca.json(&["device", "show", "gw-1"]).await;
    assert_eq!(device["conflicts"].as_array().map(Vec::len), Some(1), "{device:#}");
    agent.command(&["renew", "identity"]).await.success();
    // A token of another device, on a node that is enrolled already.
    let theirs = ca.device_add("gw-2", "gateway", &["gw-2.site.test"]).await;
    let before = agent.leaf("identity");
    agent_refused(&agent.enroll(&theirs).await, &["already enrolled", "--force"]);
    assert_eq!(agent.leaf("identity"), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_a_weak_key() {
    let mut ca = Ca::init(&[]).await;
    let port = Account::answer_at(&ca);
    ca.serve().await;
    let account = Account::register(&ca, &port).await;
    let folder = Folder::new();
    let order = account.order().await.unwrap();
    for (options, reason) in [
        (&["RSA", "rsa_keygen_bits:1024"][..], "1024 bits, which is fewer than 2048"),
        (&["RSA", "rsa_keygen_bits:2047"], "2047 bits, which is fewer than 2048"),
        (&["RSA", "rsa_keygen_bits:2048", "rsa_keygen_pubexp:3"], "exponent is not 65537"),
        (&["EC", "ec_paramgen_curve:secp256k1"], "P-256"),
    ] {
        let weak = request(&folder, options).await;
        let error = account.complete(&order, &weak).await.unwrap_err();
        assert_eq!(error.kind(), Some("badCSR"), "{error}");
        let text = error.to_string();
        assert!(text.contains(reason) && (text.contains("make a new key") || text.contains("use ")), "{text}");
    }
    assert!(ca.certificates().await.is_empty());
    // The order is what it was: with a good key it leads to a certificate.
    account.complete(&order, &tests::acme::good_request()).await.unwrap();
    assert_eq!(ca.certificates().await.len(), 1);
}

/// A request for 127.0.0.1 by openssl, DER; `options` are the kind of the key and its parameters.
async fn request(folder: &Folder, options: &[&str]) -> Vec<u8> {
    let (key, csr) = (folder.path().join("weak.key"), folder.path().join("weak.csr"));
    let mut generate = Command::new("openssl");
    generate.args(["genpkey", "-quiet", "-algorithm", options[0]]);
    for option in &options[1..] {
        generate.args(["-pkeyopt", option]);
    }
    run(generate.arg("-out").arg(&key)).await.success();
    let mut ask = Command::new("openssl");
    ask.args(["req", "-new", "-subj", "/", "-addext", "subjectAltName=IP:127.0.0.1", "-outform", "DER", "-key"]);
    run(ask.arg(&key).arg("-out").arg(&csr)).await.success();
    std::fs::read(csr).unwrap()
}
