//! Where rows go: to a service, or into a local cloud that is started for them and ends with them.

use std::fmt;

use penstock_client::Client;
use penstock_local::{LocalCloud, Options};

use crate::{LOCAL_ACCOUNT, own_key, program, service::Asked};

/// A service that takes imports.
pub(super) struct Destination {
    client: Asked,
    local: Option<LocalCloud>,
}

impl Destination {
    /// The service that is named, or else a local cloud.
    ///
    /// # Errors
    /// The local cloud cannot be started.
    pub(super) async fn open(named: Option<Asked>) -> anyhow::Result<Self> {
        if let Some(client) = named {
            return Ok(Self { client, local: None });
        }
        let key = own_key();
        let keys = vec![(LOCAL_ACCOUNT.to_owned(), key.id.clone(), key.secret.clone())];
        let cloud = LocalCloud::start(Options { keys, ..Options::new(program()?) }).await?;
        Ok(Self { client: Asked::unnamed(Client::new(cloud.url(), &key.token())?), local: Some(cloud) })
    }

    pub(super) fn client(&self) -> &Asked {
        &self.client
    }

    /// Whether what is imported is there when the command has ended.
    pub(super) fn is_kept(&self) -> bool {
        self.local.is_none()
    }

    /// Ends the local cloud.
    pub(super) async fn end(self) {
        if let Some(cloud) = self.local {
            cloud.stop().await;
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local {
            Some(_) => f.write_str("a local cloud in memory, which ends with this command"),
            None => f.write_str(self.client.url()),
        }
    }
}
