//! The command line: arguments in, text and an exit code out. 0 is success, 1 is failure, 2 is wrong usage.
//!
//! `status` ends with 1 when a certificate is missing, expired, owed to its service or taken back; `doctor` when a
//! check failed. Results go to standard output, everything else to standard error.

use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use api::token::EnrolmentToken;
use clap::{Args, Parser, Subcommand, ValueEnum};
use pki_core::time::{Clock, SystemClock};
use zeroize::Zeroizing;

use crate::agent::Agent;
use crate::clock::FlooredClock;
use crate::config::{Config, DEFAULT_FILE, LogFormat, LogLevel};
use crate::daemon::{self, Source};
use crate::files::{self, Access};
use crate::notify::Notify;
use crate::renew::Reason;
use crate::state::{self, AccountRecord, Home, StateError};
use crate::{doctor, enroll, status};

/// Longer than any token.
const TOKEN_LIMIT: u64 = 16 * 1024;
/// For the daemon to fulfil a wish.
const DEMAND_PATIENCE: Duration = Duration::from_secs(300);

type CliError = Box<dyn std::error::Error + Send + Sync>;
type CliResult = Result<ExitCode, CliError>;

/// Keeps the certificates of this node renewed, installed and seen on the wire.
#[derive(Debug, Parser)]
#[command(name = "renew-agent", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Place {
    /// Configuration file; drop-ins are read from conf.d/*.toml beside it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of keys, certificates and state, instead of the configured one
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Join the CA by the token of this device, and get the first certificate
    Enroll(Enroll),
    /// Keep the certificates: the daemon. SIGTERM ends it, SIGHUP reads the configuration again
    Run,
    /// Do everything that is due, then end
    Once,
    /// Show certificates, next renewals, what is owed, and for how long the node lives without the CA
    Status(Output),
    /// Get another certificate now, through the daemon when it runs
    Renew {
        /// The certificate's name
        name: String,
    },
    /// Look for what would make the next renewal fail
    Doctor(Output),
}

#[derive(Debug, Args)]
struct Enroll {
    /// The token, or `-` to read it from standard input; other users may see it here, so prefer --token-file
    #[arg(required_unless_present = "token_file", conflicts_with = "token_file")]
    token: Option<String>,
    /// File that holds the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Give up an enrolment by another token
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct Output {
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Runs one command; `arguments` begin with the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        // Help and version are answers, everything else is wrong usage.
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    dispatch(cli).unwrap_or_else(|error| {
        eprintln!("renew-agent: {error}");
        ExitCode::FAILURE
    })
}

fn dispatch(cli: Cli) -> CliResult {
    let context = Context::new(cli.place)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Enroll(enroll) => context.enroll(&enroll).await,
            Command::Run => context.run().await,
            Command::Once => context.once().await,
            Command::Status(output) => context.status(output.output),
            Command::Renew { name } => context.renew(&name).await,
            Command::Doctor(output) => context.doctor(output.output).await,
        }
    })
}

struct Context {
    source: Source,
    config: Config,
    home: Home,
    clock: Arc<FlooredClock>,
}

impl Context {
    fn new(place: Place) -> Result<Self, CliError> {
        let named = place.config.is_some();
        let file = place.config.unwrap_or_else(|| DEFAULT_FILE.into());
        let source = Source { file, named, dir: place.dir };
        let config = source.load()?;
        log(config.agent.log, config.agent.log_format);
        // Services are pointed into this folder, from wherever they were started.
        let home = Home::new(std::path::absolute(&config.agent.state)?);
        Ok(Self { source, config, home, clock: Arc::new(FlooredClock::new(Arc::new(SystemClock))) })
    }

    fn agent(&self) -> Result<Agent, CliError> {
        Ok(Agent::open(self.home.clone(), self.config.clone(), Arc::clone(&self.clock))?)
    }

    async fn enroll(&self, arguments: &Enroll) -> CliResult {
        let token = EnrolmentToken::parse(&read_token(arguments)?)?;
        let _lock = self.home.lock()?;
        let before: Option<AccountRecord> = state::load(&self.home.account())?;
        eprintln!("asking the CA at {}", token.ca.join(", "));
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let enrolled = enroll::enroll(&self.home, &token, clock, arguments.force).await?;
        say(&format!("enrolled: account {}\n", enrolled.account))?;
        if let Some(device) = &enrolled.device {
            let (name, profile) = (&device.device, &device.profile);
            say(&format!("this node is {name}, its certificates follow the profile {profile}\n"))?;
        }
        let is_new = before.is_none_or(|before| before.url != enrolled.account);
        self.first_certificate(is_new).await
    }

    /// The certificate that every device has; others are left to `run`, which knows their services.
    async fn first_certificate(&self, is_new: bool) -> CliResult {
        let agent = match self.agent() {
            Ok(agent) => agent,
            Err(nothing) => {
                say(&format!("{nothing}\n"))?;
                return Ok(ExitCode::SUCCESS);
            }
        };
        agent.recover()?;
        for config in &agent.config.certificates {
            let present = agent.live(config).current().is_some();
            if config.name == crate::config::DEFAULT_NAME {
                if is_new || !present {
                    agent.renew(config, Reason::OnDemand).await?;
                }
                daemon::settle(&agent, config).await;
                say(&format!("certificate: {}\n", agent.live(config).current_link().display()))?;
            } else if is_new && present {
                // From the CA of before: the daemon replaces it as soon as it starts.
                files::replace(&self.home.demand(&config.name), b"", Access::SECRET)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn run(&self) -> CliResult {
        let _lock = self.home.lock()?;
        daemon::run(self.agent()?, &self.source, &Notify::from_environment()).await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn once(&self) -> CliResult {
        let _lock = self.home.lock()?;
        Ok(code(daemon::once(self.agent()?).await?))
    }

    fn status(&self, format: Format) -> CliResult {
        let agent = self.agent()?;
        for config in &agent.config.certificates {
            if let Some(current) = agent.live(config).current() {
                self.clock.raise(current.leaf.not_before());
            }
        }
        let status = status::read(&agent)?;
        match format {
            Format::Table => say(&status.table())?,
            Format::Json => say(&format!("{}\n", serde_json::to_string_pretty(&status)?))?,
        }
        Ok(code(status.ok))
    }

    async fn renew(&self, name: &str) -> CliResult {
        let agent = self.agent()?;
        let config = agent.certificate(name)?;
        match self.home.lock() {
            Ok(_lock) => {
                agent.recover()?;
                Ok(code(daemon::renew(&agent, config, Reason::OnDemand).await))
            }
            Err(StateError::Locked(_)) => self.demand(&agent, name).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Leaves the wish with the daemon and waits for what becomes of it.
    async fn demand(&self, agent: &Agent, name: &str) -> CliResult {
        let config = agent.certificate(name)?;
        let before = agent.live(config).current_number();
        let began = self.clock.now();
        files::replace(&self.home.demand(name), b"", Access::SECRET)?;
        let daemon = self.home.holder().ok_or("the daemon's process is not known; restart it")?;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), nix::sys::signal::Signal::SIGUSR1)
            .map_err(|error| format!("cannot wake the daemon (process {daemon}): {error}"))?;
        eprintln!("the daemon renews `{name}`");
        let outcome = async {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                let state = agent.state(name)?;
                let taken = !self.home.demand(name).exists();
                if taken && agent.live(config).current_number() != before && state.debt.is_none() {
                    return Ok::<_, CliError>(true);
                }
                let failed = state.failure.as_ref().or(state.debt.as_ref().and_then(|debt| debt.failure.as_ref()));
                if let Some(failure) = failed.filter(|failure| taken && failure.next_attempt > began) {
                    eprintln!("renew-agent: {}", failure.error);
                    return Ok(false);
                }
            }
        };
        let done = tokio::time::timeout(DEMAND_PATIENCE, outcome).await;
        Ok(code(done.map_err(|_| "the daemon is still at work; look at `renew-agent status`")??))
    }

    async fn doctor(&self, format: Format) -> CliResult {
        let agent = self.agent()?;
        let checks = doctor::examine(&agent).await;
        match format {
            Format::Table => say(&checks.iter().map(|check| check.line() + "\n").collect::<String>())?,
            Format::Json => say(&format!("{}\n", serde_json::to_string_pretty(&checks)?))?,
        }
        Ok(code(checks.iter().all(|check| check.ok)))
    }
}

/// Prints a result. Whoever reads it may stop reading: that is no failure of the command.
fn say(text: &str) -> Result<(), CliError> {
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read_token(arguments: &Enroll) -> Result<Zeroizing<String>, CliError> {
    let mut text = Zeroizing::new(String::new());
    match (&arguments.token, &arguments.token_file) {
        (Some(dash), _) if dash == "-" => {
            std::io::stdin().take(TOKEN_LIMIT).read_to_string(&mut text)?;
        }
        (Some(token), _) => text.push_str(token),
        (None, Some(file)) if file == Path::new("-") => {
            std::io::stdin().take(TOKEN_LIMIT).read_to_string(&mut text)?;
        }
        (None, Some(file)) => {
            let bytes = files::read(file, TOKEN_LIMIT)?.map(Zeroizing::new);
            let bytes =
                bytes.ok_or_else(|| format!("there is no token file {}; correct --token-file", file.display()))?;
            text.push_str(std::str::from_utf8(&bytes).map_err(|_| format!("{} is not text", file.display()))?);
        }
        (None, None) => return Err("give the token, or --token-file FILE".into()),
    }
    Ok(text)
}

#[expect(clippy::disallowed_methods, reason = "JOURNAL_STREAM and NO_COLOR are conventions of the environment")]
fn log(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let journal = format == LogFormat::Auto && std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(colours)
        .with_target(false)
        // A log on a full disk loses lines; complaining about that on the same standard error would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A program that embeds this one may have its own subscriber already; that one stays.
    let _ = if journal { builder.without_time().try_init() } else { builder.try_init() };
}

#[cfg(test)]
mod tests;
