//! `[listen]`: where the CA listens.

use std::net::SocketAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Addresses of the listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// HTTPS: ACME and the JSON API.
    pub main: SocketAddr,
    /// A separate listener for browsers; empty for none.
    pub console: String,
    /// Plain HTTP: CRLs and CA certificates, which clients fetch before they trust anything.
    pub public: SocketAddr,
    /// Plain HTTP: health and metrics.
    pub operations: SocketAddr,
    /// Whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
}

impl Default for Listen {
    fn default() -> Self {
        let every = |port| SocketAddr::from(([0_u16; 8], port));
        Self {
            main: every(8443),
            console: String::new(),
            public: every(8080),
            operations: SocketAddr::from(([127, 0, 0, 1], 9180)),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
        }
    }
}

impl Listen {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if !self.console.is_empty() {
            return Err(("listen.console", "this version has no console; leave it empty".into()));
        }
        if self.proxy_protocol {
            return Err((
                "listen.proxy_protocol",
                "this version does not read the PROXY protocol; set it to false".into(),
            ));
        }
        for (key, address) in [("listen.public", self.public), ("listen.operations", self.operations)] {
            if address == self.main && address.port() != 0 {
                return Err((key, format!("{address} is the address of `listen.main`; choose another port")));
            }
        }
        if self.public == self.operations && self.public.port() != 0 {
            let why = format!("{} is the address of `listen.public`; choose another port", self.operations);
            return Err(("listen.operations", why));
        }
        Ok(())
    }
}
