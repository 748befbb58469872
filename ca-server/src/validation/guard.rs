//! Which addresses validation may connect to: a client must not turn the CA into its scanner (RFC 8555 section 10.4).
//!
//! On premises the networks are private, so private ranges are allowed; what no certificate is ever asked for
//! honestly is not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

/// The rules, as configured under `[validation]`.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Allowed whatever the other rules say.
    pub allow: Vec<IpNet>,
    /// Denied, unless allowed above.
    pub deny: Vec<IpNet>,
    /// The CA's own listeners; never connected to.
    pub own: Vec<SocketAddr>,
}

/// An address that validation may not connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {reason}")]
pub struct Forbidden {
    address: IpAddr,
    reason: &'static str,
}

impl Guard {
    /// Whether a connection to `target` may be opened.
    pub fn check(&self, target: SocketAddr) -> Result<(), Forbidden> {
        let address = target.ip().to_canonical();
        let forbid = |reason| Err(Forbidden { address, reason });
        if self.own.iter().any(|own| reaches(*own, address, target.port())) {
            return forbid("one of this CA's own listeners");
        }
        if self.allow.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        if self.deny.iter().any(|network| network.contains(&address)) {
            return forbid("in a network denied by `validation.deny_networks`");
        }
        match never_honest(address) {
            Some(reason) => forbid(reason),
            None => Ok(()),
        }
    }
}

/// A listener on the unspecified address answers on every address of the machine, of which loopback is the one
/// that is always there; its port counts on all of them.
fn reaches(own: SocketAddr, address: IpAddr, port: u16) -> bool {
    own.port() == port && (own.ip().to_canonical() == address || (own.ip().is_unspecified() && address.is_loopback()))
}

fn never_honest(address: IpAddr) -> Option<&'static str> {
    /// Where clouds answer with credentials.
    const METADATA: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
        IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    ];
    if METADATA.contains(&address) {
        return Some("a cloud metadata address");
    }
    if address.is_loopback() {
        return Some("a loopback address; allow it with `validation.allow_networks` if this is a test");
    }
    if address.is_unspecified() {
        return Some("the unspecified address");
    }
    if address.is_multicast() {
        return Some("a multicast address");
    }
    let (link_local, broadcast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.is_broadcast()),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), false),
    };
    if link_local {
        return Some("a link-local address");
    }
    broadcast.then_some("the broadcast address")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn private_networks_are_allowed_and_dangerous_ones_are_not() {
        let guard = Guard::default();
        for good in ["10.1.2.3:80", "192.168.0.1:80", "[fd12::1]:80", "203.0.113.9:80"] {
            assert_eq!(guard.check(to(good)), Ok(()), "{good}");
        }
        for bad in [
            "127.0.0.1:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
            "169.254.169.254:80",
            "169.254.1.1:80",
            "[fe80::1]:80",
            "224.0.0.1:80",
            "0.0.0.0:80",
            "255.255.255.255:80",
            "[fd00:ec2::254]:80",
        ] {
            assert!(guard.check(to(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn allowing_loopback_does_not_open_the_cas_own_ports() {
        let guard = Guard {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            deny: vec!["10.0.0.0/8".parse().unwrap()],
            own: vec![to("0.0.0.0:8443"), to("127.0.0.1:9180")],
        };
        assert_eq!(guard.check(to("127.0.0.1:80")), Ok(()));
        assert!(guard.check(to("127.0.0.1:8443")).is_err());
        assert!(guard.check(to("127.0.0.1:9180")).is_err());
        assert!(guard.check(to("10.0.0.1:80")).is_err());
    }
}
