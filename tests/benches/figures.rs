//! What release builds of the programs cost: time to readiness, memory, disk. Ends with 1 when a bound is missed.
//!
//! ```sh
//! cargo bench -p tests --bench figures                # builds both programs as they are shipped
//! cargo bench -p tests --bench figures -- --json      # for programs
//! cargo bench -p tests --bench figures -- --ca-server PATH --renew-agent PATH
//! ```
//!
//! Memory is what the kernel counts (`VmRSS` and its peak, `VmHWM`); MB are millions of bytes. docs/performance.md keeps
//! the last figures.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a harness fails by panicking, and reads time and environment"
)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pki_core::time::SystemClock;
use pki_core::x509::name::Identifier;
use renew_agent::acme::{AcmeClient, OrderRequest};
use renew_agent::bundle::Roots;
use renew_agent::keys::{AccountKey, KeyKind, NodeKey};
use renew_agent::state::{self, AccountRecord, CaRecord, DeviceRecord, Home};
use serde_json::{Value, json};
use tests::agent::Agent;
use tests::ca::{Ca, plain_get};
use tests::folders::Folder;
use tests::process::Process;
use tests::wait;
use tokio::task::JoinSet;

/// How the harness of the tests is told about programs that are built already.
const PROGRAMS: &str = "PILOTLIGHT_TEST_PROGRAMS";

/// Starts of which the median counts.
const STARTS: usize = 7;
/// Devices that order at the same time,
const DEVICES: usize = 10;
/// and how many certificates each of them orders after its first.
const ORDERS: usize = 100;
/// Certificates that one agent keeps.
const KEPT: usize = 10;
/// A process that used no processor for this long is idle.
const QUIET: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let options = Options::read();
    match std::env::var_os(PROGRAMS).map(PathBuf::from) {
        Some(folder) => measure(&options, &folder),
        None => again_with_programs(&options),
    }
}

#[derive(Default)]
struct Options {
    json: bool,
    ca_server: Option<PathBuf>,
    renew_agent: Option<PathBuf>,
}

impl Options {
    fn read() -> Self {
        let mut options = Self::default();
        let mut arguments = std::env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            let mut path = || Some(arguments.next().map(PathBuf::from).expect("a path after the option"));
            match argument.to_str().unwrap_or_default() {
                "--json" => options.json = true,
                "--ca-server" => options.ca_server = path(),
                "--renew-agent" => options.renew_agent = path(),
                // What cargo adds.
                "--bench" => {}
                _ => panic!("{}: known are --json, --ca-server PATH, --renew-agent PATH", argument.display()),
            }
        }
        options
    }
}

/// Builds what was not named, and measures in a process of its own, whose environment names the programs.
fn again_with_programs(options: &Options) -> ExitCode {
    let built = |path: &Option<PathBuf>, package, profile| match path {
        Some(path) => path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        None => build(package, profile),
    };
    let folder = Folder::new();
    symlink(built(&options.ca_server, "ca-server", "release"), folder.path().join("ca-server")).unwrap();
    symlink(built(&options.renew_agent, "renew-agent", "small"), folder.path().join("renew-agent")).unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(options.json.then_some("--json")).env(PROGRAMS, folder.path());
    if again.status().unwrap().success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn build(package: &str, profile: &str) -> PathBuf {
    eprintln!("building {package} with the profile {profile}");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--locked", "--message-format=json", "--profile", profile, "-p", package])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{package} does not build");
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter(|message| message["target"]["name"] == package);
    programs.find_map(|message| message["executable"].as_str().map(PathBuf::from)).unwrap()
}

fn measure(options: &Options, programs: &Path) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut figures = runtime.block_on(async {
        let mut figures = starts().await;
        figures.extend(issuing().await);
        figures.extend(keeping().await);
        figures
    });
    figures.push(
        Figure::new("renew-agent, stripped program", megabytes(size(&programs.join("renew-agent"))), "MB").below(8.0),
    );
    figures.push(Figure::new("ca-server, stripped program", megabytes(size(&programs.join("ca-server"))), "MB"));
    print(options.json, &figures);
    if figures.iter().all(Figure::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// From the start of the program to the first 200 of /readyz, each time in a folder that `init` has just made.
async fn starts() -> Vec<Figure> {
    let mut spans = Vec::new();
    for number in 1..=STARTS {
        eprintln!("start {number} of {STARTS}");
        let ca = Ca::init(&[]).await;
        spans.push(Running::start(&ca).await.ready_after.as_secs_f64());
    }
    spans.sort_by(f64::total_cmp);
    vec![
        Figure::new("ca-server, start to readiness, median", spans[STARTS / 2], "s").below(1.0),
        Figure::new("ca-server, start to readiness, slowest", spans[STARTS - 1], "s"),
    ]
}

/// Memory and disk of a CA that has issued certificates to devices over ACME.
async fn issuing() -> Vec<Figure> {
    let ca = Ca::init(&[]).await;
    let running = Running::start(&ca).await;
    eprintln!("enrolling {DEVICES} devices");
    let mut clients = Vec::new();
    for number in 0..DEVICES {
        let (name, dns) = (format!("gw-{number}"), format!("gw-{number}.site.test"));
        let node = tests::world::enrolled(&ca, &name, "gateway", &[&dns]).await;
        clients.push(Client::of(&node).await);
    }
    // A CA that was stopped has its whole database in one file.
    running.stop().await;
    let before = database(&ca);
    let running = Running::start(&ca).await;
    let at_start = Memory::of(&running.process);
    let own = running.issued().await;
    eprintln!("issuing {} certificates", DEVICES * ORDERS);
    let mut orders = JoinSet::new();
    for mut client in clients {
        orders.spawn(async move {
            for _ in 0..ORDERS {
                client.order().await;
            }
        });
    }
    orders.join_all().await;
    let after = Memory::of(&running.process);
    assert_eq!(running.issued().await - own, DEVICES * ORDERS, "certificates that the CA has counted");
    running.stop().await;
    let grown = (database(&ca) - before) as f64 / (DEVICES * ORDERS) as f64;
    vec![
        Figure::new("ca-server, resident when started", megabytes(at_start.resident), "MB"),
        Figure::new("ca-server, resident after 1,000 certificates", megabytes(after.resident), "MB").below(60.0),
        Figure::new("ca-server, peak of that", megabytes(after.peak), "MB"),
        Figure::new("ca-server, database for one finished order", grown / 1e3, "kB"),
    ]
}

/// Memory of an agent that has ten certificates installed and nothing to do.
async fn keeping() -> Vec<Figure> {
    let ca = Ca::init(&[]).await;
    let _running = Running::start(&ca).await;
    let token = ca.device_add("gw", "gateway", &["gw.site.test"]).await;
    let node = Agent::new();
    let names: Vec<String> =
        (0..KEPT).map(|number| if number == 0 { "identity".into() } else { format!("c{number}") }).collect();
    node.configure(&names.iter().map(|name| format!("[[certificate]]\nname = \"{name}\"\n\n")).collect::<String>());
    node.enroll(&token).await.success();
    eprintln!("installing {KEPT} certificates");
    let log = node.config().with_file_name("agent.log");
    let mut daemon = Process::start("renew-agent", &mut node.program(&["run"]), log);
    wait::until_true("all certificates to be installed", 60, async || {
        daemon.must_run();
        names.iter().all(|name| node.live(name).join("current/cert.pem").exists())
    })
    .await;
    idle(&daemon).await;
    let memory = Memory::of(&daemon);
    vec![
        Figure::new("renew-agent, resident with ten certificates", megabytes(memory.resident), "MB").below(15.0),
        Figure::new("renew-agent, peak of that", megabytes(memory.peak), "MB"),
    ]
}

/// A CA that runs and answers.
struct Running {
    process: Process,
    operations: String,
    ready_after: Duration,
}

impl Running {
    async fn start(ca: &Ca) -> Self {
        let mut operations = String::new();
        ca.configure(|config| config["listen"]["operations"].as_str().unwrap().clone_into(&mut operations));
        let begin = Instant::now();
        let mut process = Process::start("ca-server", &mut ca.serve_command(), ca.dir().with_file_name("serve.log"));
        while !plain_get(&operations, "/readyz").await.is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            process.must_run();
            assert!(begin.elapsed() < Duration::from_secs(30), "not ready: {}", process.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self { process, operations, ready_after: begin.elapsed() }
    }

    /// How many certificates it has issued since it started.
    async fn issued(&self) -> usize {
        let metrics = plain_get(&self.operations, "/metrics").await.unwrap();
        let count = metrics.lines().find_map(|line| line.strip_prefix("pilotlight_certificates_issued_total "));
        count.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
    }

    async fn stop(mut self) {
        let status = self.process.stop().await;
        assert!(status.success(), "{status}\n{}", self.process.log());
    }
}

/// The agent's ACME client, acting for an enrolled device.
struct Client {
    acme: AcmeClient,
    names: Vec<Identifier>,
}

impl Client {
    async fn of(node: &Agent) -> Self {
        let home = Home::new(node.state());
        let ca: CaRecord = state::load(&home.ca()).unwrap().unwrap();
        let account: AccountRecord = state::load(&home.account()).unwrap().unwrap();
        let device: DeviceRecord = state::load(&home.device()).unwrap().unwrap();
        let roots = Roots::from_pem(&std::fs::read_to_string(home.roots()).unwrap()).unwrap();
        let key = AccountKey::load(&home.account_key()).unwrap().unwrap();
        let directory = Some(account.directory.as_str());
        let acme = AcmeClient::connect(&ca.addresses, directory, &roots, Arc::new(SystemClock), key).await.unwrap();
        let names = device.dns.iter().map(|name| Identifier::parse("dns", name).unwrap()).collect();
        Self { acme: acme.with_account(account.url), names }
    }

    /// From the order to the downloaded chain, with a new key.
    async fn order(&mut self) {
        let request = OrderRequest { names: &self.names, profile: None, replaces: None };
        let (url, order) = self.acme.new_order(&request).await.unwrap();
        let csr = NodeKey::generate(KeyKind::EcdsaP256).unwrap().request(&self.names).unwrap();
        let order = self.acme.finalize(&order, &csr).await.unwrap();
        let order = self.acme.settled(&url, order).await.unwrap();
        assert!(self.acme.chain(&order).await.unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    }
}

/// Bytes of memory of a process.
struct Memory {
    resident: u64,
    peak: u64,
}

impl Memory {
    fn of(process: &Process) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
        Self { resident: kibibytes(&status, "VmRSS:"), peak: kibibytes(&status, "VmHWM:") }
    }
}

/// Reads a line such as `VmRSS:  1234 kB`; the kernel's kB are 1024 bytes.
fn kibibytes(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Waits until a process has used no processor time for a while.
async fn idle(process: &Process) {
    let mut last = (used_ticks(process), Instant::now());
    wait::until_true("the process to be idle", 60, async || {
        let now = used_ticks(process);
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > QUIET
    })
    .await;
}

/// Processor time in user and system mode: fields 14 and 15 of proc_pid_stat(5).
fn used_ticks(process: &Process) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Bytes of the database of a CA, with whatever stands beside it.
fn database(ca: &Ca) -> u64 {
    let files = std::fs::read_dir(ca.dir()).unwrap().map(|entry| entry.unwrap());
    let of_database = files.filter(|entry| entry.file_name().to_string_lossy().starts_with("pilotlight.db"));
    of_database.map(|entry| entry.metadata().unwrap().len()).sum()
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// One line of the table.
struct Figure {
    what: &'static str,
    value: f64,
    unit: &'static str,
    below: Option<f64>,
}

impl Figure {
    const fn new(what: &'static str, value: f64, unit: &'static str) -> Self {
        Self { what, value, unit, below: None }
    }

    const fn below(mut self, bound: f64) -> Self {
        self.below = Some(bound);
        self
    }

    fn holds(&self) -> bool {
        self.below.is_none_or(|bound| self.value < bound)
    }

    fn line(&self) -> String {
        let Self { what, value, unit, below } = self;
        let verdict = if self.holds() { "ok" } else { "over" };
        let bound = below.map_or_else(String::new, |bound| format!("  < {bound:>2} {unit:2}  {verdict}"));
        let line = format!("{what:46}{value:>8.2} {unit:2}{bound}");
        line.trim_end().to_owned()
    }

    fn json(&self) -> Value {
        let Self { what, value, unit, below } = self;
        json!({ "what": what, "value": value, "unit": unit, "below": below, "ok": self.holds() })
    }
}

fn print(json: bool, figures: &[Figure]) {
    let machine = machine();
    if json {
        let figures: Vec<Value> = figures.iter().map(Figure::json).collect();
        println!("{:#}", json!({ "machine": machine, "figures": figures }));
    } else {
        println!("{machine}\n");
        figures.iter().for_each(|figure| println!("{}", figure.line()));
    }
}

/// What it was measured on, in one line.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = kibibytes(&read("/proc/meminfo"), "MemTotal:") as f64 / 1e9;
    format!("{cores} cores of {model}, {memory:.0} GB, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}
