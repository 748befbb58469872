//! Where a request comes from, and its place among those under way.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;

use super::Http;
use super::gate::Place;

/// The other end of the connection, as the kernel tells it. Listeners add it to each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Addresses in a header that are looked at: no chain of proxies is longer.
const HOPS: usize = 16;

/// How clients are told apart.
#[derive(Debug, Default)]
pub struct Networks {
    /// Whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How much of an IPv4 address is a network.
    pub ipv4_prefix: u8,
    /// How much of an IPv6 address is a network.
    pub ipv6_prefix: u8,
}

/// What is known of a request before it is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Visit {
    /// The client's network.
    pub(super) network: Option<IpNet>,
    /// Held until the answer is there.
    pub(super) place: Place,
}

impl Visit {
    /// What [`layer`] has put beside the request.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }
}

/// Puts a [`Visit`] beside each request, and frees its place when it is answered.
pub(super) async fn layer(State(http): State<Arc<Http>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let network = peer.map(|Peer(peer)| http.networks.network(peer.ip(), request.headers()));
    let visit = Visit { network, place: Place::default() };
    let place = visit.place.clone();
    request.extensions_mut().insert(visit);
    let response = next.run(request).await;
    place.free();
    response
}

impl Networks {
    fn network(&self, peer: IpAddr, headers: &HeaderMap) -> IpNet {
        self.mask(self.client(peer.to_canonical(), headers))
    }

    /// The nearest address that is no trusted proxy's. A proxy may pass on a header of the other kind that the client made
    /// up: when both are there and disagree, neither is believed.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let plain = self.nearest(&texts(headers, &X_FORWARDED_FOR), |hop| hop);
        let standard = self.nearest(&texts(headers, &FORWARDED), forwarded_for);
        match (plain, standard) {
            (Some(plain), Some(standard)) if plain != standard => peer,
            (found, other) => found.or(other).unwrap_or(peer),
        }
    }

    /// From the right, where the proxy next to this CA has written. What cannot be read ends the search: who wrote it
    /// is the last one known.
    fn nearest(&self, texts: &[&str], address: impl Fn(&str) -> &str) -> Option<IpAddr> {
        let mut known = None;
        let hops = texts.iter().rev().flat_map(|text| text.rsplit(',')).take(HOPS);
        for hop in hops {
            match parse(address(hop.trim())) {
                Some(hop) if self.trusts(hop) => known = Some(hop),
                Some(hop) => return Some(hop),
                None => break,
            }
        }
        known
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    fn mask(&self, address: IpAddr) -> IpNet {
        let prefix = if address.is_ipv4() { self.ipv4_prefix } else { self.ipv6_prefix };
        IpNet::new(address, prefix).unwrap_or_else(|_| IpNet::from(address)).trunc()
    }
}

fn texts<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect()
}

/// The `for` of one element (RFC 7239 section 4), without quotes.
fn forwarded_for(element: &str) -> &str {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let node = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, node)| node);
    node.map_or("", |node| node.trim().trim_matches('"'))
}

/// An address with or without port, an IPv6 one with or without brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let found = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    found.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let networks = Networks {
            trusted_proxies: vec!["127.0.0.0/8".parse().unwrap(), "2001:db8:1::/48".parse().unwrap()],
            ipv4_prefix: 24,
            ipv6_prefix: 64,
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        networks.network(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(client("192.0.2.7", &[]), "192.0.2.0/24");
        assert_eq!(client("::ffff:192.0.2.7", &[]), "192.0.2.0/24");
        assert_eq!(client("192.0.2.7", &[("x-forwarded-for", "203.0.113.9")]), "192.0.2.0/24");
        assert_eq!(client("2001:db8::1:2:3:4", &[("forwarded", "for=203.0.113.9")]), "2001:db8::/64");
    }

    #[test]
    fn a_proxy_is_believed_about_the_nearest_stranger() {
        let plain = |value| client("127.0.0.1", &[("x-forwarded-for", value)]);
        assert_eq!(plain("203.0.113.9"), "203.0.113.0/24");
        assert_eq!(plain("203.0.113.9, 198.51.100.4"), "198.51.100.0/24", "the client may have begun with a lie");
        assert_eq!(plain("203.0.113.9, 127.0.0.2"), "203.0.113.0/24", "over two proxies");
        assert_eq!(plain("203.0.113.9:4711"), "203.0.113.0/24");
        assert_eq!(plain("[2001:db8::1]:4711"), "2001:db8::/64");
        assert_eq!(plain("2001:db8::1"), "2001:db8::/64");
        assert_eq!(plain("unknown, 127.0.0.2"), "127.0.0.0/24", "the last one known");
        assert_eq!(plain("nonsense"), "127.0.0.0/24");
        assert_eq!(
            client("127.0.0.1", &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.4")]),
            "198.51.100.0/24"
        );
        let standard = |value| client("2001:db8:1::1", &[("forwarded", value)]);
        assert_eq!(standard("for=203.0.113.9;proto=https"), "203.0.113.0/24");
        assert_eq!(standard("proto=https;For=\"[2001:db8::5]:443\""), "2001:db8::/64");
        assert_eq!(standard("for=203.0.113.9, for=198.51.100.4"), "198.51.100.0/24");
        assert_eq!(standard("for=_hidden"), "2001:db8:1::/64");
    }

    #[test]
    fn two_headers_that_disagree_are_both_ignored() {
        let both = |plain, standard| client("127.0.0.1", &[("x-forwarded-for", plain), ("forwarded", standard)]);
        assert_eq!(both("203.0.113.9", "for=203.0.113.9"), "203.0.113.0/24");
        assert_eq!(both("203.0.113.9", "for=198.51.100.4"), "127.0.0.0/24");
    }
}
