//! Whose request it is, by its network address: the peer's, or the one that a trusted proxy names.
//!
//! A header that names a client is worth as much as whoever wrote it. So it is read only where the peer is a proxy that
//! the operator has named, and then from the right: each proxy adds the address of its own peer at the end, and what
//! stands before the address that the first trusted proxy saw, anybody may have written.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    http::{Extensions, HeaderMap},
    middleware::{Next, from_fn},
};
use ipnet::IpNet;
use lambda_http::request::RequestContext;

/// The header by which proxies name clients, the nearest last.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The network of the client: the peer of API Gateway, as API Gateway tells it, or else the peer of this process.
///
/// An IPv4 address is a network of its own. Of an IPv6 address it is the first 64 bits, of which a provider gives every
/// customer at least one (RFC 6177 §2): by single addresses one client would be as many as it likes.
pub(crate) fn network(extensions: &Extensions) -> Option<String> {
    match extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV1(context)) => network_named(context.identity.source_ip.as_deref()?),
        Some(RequestContext::ApiGatewayV2(context)) => network_named(context.http.source_ip.as_deref()?),
        Some(_) => None,
        None => Some(network_of(extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip())),
    }
}

/// The network of an address as API Gateway writes it.
pub(crate) fn network_named(address: &str) -> Option<String> {
    address.parse().ok().map(network_of)
}

fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let prefix = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            format!("{prefix}/64")
        }
    }
}

/// The router, to which the client of a request that comes through these proxies is the one that they name in
/// `X-Forwarded-For`. Without proxies nothing changes, and the header is never read.
pub fn behind_proxies(router: Router, proxies: Vec<IpNet>) -> Router {
    if proxies.is_empty() {
        return router;
    }
    let proxies: std::sync::Arc<[IpNet]> = proxies.into();
    router.layer(from_fn(move |mut request: Request, next: Next| {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        if let Some(peer) = peer {
            let client = client(peer.ip(), request.headers(), &proxies);
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(client, peer.port())));
        }
        next.run(request)
    }))
}

/// The first address from the right that is no trusted proxy's; where one cannot be read, the proxy that wrote it.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(&address.to_canonical()));
    let named: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().flat_map(|value| value.to_str().unwrap_or("").split(',')).collect();
    let mut nearest = peer;
    for name in named.into_iter().rev() {
        if !is_trusted(nearest) {
            break;
        }
        let Some(address) = address_of(name.trim()) else { break };
        nearest = address;
    }
    nearest
}

/// An address as proxies write it: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address_of(name: &str) -> Option<IpAddr> {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    bare.parse().ok().or_else(|| name.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Vec<IpNet> {
        ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|proxy| proxy.parse().expect("a network")).to_vec()
    }

    fn client_of(peer: &str, forwarded: &[&str]) -> String {
        let values =
            forwarded.iter().map(|value| (FORWARDED_FOR.parse().expect("a name"), value.parse().expect("one")));
        let mut headers = HeaderMap::new();
        values.for_each(|(name, value): (axum::http::HeaderName, axum::http::HeaderValue)| {
            headers.append(name, value);
        });
        client(peer.parse().expect("an address"), &headers, &proxies()).to_string()
    }

    #[test]
    fn a_client_is_named_by_trusted_proxies_alone() {
        // Whoever connects without a proxy cannot name another.
        assert_eq!(client_of("203.0.113.9", &["192.0.2.1"]), "203.0.113.9");
        assert_eq!(client_of("10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client_of("::ffff:10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        // What a client wrote itself stands to the left of what the proxy saw.
        assert_eq!(client_of("10.0.0.1", &["198.51.100.7, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(client_of("10.0.0.1", &["198.51.100.7", "192.0.2.1"]), "192.0.2.1");
        assert_eq!(client_of("10.0.0.1", &["192.0.2.1, 10.0.0.7, 10.1.2.3"]), "192.0.2.1");
        assert_eq!(client_of("10.0.0.1", &["192.0.2.1:55000, 2001:db8:ffff::1"]), "192.0.2.1");
        assert_eq!(client_of("2001:db8:ffff::1", &["[2001:db8::5]:4711"]), "2001:db8::5");
        assert_eq!(client_of("2001:db8:ffff::1", &["[2001:db8::5]"]), "2001:db8::5");
        // A proxy that names nobody, or writes what is no address, is the client itself.
        assert_eq!(client_of("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client_of("10.0.0.1", &["192.0.2.1, unknown"]), "10.0.0.1");
        assert_eq!(client_of("10.0.0.1", &["10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let network = |address: &str| network_of(address.parse().expect("an address"));
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2:ffff::"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:3::1"), network("2001:db8:1:2::1"));
    }
}
