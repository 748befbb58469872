//! A line to PostgreSQL that breaks at a commit.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tempfile::TempDir;

/// What to do with the next commit.
const PASS: u8 = 0;
const SWALLOW: u8 = 1;
const SWALLOW_ANSWER: u8 = 2;

/// Stands between the store and the server.
pub(crate) struct Proxy {
    folder: TempDir,
    plan: Arc<AtomicU8>,
}

impl Proxy {
    pub(crate) fn start(server: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let plan = Arc::new(AtomicU8::new(PASS));
        let shared = Arc::clone(&plan);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                connect(client, &server, &shared);
            }
        });
        Self { folder, plan }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The next commit never reaches the server.
    pub(crate) fn swallow_commit(&self) {
        self.plan.store(SWALLOW, Ordering::SeqCst);
    }

    /// The next commit reaches the server, its answer does not come back.
    pub(crate) fn swallow_answer(&self) {
        self.plan.store(SWALLOW_ANSWER, Ordering::SeqCst);
    }
}

fn connect(client: UnixStream, server: &Path, plan: &Arc<AtomicU8>) {
    let Ok(server) = UnixStream::connect(server) else { return };
    let (answers, back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || copy(answers, back));
    let plan = Arc::clone(plan);
    std::thread::spawn(move || forward(client, server, &plan));
}

fn copy(mut from: UnixStream, mut to: UnixStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

fn forward(mut client: UnixStream, mut server: UnixStream, plan: &AtomicU8) {
    let mut buffer = [0; 65536];
    while let Ok(size @ 1..) = client.read(&mut buffer) {
        let bytes = &buffer[..size];
        let commits = bytes.windows(6).any(|window| window == b"COMMIT");
        match if commits { plan.swap(PASS, Ordering::SeqCst) } else { PASS } {
            SWALLOW => break,
            SWALLOW_ANSWER => {
                // the client is cut off first, then the server may do it
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.write_all(bytes);
                let _ = server.shutdown(Shutdown::Write);
                return;
            }
            _ => {}
        }
        if server.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
