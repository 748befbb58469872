//! `quickstart --demo`: a small TLS service whose two-minute certificate a real agent renews and reloads, watched by a
//! TLS client. Service and agent are processes of their own: this program, started again.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use pki_core::device::{Labels, NewDevice};
use pki_core::ids::SiteName;
use pki_core::x509::certificate::Certificate;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::app::BuildError;
use crate::flows::device;
use crate::serve::Started;
use crate::tls::{ServedCertificate, certified_key, server_config};

/// The service's name; `localhost` and what is below it always means this machine.
const NAME: &str = "demo.localhost";

/// A profile of two minutes: its whole life can be watched.
const PROFILE: &str = r"# The two-minute certificates of `ca-server quickstart --demo`. Not for anything else.
apiVersion: pilotlight.dev/v1
kind: Profile
metadata:
  name: demo
  description: Two-minute certificates to watch a renewal
spec:
  identifiers:
    dns:
      - exact: demo.localhost
  usage:
    extendedKeyUsage: [serverAuth]
  lifetime: 120s
  backdate: 10s
  renewal: { at: 0.4, grace: 1d }
  requires:
    binding: device
";

/// The folder of the demo.
#[derive(Debug)]
pub struct Demo {
    folder: PathBuf,
}

impl Demo {
    /// Adds the profile before the policies are read.
    pub fn prepare(dir: &Path) -> Result<Self, BuildError> {
        std::fs::write(dir.join("policies/demo.yaml"), PROFILE)?;
        let folder = dir.join("demo");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder: folder.canonicalize()? })
    }

    fn chain(&self) -> PathBuf {
        self.folder.join("agent/live/demo/current/fullchain.pem")
    }
}

/// Enrols the agent, starts it and the service, and reports every rotation until shutdown.
pub async fn run(demo: Demo, started: &Started) -> Result<(), BuildError> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    drop(listener);
    write_agent_configuration(&demo, address)?;
    if !demo.folder.join("agent/account.json").exists() {
        enrol(&demo, started).await?;
    }
    let shutdown = started.http.tasks.shutdown();
    println!("  demo: a TLS service on {address} ({NAME}), its certificate lives two minutes\n");
    let mut agent = agent(&demo, &["run"])?;
    if !wait_for_certificate(&demo, &shutdown).await {
        return Ok(());
    }
    let mut service = service(&demo, address)?;
    tokio::select! {
        outcome = watch(&demo, started, address) => outcome?,
        status = agent.wait() => return Err(format!("the demo's agent ended: {}", status?).into()),
        status = service.wait() => return Err(format!("the demo's service ended: {}", status?).into()),
        () = shutdown.cancelled() => {}
    }
    Ok(())
}

fn write_agent_configuration(demo: &Demo, address: std::net::SocketAddr) -> Result<(), BuildError> {
    let text = format!(
        "[agent]\n\n[[certificate]]\nname = \"demo\"\n\n[certificate.service]\ntype = \"signal\"\npid_file = {:?}\nsignal = \"HUP\"\n\n\
         [certificate.probe]\naddress = \"{address}\"\nserver_name = \"{NAME}\"\n",
        demo.folder.join("service.pid")
    );
    std::fs::write(demo.folder.join("agent.toml"), text)?;
    Ok(())
}

async fn enrol(demo: &Demo, started: &Started) -> Result<(), BuildError> {
    let ctx = &started.http.ctx;
    let new = NewDevice {
        name: "demo".parse()?,
        site: SiteName::home(),
        profile: "demo".parse()?,
        dns: vec![NAME.parse()?],
        ips: Vec::new(),
        labels: Labels::default(),
    };
    let token = match device::find(ctx, &new.name).await {
        Ok(known) => device::new_token(ctx, &known.name, None, "system").await?,
        Err(_) => device::add(ctx, new, None, "system").await?,
    };
    let file = demo.folder.join("token");
    signer::durable::write(&file, token.token.to_line().as_bytes(), 0o600, signer::durable::Existing::Replace)?;
    let file = file.to_string_lossy().into_owned();
    let status = agent(demo, &["enroll", "--token-file", &file])?.wait().await?;
    if status.success() { Ok(()) } else { Err(format!("the demo's agent could not enrol: {status}").into()) }
}

/// The agent: this program again, as `renew-agent`. It ends with its parent's hand on it.
fn agent(demo: &Demo, arguments: &[&str]) -> Result<Child, BuildError> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(demo.folder.join("agent.log"))?;
    let child = Command::new(std::env::current_exe()?)
        .arg("demo-agent")
        .args(arguments)
        .arg("--config")
        .arg(demo.folder.join("agent.toml"))
        .arg("--dir")
        .arg(demo.folder.join("agent"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

fn service(demo: &Demo, address: std::net::SocketAddr) -> Result<Child, BuildError> {
    let child = Command::new(std::env::current_exe()?)
        .arg("demo-service")
        .arg(&demo.folder)
        .arg(address.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

async fn wait_for_certificate(demo: &Demo, shutdown: &tokio_util::sync::CancellationToken) -> bool {
    while !demo.chain().exists() {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = shutdown.cancelled() => return false,
        }
    }
    true
}

/// A TLS client that trusts the root only; it tells whenever it sees another certificate.
async fn watch(demo: &Demo, started: &Started, address: std::net::SocketAddr) -> Result<(), BuildError> {
    let mut roots = RootCertStore::empty();
    for root in &started.http.ctx.roots {
        roots.add(CertificateDer::from(root.der().to_vec()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let connector = TlsConnector::from(Arc::new(config));
    let (mut last, mut rotations) = (None, 0_u32);
    loop {
        if let Ok(leaf) = handshake(&connector, address).await
            && last.as_ref() != Some(&leaf.serial())
        {
            let what = if last.is_none() { "first certificate".to_owned() } else { format!("rotation {rotations}") };
            println!("  demo: {what:<18} serial {}  valid until {}  seen on the wire", leaf.serial(), leaf.not_after());
            last = Some(leaf.serial());
            rotations = rotations.saturating_add(1);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        if !demo.folder.exists() {
            return Err("the demo's folder is gone".into());
        }
    }
}

async fn handshake(connector: &TlsConnector, address: std::net::SocketAddr) -> Result<Certificate, BuildError> {
    let stream = TcpStream::connect(address).await?;
    let mut tls = connector.connect(ServerName::try_from(NAME)?, stream).await?;
    let leaf = tls.get_ref().1.peer_certificates().and_then(<[_]>::first).ok_or("no certificate")?;
    let leaf = Certificate::parse(leaf)?;
    tls.shutdown().await?;
    Ok(leaf)
}

/// The service: answers every connection with one line, and reads its certificate again on SIGHUP.
pub async fn serve(folder: &Path, address: std::net::SocketAddr) -> Result<(), BuildError> {
    let current = folder.join("agent/live/demo/current");
    let served = Arc::new(ServedCertificate::new(load(&current)?));
    let acceptor = TlsAcceptor::from(server_config(Arc::clone(&served))?);
    let listener = TcpListener::bind(address).await?;
    let mut hup = signal(SignalKind::hangup())?;
    std::fs::write(folder.join("service.pid"), std::process::id().to_string())?;
    let connections = crate::tasks::Tasks::default();
    loop {
        tokio::select! {
            _ = hup.recv() => served.swap(load(&current)?),
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    if let Ok(mut tls) = acceptor.accept(stream).await {
                        let _ = tls.write_all(b"pilotlight demo\n").await;
                        let _ = tls.read(&mut [0; 64]).await;
                    }
                });
            }
        }
    }
}

fn load(current: &Path) -> Result<rustls::sign::CertifiedKey, BuildError> {
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(current.join("fullchain.pem"))?.collect();
    let key = PrivateKeyDer::from_pem_file(current.join("key.pem"))?;
    Ok(certified_key(chain?, key)?)
}
