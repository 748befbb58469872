//! A PostgreSQL server of its own for one test program: started with `initdb` and `pg_ctl` in a temporary folder, on a
//! Unix socket, and stopped when the program ends in whatever way.
//!
//! PostgreSQL refuses to run as root; under root it runs as the user `postgres` of Debian's package.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where Debian's `postgresql-15` puts the programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// Waits until its input ends, which it does when the test program is gone, then stops the server.
const WATCH: &str = r#"trap "" INT TERM HUP; cat >/dev/null; "$1/pg_ctl" -D "$2" -m immediate -w stop; rm -rf "$3""#;

/// A running server.
pub(crate) struct Postgres {
    owner: Owner,
    folder: PathBuf,
    watch: Child,
    databases: AtomicU32,
}

impl Postgres {
    /// The server of this program.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts another server; it is stopped when the value is dropped.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("pg-").tempdir().expect("a temporary folder").keep();
        let owner = Owner::of(&folder);
        let data = folder.join("data");
        // English collation, so that a search which depends on byte order fails here
        run(owner.program("initdb").arg("-D").arg(&data).args([
            "-U",
            "pki",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--locale-provider=icu",
            "--icu-locale=en-US",
            "--no-sync",
        ]));
        let settings = format!("-k {} -c listen_addresses= -c fsync=off -c max_connections=300", folder.display());
        let log = folder.join("server.log");
        run(owner.program("pg_ctl").arg("-D").arg(&data).arg("-l").arg(log).args(["-w", "-o", &settings, "start"]));
        let watch = owner
            .command("sh")
            .args(["-c", WATCH, "sh", PROGRAMS])
            .args([&data, &folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        Self { owner, folder, watch, databases: AtomicU32::new(0) }
    }

    /// Makes an empty database; its address.
    pub(crate) fn new_database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut create = self.owner.program("createdb");
        run(create.arg("-h").arg(&self.folder).args(["-U", "pki", "-T", "template0", &name]));
        let host = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://pki@{host}/{name}")
    }

    /// The socket it listens on.
    #[allow(dead_code, reason = "not every test program uses it")]
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Stops and starts the server, as an update of its package does.
    #[allow(dead_code, reason = "not every test program uses it")]
    pub(crate) fn restart(&self) {
        run(self.owner.program("pg_ctl").arg("-D").arg(self.folder.join("data")).args(["-w", "-m", "fast", "restart"]));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}

/// As whom the server runs.
#[derive(Clone, Copy)]
enum Owner {
    Caller,
    Postgres,
}

impl Owner {
    /// The owner of a folder that this process made is the user it runs as.
    fn of(folder: &Path) -> Self {
        if std::fs::metadata(folder).expect("own folder").uid() != 0 {
            return Self::Caller;
        }
        run(Command::new("chown").arg("postgres:postgres").arg(folder));
        // other users reach the socket in it
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("own folder");
        Self::Postgres
    }

    fn program(self, name: &str) -> Command {
        self.command(&format!("{PROGRAMS}/{name}"))
    }

    fn command(self, program: &str) -> Command {
        let mut command = match self {
            Self::Caller => Command::new(program),
            Self::Postgres => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--", program]);
                command
            }
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }
}

fn run(command: &mut Command) {
    // output into pipes would be held open by the server that pg_ctl leaves behind
    let log = tempfile::tempfile().expect("a temporary file");
    let output = command.stdout(log.try_clone().expect("a file")).stderr(log.try_clone().expect("a file")).status();
    let status =
        output.unwrap_or_else(|error| panic!("{command:?}: {error} (Debian packages: postgresql-15, util-linux)"));
    assert!(status.success(), "{command:?}: {status}\n{}", text(log));
}

fn text(mut log: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    log.rewind().and_then(|()| log.read_to_string(&mut text)).map(|_| text).unwrap_or_default()
}
