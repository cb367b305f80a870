//! Where a service is, and who asks: as people write them.

use std::{fmt, net::IpAddr, str::FromStr};

use reqwest::Url;

use crate::{ClientError, Result};

/// An API key as its user has it: `<id>.<secret>` or `<id>:<secret>`. An id holds neither `.` nor `:`, a secret may.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The key's id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl Credential {
    /// `<id>.<secret>`: how it is sent.
    pub fn token(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}

/// Without the secret, which nothing may print.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("id", &self.id).finish_non_exhaustive()
    }
}

impl FromStr for Credential {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self> {
        let printable = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let (id, secret) = text.trim().split_once(['.', ':']).ok_or(ClientError::Credential)?;
        let is_id = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !(1..=64).contains(&id.len()) || !is_id(id) || !printable(secret) {
            return Err(ClientError::Credential);
        }
        Ok(Self { id: id.to_owned(), secret: secret.to_owned() })
    }
}

/// The base URL that a text means, without a slash at its end: a whole one, or a host and port, which is HTTP on this
/// machine and HTTPS elsewhere, so that no key goes over a network in the clear by guess.
///
/// # Errors
/// [`ClientError::Url`], which says what to write.
pub fn base_url(text: &str) -> Result<String> {
    let wrong = |why| ClientError::Url { url: without_secrets(text), why };
    let trimmed = text.trim();
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_port(trimmed.trim_start_matches(':').trim_end_matches('/')) {
        return Err(wrong("a port alone is no URL; for a service on this machine write 127.0.0.1:PORT"));
    }
    let whole = if trimmed.contains("://") { trimmed.to_owned() } else { format!("http://{trimmed}") };
    let mut url = Url::parse(&whole).map_err(|_| wrong("write https://HOST, or 127.0.0.1:PORT for this machine"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("the service speaks HTTPS and HTTP: write https://HOST"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the key is no part of the URL: give it as the token"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("a base URL ends with its path"));
    }
    if !trimmed.contains("://") && !url.host_str().is_some_and(is_this_machine) {
        url.set_scheme("https").map_err(|()| wrong("write https://HOST"))?;
        // A port that was named stays, 80 included, which a URL of HTTP drops.
        if trimmed.split('/').next().is_some_and(|host| host.ends_with(":80")) {
            url.set_port(Some(80)).map_err(|()| wrong("write https://HOST"))?;
        }
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// What may be shown of a text that was given for a URL: what stands before an `@`, or behind a `?` or a `#`, may be a
/// key.
fn without_secrets(text: &str) -> String {
    // A key may hold what ends one in a URL: whatever may be a part of it goes, to the last `@`.
    let (before, host) = text.split_at(text.rfind('@').unwrap_or(0));
    let hidden = match before.split_once("://") {
        _ if before.is_empty() => String::new(),
        Some((scheme, _)) => format!("{scheme}://…"),
        None => "…".to_owned(),
    };
    match host.find(['?', '#']) {
        // The `@` may stand in a query, whose rest follows it.
        _ if before.contains(['?', '#']) => hidden,
        Some(end) if end + 1 < host.len() => format!("{hidden}{}…", &host[..=end]),
        _ => format!("{hidden}{host}"),
    }
}

/// Whether a URL leads to this machine.
pub(crate) fn is_on_this_machine(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(is_this_machine))
}

fn is_this_machine(host: &str) -> bool {
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_repeats_a_key_in_a_url() {
        for (text, shown) in [
            ("http://u:hush@host", "http://…@host"),
            ("u:hush@host:80/a", "…@host:80/a"),
            ("http://u:hu/sh@host?key=hush", "http://…@host?…"),
            ("http://u:hu?sh@host", "http://…"),
            ("http://host/?a@b=hush", "http://…"),
            ("https://host/?token=hush", "https://host/?…"),
            ("https://host/#hush", "https://host/#…"),
            ("ftp://hush:@a", "ftp://…@a"),
        ] {
            let message = base_url(text).expect_err("no URL of a service").to_string();
            assert!(message.starts_with(&format!("`{shown}` is no URL")) && !message.contains("hush"), "{message}");
        }
    }

    #[test]
    fn a_key_is_written_with_a_dot_or_a_colon() {
        for (text, id, secret) in [
            ("demo.secret", "demo", "secret"),
            ("demo:secret", "demo", "secret"),
            ("demo:pass.word", "demo", "pass.word"),
            ("demo.pass:word", "demo", "pass:word"),
            (" key_1-a.s \n", "key_1-a", "s"),
        ] {
            let key: Credential = text.parse().expect("a key");
            assert_eq!((key.id.as_str(), key.secret.as_str()), (id, secret));
            assert_eq!(key.token(), format!("{id}.{secret}"));
            assert!(!format!("{key:?}").contains(secret), "{key:?}");
        }
        for text in
            ["", "demo", ".secret", "demo.", ":", "de mo.secret", "demo.sec ret", "demo.s\u{e9}cret", "demo.a\nb"]
        {
            assert!(text.parse::<Credential>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_loopback_address_is_on_this_machine() {
        for url in ["http://127.0.0.1:9000/a?b", "https://localhost/", "http://[::1]:80", "http://127.1.2.3"] {
            assert!(is_on_this_machine(url), "{url}");
        }
        for url in
            ["http://10.0.0.7", "https://localhost.example.com", "https://127.0.0.1.example.com", "127.0.0.1", ""]
        {
            assert!(!is_on_this_machine(url), "{url}");
        }
    }

    #[test]
    fn a_host_alone_is_http_on_this_machine_and_https_elsewhere() {
        for (text, url) in [
            ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
            ("https://example.com/prod/", "https://example.com/prod"),
            ("127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("localhost:9000", "http://localhost:9000"),
            ("[::1]:9000", "http://[::1]:9000"),
            ("localhost", "http://localhost"),
            ("example.com", "https://example.com"),
            ("example.com:80/prod", "https://example.com:80/prod"),
            ("10.0.0.7:9000", "https://10.0.0.7:9000"),
            ("http://10.0.0.7:9000", "http://10.0.0.7:9000"),
        ] {
            assert_eq!(base_url(text).expect("a URL"), url, "{text}");
        }
        for (text, part) in [
            ("", "https://HOST"),
            ("9000", "127.0.0.1:PORT"),
            (":9000", "127.0.0.1:PORT"),
            ("ftp://example.com", "https://HOST"),
            ("http://", "https://HOST"),
            ("http://id:secret@example.com", "token"),
            ("http://example.com?a=b", "path"),
        ] {
            let error = base_url(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
