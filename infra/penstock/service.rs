//! Which service is asked, and with which key: flags over the environment over the profiles.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Deref,
};

use anyhow::Context;
use clap::Args;
use penstock_client::{Client, base_url};

use crate::{
    profile::{self, Profile},
    variable,
};

/// Where the service is, and who asks.
#[derive(Args, Clone, Default)]
pub(crate) struct Service {
    /// The service's base URL; 127.0.0.1:9000 is HTTP on this machine [env: PENSTOCK_URL]
    #[arg(long, help_heading = "Service")]
    url: Option<String>,
    /// The API key, `<id>.<secret>` or `<id>:<secret>` [env: PENSTOCK_TOKEN]
    #[arg(long, help_heading = "Service")]
    token: Option<String>,
    /// A service and key that `penstock login` has stored, over the environment [env: PENSTOCK_PROFILE]
    #[arg(long, help_heading = "Service")]
    profile: Option<String>,
}

/// A service that is asked, and how it was named.
pub(crate) struct Asked {
    client: Client,
    /// The flags that name it, as a shell takes them, each behind a space.
    flags: String,
}

impl Asked {
    /// One that no flags name.
    pub(crate) fn unnamed(client: Client) -> Self {
        Self { client, flags: String::new() }
    }

    /// A command that asks the same service, as a person may type it: `status ID` in backquotes and with the flags that
    /// name the service. A key is never among them: who gave it as a flag has to give it again.
    pub(crate) fn hint(&self, command: &str) -> String {
        format!("`penstock {command}{}`", self.flags)
    }
}

impl Deref for Asked {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

impl Service {
    /// The URL of `--url`, if it is given.
    pub(crate) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// A client of the service.
    ///
    /// # Errors
    /// None is named, or a part of it is missing.
    pub(crate) fn client(&self) -> anyhow::Result<Asked> {
        self.named()?.context(
            "which service? Give --url and --token, set PENSTOCK_URL and PENSTOCK_TOKEN, or run `penstock login` once",
        )
    }

    /// A client of the service, if one is named at all.
    ///
    /// # Errors
    /// A URL or a key is missing or none.
    pub(crate) fn named(&self) -> anyhow::Result<Option<Asked>> {
        let Some(client) = self.named_client()? else { return Ok(None) };
        let mut flags = String::new();
        if self.url.is_some() {
            // As it is used, without what nobody else needs to see.
            flags.push_str(&format!(" --url {}", quoted(client.url())));
        }
        if let Some(profile) = &self.profile {
            flags.push_str(&format!(" --profile {}", quoted(profile)));
        }
        Ok(Some(Asked { client, flags }))
    }

    fn named_client(&self) -> anyhow::Result<Option<Client>> {
        // A profile that is named on the command line is meant, whatever the environment says.
        let environment = |name| if self.profile.is_some() { None } else { variable(name) };
        let url = self.url.clone().or_else(|| environment("PENSTOCK_URL"));
        // What is no URL of a service is not repeated as one: it may hold a key.
        let url = url.map(|url| base_url(&url)).transpose()?;
        let token = self.token.clone().or_else(|| environment("PENSTOCK_TOKEN"));
        if let (Some(url), Some(token)) = (&url, &token) {
            return Ok(Some(Client::new(url, token)?));
        }
        match (url, token, self.stored()?) {
            // A key is for its own service: no other gets it.
            (Some(url), None, Some(profile)) if url == base_url(&profile.url)? => {
                Ok(Some(Client::new(&url, &profile.token)?))
            }
            (Some(url), ..) => anyhow::bail!("a URL without a key: give the key of {url} as --token or PENSTOCK_TOKEN"),
            (None, Some(_), None) => {
                anyhow::bail!("a token without a URL: say by --url or PENSTOCK_URL which service it is for")
            }
            (None, token, Some(profile)) => {
                Ok(Some(Client::new(&profile.url, token.as_deref().unwrap_or(&profile.token))?))
            }
            (None, None, None) => Ok(None),
        }
    }

    /// The profile that is named, or else the default one, if there is one.
    fn stored(&self) -> anyhow::Result<Option<Profile>> {
        match self.profile.clone().or_else(|| variable("PENSTOCK_PROFILE")) {
            Some(name) => {
                let found = profile::find(&name)?;
                let missing = || format!("there is no profile `{name}`: make it by `penstock login --profile {name}`");
                Ok(Some(found.with_context(missing)?))
            }
            None => profile::find(profile::DEFAULT),
        }
    }
}

/// An address to listen on: `9000` and `localhost:9000` are on this machine alone.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let local = |port: &str| port.parse().ok().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    let address = text.parse().ok().or_else(|| local(text)).or_else(|| local(text.strip_prefix("localhost:")?));
    address.ok_or_else(|| {
        "write an address and a port, 127.0.0.1:9000 for this machine alone, 0.0.0.0:9000 for all that reach it"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_service_as_it_was_named_and_no_key() {
        let service = |url: Option<&str>, profile: Option<&str>| Service {
            url: url.map(str::to_owned),
            token: Some("a.hush".to_owned()),
            profile: profile.map(str::to_owned),
        };
        for (named, hint) in [
            (service(Some("127.0.0.1:9"), None), "`penstock watch imp_1 --url http://127.0.0.1:9`"),
            (
                service(Some("https://a.example/b"), Some("Anna's shop")),
                "`penstock watch imp_1 --url https://a.example/b --profile 'Anna'\\''s shop'`",
            ),
        ] {
            assert_eq!(named.named().expect("a service").expect("one").hint("watch imp_1"), hint);
        }
        let by_variables = Asked::unnamed(Client::new("127.0.0.1:9", "a.hush").expect("a client"));
        assert_eq!(by_variables.hint("list"), "`penstock list`");
    }

    #[test]
    fn a_port_alone_is_on_this_machine() {
        for text in ["9000", "localhost:9000", "127.0.0.1:9000"] {
            assert_eq!(listen_address(text), Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 9000))), "{text}");
        }
        assert_eq!(listen_address("0.0.0.0:80").map(|address| address.to_string()), Ok("0.0.0.0:80".to_owned()));
        assert_eq!(listen_address("[::1]:80").map(|address| address.to_string()), Ok("[::1]:80".to_owned()));
        for text in ["", ":9000", "host:9000", "127.0.0.1", "70000", "localhost"] {
            assert!(listen_address(text).is_err_and(|error| error.contains("127.0.0.1:9000")), "{text}");
        }
    }
}
