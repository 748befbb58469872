//! A client of the command line in a folder of its own, which types what `docs/clients.md` says.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tests::folders::Folder;
use tests::manual::Manual;
use tests::process::{Process, Ran, run_for};

use crate::world::{World, ZONE};

/// Longest time of one command.
const PATIENCE: Duration = Duration::from_secs(120);

/// The page whose commands are run.
pub(crate) const PAGE: &str = "clients.md";

/// One installation of a client.
pub(crate) struct Client {
    manual: Manual,
    title: String,
    folder: Folder,
    variables: Vec<(String, String)>,
    /// Shows the client this root as the only one the system trusts.
    system_trust: Option<PathBuf>,
}

impl Client {
    /// One that has never run, for the CA of this world.
    pub(crate) fn new(world: &World, title: &str) -> Self {
        let folder = Folder::new();
        let (dns_host, dns_port) = ("127.0.0.1".to_owned(), world.dns.port().to_string());
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let variables = [
            ("DIRECTORY", world.directory.clone()),
            ("ROOTS", text(world.ca.roots())),
            ("STATE", text(folder.sub("state"))),
            ("EMAIL", format!("ops@{ZONE}")),
            ("WEBROOT", text(world.webroot())),
            ("HTTP_PORT", world.http.number().to_string()),
            ("TLS_PORT", world.tls.number().to_string()),
            ("DNS_HOST", dns_host),
            ("DNS_PORT", dns_port),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { manual: Manual::of(PAGE, title), title: title.to_owned(), folder, variables, system_trust: None }
    }

    /// Sets a variable of all commands that follow.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a variable of all commands that follow.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Gives it an external account key of the CA.
    pub(crate) async fn bind(&mut self, world: &World) {
        let (kid, secret) = world.external_key().await;
        self.set("KID", &kid);
        self.set("HMAC", &secret);
    }

    /// Runs it where the system trusts the root of the CA, as the block `trust` of the page would have it: in a mount
    /// namespace, so that nobody else's trust is touched.
    pub(crate) fn trusting_by_the_system(mut self, world: &World) -> Self {
        let certificates = self.folder.sub("certificates");
        for name in ["ca-certificates.crt", "root.pem"] {
            std::fs::copy(world.ca.roots(), certificates.join(name)).unwrap();
        }
        self.system_trust = Some(certificates);
        self
    }

    /// A file below `$STATE`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("state").join(name)
    }

    /// Types a block of the page, which must succeed, for a certificate of these names.
    pub(crate) async fn follow(&self, block: &str, names: &[&str]) -> String {
        let ran = self.try_to(block, names).await;
        assert_eq!(ran.code, 0, "{} {block}: {ran}", self.title);
        ran.stdout + &ran.stderr
    }

    /// Types a block of the page.
    pub(crate) async fn try_to(&self, block: &str, names: &[&str]) -> Ran {
        run_for(&mut self.command(block, names), PATIENCE + Duration::from_secs(20)).await
    }

    /// Starts what a block of the page starts, and leaves it running.
    pub(crate) fn start(&self, block: &str, names: &[&str]) -> Process {
        Process::start(&self.title, &mut self.command(block, names), self.folder.path().join("log"))
    }

    fn command(&self, block: &str, names: &[&str]) -> Command {
        let setup =
            self.manual.blocks().into_iter().find(|(name, _)| name == "setup").map_or(String::new(), |one| one.1);
        let script = format!("set -eu\n{setup}{}", self.manual.block(block));
        // The whole process group ends when time is over, and not only the shell.
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", &PATIENCE.as_secs().to_string()]);
        if let Some(certificates) = &self.system_trust {
            command.args(["unshare", namespace(), "sh", "-c"]);
            command.arg("mount --bind \"$0\" /etc/ssl/certs && exec \"$@\"");
            command.arg(certificates);
        }
        command.args(["bash", "-c", &script]).current_dir(self.folder.path());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.folder.path());
        command.env("LC_ALL", "C.UTF-8").envs(self.variables.iter().cloned());
        for (variable, name) in ["NAME", "OTHER"].iter().zip(names) {
            command.env(variable, name);
        }
        command
    }
}

/// The options of `unshare` for a mount namespace: as root, or as root of a user namespace.
fn namespace() -> &'static str {
    let works = |options: &&&str| {
        let tried = Command::new("unshare").args([**options, "mount", "--bind", "/etc", "/etc"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    ["-m", "-Urm"].iter().find(works).expect("a mount namespace, in which the system trusts another root")
}
