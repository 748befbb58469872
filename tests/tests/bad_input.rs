//! Bad input: each case gives one clear sentence with what to do, the right exit code, and changes nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use tests::acme::Account;
use tests::agent::Agent;
use tests::ca::{Ca, snapshot};
use tests::disk::SmallDisk;
use tests::process::{Ran, run};
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
    // Log lines aside, nothing follows: no backtrace, no second complaint.
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

/// A folder's files without what a program holds only while it runs.
fn lasting(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let passing = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.ends_with(".lock") || name.ends_with("-shm") || name.ends_with("-wal") || name == "addresses.json"
    };
    snapshot(folder).into_iter().filter(|(path, _)| !passing(path)).collect()
}

/// `serve` fails, says why, and leaves the folder as it was.
async fn serve_refused(ca: &Ca, words: &[&str]) {
    let before = lasting(&ca.dir());
    let ran = run(&mut ca.serve_command()).await;
    ca_refused(&ran, words);
    assert!(lasting(&ca.dir()) == before, "something in the folder changed: {ran}");
}

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
    replaced("ca-server.toml", &surprise, &["ca-server.toml", "surprise"]).await;
    replaced("ca-server.toml", "[listen\n", &["ca-server.toml"]).await;
    replaced("policies/gateway.yaml", "surprise: 1\n", &["gateway.yaml", "surprise"]).await;
    replaced("keys/intermediate.key", "no key\n", &["intermediate.key"]).await;
    replaced("ca/intermediate.crt", "no certificate\n", &["intermediate.crt"]).await;

    let key = file("keys/intermediate.key");
    std::fs::rename(&key, file("elsewhere")).unwrap();
    serve_refused(&ca, &["intermediate.key"]).await;
    std::fs::create_dir(&key).unwrap();
    serve_refused(&ca, &["intermediate.key"]).await;
    std::fs::remove_dir(&key).unwrap();
    std::fs::rename(file("elsewhere"), &key).unwrap();

    let right = std::fs::read(ca.passphrase_file()).unwrap();
    std::fs::write(ca.passphrase_file(), "a wrong passphrase\n").unwrap();
    serve_refused(&ca, &["passphrase"]).await;
    std::fs::remove_file(ca.passphrase_file()).unwrap();
    serve_refused(&ca, &["passphrase", "cannot read"]).await;
    std::fs::write(ca.passphrase_file(), right).unwrap();

    // Everything is as it was, so it starts.
    ca.serve().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_holds() {
    let mut ca = Ca::start(&[]).await;
    let second = run(&mut ca.serve_command()).await;
    ca_refused(&second, &["another ca-server"]);
    ca.stop().await;

    let taken = TcpListener::bind(ca.main_address()).unwrap();
    serve_refused(&ca, &[&ca.main_address(), "listen.main"]).await;
    drop(taken);

    // SQLite's own locks, taken by this process over the bytes that every connection asks for first.
    let file = std::fs::File::options().read(true).write(true).open(ca.dir().join("pilotlight.db")).unwrap();
    let lock = libc::flock {
        l_type: libc::F_WRLCK.try_into().unwrap(),
        l_whence: libc::SEEK_SET.try_into().unwrap(),
        l_start: 0x4000_0000,
        l_len: 512,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_SETLK(&lock)).unwrap();
    serve_refused(&ca, &["pilotlight.db", "locked"]).await;
    drop(file);
    ca.serve().await;
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
    let faked = |command: &Command| {
        let mut faked = Command::new("faketime");
        faked.args(["-f", "2020-01-01 00:00:00"]).arg(command.get_program()).args(command.get_args());
        faked.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_COLOR", "1");
        faked
    };
    let before = lasting(&ca.dir());
    let ran = run(&mut faked(&ca.serve_command())).await;
    ca_refused(&ran, &["2020-01-01", "clock"]);
    assert!(lasting(&ca.dir()) == before, "something changed: {ran}");

    ca.serve().await;
    let token = ca.device_add("gw-1", "gateway", &["gw-1.site.test"]).await;
    let agent = Agent::new();
    agent.configure("[[certificate]]\nname = \"identity\"\n");
    let file = agent.config().with_file_name("token");
    std::fs::write(&file, &token).unwrap();
    let enroll = agent.program(&["enroll", "--token-file", file.to_str().unwrap()]);
    let ran = run(&mut faked(&enroll)).await;
    agent_refused(&ran, &["2020-01-01", "clock", "timedatectl"]);
    assert!(!agent.live("identity").exists());
    // The token was not spent.
    agent.enroll(&token).await.success();
    must_be_consistent(&ca, &agent, "identity").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_ca() {
    let mut ca = Ca::init(&[]).await;
    // The CA moves onto a disk of its own.
    let (dir, aside) = (ca.dir(), ca.dir().with_file_name("aside"));
    std::fs::rename(&dir, &aside).unwrap();
    let disk = SmallDisk::mount(&dir, 24);
    let copied = Command::new("cp").args(["-a", "--"]).arg(aside.join(".")).arg(&dir).status().unwrap();
    assert!(copied.success());
    ca.serve().await;
    let early = enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]).await;

    disk.fill();
    let leaf = early.leaf("identity");
    let known = ca.certificates().await.len();
    let ran = early.command(&["renew", "identity"]).await;
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(early.leaf("identity"), leaf, "the old certificate stays");
    let refused = ca.command(&["device", "add", "gw-2", "--profile", "gateway", "--dns", "gw-2.site.test"]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert_eq!(ca.certificates().await.len(), known, "reading goes on, and nothing half done is there");

    disk.empty();
    let token = wait::until("the CA to go on", 30, async || {
        let added = ca.command(&["device", "add", "gw-2", "--profile", "gateway", "--dns", "gw-2.site.test"]).await;
        (added.code == 0).then_some(added.stdout)
    })
    .await;
    early.command(&["renew", "identity"]).await.success();
    must_be_consistent(&ca, &early, "identity").await;
    let late = Agent::new();
    late.configure("[[certificate]]\nname = \"identity\"\n");
    late.enroll(token.trim()).await.success();
    must_be_consistent(&ca, &late, "identity").await;
    ca.stop().await;
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
    agent_refused(&full, &["free some space"]);
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
    agent_refused(&ran, &["account"]);
    std::fs::write(&key, good).unwrap();
    agent.command(&["renew", "identity"]).await.success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_of_no_use() {
    let (mut ca, mut other) = tokio::join!(Ca::start(&[]), Ca::start(&[]));
    let token = ca.device_add("gw-1", "gateway", &["gw-1.site.test"]).await;
    let agent = Agent::new();
    agent.configure("[[certificate]]\nname = \"identity\"\n");
    let nothing = lasting(&agent.state());

    agent_refused(&agent.enroll("rubbish").await, &["token"]);
    agent_refused(&agent.enroll(&token[..token.len() - 1]).await, &["token"]);
    assert!(lasting(&agent.state()) == nothing);

    // Another CA answers where the token's own should.
    ca.stop().await;
    other.stop().await;
    let addresses = toml::from_str::<toml::Table>(&std::fs::read_to_string(ca.dir().join("ca-server.toml")).unwrap());
    let addresses = addresses.unwrap();
    other.configure(|config| {
        config["listen"]["main"] = addresses["listen"]["main"].clone();
        config["external"]["main"] = addresses["external"]["main"].clone();
    });
    other.serve().await;
    agent_refused(&agent.enroll(&token).await, &["another CA", "localhost"]);
    other.stop().await;

    // Nobody answers at all.
    agent_refused(&agent.enroll(&token).await, &["localhost", "same token"]);

    // A token that was replaced by another one.
    ca.serve().await;
    let fresh = ca.command(&["device", "token", "gw-1"]).await.success();
    agent_refused(&agent.enroll(&token).await, &["ca-server device token"]);
    agent.enroll(fresh.trim()).await.success();
    must_be_consistent(&ca, &agent, "identity").await;
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
    let account = Account::register(&ca, port).await;
    let folder = tests::folders::Folder::new();
    let path = |name: &str| folder.path().join(name);
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-new",
        "-newkey",
        "rsa:1024",
        "-nodes",
        "-subj",
        "/",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]);
    run(openssl.args(["-outform", "DER", "-out"]).arg(path("weak.csr")).arg("-keyout").arg(path("weak.key")))
        .await
        .success();
    let weak = std::fs::read(path("weak.csr")).unwrap();

    let order = account.order().await.unwrap();
    let error = account.complete(&order, &weak).await.unwrap_err();
    assert_eq!(error.kind(), Some("badCSR"), "{error}");
    assert!(error.to_string().contains("1024") && error.to_string().contains("2048"), "{error}");
    assert!(ca.certificates().await.is_empty());

    let order = account.order().await.unwrap();
    account.complete(&order, &tests::acme::good_request()).await.unwrap();
    assert_eq!(ca.certificates().await.len(), 1);
}
