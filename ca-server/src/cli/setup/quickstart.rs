//! `ca-server quickstart`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;
use pki_core::x509::name::DnsName;

use crate::cli::error::CliError;
use crate::quickstart::{self, Options};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The folder; made when it is absent
    #[arg(long, default_value = "pilotlight-data")]
    dir: PathBuf,
    /// Also run a small TLS service whose two-minute certificate an agent keeps renewed
    #[arg(long)]
    demo: bool,
    /// Address of the main listener
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Address of the public listener
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    public_listen: SocketAddr,
    /// A domain that may be certified [default: test, internal, localhost]
    #[arg(long = "domain", value_name = "DOMAIN", value_parser = domain)]
    domains: Vec<DnsName>,
    /// A network that may be certified [default: private and loopback networks]
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<IpNet>,
}

impl Arguments {
    pub(in crate::cli) async fn run(self) -> Result<(), CliError> {
        let options = Options {
            dir: self.dir,
            demo: self.demo,
            listen: self.listen,
            public_listen: self.public_listen,
            domains: self.domains,
            networks: self.networks,
        };
        quickstart::run(options).await.map_err(CliError::failed)
    }
}

fn domain(text: &str) -> Result<DnsName, String> {
    text.parse().map_err(|error: pki_core::x509::name::NameError| error.to_string())
}
