//! Which URLs a webhook may have.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use penstock_model::limits::WEBHOOK_URL_BYTES;
use url::{Host, Url};

use crate::address;

/// The port that every policy takes.
const HTTPS_PORT: u16 = 443;

/// Where events may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    ports: BTreeSet<u16>,
    loopback: bool,
}

impl Policy {
    /// The policy of a deployed stack: HTTPS to public addresses, at port 443 and at `ports`.
    pub fn deployed(ports: impl IntoIterator<Item = u16>) -> Self {
        let ports = ports.into_iter().chain([HTTPS_PORT]).collect();
        Self { ports, loopback: false }
    }

    /// The policy of the local cloud: beside that of a stack, HTTP and HTTPS to any port of this machine's loopback
    /// addresses.
    pub fn local() -> Self {
        Self { loopback: true, ..Self::deployed([]) }
    }

    /// The policy of the local cloud or of a stack with these ports more, as a function's settings say it.
    pub fn of(loopback: bool, ports: &[u16]) -> Self {
        if loopback { Self::local() } else { Self::deployed(ports.iter().copied()) }
    }

    /// Why nothing may be sent to an address: what its range is for. `None` where it may.
    pub fn refused(&self, address: IpAddr) -> Option<&'static str> {
        address::refused(address).filter(|_| !(self.loopback && address.is_loopback()))
    }
}

/// Why a text is no URL of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is too long.
    #[error("the URL has {bytes} bytes, the limit is {WEBHOOK_URL_BYTES}")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// It cannot be read.
    #[error("this is no URL: write https://HOST/PATH")]
    Unreadable,
    /// It is not of HTTPS.
    #[error("the URL is not of HTTPS: write https://HOST/PATH")]
    NotHttps,
    /// It holds credentials.
    #[error("a URL with credentials is not taken: the signature tells the receiver who sends")]
    Credentials,
    /// It has a fragment.
    #[error("the URL has a fragment, which is never sent: leave out `#` and what follows it")]
    Fragment,
    /// Its port is not taken.
    #[error("the port {port} is not taken: this service sends to {}", Listed(.taken))]
    Port {
        /// Its port.
        port: u16,
        /// Those that are taken.
        taken: Vec<u16>,
    },
    /// Its host is an address that nothing is sent to.
    #[error("nothing is sent to the host {host} ({range}): name a host of the public internet")]
    Address {
        /// The host.
        host: String,
        /// What its range is for.
        range: &'static str,
    },
}

/// Ports, as a sentence lists them.
struct Listed<'a>(&'a [u16]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, port) in self.0.iter().enumerate() {
            let before = if n == 0 { "" } else { ", " };
            write!(f, "{before}{port}")?;
        }
        Ok(())
    }
}

/// The URL of a webhook that a policy takes: HTTPS, without credentials and fragment, at a port that is taken. Where
/// its host leads is decided when it is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`UrlError`], which says what to write.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, UrlError> {
        if text.len() > WEBHOOK_URL_BYTES {
            return Err(UrlError::TooLong { bytes: text.len() });
        }
        // The standard takes such characters out of a URL, or reads others for them: it then is another one than was
        // written.
        if text.chars().any(|char| char.is_whitespace() || char.is_control() || char == '\\') {
            return Err(UrlError::Unreadable);
        }
        let (_, behind) = text.split_once("://").ok_or(UrlError::Unreadable)?;
        if behind.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
            return Err(UrlError::Credentials);
        }
        let url = Url::parse(text).map_err(|_| UrlError::Unreadable)?;
        // What is sent may be longer than what was written: it is percent-encoded.
        if url.as_str().len() > WEBHOOK_URL_BYTES {
            return Err(UrlError::TooLong { bytes: url.as_str().len() });
        }
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        let here = policy.loopback && is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if here => {}
            _ => return Err(UrlError::NotHttps),
        }
        if !here {
            let range = match url.host() {
                None => return Err(UrlError::Unreadable),
                Some(Host::Domain(name)) => is_local_name(name).then_some("this machine"),
                Some(Host::Ipv4(address)) => policy.refused(address.into()),
                Some(Host::Ipv6(address)) => policy.refused(address.into()),
            };
            if let Some(range) = range {
                return Err(UrlError::Address { host: url.host_str().unwrap_or_default().to_owned(), range });
            }
            let port = url.port_or_known_default().ok_or(UrlError::Unreadable)?;
            if !policy.ports.contains(&port) {
                return Err(UrlError::Port { port, taken: policy.ports.iter().copied().collect() });
            }
        }
        Ok(Self(url))
    }

    /// As it is sent to.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is sent to in the clear, which only a loopback address of the local cloud is.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Its host: a name or an address, that of IPv6 without brackets.
    pub(crate) fn host(&self) -> HostName<'_> {
        match self.0.host() {
            Some(Host::Ipv4(address)) => HostName::Address(address.into()),
            Some(Host::Ipv6(address)) => HostName::Address(address.into()),
            Some(Host::Domain(name)) => HostName::Name(name),
            None => HostName::Name(""),
        }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(HTTPS_PORT)
    }

    /// The header `Host`: with the port, unless it is the scheme's.
    pub(crate) fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Path and query: the target of the request.
    pub(crate) fn target(&self) -> &str {
        &self.0[url::Position::BeforePath..url::Position::AfterQuery]
    }
}

/// A host: one to be looked up, or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostName<'a> {
    Name(&'a str),
    Address(IpAddr),
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => Ipv4Addr::is_loopback(&address),
        Some(Host::Ipv6(address)) => Ipv6Addr::is_loopback(&address),
        Some(Host::Domain(name)) => is_local_name(name),
        None => false,
    }
}

/// A name that means the machine that asks (RFC 6761 §6.3).
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_sends_to_https_alone() {
        let policy = Policy::deployed([8443]);
        for (text, sent_to) in [
            ("https://example.com", "https://example.com/"),
            ("https://example.com:443/hooks?a=b", "https://example.com/hooks?a=b"),
            ("https://example.com:8443/", "https://example.com:8443/"),
            ("https://8.8.8.8/", "https://8.8.8.8/"),
            ("https://b\u{fc}cher.example/\u{fc}", "https://xn--bcher-kva.example/%C3%BC"),
        ] {
            assert_eq!(WebhookUrl::parse(text, &policy).expect(text).as_str(), sent_to);
        }
        for (text, part) in [
            ("http://example.com/", "not of HTTPS"),
            ("http://127.0.0.1:9000/", "not of HTTPS"),
            ("ftp://example.com/", "not of HTTPS"),
            ("example.com", "write https://HOST/PATH"),
            ("https://", "write https://HOST/PATH"),
            ("https://exa mple.com/", "no URL"),
            ("https://example.com/a\nb", "no URL"),
            ("https://a:b@example.com/", "credentials"),
            ("https://a@example.com/", "credentials"),
            ("https://@example.com/", "credentials"),
            ("https://example.com\\@example.org/", "no URL"),
            ("https:/example.com/", "no URL"),
            ("https://example.com/#a", "fragment"),
            ("https://example.com:80/", "the port 80 is not taken: this service sends to 443, 8443"),
            ("https://example.com:22/", "the port 22"),
            ("https://127.0.0.1/", "127.0.0.1 (loopback)"),
            // Other ways to write it.
            ("https://2130706433/", "127.0.0.1 (loopback)"),
            ("https://0x7f.1/", "127.0.0.1 (loopback)"),
            ("https://017700000001/", "127.0.0.1 (loopback)"),
            ("https://169.254.169.254/latest/", "link-local"),
            ("https://[::1]/", "loopback"),
            ("https://[::ffff:127.0.0.1]/", "IPv4-mapped"),
            ("https://[fd00:ec2::254]/", "unique local"),
            ("https://localhost/", "this machine"),
            ("https://a.LOCALHOST./", "this machine"),
        ] {
            let error = WebhookUrl::parse(text, &policy).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_local_cloud_sends_to_this_machine_too() {
        let policy = Policy::local();
        for text in [
            "http://127.0.0.1:9000/a",
            "http://localhost:9000/",
            "http://[::1]:9000/",
            "https://127.0.0.1:9443/",
            "https://example.com/",
        ] {
            assert!(WebhookUrl::parse(text, &policy).is_ok(), "{text}");
        }
        for text in
            ["http://example.com/", "https://example.com:9443/", "http://10.0.0.1/", "http://[::ffff:127.0.0.1]/"]
        {
            assert!(WebhookUrl::parse(text, &policy).is_err(), "{text}");
        }
        assert_eq!(policy.refused([10, 0, 0, 1].into()), Some("private"));
        assert_eq!(policy.refused([127, 0, 0, 1].into()), None);
    }

    #[test]
    fn the_limit_holds_for_what_is_written_and_for_what_is_sent_to() {
        let policy = Policy::deployed([]);
        let of = |path: &str| WebhookUrl::parse(&format!("https://a.example/{path}"), &policy);
        let most = WEBHOOK_URL_BYTES - "https://a.example/".len();
        assert!(of(&"a".repeat(most)).is_ok());
        assert_eq!(of(&"a".repeat(most + 1)), Err(UrlError::TooLong { bytes: WEBHOOK_URL_BYTES + 1 }));
        assert!(matches!(of(&"\u{fc}".repeat(most / 2)), Err(UrlError::TooLong { .. })));
    }

    #[test]
    fn host_port_and_target_are_what_is_sent() {
        let url = |text: &str| WebhookUrl::parse(text, &Policy::local()).expect(text);
        let whole = url("https://example.com?a=b");
        assert_eq!((whole.host(), whole.port()), (HostName::Name("example.com"), 443));
        assert_eq!((whole.authority().as_str(), whole.target()), ("example.com", "/?a=b"));
        let six = url("http://[::1]:9000/a/b?c");
        assert_eq!((six.host(), six.port()), (HostName::Address(IpAddr::V6(Ipv6Addr::LOCALHOST)), 9000));
        assert_eq!((six.authority().as_str(), six.target(), six.is_plain()), ("[::1]:9000", "/a/b?c", true));
    }
}
