//! The composition root: the only place that builds things.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::routing::get;
use pki_core::admission::Bounds;
use pki_core::ids::JobId;
use pki_core::policy::Policy;
use pki_core::random::{Entropy, SystemEntropy};
use pki_core::time::{Clock, SystemClock};
use signer::{FileSigner, Passphrase, SiteKey};
use store::{OpenOptions, Store, meta};

use crate::ceremony::material::CaMaterial;
use crate::config::{Config, ResolverAddress};
use crate::flows::crl::{self, CrlDesk};
use crate::flows::handover::Handover;
use crate::flows::issue::IssueDesk;
use crate::flows::ocsp::cache::CacheBounds;
use crate::flows::ocsp::{self, OcspSettings};
use crate::flows::own_tls::own_policy;
use crate::flows::pruning::Retention;
use crate::flows::rates::Rates;
use crate::flows::{Context, ContextParts, FlowError, Limits, Service, policy};
use crate::http::ocsp::Front;
use crate::http::{Gate, Http, Networks, Readiness, Urls, acme, api, operations, public};
use crate::jobs::{Chores, LEASE};
use crate::own_certificate::OwnCertificate;
use crate::policies::watch::Watch;
use crate::root_crl_watch::RootCrlWatch;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::validation::{Guard, Resolver, Upstreams, Validator};

/// A CA that is ready to be served.
#[derive(Debug)]
pub struct App {
    /// What handlers work with.
    pub http: Arc<Http>,
    /// What validation works with.
    pub validator: Arc<Validator>,
    /// What is due by the clock.
    pub chores: Chores,
    /// Reads the policies again.
    pub policies: Watch,
    /// How long what is over is kept.
    pub retention: Retention,
    /// Everything that runs.
    pub tasks: Tasks,
}

/// A replica that answers relying parties and nobody else, without any key of the CA.
#[derive(Debug)]
pub struct ResponderApp {
    /// What handlers work with.
    pub http: Arc<Http>,
    /// Takes up the root's lists.
    pub root_crl: RootCrlWatch,
}

/// Why a CA cannot be built; each a sentence with the remedy.
pub type BuildError = Box<dyn std::error::Error + Send + Sync>;

/// Opens the database, the keys and the policies of a configuration. `own` are the addresses it will listen on.
pub async fn build(config: &Config, passphrase: Passphrase, own: Vec<std::net::SocketAddr>) -> Result<App, BuildError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let material = CaMaterial::load(config, clock.now())?;
    let (mut watch, policy) = Watch::begin(config).await?;
    // before the database: a wrong passphrase shall not have migrated anything
    let (desk, site_key) = open_keys(config, &material, passphrase, Arc::clone(&entropy)).await?;
    let store = open_store(config).await?;
    let policy = watch.confirm(policy).await?;
    let ctx = context(config, material, store, policy, (desk, site_key), (clock, entropy)).await?;
    policy::begin(&ctx).await?;
    let validator = Arc::new(validator(config, own)?);
    let own = OwnCertificate::start(&ctx, &config.dir, config.external.own_names()).await?;
    let root_crl = RootCrlWatch::start(config.ca.root.crl.clone(), &ctx).await;
    let retention = Retention { orders: config.retention.orders, eab_keys: config.retention.eab_keys };
    let http = http(config, ctx, validator.issuers.clone());
    let tasks = http.tasks.clone();
    Ok(App { http, validator, chores: Chores { own, root_crl }, policies: watch, retention, tasks })
}

/// Opens the database of a configuration, and no key: whatever needs one is refused, and no request gets that far.
pub async fn build_responder(config: &Config) -> Result<ResponderApp, BuildError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let material = CaMaterial::load(config, clock.now())?;
    let store = open_store(config).await?;
    let policy = own_policy(&config.external.own_names())?;
    let desk = IssueDesk::without_key(config.ca.issuing.key.clone());
    let site_key = SiteKey::of_the_moment(Arc::clone(&entropy));
    let ctx = context(config, material, store, policy, (desk, site_key), (clock, entropy)).await?;
    let root_crl = RootCrlWatch::start(config.ca.root.crl.clone(), &ctx).await;
    Ok(ResponderApp { http: http(config, ctx, Vec::new()), root_crl })
}

async fn context(
    config: &Config,
    material: CaMaterial,
    store: Store,
    policy: Policy,
    (desk, site_key): (IssueDesk, SiteKey),
    (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
) -> Result<Arc<Context>, BuildError> {
    let metrics = Arc::new(Metrics::default());
    metrics.issuer_not_after.store(material.issuing.certificate.not_after().unix_seconds(), Ordering::Relaxed);
    metrics.root_crl_next_update.store(material.root_crl_next_update().unix_seconds(), Ordering::Relaxed);
    let epoch = store.read(async |tx| Ok::<_, FlowError>(meta::get(tx, "epoch").await?)).await?;
    let epoch = epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or(1);
    let former = ocsp::former(&store, &desk, material.issuing.id, &material.root, clock.now()).await?;
    let process = JobId::random(entropy.as_ref()).to_string();
    let ctx = Arc::new(Context::new(ContextParts {
        clock,
        entropy,
        owns_database: !config.database.url.is_shared(),
        handover: Handover::new(process, LEASE + config.validation.timeout_seconds),
        store,
        policy,
        roots: material.roots,
        root: material.root,
        issuing: material.issuing,
        alternates: material.alternates,
        desk,
        site_key,
        limits: limits(config),
        crls: crls(config)?,
        rates: Rates::new(config.limits.rates.in_force(), Arc::clone(&metrics)),
        external_account_required: config.acme.external_account_required,
        service: service(config),
        epoch,
        addresses: addresses(config),
        ocsp: ocsp_settings(config),
        former,
        metrics,
    }));
    // before anything is asked of it: who was taken back while it was away
    ctx.denied.catch_up(&ctx.store).await?;
    Ok(ctx)
}

/// `issuers` is what records of dns-persist-01 call this CA.
fn http(config: &Config, ctx: Arc<Context>, issuers: Vec<String>) -> Arc<Http> {
    let roots_pem = pki_core::x509::pem::bundle_to_pem(&ctx.roots);
    let urls = Urls::new(config.external.main.as_str());
    let (gate, networks) = (gate(config, &ctx), networks(config));
    let aliases = config.external.aliases.iter().map(|alias| Urls::new(alias.as_str())).collect();
    let (tasks, ready) = (Tasks::default(), Readiness::default());
    Arc::new(Http { ctx, urls, aliases, tasks, ready, roots_pem, issuers, gate, networks })
}

async fn open_store(config: &Config) -> Result<Store, BuildError> {
    let store = Store::open(OpenOptions::new(config.database.url.expose(), &config.dir)).await?;
    store.migrate().await?;
    Ok(store)
}

/// Opening a key costs tens of milliseconds of key derivation each, so the two go side by side, off the async threads.
async fn open_keys(
    config: &Config,
    material: &CaMaterial,
    passphrase: Passphrase,
    entropy: Arc<dyn Entropy>,
) -> Result<(IssueDesk, SiteKey), BuildError> {
    let key = config.ca.issuing.key.clone();
    // issuers that issue no more go on to sign their lists
    let mut wanted = vec![key.clone()];
    wanted.extend(config.crl.keys.iter().filter(|other| **other != key).cloned());
    let (folder, site_file) = (config.keys.folder.clone(), config.keys.site_key());
    let passphrase = Arc::new(passphrase);
    let (signing_passphrase, envelope) = (Arc::clone(&passphrase), material.envelope());
    let signer = tokio::task::spawn_blocking(move || FileSigner::open(&folder, &signing_passphrase, &wanted, envelope));
    let site_key = tokio::task::spawn_blocking(move || SiteKey::load(&site_file, &passphrase, entropy));
    let (signer, site_key) = tokio::try_join!(signer, site_key)?;
    let signer = signer?;
    material.check_key(config, &signer)?;
    Ok((IssueDesk::new(Arc::new(signer), key), site_key?))
}

fn service(config: &Config) -> Service {
    let acme = config.acme.clone();
    Service {
        terms_of_service: acme.terms_of_service,
        website: acme.website,
        explanation_url: acme.explanation_url,
        new_authz: acme.new_authz,
        cross_origin: acme.cross_origin,
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        order_life: config.limits.order_life,
        authorization_life: config.limits.authorization_life,
        signing_deadline: config.limits.signing_deadline,
        max_identifiers: config.limits.max_identifiers,
    }
}

fn crls(config: &Config) -> Result<CrlDesk, BuildError> {
    let crl = config.crl.clone();
    let settings = crl::Settings {
        shards: crl.shards,
        deltas: crl.deltas,
        life: crl.life,
        period: crl.publish_every,
        folder: crl.folder,
    };
    Ok(CrlDesk::new(settings, crl::Marks::load(config.dir.join("high-water.json"))?))
}

fn ocsp_settings(config: &Config) -> OcspSettings {
    let settings = &config.ocsp;
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let cache = CacheBounds {
        answers: number(settings.cached_answers),
        octets: number(settings.cached_megabytes).saturating_mul(1024 * 1024),
    };
    OcspSettings {
        answer_life: settings.answer_life,
        max_age: settings.max_age,
        responder_life: settings.responder_life,
        cache,
    }
}

fn gate(config: &Config, ctx: &Context) -> Arc<Gate> {
    let overload = &config.limits.overload;
    let bounds = Bounds { at_once: overload.at_once, waiting: overload.waiting, patience: overload.patience };
    Gate::new(bounds, Arc::clone(&ctx.metrics), Arc::clone(&ctx.entropy))
}

fn networks(config: &Config) -> Networks {
    Networks {
        trusted_proxies: config.listen.trusted_proxies.clone(),
        ipv4_prefix: config.limits.rates.ipv4_prefix,
        ipv6_prefix: config.limits.rates.ipv6_prefix,
    }
}

/// Where tokens send devices: the external address, then the same port under every other name of the certificate.
fn addresses(config: &Config) -> Vec<String> {
    let main = &config.external.main;
    let mut addresses = vec![main.as_str().to_owned()];
    for name in config.external.own_names() {
        let host = match &name {
            pki_core::x509::name::Identifier::Ip(std::net::IpAddr::V6(address)) => format!("[{address}]"),
            other => other.value(),
        };
        let address =
            if main.port() == 443 { format!("https://{host}") } else { format!("https://{host}:{}", main.port()) };
        if !name.is_wildcard() && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

fn validator(config: &Config, own: Vec<std::net::SocketAddr>) -> Result<Validator, BuildError> {
    let settings = &config.validation;
    let addresses = |all: &[ResolverAddress]| all.iter().map(|resolver| resolver.0).collect();
    let upstreams = Upstreams {
        servers: addresses(&settings.resolvers),
        zones: settings.zone_resolvers.iter().map(|(zone, all)| (zone.0.clone(), addresses(all))).collect(),
        is_first_hand: settings.ask_authoritative_servers,
        authoritative_port: settings.dns_port,
    };
    Ok(Validator {
        resolver: Resolver::new(&upstreams)?,
        guard: Guard { allow: settings.allow_networks.clone(), deny: settings.deny_networks.clone(), own },
        http_port: settings.http_port,
        tls_port: settings.tls_port,
        timeout: settings.timeout_seconds,
        max_redirects: settings.max_redirects.into(),
        issuers: settings.issuers(config.external.main.host()),
        accounts: Urls::new(config.external.main.as_str()).accounts(),
    })
}

/// HTTP for relying parties.
pub fn public_front(http: &Arc<Http>) -> Front {
    let router = public::router(http).with_state(Arc::clone(http));
    Front::new(Arc::clone(http), router, None)
}

/// HTTP for monitoring.
pub fn operations_router(http: &Arc<Http>) -> Router {
    operations::router().with_state(Arc::clone(http))
}

impl App {
    /// HTTPS: ACME, agents, and the roots for those who have nothing but an address and a fingerprint.
    pub fn main_router(&self) -> Router {
        let http = &self.http;
        Router::new()
            .route("/roots.pem", get(public::roots))
            .route("/rate-limits", get(public::rate_limits))
            .merge(acme::router(http))
            .merge(api::agents(http))
            .fallback(async || crate::http::HttpError::not_found("resource"))
            .with_state(Arc::clone(http))
    }

    /// The local socket.
    pub fn admin_router(&self) -> Router {
        api::administration(&self.http).with_state(Arc::clone(&self.http))
    }
}
