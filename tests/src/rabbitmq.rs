//! Debian's RabbitMQ 3.10, with its own node name, folders, cookie and port mapper.

use std::path::Path;
use std::process::Command;

use crate::folders::{Folder, write};
use crate::ports::Port;
use crate::process::{Process, Ran, run};
use crate::wait;

/// The scripts themselves: Debian's wrappers in /usr/sbin insist on the user rabbitmq.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// A running broker that only speaks TLS and demands client certificates.
pub struct RabbitMq {
    process: Option<Process>,
    mapper_process: Option<Process>,
    amqps: Port,
    distribution: Port,
    mapper: Port,
    folder: Folder,
}

impl RabbitMq {
    /// Starts one with the certificate in `live/current`; clients must chain to `roots`. Waits until it accepts.
    pub async fn start(live: &Path, roots: &Path) -> Self {
        let mut broker = Self::prepare(live, roots);
        broker.run().await;
        broker
    }

    /// Configures one without starting it.
    pub fn prepare(live: &Path, roots: &Path) -> Self {
        let folder = Folder::new();
        let (amqps, distribution, mapper) = (Port::take(), Port::take(), Port::take());
        for name in ["home", "db", "log"] {
            folder.sub(name);
        }
        let path = |name: &str| folder.path().join(name);
        write(&path("rabbitmq.conf"), configuration(live, roots, &amqps), 0o644);
        write(&path("enabled_plugins"), "[].\n", 0o644);
        write(&path("env.conf"), "", 0o644);
        // Erlang makes a cookie of its own in HOME otherwise; this one is known before the node runs.
        write(&path("home/.erlang.cookie"), "COOKIEOFONETESTONLY", 0o400);
        Self { process: None, mapper_process: None, amqps, distribution, mapper, folder }
    }

    /// Starts it and waits until it accepts: the listener opens last, after every boot step.
    pub async fn run(&mut self) {
        // RabbitMQ would start a port mapper as a daemon, which nobody ends; it takes one that is there.
        let mut mapper = Command::new("epmd");
        mapper.args(["-address", "127.0.0.1", "-port", &self.mapper.number().to_string()]);
        self.mapper_process = Some(Process::start("epmd", &mut mapper, self.folder.path().join("log/epmd.log")));
        let mapper = self.mapper.address();
        wait::until_true("the port mapper", 10, async || tokio::net::TcpStream::connect(&mapper).await.is_ok()).await;
        let mut command = script("rabbitmq-server", self.folder.path(), &self.distribution, &self.mapper);
        let log = self.folder.path().join("log/console.log");
        let mut process = Process::start("rabbitmq-server", &mut command, log);
        let address = self.amqps.address();
        wait::until_true("RabbitMQ to accept", 90, async || {
            process.must_run();
            tokio::net::TcpStream::connect(&address).await.is_ok()
        })
        .await;
        self.process = Some(process);
    }

    /// The address of the TLS listener.
    pub fn address(&self) -> String {
        self.amqps.address()
    }

    /// The `[certificate.service]` and `[[certificate.probe]]` sections with which an agent reloads and sees it. An agent
    /// that outlives the broker must not leave a port mapper behind, which Erlang would start as a daemon.
    pub fn agent_sections(&self, clear_pem_cache: bool) -> String {
        let home = self.folder.path().join("home");
        format!(
            "[certificate.service]\ntype = \"rabbitmq\"\nnode = \"{}\"\nclear_pem_cache = {clear_pem_cache}\n\
             rabbitmqctl = \"{PROGRAMS}/rabbitmqctl\"\nhome = \"{}\"\n\
             environment = {{ ERL_EPMD_PORT = \"{}\", RABBITMQ_CONF_ENV_FILE = \"{}\", \
             ERL_FLAGS = \"-start_epmd false\" }}\n\n\
             [[certificate.probe]]\naddress = \"{}\"\nserver_name = \"localhost\"\n",
            self.node(),
            home.display(),
            self.mapper.number(),
            self.folder.path().join("env.conf").display(),
            self.address(),
        )
    }

    /// Runs `rabbitmqctl` against this node.
    pub async fn ctl(&self, arguments: &[&str]) -> Ran {
        let mut command = script("rabbitmqctl", self.folder.path(), &self.distribution, &self.mapper);
        run(command.arg("--quiet").args(arguments)).await
    }

    /// Ends it as an operator would.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        assert_eq!(self.ctl(&["stop"]).await.code, 0, "{}", process.log());
        process.wait_end(60).await;
        self.mapper_process = None;
    }

    fn node(&self) -> String {
        node(&self.amqps)
    }
}

fn node(amqps: &Port) -> String {
    format!("test{}@localhost", amqps.number())
}

fn script(name: &str, folder: &Path, distribution: &Port, mapper: &Port) -> Command {
    let path = |name: &str| folder.join(name);
    let mut command = Command::new(format!("{PROGRAMS}/{name}"));
    let node = std::fs::read_to_string(path("rabbitmq.conf")).unwrap();
    let node = node.lines().find_map(|line| line.strip_prefix("# node ")).unwrap();
    command
        .env("HOME", path("home"))
        .env("ERL_EPMD_PORT", mapper.number().to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODENAME", node)
        .env("RABBITMQ_DIST_PORT", distribution.number().to_string())
        .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config"))
        .env("RABBITMQ_CONF_ENV_FILE", path("env.conf"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins"))
        .env("RABBITMQ_GENERATED_CONFIG_DIR", path("db"))
        .env("RABBITMQ_MNESIA_BASE", path("db"))
        .env("RABBITMQ_LOG_BASE", path("log"))
        .env("RABBITMQ_PID_FILE", path("db/pid"))
        .current_dir(folder);
    command
}

fn configuration(live: &Path, roots: &Path, amqps: &Port) -> String {
    let current = live.join("current");
    format!(
        "# node {node}\n\
         listeners.tcp = none\n\
         listeners.ssl.1 = {address}\n\
         ssl_options.cacertfile = {roots}\n\
         ssl_options.certfile = {current}/fullchain.pem\n\
         ssl_options.keyfile = {current}/key.pem\n\
         ssl_options.verify = verify_peer\n\
         ssl_options.fail_if_no_peer_cert = true\n\
         ssl_options.depth = 2\n\
         ssl_options.versions.1 = tlsv1.3\n\
         ssl_options.versions.2 = tlsv1.2\n\
         log.console = true\n\
         log.console.level = info\n\
         log.file = false\n\
         vm_memory_high_watermark.absolute = 256MB\n\
         disk_free_limit.absolute = 50MB\n",
        node = node(amqps),
        address = amqps.address(),
        roots = roots.display(),
        current = current.display(),
    )
}
