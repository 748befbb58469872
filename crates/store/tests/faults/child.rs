//! Other processes: this test program, run again as one of the roles below.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use store::{OpenOptions, Store, StoreError, meta};
use tokio::task::JoinSet;

const ROLE: &str = "STORE_TEST_ROLE";
const TARGET: &str = "STORE_TEST_TARGET";

/// A process in a role.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(role: &str, target: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .args(["--exact", "child::roles", "--nocapture", "--test-threads=1"])
            .envs([(ROLE, role), (TARGET, target)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, lines }
    }

    /// The next line that begins with `word`, without it; none when the process is gone.
    pub(crate) fn next(&mut self, word: &str) -> Option<String> {
        let mut said = self.lines.by_ref().map_while(Result::ok);
        said.find_map(|line| Some(line.split_once(word)?.1.trim().to_owned()))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Lets it end; whether it ended well.
    pub(crate) fn finish(mut self) -> bool {
        drop(self.input.take());
        self.child.wait().unwrap().success()
    }
}

/// Does nothing unless the program was started by [`Process::start`].
#[test]
#[expect(clippy::disallowed_methods, reason = "the test program reads what it set itself")]
fn roles() {
    let (Ok(role), Ok(target)) = (std::env::var(ROLE), std::env::var(TARGET)) else { return };
    match role.as_str() {
        "writer" => runtime().block_on(write_for_ever(&target)),
        "holder" => hold(&target, "BEGIN IMMEDIATE"),
        "owner" => hold(&target, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE"),
        "migrator" => runtime().block_on(migrate(&target)),
        other => panic!("no role is called {other}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// Says `ack KEY` for each write that was acknowledged.
async fn write_for_ever(url: &str) {
    let store = Store::open(OpenOptions::new(url, Path::new("/"))).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let store = store.clone();
        writers.spawn(async move {
            for number in 0.. {
                let key = format!("{}-{writer}-{number}", std::process::id());
                let stored = key.clone();
                let written: Result<(), StoreError> =
                    store.write(async move |tx| meta::set(tx, &stored, "x").await).await;
                written.unwrap();
                println!("ack {key}");
            }
        });
    }
    writers.join_all().await;
}

/// Says `held`, and lets go when its input ends.
fn hold(path: &str, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    println!("held ");
    let _ = std::io::stdin().lines().last();
}

/// Waits for a line, migrates, says how many migrations it applied.
async fn migrate(url: &str) {
    let store = Store::open(OpenOptions::new(url, Path::new("/"))).await.unwrap();
    println!("ready ");
    let _ = std::io::stdin().lines().last();
    let applied = store.migrate().await.unwrap();
    println!("applied {}", applied.len());
}

impl Process {
    /// Ends its input, which is what [`roles`] wait for.
    pub(crate) fn release(&mut self) {
        drop(self.input.take());
    }
}
