//! Addresses of names: by the system's resolver configuration, or by the servers of `validation.resolvers`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use pki_core::acme::problem::ProblemKind;
use pki_core::x509::name::DnsName;

use super::Failure;

/// Looks names up.
pub struct Resolver(Box<hickory_resolver::TokioResolver>);

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// With `servers`, or with what the system is configured with when there are none. The error is a sentence.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, String> {
        let provider = TokioRuntimeProvider::default();
        let (config, mut options) = if servers.is_empty() {
            // A machine without resolv.conf still knows its hosts file.
            hickory_resolver::system_conf::read_system_conf()
                .unwrap_or_else(|_| (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default()))
        } else {
            let servers = servers.iter().copied().map(name_server).collect();
            (ResolverConfig::from_name_servers(servers), ResolverOpts::default())
        };
        options.timeout = Duration::from_secs(2);
        options.attempts = 2;
        // A challenge is often looked for a moment before it is there: a remembered absence would outlive it.
        options.negative_max_ttl = Some(Duration::ZERO);
        options.positive_max_ttl = Some(Duration::from_secs(30));
        let mut builder = hickory_resolver::Resolver::builder_with_config(config, provider);
        *builder.options_mut() = options;
        let resolver = builder.build().map_err(|error| format!("the DNS resolver cannot be set up: {error}"))?;
        Ok(Self(Box::new(resolver)))
    }

    /// All addresses of a name, IPv6 first (RFC 8555 leaves the order open; clients expect the newer protocol first).
    pub(super) async fn addresses(&self, name: &DnsName) -> Result<Vec<IpAddr>, Failure> {
        // The dot at the end keeps search domains out: the name proven is the name asked for.
        let found = self.0.lookup_ip(format!("{}.", name.base())).await.map_err(|error| explain(name, &error))?;
        let mut addresses: Vec<IpAddr> = found.iter().collect();
        addresses.sort_by_key(|address| address.is_ipv4());
        addresses.dedup();
        if addresses.is_empty() {
            return Err(Failure::transient(ProblemKind::Dns, format!("{name} has no address in DNS")));
        }
        Ok(addresses)
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn explain(name: &DnsName, error: &NetError) -> Failure {
    let detail = match error {
        NetError::Dns(DnsError::NoRecordsFound(_)) => format!("{name} has no address in DNS"),
        NetError::Timeout => format!("DNS did not answer in time for {name}"),
        _ => format!("DNS could not answer for {name}: check the resolvers of `[validation]`"),
    };
    Failure::transient(ProblemKind::Dns, detail)
}
