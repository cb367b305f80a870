//! Chromium with one page, driven by its WebDriver.
//!
//! Whatever a page may not do is a failure of every test: a violation of its content security policy, an exception
//! that nobody catches, an error or a warning on the console. [`Page::close`] looks for them.
//!
//! Where there is no Chromium or no driver of it a test says so and passes, but not where `CI` is `true`: there nothing
//! may be left out.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    elements::{Element, ElementRef},
    error::CmdError,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::{ParseError, Url};

use crate::support::programs::{Group, left_out};

/// Keys that have no character, as WebDriver names them.
pub(crate) const TAB: char = '\u{E004}';
pub(crate) const ENTER: char = '\u{E007}';
pub(crate) const ESCAPE: char = '\u{E00C}';
pub(crate) const UP: char = '\u{E013}';
pub(crate) const DOWN: char = '\u{E015}';

/// Within this time a condition holds, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(180);

/// How often a condition is looked at that nothing announces to this process.
const LOOK: Duration = Duration::from_millis(20);

/// Tells the console's log of each violation: Chromium itself is silent about some, such as `eval` whose exception is
/// caught.
const TELL_VIOLATIONS: &str = "
addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI, sourceFile }) =>
  console.error('violation of', effectiveDirective, blockedURI, sourceFile));
";

/// The shown elements of a selector with this text.
const SHOWN: &str = "
const text = (found) => found.innerText.replace(/\\s+/g, ' ').trim();
const shown = [...document.querySelectorAll(arguments[0])].filter((found) => found.checkVisibility());
const wanted = shown.filter((found) => text(found).includes(arguments[1]));
";

/// A command of the driver that no standard has.
#[derive(Debug)]
struct Chromium {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.expect("a session"), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// An entry of the browser's log.
#[derive(Debug, Deserialize)]
struct Entry {
    level: String,
    #[serde(default)]
    source: String,
    message: String,
}

/// A browser with one page, which is ended when this is dropped.
pub(crate) struct Page {
    client: Client,
    base: String,
    /// How often an answer of each status may still come that Chromium logs as an error.
    refusals: Mutex<BTreeMap<u16, usize>>,
    closed: bool,
    // In this order: the browser is ended before its folder is removed.
    _driver: Group,
    profile: tempfile::TempDir,
}

impl Page {
    /// A browser whose page has not gone anywhere yet; paths are below the base URL. `None` where there is none.
    pub(crate) async fn open(base: &str) -> Option<Self> {
        let profile = tempfile::tempdir().expect("a folder");
        let (driver, port) = driver(profile.path()).await?;
        let mut arguments = vec![
            // Of this machine alone: any other host would be looked for in vain.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".to_owned(),
            format!("--user-data-dir={}", profile.path().join("profile").display()),
        ];
        arguments.extend(
            [
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--hide-scrollbars",
            ]
            .map(ToOwned::to_owned),
        );
        let wanted = json!({
            "timeouts": { "script": 180_000, "pageLoad": 180_000 },
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": { "download.default_directory": profile.path().join("downloads"),
                           "download.prompt_for_download": false },
            },
        });
        let wanted: Capabilities = serde_json::from_value(wanted).expect("an object");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(wanted).connect(&format!("http://127.0.0.1:{port}")).await;
        let client = match client {
            Ok(client) => client,
            Err(error) if error.to_string().contains("cannot find Chrome binary") => {
                left_out("Chromium is not installed");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let page =
            Self { client, base: base.to_owned(), refusals: Mutex::default(), closed: false, _driver: driver, profile };
        page.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": TELL_VIOLATIONS })).await;
        Some(page)
    }

    /// Ends the browser of a page that did nothing which it may not do.
    pub(crate) async fn close(mut self) {
        let faults = self.faults().await;
        assert!(faults.is_empty(), "{faults:#?}");
        let left: Vec<_> = self.refusals.get_mut().expect("no panic").iter().filter(|(_, left)| **left > 0).collect();
        assert!(left.is_empty(), "these answers, and how often, were announced and have not come: {left:?}");
        self.closed = true;
        self.client.clone().close().await.expect("the browser ends");
    }

    /// What the page has done since it was asked last that it may not do.
    pub(crate) async fn faults(&self) -> Vec<String> {
        let log = self.client.issue_cmd(Chromium { path: "se/log", body: json!({ "type": "browser" }) }).await;
        let log: Vec<Entry> = serde_json::from_value(log.expect("a log")).expect("entries");
        let mut refusals = self.refusals.lock().expect("no panic");
        let is_fault = |entry: &Entry| {
            let mut is_announced = |(status, left): (&u16, &mut usize)| {
                let is_it = *left > 0 && entry.message.contains(&format!("responded with a status of {status} "));
                *left -= usize::from(is_it);
                is_it
            };
            matches!(entry.level.as_str(), "SEVERE" | "WARNING")
                && !(entry.source == "network" && refusals.iter_mut().any(&mut is_announced))
        };
        log.into_iter().filter(is_fault).map(|entry| format!("{}: {}", entry.source, entry.message)).collect()
    }

    /// The page will be answered with this status so often, as the test wants it.
    pub(crate) fn will_be_refused(&self, status: u16, times: usize) {
        *self.refusals.lock().expect("no panic").entry(status).or_default() += times;
    }

    /// Runs a command of the DevTools protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        let answer = self.client.issue_cmd(Chromium { path: "goog/cdp/execute", body }).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Goes to a path.
    pub(crate) async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    pub(crate) async fn reload(&self) {
        self.client.refresh().await.expect("a page");
    }

    pub(crate) async fn back(&self) {
        self.client.back().await.expect("a page");
    }

    /// Path, query and fragment of where the page is.
    pub(crate) async fn at(&self) -> String {
        let url = self.client.current_url().await.expect("a URL").to_string();
        url.strip_prefix(&self.base).map_or(url.clone(), ToOwned::to_owned)
    }

    /// What a script returns.
    pub(crate) async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What a script calls back with.
    pub(crate) async fn run_async(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute_async(script, arguments).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until an expression is true, and gives its value.
    pub(crate) async fn until(&self, what: &str, expression: &str) -> Value {
        let script = format!("return ({expression}) || null");
        self.repeat(what, async || match self.client.execute(&script, Vec::new()).await {
            Ok(Value::Null) => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error),
        })
        .await
    }

    /// Waits until an element is there whose text contains this, and gives its text.
    pub(crate) async fn sees(&self, selector: &str, text: &str) -> String {
        let script = format!("{SHOWN} return wanted.length ? text(wanted[0]) : null");
        let arguments = vec![json!(selector), json!(text)];
        self.repeat(&format!("{selector} shows {text:?}"), async || {
            let found = self.client.execute(&script, arguments.clone()).await?;
            Ok(found.as_str().map(ToOwned::to_owned))
        })
        .await
    }

    /// The text of the first element, as it is shown, its white space folded.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.sees(selector, "").await
    }

    /// The texts of the elements that are shown.
    pub(crate) async fn texts(&self, selector: &str) -> Vec<String> {
        let script = format!("{SHOWN} return shown.map(text)");
        let texts = self.run(&script, vec![json!(selector), json!("")]).await;
        serde_json::from_value(texts).expect("texts")
    }

    /// Does something with an element as soon as it can be done.
    async fn with<T>(&self, what: &str, selector: &str, act: impl AsyncFn(Element) -> Result<T, CmdError>) -> T {
        self.repeat(&format!("{what} {selector}"), async || {
            act(self.client.find(Locator::Css(selector)).await?).await.map(Some)
        })
        .await
    }

    /// Clicks on an element as soon as it is there and nothing covers it.
    pub(crate) async fn click(&self, selector: &str) {
        self.with("click on", selector, async |element| {
            if element.is_enabled().await? { element.click().await } else { Err(not_yet()) }
        })
        .await;
    }

    /// Clicks on an element inside of one whose text contains this.
    pub(crate) async fn click_in(&self, selector: &str, text: &str, inner: &str) {
        let script = format!("{SHOWN} return wanted[0]?.querySelector(arguments[2]) ?? null");
        let arguments = vec![json!(selector), json!(text), json!(inner)];
        self.repeat(&format!("click on {inner} in the {selector} that says {text:?}"), async || {
            let found = self.client.execute(&script, arguments.clone()).await?;
            let Some((_, id)) = found.as_object().and_then(|found| found.iter().next()) else { return Ok(None) };
            let id = ElementRef::from(id.as_str().unwrap_or_default().to_owned());
            Element::from_element_id(self.client.clone(), id).click().await.map(Some)
        })
        .await;
    }

    /// Writes into a field, in place of what stands there.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        self.with("write into", selector, async |element| {
            element.clear().await?;
            element.send_keys(text).await
        })
        .await;
    }

    /// Chooses an option by its value.
    pub(crate) async fn choose(&self, selector: &str, value: &str) {
        self.with(&format!("choose {value} in"), selector, async |element| element.select_by_value(value).await).await;
    }

    /// Gives a file to a field.
    pub(crate) async fn give(&self, selector: &str, file: &Path) {
        let path = file.to_str().expect("a name in UTF-8").to_owned();
        self.with("give a file to", selector, async |element| element.send_keys(&path).await).await;
    }

    /// Drops a file on the page.
    pub(crate) async fn drop(&self, file: &Path) {
        let drag = json!({ "items": [], "files": [file], "dragOperationsMask": 1 });
        for kind in ["dragEnter", "dragOver", "drop"] {
            let event = json!({ "type": kind, "x": 200, "y": 200, "data": drag });
            self.devtools("Input.dispatchDragEvent", event).await;
        }
    }

    /// Presses a key, as somebody does who has the keyboard alone.
    pub(crate) async fn press(&self, key: char) {
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key });
        self.client.perform_actions(keys).await.unwrap_or_else(|error| panic!("{key:?}: {error}"));
    }

    /// Types a text into what has the focus.
    pub(crate) async fn types(&self, text: &str) {
        for key in text.chars() {
            self.press(key).await;
        }
    }

    /// The file of this name that was downloaded.
    pub(crate) async fn downloaded(&self, named: impl Fn(&str) -> bool) -> Vec<u8> {
        let folder = self.profile.path().join("downloads");
        self.repeat("a file is downloaded", async || {
            let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let found = files
                .map(|file| file.path())
                .find(|path| named(path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default()));
            Ok(found.map(|path| std::fs::read(path).expect("a file")))
        })
        .await
    }

    /// A folder that is there as long as the browser.
    pub(crate) fn folder(&self) -> &Path {
        self.profile.path()
    }

    /// What the page may take: its size and the scheme of its colours.
    pub(crate) async fn look(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// A picture of the whole page, or of its window where a dialog is open, which covers no more than that.
    pub(crate) async fn picture(&self, path: &Path) {
        let mut picture = json!({ "format": "png" });
        if self.run("return document.querySelector('dialog[open]')", Vec::new()).await == Value::Null {
            let size = self.devtools("Page.getLayoutMetrics", json!({})).await["cssContentSize"].clone();
            let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
            picture = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        }
        let answer = self.devtools("Page.captureScreenshot", picture).await;
        let data = answer["data"].as_str().expect("a picture");
        let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, data).expect("base64");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    /// Asks again and again until there is an answer. A page that is just being left, an element that is just being
    /// replaced or covered, and one that is not there yet are no answer.
    async fn repeat<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>, CmdError>) -> T {
        let end = Instant::now() + DEADLINE;
        let mut last = None;
        while Instant::now() < end {
            match ask().await {
                Ok(Some(answer)) => return answer,
                Ok(None) => {}
                Err(error @ CmdError::Standard(_))
                    if !error.is_invalid_session_id() && !error.is_invalid_selector() =>
                {
                    last = Some(error);
                }
                Err(error) => panic!("{what}: {error}"),
            }
            tokio::time::sleep(LOOK).await;
        }
        let at = self.at().await;
        let shown = self.run("return document.body.innerText.slice(0, 4000)", Vec::new()).await;
        let faults = self.faults().await;
        let shown = shown.as_str().unwrap_or_default();
        panic!("not within {DEADLINE:?}: {what}\n{last:?}\nat {at}, which shows\n{shown}\n{faults:#?}");
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        assert!(self.closed || std::thread::panicking(), "a page was left without a look at its faults");
    }
}

/// A driver, and the port that the system has chosen for it. `None` where there is none.
///
/// It takes the port that is free at one address of this machine at the other one too. Where another program has it
/// there, the driver ends at once, and another is started.
async fn driver(home: &Path) -> Option<(Group, String)> {
    for _ in 0..20 {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("HOME", home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Some(mut driver) = Group::start(&mut command) else {
            left_out("chromedriver is not installed");
            return None;
        };
        let mut lines = BufReader::new(driver.0.stdout.take().expect("a pipe")).lines();
        let port = tokio::task::spawn_blocking(move || {
            let port = lines.find_map(|line| Some(line.ok()?.strip_suffix('.')?.split_once("on port ")?.1.to_owned()));
            // It goes on to print, into a pipe that has to be read.
            std::thread::spawn(move || lines.for_each(drop));
            port
        });
        let port = tokio::time::timeout(DEADLINE, port).await.expect("chromedriver starts").expect("no panic");
        if let Some(port) = port {
            return Some((driver, port));
        }
    }
    panic!("chromedriver finds no port");
}

/// An element that is there and cannot be used yet.
fn not_yet() -> CmdError {
    CmdError::Standard(fantoccini::error::WebDriver::new(
        fantoccini::error::ErrorStatus::ElementNotInteractable,
        "it is disabled",
    ))
}
