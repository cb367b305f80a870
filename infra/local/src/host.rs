//! Whom a request means, by its `Host`.
//!
//! A page in a browser cannot choose this header, but its owner can have a name of theirs lead to this machine after
//! the page was loaded (DNS rebinding). To the browser the page and this machine are then one origin. So a request is
//! taken only if it names this machine, or what its operator has named.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::{HeaderMap, Uri, header, uri::Authority};

/// A URL by which clients reach a local cloud: scheme, host and port alone, since signatures cover host and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    scheme: &'static str,
    authority: Authority,
}

/// A text is no [`PublicUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write scheme, host and port alone, such as http://localhost:9000")]
pub struct NoPublicUrl;

impl FromStr for PublicUrl {
    type Err = NoPublicUrl;

    fn from_str(text: &str) -> Result<Self, NoPublicUrl> {
        let url: Uri = text.parse().map_err(|_| NoPublicUrl)?;
        let scheme = match url.scheme_str() {
            Some("http") => "http",
            Some("https") => "https",
            _ => return Err(NoPublicUrl),
        };
        let authority = url.authority().filter(|name| !name.host().is_empty() && !name.as_str().contains('@'));
        let is_plain = url.path() == "/" && url.query().is_none() && !text.contains('#');
        authority.filter(|_| is_plain).map(|name| Self { scheme, authority: name.clone() }).ok_or(NoPublicUrl)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl PublicUrl {
    /// Whether it names this machine to whoever is on it, and to nobody else.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&bare(self.authority.host()))
    }
}

/// The names by which a server is asked.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// Beside the names of this machine.
    named: Option<String>,
    /// Whether other machines reach it. They may name any of its addresses, which no owner of a name can rebind.
    is_public: bool,
}

impl Hosts {
    /// Only this machine.
    pub(crate) fn loopback() -> Self {
        Self { named: None, is_public: false }
    }

    /// A server that listens on `address`, and to which `public` leads, if given.
    pub(crate) fn new(address: SocketAddr, public: Option<&PublicUrl>) -> Self {
        let named = public.map(|public| bare(public.authority.host()));
        Self { named, is_public: !address.ip().is_loopback() }
    }

    /// Whether a request with these headers means this server.
    pub(crate) fn takes(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (values.next(), values.next()) else { return false };
        let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        let Some(host) = host.filter(|host| !host.as_str().contains('@')) else { return false };
        let host = bare(host.host());
        let is_address = host.parse::<IpAddr>().is_ok();
        is_loopback(&host) || (self.is_public && is_address) || self.named.as_ref() == Some(&host)
    }
}

/// A host in lower case, without the brackets of an IPv6 address.
fn bare(host: &str) -> String {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    inside.to_ascii_lowercase()
}

/// Whether a name or an address is this machine's own, whoever says it (RFC 6761 §6.3).
fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn takes(hosts: &Hosts, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        hosts.takes(&headers)
    }

    #[test]
    fn a_request_has_to_mean_this_machine_or_what_it_is_called() {
        let local = Hosts::new("127.0.0.1:9000".parse().unwrap(), None);
        for host in
            ["127.0.0.1:9000", "127.0.0.1", "localhost:1", "LOCALHOST", "a.localhost:9000", "[::1]:9000", "127.9.9.9"]
        {
            assert!(takes(&local, host), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "192.168.0.7",
            "a@localhost",
            "",
            "0.0.0.0",
        ] {
            assert!(!takes(&local, host), "{host}");
        }
        assert!(!local.takes(&HeaderMap::new()));
        let name = "https://Penstock.test:8443".parse().unwrap();
        let public = Hosts::new("0.0.0.0:9000".parse().unwrap(), Some(&name));
        for host in ["penstock.test:8443", "PENSTOCK.test", "192.168.0.7:9000", "[fe80::1]:9000", "localhost"] {
            assert!(takes(&public, host), "{host}");
        }
        assert!(!takes(&public, "evil.example") && !takes(&public, "a.penstock.test"));
    }

    #[test]
    fn a_public_url_is_scheme_host_and_port_alone() {
        for (text, shown, is_loopback) in [
            ("http://localhost:8080", "http://localhost:8080", true),
            ("https://penstock.test/", "https://penstock.test", false),
            ("http://[::1]:9000", "http://[::1]:9000", true),
            ("http://127.0.0.1.evil.example", "http://127.0.0.1.evil.example", false),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.is_loopback()), (shown, is_loopback));
        }
        for text in
            ["", "localhost:9000", "ftp://a", "http://", "http://a/b", "http://a?b", "http://a#b", "http://u@a", "/a"]
        {
            assert_eq!(text.parse::<PublicUrl>(), Err(NoPublicUrl), "{text}");
        }
    }
}
