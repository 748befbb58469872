//! `ca-server serve`: from a folder to a running CA, and back again without losing a request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use signer::Passphrase;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{self, App, BuildError};
use crate::config::Config;
use crate::flows::{crl, recovery};
use crate::folder_lock::FolderLock;
use crate::http::Http;
use crate::root_crl_watch::RootCrlWatch;
use crate::server::{self, Door, Listeners, serve_admin, serve_plain, serve_public, serve_tls};
use crate::tasks::Tasks;
use crate::{jobs, telemetry, tls};

/// How long requests under way may take to end.
const DRAIN: Duration = Duration::from_secs(30);

/// How often a replica without keys looks whether it can answer.
const LOOK: Duration = Duration::from_millis(500);

/// What a caller learns once the CA answers requests.
#[derive(Debug, Clone)]
pub struct Started {
    /// The main listener's real address.
    pub main: std::net::SocketAddr,
    /// The app, for programs that run the CA inside themselves.
    pub http: Arc<crate::http::Http>,
}

/// Runs the CA of a folder until SIGTERM or SIGINT. `when_ready` is called once requests are answered.
pub async fn run(dir: &Path, passphrase: Passphrase, when_ready: impl FnOnce(&Started)) -> Result<(), BuildError> {
    let config = Config::load(dir)?;
    telemetry::start_logging(config.log.format, &config.log.level);
    let _lock = FolderLock::take(&config.dir)?;
    let listeners = bind(&config).await?;
    let outcome = run_on(&config, listeners, passphrase, when_ready).await;
    // also when nothing came of it: a socket without a server would only puzzle whoever finds it
    let _ = std::fs::remove_file(&config.admin.socket);
    outcome
}

async fn run_on(
    config: &Config,
    listeners: Listeners,
    passphrase: Passphrase,
    when_ready: impl FnOnce(&Started),
) -> Result<(), BuildError> {
    let own = listeners.addresses()?.map(|(_, address)| address).to_vec();
    let app = app::build(config, passphrase, own).await?;
    recovery::finish_planned(&app.http.ctx).await?;
    jobs::prepare_ocsp(&app.http.ctx).await;
    publish_addresses(&config.dir, &listeners.addresses()?)?;
    let started = Started { main: listeners.main.local_addr()?, http: Arc::clone(&app.http) };
    let (shutdown, hangup) = (wait_for_end()?, signal(SignalKind::hangup())?);
    serve(app, listeners, || when_ready(&started), shutdown, hangup).await
}

async fn bind(config: &Config) -> Result<Listeners, BuildError> {
    Ok(Listeners {
        main: server::bind("main", config.listen.main).await?,
        public: server::bind("public", config.listen.public).await?,
        operations: server::bind("operations", config.listen.operations).await?,
        admin: server::bind_admin(&config.admin.socket)?,
    })
}

/// Real addresses, for scripts and tests that configured port 0.
fn publish_addresses(dir: &Path, addresses: &[(&str, std::net::SocketAddr)]) -> Result<(), BuildError> {
    let folder = dir.join("run");
    std::fs::create_dir_all(&folder)?;
    let addresses: serde_json::Map<String, serde_json::Value> =
        addresses.iter().map(|(name, address)| ((*name).to_owned(), address.to_string().into())).collect();
    let text = serde_json::to_vec_pretty(&addresses)?;
    signer::durable::write(&folder.join("addresses.json"), &text, 0o644, signer::durable::Existing::Replace)?;
    Ok(())
}

/// SIGTERM and SIGINT end the program.
fn wait_for_end() -> Result<impl Future<Output = ()> + use<>, BuildError> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// Serves `app` on `listeners` until `shutdown`, then lets requests under way end. `hangup` has the policies read again.
pub async fn serve(
    app: App,
    listeners: Listeners,
    when_ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
    hangup: Signal,
) -> Result<(), BuildError> {
    let tls = tls::server_config(app.chores.own.served())?;
    let tasks = app.tasks.clone();
    let http = Arc::clone(&app.http);
    let (main, public) = (app.main_router(), app::public_front(&http));
    let (operations, admin) = (app::operations_router(&http), app.admin_router());
    take_up_lists(&http).await;
    tasks.spawn(serve_tls(Door::of(listeners.main), tls, main, tasks.clone()));
    tasks.spawn(serve_public(Door::of(listeners.public), public, tasks.clone()));
    tasks.spawn(serve_plain(Door::of(listeners.operations), operations, tasks.clone()));
    tasks.spawn(serve_admin(listeners.admin, admin, tasks.clone()));
    tasks.spawn(jobs::run(Arc::clone(&http.ctx), Arc::clone(&app.validator), tasks.clone()));
    tasks.spawn(jobs::run_denied(Arc::clone(&http.ctx), tasks.clone()));
    tasks.spawn(jobs::run_ocsp(Arc::clone(&http.ctx), tasks.clone()));
    tasks.spawn(jobs::run_pruning(Arc::clone(&http.ctx), app.retention, tasks.clone()));
    tasks.spawn(app.policies.run(Arc::clone(&http.ctx), hangup, tasks.clone()));
    tasks.spawn(jobs::run_publication(Arc::clone(&http.ctx), tasks.clone()));
    tasks.spawn(jobs::run_schedule(Arc::clone(&http.ctx), app.chores, tasks.clone()));
    http.ready.set(true);
    tracing::info!(directory = %http.urls.directory(None), "ready");
    notify_systemd("READY=1");
    when_ready();
    shutdown.await;
    end(&http).await
}

/// Runs a replica without keys until SIGTERM or SIGINT: the public and the operations listener, and the CA's database.
pub async fn run_responder(dir: &Path) -> Result<(), BuildError> {
    let config = Config::load(dir)?;
    telemetry::start_logging(config.log.format, &config.log.level);
    let _lock = FolderLock::take(&config.dir)?;
    let public = server::bind("public", config.listen.public).await?;
    let operations = server::bind("operations", config.listen.operations).await?;
    let app = app::build_responder(&config).await?;
    let addresses = [("public", public.local_addr()?), ("operations", operations.local_addr()?)];
    publish_addresses(&config.dir, &addresses)?;
    let (http, tasks) = (Arc::clone(&app.http), app.http.tasks.clone());
    take_up_lists(&http).await;
    tasks.spawn(serve_public(Door::of(public), app::public_front(&http), tasks.clone()));
    tasks.spawn(serve_plain(Door::of(operations), app::operations_router(&http), tasks.clone()));
    tasks.spawn(jobs::run_denied(Arc::clone(&http.ctx), tasks.clone()));
    tasks.spawn(jobs::run_ocsp(Arc::clone(&http.ctx), tasks.clone()));
    tasks.spawn(watch_responder(Arc::clone(&http), app.root_crl, tasks.clone()));
    let shutdown = wait_for_end()?;
    // `systemctl reload` is for servers with policies; without somebody who hears it, the signal would end this one
    let _hangup = signal(SignalKind::hangup())?;
    tracing::info!("answering relying parties; nothing else is done here");
    notify_systemd("READY=1");
    shutdown.await;
    end(&http).await
}

/// Lists that are published are served from the first request on.
async fn take_up_lists(http: &Http) {
    if let Err(error) = crl::take_up(&http.ctx).await {
        tracing::warn!(%error, "the revocation lists in the database are not taken up; it is tried again");
    }
}

/// A replica without keys is ready while it has a certificate to answer with.
async fn watch_responder(http: Arc<Http>, root_crl: RootCrlWatch, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    while !shutdown.is_cancelled() {
        http.ready.set(http.ctx.ocsp.can_sign(http.ctx.now()));
        root_crl.look(&http.ctx).await;
        take_up_lists(&http).await;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// Lets requests under way end.
async fn end(http: &Http) -> Result<(), BuildError> {
    tracing::info!("shutting down: requests under way may end");
    notify_systemd("STOPPING=1");
    http.ready.set(false);
    if tokio::time::timeout(DRAIN, http.tasks.stop()).await.is_err() {
        tracing::warn!("some connections did not end in time and are closed");
    }
    http.ctx.store.close().await;
    Ok(())
}

/// Tells systemd (`Type=notify`); without systemd nothing happens.
#[expect(clippy::disallowed_methods, reason = "systemd hands its socket over by this variable")]
fn notify_systemd(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = std::os::unix::net::UnixDatagram::unbound().and_then(|socket| socket.send_to(state.as_bytes(), path));
    if let Err(error) = sent {
        tracing::debug!(%error, "systemd was not told");
    }
}
