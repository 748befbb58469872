//! What is asked of people at a terminal before a set is revoked.

use std::process::Command;

use tests::ca::Ca;
use tests::process::run;
use tests::programs::Programs;

use crate::world::{count, with_many};

/// Runs a command on a terminal of its own and types a line when it is asked to; what stood on the terminal.
async fn at_a_terminal(ca: &Ca, typed: &str, arguments: &[&str]) -> (i32, String) {
    const PROGRAM: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
seen, answered = b"", False
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    seen += more
    if not more:
        break
    if not answered and b"Type " in seen:
        os.write(terminal, sys.argv[1].encode() + b"\n")
        answered = True
sys.stdout.write(seen.decode().replace("\r", "\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let mut command = Command::new("python3");
    command.args(["-c", PROGRAM, typed]).arg(&Programs::get().ca_server).args(arguments).arg("--dir").arg(ca.dir());
    let ran = run(command.env("NO_COLOR", "1").env("TERM", "xterm")).await;
    (ran.code, ran.stdout + &ran.stderr)
}

/// Fails when anything but the number itself has everything revoked, or when a set says `yes` to less than that word.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_has_to_be_typed_before_everything_is_revoked() {
    let (ca, _) = with_many(&[("line-3", "server", 1200, 86_400)]).await;
    let revoked = async || count(&ca, "state = 'revoked'").await;

    let some = ["cert", "revoke", "--where", "site=line-3"];
    for (typed, set) in [
        ("yes", &["cert", "revoke", "--where", "all"][..]),
        ("1200", &["cert", "revoke", "--where", "all"]),
        // what comes to the same
        ("yes", &["cert", "revoke", "--where", "issued-after=2020-01-01"]),
        ("y", &some),
        ("", &some),
    ] {
        let (code, seen) = at_a_terminal(&ca, typed, set).await;
        assert!(code == 1 && seen.contains("nothing was done: that was not"), "{typed}: {seen}");
        assert_eq!(revoked().await, 0, "{typed} {set:?}");
    }
    let (code, seen) = at_a_terminal(&ca, "yes", &some).await;
    assert_eq!(code, 0, "{seen}");
    for told in [
        "1200 certificates to be revoked",
        "SITE    PROFILE  CERTIFICATES",
        "line-3  server   1200",
        "DEVICE  CERTIFICATES",
        "1,200 of 1,200 revoked",
    ] {
        assert!(seen.contains(told), "no {told:?}: {seen}");
    }
    assert!(!seen.contains("NOTHING WOULD BE LEFT"), "{seen}");
    assert_eq!(revoked().await, 1200);
    let (code, seen) = at_a_terminal(&ca, "1", &["cert", "revoke", "--where", "all"]).await;
    assert!(code == 0 && seen.contains("NOTHING WOULD BE LEFT IN FORCE"), "{seen}");
    assert!(seen.contains("1 certificate to be revoked") && seen.contains("Type their number"), "{seen}");
    assert_eq!(revoked().await, 1201);
}
