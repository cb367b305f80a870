//! Presets.

use penstock_model::views::{NewPreset, Preset, PresetPage};
use reqwest::Method;

use super::{Client, Result, done, encoded, page, read};

impl Client {
    /// Keeps options under a name, in place of those before. A repeat keeps the same.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn put_preset(&self, name: &str, preset: &NewPreset) -> Result<Preset> {
        read(self.request(Method::PUT, &of(name)).json(preset).send().await?).await
    }

    /// A preset.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn preset(&self, name: &str) -> Result<Preset> {
        read(self.request(Method::GET, &of(name)).send().await?).await
    }

    /// A page of the presets, by name.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn presets(&self, cursor: Option<&str>, limit: usize) -> Result<PresetPage> {
        page(self.request(Method::GET, "/v1/presets"), cursor, limit).await
    }

    /// Deletes a preset. A repeat is refused: there is no such preset any more.
    ///
    /// # Errors
    /// [`ClientError`](crate::ClientError)
    pub async fn delete_preset(&self, name: &str) -> Result<()> {
        done(self.request(Method::DELETE, &of(name)).send().await?).await
    }
}

fn of(name: &str) -> String {
    format!("/v1/presets/{}", encoded(name))
}
