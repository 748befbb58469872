//! A real `ca-server` in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::folders::{Folder, write};
use crate::ports::Port;
use crate::postgres::Postgres;
use crate::process::{Process, Ran, run};
use crate::programs::Programs;
use crate::wait;

/// What opens the keys of test CAs.
const PASSPHRASE: &str = "a passphrase of the tests\n";

/// A profile beside the default ones, for certificates that live for seconds.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// The life of its certificates, in seconds.
    pub seconds: u32,
}

/// A CA: its folder, its ports, and the program when it runs.
pub struct Ca {
    process: Option<Process>,
    folder: Folder,
    ports: [Port; 3],
}

impl Ca {
    /// Makes a CA with these profiles beside the default ones, and starts it.
    pub async fn start(profiles: &[Profile]) -> Self {
        let mut ca = Self::init(profiles).await;
        ca.serve().await;
        ca
    }

    /// Makes a CA on a PostgreSQL database of its own, and starts it.
    pub async fn start_on_postgres() -> Self {
        let mut ca = Self::init_on_postgres(&[]).await;
        ca.serve().await;
        ca
    }

    /// Makes a CA on a PostgreSQL database of its own, with further options of `init`, without starting it.
    pub async fn init_on_postgres(options: &[&str]) -> Self {
        let database = tokio::task::spawn_blocking(|| Postgres::shared().new_database()).await.unwrap();
        Self::init_with(&[], &[options, &["--database", &database]].concat()).await
    }

    /// Makes a CA without starting it.
    pub async fn init(profiles: &[Profile]) -> Self {
        Self::init_with(profiles, &[]).await
    }

    /// Makes a CA with further options of `init`.
    pub async fn init_with(profiles: &[Profile], options: &[&str]) -> Self {
        let ca = Self::empty();
        run(ca.init_command().args(options)).await.success();
        ca.set_own_addresses();
        profiles.iter().for_each(|profile| profile.write_into(&ca));
        ca
    }

    /// A place for a CA: no folder of it yet, but ports and the passphrase.
    pub(crate) fn empty() -> Self {
        let ca = Self { process: None, folder: Folder::new(), ports: [Port::take(), Port::take(), Port::take()] };
        write(&ca.passphrase_file(), PASSPHRASE, 0o600);
        ca
    }

    /// Starts it without waiting for anything.
    pub fn begin(&mut self) {
        self.launch(self.serve_command());
    }

    /// The command that makes it.
    pub fn init_command(&self) -> Command {
        let mut command = program();
        command.arg("init").arg("--dir").arg(self.dir()).args(["--name", "Test", "--dns-name", "localhost"]);
        command.args([
            "--ip",
            "127.0.0.1",
            "--domain",
            "site.test",
            "--domain",
            "localhost",
            "--network",
            "127.0.0.0/8",
        ]);
        command.arg("--passphrase-file").arg(self.passphrase_file());
        command
    }

    /// Changes `ca-server.toml`.
    pub fn configure(&self, change: impl FnOnce(&mut toml::Table)) {
        let mut config = self.config();
        change(&mut config);
        std::fs::write(self.dir().join("ca-server.toml"), toml::to_string(&config).unwrap()).unwrap();
    }

    /// What stands in `ca-server.toml`.
    pub fn config(&self) -> toml::Table {
        toml::from_str(&std::fs::read_to_string(self.dir().join("ca-server.toml")).unwrap()).unwrap()
    }

    /// Writes its own ports into `ca-server.toml`, as [`Ca::init`] does.
    pub fn set_own_addresses(&self) {
        self.configure(|config| self.set_addresses(config));
    }

    pub(crate) fn set_listeners(&self, config: &mut toml::Table) {
        let [main, public, operations] = &self.ports;
        for (key, port) in [("main", main), ("public", public), ("operations", operations)] {
            config["listen"][key] = port.address().into();
        }
    }

    fn set_addresses(&self, config: &mut toml::Table) {
        self.set_listeners(config);
        let [main, public, _] = &self.ports;
        config["external"]["main"] = format!("https://localhost:{}", main.number()).into();
        config["external"]["public"] = format!("http://localhost:{}", public.number()).into();
    }

    /// Its folder.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("ca")
    }

    /// The file with the passphrase of its keys.
    pub fn passphrase_file(&self) -> PathBuf {
        self.folder.path().join("passphrase")
    }

    /// The roots that devices trust, PEM.
    pub fn roots(&self) -> PathBuf {
        self.dir().join("roots.pem")
    }

    /// The certificate of its issuing CA, PEM.
    pub fn issuer(&self) -> PathBuf {
        self.dir().join("ca/intermediate.crt")
    }

    /// The id of its issuing CA, as it stands in addresses.
    pub fn issuer_id(&self) -> String {
        self.config()["ca"]["issuing"]["id"].as_str().unwrap().to_owned()
    }

    /// `127.0.0.1:PORT` of the main listener.
    pub fn main_address(&self) -> String {
        self.ports[0].address()
    }

    /// `127.0.0.1:PORT` of the public listener.
    pub fn public_address(&self) -> String {
        self.ports[1].address()
    }

    /// `127.0.0.1:PORT` of the operations listener.
    pub fn operations_address(&self) -> String {
        self.ports[2].address()
    }

    /// What it has said, all starts together.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("serve.log")
    }

    /// The command that runs it.
    pub fn serve_command(&self) -> Command {
        let mut command = program();
        command.arg("serve").arg("--dir").arg(self.dir()).arg("--passphrase-file").arg(self.passphrase_file());
        command
    }

    /// Starts it and waits until it is ready.
    pub async fn serve(&mut self) {
        self.launch(self.serve_command());
        self.ready().await;
    }

    /// Starts it with a clock that is `offset` (as `+40d`) away from the right time, and waits until it is ready.
    pub async fn serve_at(&mut self, offset: &str) {
        self.launch(at_time(offset, &self.serve_command()));
        self.ready().await;
    }

    /// Starts it with a fail point armed, such as `ca.issue.after_sign`, and waits until it is ready.
    pub async fn serve_with_failpoint(&mut self, point: &str) {
        let mut command = self.serve_command();
        command.env("PILOTLIGHT_FAILPOINT", point);
        self.launch(command);
        self.ready().await;
    }

    /// Starts it so that it refuses each `n`-th good nonce (protocols NON-8), and waits until it is ready.
    pub async fn serve_refusing_nonces(&mut self, n: u32) {
        self.serve_refusing("ca.nonce", n).await;
    }

    /// Starts it so that it refuses each `n`-th passage of a point, such as `ca.crl.sign`, and waits until it is ready.
    pub async fn serve_refusing(&mut self, point: &str, n: u32) {
        let mut command = self.serve_command();
        command.env("PILOTLIGHT_REFUSE", format!("{point}:{n}"));
        self.launch(command);
        self.ready().await;
    }

    /// Starts it with the umask of the unit in `deploy/systemd`, and waits until it is ready.
    pub async fn serve_with_narrow_umask(&mut self) {
        let mut narrow = Command::new("sh");
        narrow.args(["-c", r#"umask 0077; exec "$0" "$@""#]);
        self.launch(passed_on(narrow, &self.serve_command()));
        self.ready().await;
    }

    fn launch(&mut self, mut command: Command) {
        assert!(self.process.is_none(), "the CA runs already");
        self.process = Some(Process::start("ca-server", &mut command, self.log_file()));
    }

    async fn ready(&mut self) {
        let (process, address) = (self.process.as_mut().unwrap(), self.ports[2].address());
        wait::until_true("the CA to be ready", 30, async || {
            process.must_run();
            plain_get(&address, "/readyz").await.is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        })
        .await;
    }

    /// Ends it as systemd would.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let status = process.stop().await;
        assert!(status.success(), "{status}\n{}", process.log());
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// Waits until a fail point has ended it.
    pub async fn wait_killed(&mut self) {
        use std::os::unix::process::ExitStatusExt;
        let status = self.process.as_mut().unwrap().wait_end(30).await;
        assert_eq!(status.signal(), Some(9), "the fail point was not reached: {status}");
        self.process = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().unwrap().signal(signal);
    }

    /// Stops and starts it.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.serve().await;
    }

    /// Runs one administration command against it.
    pub async fn command(&self, arguments: &[&str]) -> Ran {
        run(program().args(arguments).arg("--dir").arg(self.dir())).await
    }

    /// Runs one administration command that must succeed, and reads its JSON.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--output", "json"]].concat()).await.success();
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{output}"))
    }

    /// The address of its database.
    pub fn database(&self) -> String {
        self.config()["database"]["url"].as_str().unwrap().to_owned()
    }

    /// The value of a metric, by its name with its labels; none when it is not told.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let text = plain_get(&self.operations_address(), "/metrics").await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(value.trim().parse().unwrap())
    }

    /// Registers a device; the token line it enrols with.
    pub async fn device_add(&self, name: &str, profile: &str, dns: &[&str]) -> String {
        let mut arguments = vec!["device", "add", name, "--profile", profile];
        arguments.extend(dns.iter().flat_map(|dns| ["--dns", dns]));
        let output = self.command(&arguments).await.success();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines.len(), 1, "one token line: {output}");
        lines[0].to_owned()
    }

    /// Every certificate that was ordered from it; its own TLS certificate is left out.
    pub async fn certificates(&self) -> Vec<Value> {
        let all = self.json(&["cert", "list", "--limit", "10000"]).await;
        all.as_array().unwrap().iter().filter(|row| row["source"] == "acme").cloned().collect()
    }
}

impl Profile {
    /// Puts it beside the CA's other policies; one that runs reads it on SIGHUP.
    pub fn write_into(&self, ca: &Ca) {
        write(&ca.dir().join("policies").join(format!("{}.yaml", self.name)), self.document(), 0o644);
    }

    fn document(&self) -> String {
        let Self { name, seconds } = self;
        format!(
            "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata:\n  name: {name}\n  description: For tests\n\
             spec:\n  identifiers:\n    dns:\n      - {{ suffix: \"site.test\" }}\n      - {{ suffix: \"localhost\" }}\n\
             \x20   ip: [\"127.0.0.0/8\"]\n  usage:\n    extendedKeyUsage: [serverAuth, clientAuth]\n  commonName: true\n\
             \x20 lifetime: {seconds}s\n  backdate: 0s\n  renewal:\n    at: 0.5\n    grace: 1d\n  requires:\n    binding: device\n"
        )
    }
}

/// The program, with nothing in its environment that was meant for another.
fn program() -> Command {
    let mut command = Command::new(&Programs::get().ca_server);
    command
        .env_remove("PILOTLIGHT_FAILPOINT")
        .env_remove("PILOTLIGHT_REFUSE")
        .env_remove("PILOTLIGHT_DIR")
        .env("NO_COLOR", "1");
    command
}

/// The same command under another time: a date, or an offset such as `+40d`. Deadlines and timers go on as ever.
pub fn at_time(time: &str, command: &Command) -> Command {
    // a faketime that was killed leaves what it shared with its child under its process number, which comes again
    const RUN: &str = r#"rm -f "/dev/shm/sem.faketime_sem_$$" "/dev/shm/faketime_shm_$$"; exec faketime -f "$0" "$@""#;
    let mut faked = Command::new("sh");
    faked.args(["-c", RUN, time]);
    let mut faked = passed_on(faked, command);
    faked.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    faked
}

/// `by`, which runs the command that follows its own arguments, with this one and its environment.
fn passed_on(mut by: Command, command: &Command) -> Command {
    by.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => by.env(name, value),
            None => by.env_remove(name),
        };
    }
    by
}

/// A GET over plain HTTP; the whole answer with its head.
pub async fn plain_get(address: &str, path: &str) -> Option<String> {
    let whole = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), whole).await.ok()?
}

/// Copies a folder with everything in it, as a snapshot that must not change.
pub fn snapshot(folder: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_symlink() {
                let target = std::fs::read_link(entry.path()).unwrap();
                files.insert(entry.path(), target.as_os_str().as_encoded_bytes().to_vec());
            } else if kind.is_file() {
                files.insert(entry.path(), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}
