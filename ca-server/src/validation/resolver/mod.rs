//! The DNS as validation sees it: by the servers of `[validation]`, each zone by its own where it has some, or by the
//! system's.
//!
//! Addresses are remembered for half a minute, absence never. Records of challenges ([`texts`]) are not remembered at
//! all; [`authorities`] finds the servers that know them first hand.

mod authorities;
mod texts;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig, TokioResolver};
use pki_core::acme::problem::ProblemKind;
use pki_core::x509::name::DnsName;

use super::Failure;

pub(super) use texts::Text;

/// For the answer of one server.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whom to ask.
#[derive(Debug, Clone, Default)]
pub struct Upstreams {
    /// For everything else; the system's when empty.
    pub servers: Vec<SocketAddr>,
    /// For these zones and every name below them.
    pub zones: Vec<(DnsName, Vec<SocketAddr>)>,
    /// Whether authoritative servers are asked for records of challenges.
    pub is_first_hand: bool,
    /// Where authoritative servers listen, 53 by RFC 1035.
    pub authoritative_port: u16,
}

/// Looks names up.
pub struct Resolver {
    /// The longest zones first, the root last: the first that fits is the one to ask.
    upstreams: Vec<(Name, Upstream)>,
    /// The port of authoritative servers, when they are to be asked.
    first_hand: Option<u16>,
}

/// One set of servers.
struct Upstream {
    /// Also knows the hosts file and the names of RFC 6761.
    addresses: TokioResolver,
    /// Bare questions and answers.
    exchange: Exchange,
}

type Exchange = NameServerPool<TokioRuntimeProvider>;

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// The error is a sentence.
    pub fn new(settings: &Upstreams) -> Result<Self, String> {
        let (config, options) = if settings.servers.is_empty() {
            // A machine without resolv.conf still knows its hosts file.
            hickory_resolver::system_conf::read_system_conf()
                .unwrap_or_else(|_| (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default()))
        } else {
            configured(&settings.servers)
        };
        let mut upstreams = vec![(Name::root(), Upstream::new(config, options)?)];
        for (zone, servers) in &settings.zones {
            let (config, options) = configured(servers);
            upstreams
                .push((fqdn(zone.base()).map_err(|failure| failure.problem.detail)?, Upstream::new(config, options)?));
        }
        upstreams.sort_by_key(|(zone, _)| std::cmp::Reverse(zone.num_labels()));
        Ok(Self { upstreams, first_hand: settings.is_first_hand.then_some(settings.authoritative_port) })
    }

    /// All addresses of a name, IPv6 first (RFC 8555 leaves the order open; clients expect the newer protocol first).
    pub(super) async fn addresses(&self, name: &DnsName) -> Result<Vec<IpAddr>, Failure> {
        self.addresses_of(&fqdn(name.base())?).await
    }

    async fn addresses_of(&self, name: &Name) -> Result<Vec<IpAddr>, Failure> {
        let found = self.upstream(name)?.addresses.lookup_ip(name.clone()).await;
        let found = found.map_err(|error| explain(name, "address", &error))?;
        let mut addresses: Vec<IpAddr> = found.iter().collect();
        addresses.sort_by_key(|address| address.is_ipv4());
        addresses.dedup();
        if addresses.is_empty() {
            return Err(Failure::transient(ProblemKind::Dns, format!("{} has no address in DNS", shown(name))));
        }
        Ok(addresses)
    }

    fn upstream(&self, name: &Name) -> Result<&Upstream, Failure> {
        let fitting = self.upstreams.iter().find(|(zone, _)| zone.zone_of(name));
        fitting.map(|(_, upstream)| upstream).ok_or_else(|| unusable(&shown(name)))
    }
}

impl Upstream {
    fn new(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, String> {
        let failed = |error: NetError| format!("the DNS resolver cannot be set up: {error}");
        limit(&mut options);
        let exchange = exchange(config.name_servers.clone(), options.clone()).map_err(failed)?;
        let mut builder = hickory_resolver::Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        Ok(Self { addresses: builder.build().map_err(failed)?, exchange })
    }
}

fn configured(servers: &[SocketAddr]) -> (ResolverConfig, ResolverOpts) {
    let servers = servers.iter().copied().map(name_server).collect();
    (ResolverConfig::from_name_servers(servers), ResolverOpts::default())
}

fn limit(options: &mut ResolverOpts) {
    options.timeout = PATIENCE;
    options.attempts = 2;
    // A challenge is often looked for a moment before it is there: a remembered absence would outlive it.
    options.negative_max_ttl = Some(Duration::ZERO);
    options.positive_max_ttl = Some(Duration::from_secs(30));
    options.try_tcp_on_error = true;
}

fn exchange(servers: Vec<NameServerConfig>, options: ResolverOpts) -> Result<Exchange, NetError> {
    let context = Arc::new(PoolContext::new(options, TlsConfig::new()?));
    Ok(NameServerPool::from_config(servers, context, TokioRuntimeProvider::default()))
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

/// The dot at the end keeps search domains out: the name proven is the name asked for.
fn fqdn(name: &str) -> Result<Name, Failure> {
    Name::from_ascii(format!("{name}.")).map_err(|_| unusable(name))
}

fn unusable(name: &str) -> Failure {
    Failure::permanent(ProblemKind::Dns, format!("{name} cannot be asked for in the DNS: it is too long"))
}

/// Without the dot at the end.
fn shown(name: &Name) -> String {
    let mut text = name.to_ascii();
    if text.len() > 1 && text.ends_with('.') {
        text.pop();
    }
    text
}

fn explain(name: &Name, what: &str, error: &NetError) -> Failure {
    let name = shown(name);
    let detail = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NXDomain => {
            format!("{name} has no {what} in DNS: there is no such name")
        }
        NetError::Dns(DnsError::NoRecordsFound(_)) => format!("{name} has no {what} in DNS"),
        NetError::Dns(DnsError::ResponseCode(code)) => format!("DNS answered {code} for {name}"),
        NetError::Timeout => format!("DNS did not answer in time for {name}"),
        _ => format!("DNS could not answer for {name}: check the resolvers of `[validation]`"),
    };
    Failure::transient(ProblemKind::Dns, detail)
}
