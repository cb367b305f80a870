//! The console in its own words.

use std::path::PathBuf;

use penstock_client::Import;
use serde_json::json;

use super::{
    browser::Page,
    support::{Stack, TOKEN},
};

impl Page {
    /// The console of a stack, before anybody has signed in. `None` where there is no browser.
    pub(crate) async fn of(stack: &Stack) -> Option<Self> {
        Self::open(stack.cloud.url()).await
    }

    /// The console of a stack, used by the owner of account `1`.
    pub(crate) async fn signed_in(stack: &Stack) -> Option<Self> {
        let page = Self::of(stack).await?;
        page.sign_in(TOKEN).await;
        Some(page)
    }

    /// Signs in with a key that is a good one.
    pub(crate) async fn sign_in(&self, token: &str) {
        self.go("/console/sign-in").await;
        self.settled().await;
        self.fill("#key", token).await;
        self.click("main button[type=submit]").await;
        self.arrives("imports").await;
    }

    /// Goes to a page, which then shows what there is to be shown.
    pub(crate) async fn visit(&self, path: &str) {
        self.go(&format!("/console/{path}")).await;
        self.is_ready().await;
    }

    /// Waits until the page is one of the console with this name, and has nothing under way.
    pub(crate) async fn arrives(&self, name: &str) {
        let there = format!("location.pathname.endsWith('/console/{name}')");
        self.until(&format!("the page {name}"), &format!("{there} && {SETTLED}")).await;
        self.is_ready().await;
    }

    /// Waits until nothing is under way.
    pub(crate) async fn settled(&self) {
        self.until("nothing is under way", SETTLED).await;
    }

    /// Waits until nothing is under way and nothing was refused.
    pub(crate) async fn is_ready(&self) {
        let state = self.until("nothing is under way", SETTLED).await;
        assert_eq!(state, "ready", "{} says: {}", self.at().await, self.text("#alert").await);
    }

    /// Waits until something was refused, and gives what is said of it.
    pub(crate) async fn refusal(&self) -> String {
        self.until("something was refused", "document.documentElement.dataset.state === 'failed'").await;
        self.text("#alert").await
    }

    /// The id of the import whose page this is.
    pub(crate) async fn import_id(&self) -> String {
        let id = "location.pathname.endsWith('/console/import') && new URLSearchParams(location.search).get('id')";
        self.until("the page of an import", id).await.as_str().expect("an id").to_owned()
    }

    /// Waits until the import whose page this is stands so, and gives its id.
    pub(crate) async fn import_is(&self, status: &str) -> String {
        let stands = format!("document.documentElement.dataset.import === '{status}'");
        self.until(&format!("the import is {status}"), &stands).await;
        self.import_id().await
    }

    /// The counts that the page of an import shows are those that the API gives.
    pub(crate) async fn counts(&self, import: &Import) {
        let rows = &import.rows;
        let counts = [
            ("created", rows.created),
            ("updated", rows.updated),
            ("unchanged", rows.unchanged),
            ("skipped", rows.skipped),
            ("failed", rows.failed),
            ("unprocessed", rows.unprocessed),
            ("total", rows.total.unwrap_or_default()),
        ];
        for (name, count) in counts {
            let shown = self
                .run("return document.getElementById(arguments[0]).textContent", vec![json!(format!("rows-{name}"))]);
            let shown: String = shown.await.as_str().expect("a text").chars().filter(char::is_ascii_digit).collect();
            assert_eq!(shown, count.to_string(), "{name}: {rows:?}");
        }
    }

    /// A file in a folder that is there as long as the browser.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// Chooses a file on the page of a new import, which then shows how it is read.
    pub(crate) async fn choose_file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.file(name, content);
        self.visit("new").await;
        self.give("#file", &path).await;
        self.until("the settings are shown", "document.querySelector('#settings').checkVisibility()").await;
        self.is_ready().await;
    }

    /// Says yes to the question that is asked.
    pub(crate) async fn says_yes(&self) {
        self.until("a question is asked", "document.querySelector('#confirm').open").await;
        self.click("#confirm-yes").await;
    }
}

/// Whether nothing is under way, as an expression: the state.
const SETTLED: &str = "['ready', 'failed'].find((state) => state === document.documentElement.dataset.state)";
