//! The loop: what is due first is done first, a few at a time, and nothing is ever given up.
//!
//! It wakes at least every ten minutes and reckons from the wall clock anew, so that neither suspend nor a clock
//! step makes it sleep through a renewal (agents.md failure 3).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pki_core::time::{Clock, Timestamp};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::agent::{Agent, OpenError};
use crate::config::{CertificateConfig, Config, ConfigError};
use crate::files;
use crate::notify::Notify;
use crate::renew::Reason;
use crate::schedule::{self, Next};
use crate::settle::Settled;
use crate::state::Home;

/// The longest sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);
/// The shortest one, so that nothing ever makes the loop spin.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);
/// After a question to the CA that found no answer.
const ASK_LATER: Duration = Duration::from_secs(600);
/// For work in hand to come to its end when the agent is stopped; what remains is taken up by the next start.
const GRACE: Duration = Duration::from_secs(20);

/// Why the daemon cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The node cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Signals cannot be received.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

/// Where the configuration is read from, again with every SIGHUP.
#[derive(Debug, Clone)]
pub struct Source {
    /// The main file.
    pub file: PathBuf,
    /// Whether somebody named it.
    pub named: bool,
    /// The state folder of the command line, which counts before the configured one.
    pub dir: Option<PathBuf>,
}

impl Source {
    /// Reads it.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(&self.file, self.named)?;
        if let Some(dir) = &self.dir {
            config.agent.state.clone_from(dir);
        }
        Ok(config)
    }
}

/// Keeps the certificates until SIGTERM or SIGINT.
pub async fn run(agent: Agent, source: &Source, notify: &Notify) -> Result<(), DaemonError> {
    let mut signals = Signals::new().map_err(DaemonError::Signals)?;
    agent.recover()?;
    let mut keeper = Keeper::new(Arc::new(agent));
    notify.ready();
    loop {
        notify.alive();
        let sleep = keeper.round();
        notify.status(&keeper.summary());
        let sleep = notify.pulse().map_or(sleep, |pulse| sleep.min(pulse));
        tokio::select! {
            Some(done) = keeper.work.join_next() => keeper.finished(done),
            () = tokio::time::sleep(sleep) => {}
            heard = signals.heard() => match heard {
                Heard::Stop => break,
                Heard::Reload => keeper.reload(source),
                Heard::Demand => {}
            },
        }
    }
    notify.stopping();
    keeper.stop().await;
    Ok(())
}

/// Does everything that is due, once, whether or not an earlier failure asks for patience; whether all is well after.
pub async fn once(agent: Agent) -> Result<bool, DaemonError> {
    agent.recover()?;
    let mut well = true;
    for config in agent.config.certificates.clone() {
        if is_due(&agent, &config) {
            well &= perform(&agent, &config, Task::Renew).await;
        } else {
            well &= settle(&agent, &config).await;
        }
        well &= in_order(&agent, &config);
    }
    Ok(well)
}

fn is_due(agent: &Agent, config: &CertificateConfig) -> bool {
    let Ok(state) = agent.state(&config.name) else { return false };
    let (current, holder, now) = (agent.live(config).current(), agent.holder(config), agent.clock.now());
    schedule::due(&agent.facts(config, current.as_ref(), &state, &holder), now) <= now
}

fn in_order(agent: &Agent, config: &CertificateConfig) -> bool {
    let present = agent.live(config).current().is_some_and(|current| current.leaf.not_after() > agent.clock.now());
    present && agent.state(&config.name).is_ok_and(|state| state.debt.is_none())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Settle,
    Renew,
    RenewOnDemand,
    Report,
    AskWindow,
}

impl Task {
    /// Whether it can wait for the others.
    const fn is_talk(self) -> bool {
        matches!(self, Self::Report | Self::AskWindow)
    }
}

/// Does one thing; whether it went well.
async fn perform(agent: &Agent, config: &CertificateConfig, task: Task) -> bool {
    match task {
        Task::Renew => renew(agent, config, Reason::Due).await,
        Task::RenewOnDemand => renew(agent, config, Reason::OnDemand).await,
        Task::Settle => settle(agent, config).await,
        Task::Report => agent.report(config).await.inspect_err(|error| tracing::debug!(%error, "not reported")).is_ok(),
        Task::AskWindow => {
            agent.ask_window(config).await.inspect_err(|error| tracing::debug!(%error, "no window")).is_ok()
        }
    }
}

/// Gets another certificate and brings it into service; whether both went well.
pub async fn renew(agent: &Agent, config: &CertificateConfig, reason: Reason) -> bool {
    agent.renew(config, reason).await.is_ok() && settle(agent, config).await
}

/// Makes the service present what is installed, and tells the CA.
pub(crate) async fn settle(agent: &Agent, config: &CertificateConfig) -> bool {
    match agent.settle(config).await {
        Ok(Settled::Cleared) => {
            if let Err(error) = agent.report(config).await {
                tracing::info!(certificate = %config.name, %error, "the CA is told later");
            }
            true
        }
        Ok(Settled::NothingOwed) => true,
        Ok(Settled::Owed { .. } | Settled::RolledBack { .. }) => false,
        Err(error) => {
            tracing::error!(certificate = %config.name, %error, "cannot finish the installation");
            false
        }
    }
}

struct Keeper {
    agent: Arc<Agent>,
    work: JoinSet<(String, Task, bool)>,
    busy: HashMap<String, tokio::task::Id>,
    /// Overdue renewals at the start wait until here.
    woken: HashMap<String, Timestamp>,
    /// Questions and reports that failed wait until here; lost with a restart, which may as well ask at once.
    quiet: HashMap<String, Timestamp>,
}

impl Keeper {
    fn new(agent: Arc<Agent>) -> Self {
        let woken = waking(&agent);
        Self { agent, work: JoinSet::new(), busy: HashMap::new(), woken, quiet: HashMap::new() }
    }

    /// Begins what is due, and says how long nothing else will be.
    fn round(&mut self) -> Duration {
        let now = self.agent.clock.now();
        let mut waiting = Vec::new();
        let mut soonest = now + LONGEST_SLEEP;
        for config in &self.agent.config.certificates {
            if self.busy.contains_key(&config.name) {
                continue;
            }
            let Some((at, task)) = self.plan(config, now) else { continue };
            if at <= now {
                waiting.push((task.is_talk(), at, task, config.clone()));
            } else {
                soonest = soonest.min(at);
            }
        }
        waiting.sort_by_key(|(is_talk, at, ..)| (*is_talk, *at));
        let free = usize::from(self.agent.config.agent.parallel.max(1)).saturating_sub(self.work.len());
        for (_, _, task, config) in waiting.into_iter().take(free) {
            self.begin(config, task);
        }
        // What found no free place is begun when one of the others ends, which wakes the loop.
        soonest.since(now).max(SHORTEST_SLEEP)
    }

    /// What is next for one certificate. Talk with the CA fills the time until real work is due.
    fn plan(&self, config: &CertificateConfig, now: Timestamp) -> Option<(Timestamp, Task)> {
        let name = &config.name;
        if self.agent.home.demand(name).exists() {
            return Some((now, Task::RenewOnDemand));
        }
        // Without a readable state file the certificate is looked at again with the next round.
        let state = self.agent.state(name).inspect_err(|error| tracing::error!(certificate = %name, "{error}")).ok()?;
        let (current, holder) = (self.agent.live(config).current(), self.agent.holder(config));
        let facts = self.agent.facts(config, current.as_ref(), &state, &holder);
        let main = match schedule::next(&facts, now) {
            Next::Settle(at) => (at, Task::Settle),
            Next::Renew(at) => (self.woken.get(name).map_or(at, |woken| at.max(*woken)), Task::Renew),
        };
        if main.0 <= now {
            return Some(main);
        }
        let quiet = self.quiet.get(name).copied().unwrap_or(now);
        let report = (state.debt.is_none() && state.unreported.is_some()).then_some((quiet, Task::Report));
        let ask = schedule::ask_window_at(&facts).map(|at| (at.max(quiet), Task::AskWindow));
        [Some(main), report, ask].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn begin(&mut self, config: CertificateConfig, task: Task) {
        if let Err(error) = files::remove_if_there(&self.agent.home.demand(&config.name)) {
            tracing::warn!(%error, "the wish for a renewal stays");
        }
        let agent = Arc::clone(&self.agent);
        let name = config.name.clone();
        let handle = self.work.spawn(async move {
            let well = perform(&agent, &config, task).await;
            (config.name, task, well)
        });
        self.busy.insert(name, handle.id());
    }

    fn finished(&mut self, done: Result<(String, Task, bool), tokio::task::JoinError>) {
        match done {
            Ok((name, task, well)) => {
                self.busy.remove(&name);
                self.woken.remove(&name);
                if task.is_talk() && !well {
                    self.quiet.insert(name, self.agent.clock.now() + ASK_LATER);
                }
            }
            Err(error) => {
                tracing::error!(%error, "an attempt ended by a fault of the agent; it is repeated");
                self.busy.retain(|_, id| *id != error.id());
            }
        }
    }

    fn reload(&mut self, source: &Source) {
        let state = self.agent.config.agent.state.clone();
        let opened = source.load().map_err(|error| error.to_string()).and_then(|mut config| {
            if config.agent.state != state {
                tracing::warn!("`state` of [agent] changes with a restart only");
                config.agent.state = state;
            }
            let home = Home::new(self.agent.home.dir());
            Agent::open(home, config, Arc::clone(&self.agent.clock)).map_err(|error| error.to_string())
        });
        match opened {
            Ok(agent) => {
                tracing::info!(certificates = agent.config.certificates.len(), "the configuration was read again");
                self.agent = Arc::new(agent);
            }
            Err(error) => tracing::error!("going on with the configuration of before: {error}"),
        }
    }

    fn summary(&self) -> String {
        let count = self.agent.config.certificates.len();
        format!("{count} certificate(s), {} day(s) of autonomy", self.agent.days_of_autonomy())
    }

    async fn stop(&mut self) {
        tracing::info!("stopping");
        let rest = async { while self.work.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            tracing::warn!("left work in hand to the next start");
        }
    }
}

fn waking(agent: &Agent) -> HashMap<String, Timestamp> {
    let now = agent.clock.now();
    let mut woken = HashMap::new();
    for config in &agent.config.certificates {
        let (Ok(state), current, holder) =
            (agent.state(&config.name), agent.live(config).current(), agent.holder(config))
        else {
            continue;
        };
        let facts = agent.facts(config, current.as_ref(), &state, &holder);
        woken.insert(config.name.clone(), now + schedule::wake_delay(&facts, now));
    }
    woken
}

enum Heard {
    Stop,
    Reload,
    /// A person wants a certificate now; which one, a file says.
    Demand,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    demand: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            demand: signal(SignalKind::user_defined1())?,
        })
    }

    async fn heard(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::Stop,
            _ = self.interrupt.recv() => Heard::Stop,
            _ = self.hangup.recv() => Heard::Reload,
            _ = self.demand.recv() => Heard::Demand,
        }
    }
}
