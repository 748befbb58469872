//! `ca-server quickstart`: a CA in a folder, made when absent, serving loopback, with everything a person needs next on
//! the screen.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use pki_core::device::{Labels, NewDevice};
use pki_core::ids::SiteName;
use pki_core::random::SystemEntropy;
use pki_core::time::SystemClock;
use pki_core::x509::name::DnsName;

use crate::app::BuildError;
use crate::ceremony::{InitRequest, PassphraseChoice, init};
use crate::config::passphrase::{self, Prompt};
use crate::config::{Config, FILE};
use crate::demo::{self, Demo};
use crate::flows::device;
use crate::serve::{self, Started};

/// What the command line said.
#[derive(Debug, Clone)]
pub struct Options {
    /// The CA's folder.
    pub dir: PathBuf,
    /// Also show a renewal loop.
    pub demo: bool,
    /// The main listener.
    pub listen: SocketAddr,
    /// The public listener.
    pub public_listen: SocketAddr,
    /// Zones of names that may be certified.
    pub domains: Vec<DnsName>,
    /// Networks of addresses that may be certified; private and loopback ones when empty.
    pub networks: Vec<IpNet>,
}

/// Makes the CA when it is absent, then serves it until it is stopped.
pub async fn run(options: Options) -> Result<(), BuildError> {
    if !options.listen.ip().is_loopback() || !options.public_listen.ip().is_loopback() {
        // The passphrase lies beside the keys it opens.
        return Err(
            "a quickstart folder keeps its passphrase beside its keys, so it serves loopback only; make a CA for a \
                    network with `ca-server init`"
                .into(),
        );
    }
    let is_new = !options.dir.join(FILE).exists();
    if is_new {
        make(&options).await?;
    }
    let config = Config::load(&options.dir)?;
    let passphrase = passphrase::find(None, &config.keys.passphrase_file, Prompt::Existing)?;
    let demo = if options.demo { Some(Demo::prepare(&options.dir)?) } else { None };
    serve::run(&options.dir, passphrase, |started: &Started| {
        let (started, dir) = (started.clone(), options.dir.clone());
        let tasks = started.http.tasks.clone();
        tasks.spawn(async move {
            if let Err(error) = greet(&started, &dir, is_new, demo).await {
                tracing::error!(%error, "the greeting failed");
            }
        });
    })
    .await
}

async fn make(options: &Options) -> Result<(), BuildError> {
    let zones = if options.domains.is_empty() { default_zones()? } else { options.domains.clone() };
    let port = options.listen.port();
    let request = InitRequest {
        dns_names: vec!["localhost".parse()?],
        ips: vec![options.listen.ip(), IpAddr::from([127, 0, 0, 1])],
        domains: zones,
        networks: options.networks.clone(),
        open_acme: true,
        external_main: Some(format!("https://localhost:{port}").try_into()?),
        external_public: Some(format!("http://localhost:{}", options.public_listen.port()).try_into()?),
        listen: [options.listen.to_string(), options.public_listen.to_string(), "127.0.0.1:9180".to_owned()],
        validation_allow: vec!["127.0.0.0/8".parse()?, "::1/128".parse()?],
        ..InitRequest::new(&options.dir, "Quickstart")
    };
    init(&request, PassphraseChoice::Made, &SystemClock, &SystemEntropy::new()).await?;
    Ok(())
}

fn default_zones() -> Result<Vec<DnsName>, BuildError> {
    ["test", "internal", "localhost"].iter().map(|zone| zone.parse().map_err(BuildError::from)).collect()
}

/// What a person needs next, on standard output.
async fn greet(started: &Started, dir: &Path, is_new: bool, demo: Option<Demo>) -> Result<(), BuildError> {
    let ctx = &started.http.ctx;
    println!("\n  Pilotlight is running.\n");
    println!("  ACME directory   {}", started.http.urls.directory(None));
    for root in &ctx.roots {
        println!("  root SHA-256     {}", data_encoding::HEXLOWER.encode(&root.sha256()));
    }
    println!("  root file        {}", dir.join("roots.pem").display());
    println!("  administration   ca-server device list --dir {}", dir.display());
    if is_new {
        let token = first_gateway(started).await?;
        println!("\n  Enrol a first gateway (this line is shown once):\n\n  renew-agent enroll {token}");
    }
    println!("\n  Stop with Ctrl-C.\n");
    match demo {
        Some(demo) => demo::run(demo, started).await,
        None => Ok(()),
    }
}

/// A device to try the whole way with: the first zone's `gw-1`.
async fn first_gateway(started: &Started) -> Result<String, BuildError> {
    let ctx = &started.http.ctx;
    let policy = ctx.policy();
    let profile = "gateway".parse()?;
    let zone = policy.profile(&profile).and_then(|gateway| gateway.identifiers.dns_suffix().next().cloned());
    let zone = zone.ok_or("the policy has no profile `gateway` with a zone")?;
    let new = NewDevice {
        name: "gw-1".parse()?,
        site: SiteName::home(),
        profile,
        dns: vec![format!("gw-1.{zone}").parse()?],
        ips: Vec::new(),
        labels: Labels::default(),
    };
    let token = device::add(ctx, new, None, "system").await?;
    Ok(token.token.to_line().to_string())
}
