#![allow(missing_docs, unreachable_pub, dead_code)]
#[derive(Debug, Clone)]
pub struct Settings;
#[derive(Debug, Clone)]
pub struct Store(Settings);
impl Settings {
    pub fn from_vars(_: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self)
    }
}
impl Store {
    pub fn new(s: Settings) -> Self {
        Self(s)
    }
    pub fn settings(&self) -> &Settings {
        &self.0
    }
    pub async fn put_key(&self, _: &str, _: &str, _: &str) -> anyhow::Result<()> {
        Ok(())
    }
}
pub mod penstock_api {
    pub fn router(_: super::Store) -> axum::Router {
        axum::Router::new()
    }
}
