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
        let address = destination(target.ip());
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

    /// Whether a connection that was opened may be used. A listener on the unspecified address answers on every address
    /// of this machine, and a connection to one of those comes from the very address it goes to.
    pub fn check_opened(&self, from: SocketAddr, to: SocketAddr) -> Result<(), Forbidden> {
        let address = to.ip().to_canonical();
        let is_own = self.own.iter().any(|own| own.ip().is_unspecified() && own.port() == to.port());
        if is_own && from.ip().to_canonical() == address {
            return Err(Forbidden { address, reason: "one of this CA's own listeners" });
        }
        Ok(())
    }
}

/// Where packets for an address go: IPv4 addresses are also written as IPv6 ones, for the machine itself (RFC 4291
/// section 2.5.5) and for translators on the way (RFC 6052 section 2.1, RFC 8215, RFC 3056 section 2).
fn destination(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let embedded = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => embedded(high, low),
        _ => address.to_canonical(),
    }
}

/// A listener on the unspecified address answers on loopback, which is always there; of other addresses of the machine
/// [`Guard::check_opened`] tells.
fn reaches(own: SocketAddr, address: IpAddr, port: u16) -> bool {
    own.port() == port && (own.ip().to_canonical() == address || (own.ip().is_unspecified() && address.is_loopback()))
}

fn never_honest(address: IpAddr) -> Option<&'static str> {
    /// Where clouds answer with credentials.
    const METADATA: [IpAddr; 5] = [
        IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
        IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
        IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
        IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
        IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    ];
    if METADATA.contains(&address) {
        return Some("a cloud metadata address");
    }
    if address.is_loopback() {
        return Some("a loopback address; allow it with `validation.allow_networks` if this is a test");
    }
    if address.is_unspecified() || matches!(address, IpAddr::V4(v4) if v4.octets().first() == Some(&0)) {
        return Some("an address of no machine (RFC 1122 section 3.2.1.3)");
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
            "[64:ff9b::169.254.169.254]:80",
            "[64:ff9b::127.0.0.1]:80",
            "[64:ff9b:1::127.0.0.1]:80",
            "100.100.100.200:80",
            "168.63.129.16:80",
            "[2002:7f00:1::1]:80",
            "[::127.0.0.1]:80",
            "0.1.2.3:80",
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

    #[test]
    fn a_listener_on_all_addresses_is_found_behind_each_of_them() {
        let guard = Guard { own: vec![to("[::]:80"), to("10.0.0.1:8443")], ..Guard::default() };
        assert_eq!(guard.check(to("192.0.2.7:80")), Ok(()), "whose address this is shows only when it is connected to");
        assert!(guard.check_opened(to("192.0.2.7:5000"), to("192.0.2.7:80")).is_err());
        assert!(guard.check_opened(to("[::ffff:192.0.2.7]:5000"), to("192.0.2.7:80")).is_err());
        assert_eq!(guard.check_opened(to("192.0.2.7:5000"), to("192.0.2.8:80")), Ok(()));
        assert_eq!(
            guard.check_opened(to("192.0.2.7:5000"), to("192.0.2.7:8080")),
            Ok(()),
            "nginx may share the machine"
        );
    }
}
