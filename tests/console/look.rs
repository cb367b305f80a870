//! Every page, light and dark, on a phone and on a desktop: what axe-core finds, how it looks, and what it weighs.
//!
//! Pictures are written to `target/console/`. Without axe-core, which npm installs, the test says so and passes, but
//! not where `CI` is `true`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    browser::Page,
    shop::{Shop, catalogue_with_errors},
    support::{Stack, programs::left_out},
};

/// What everything may weigh that the console loads, over the wire.
const MOST_BYTES: u64 = 60_000;

const LOOKS: [(&str, u32, u32); 2] = [("phone", 320, 700), ("desktop", 1280, 800)];

/// Rules of WCAG up to 2.2 AA, and what is good practice.
const AXE: &str = r#"
const done = arguments[0];
const values = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const where = ({ html, failureSummary }) => html.slice(0, 200) + " " + failureSummary;
axe.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] }).then(
  (found) => done(found.violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map(where) }))),
  (error) => done([String(error)]));
"#;

/// What the page has loaded, with the bytes that came over the wire for it: a file that the browser had is counted as
/// when it was loaded.
const LOADED: &str = r#"
const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
const path = (entry) => new URL(entry.name).pathname;
return entries.filter((entry) => path(entry).startsWith("/console/"))
  .map((entry) => [path(entry), Math.max(entry.transferSize, entry.encodedBodySize), entry.decodedBodySize]);
"#;

fn axe() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/node/node_modules/axe-core/axe.min.js");
    let text = std::fs::read_to_string(path).ok();
    if text.is_none() {
        left_out("axe-core is not installed: npm ci --prefix tests/console/node");
    }
    text
}

/// Looks at pages, one after the other.
struct Eyes<'a> {
    page: &'a Page,
    axe: Option<String>,
    loaded: BTreeMap<String, (u64, u64)>,
    faults: Vec<String>,
}

impl Eyes<'_> {
    /// Looks at the page as it is, and calls it so.
    async fn look(&mut self, name: &str) {
        self.weigh().await;
        if let Some(axe) = &self.axe {
            self.page.run(&format!("if (!window.axe) {{ {axe} }}"), Vec::new()).await;
        }
        for (size, width, height) in LOOKS {
            for scheme in ["light", "dark"] {
                self.page.look(width, height, scheme).await;
                let what = format!("{name}-{size}-{scheme}");
                if self.axe.is_some() {
                    let found = self.page.run_async(AXE, Vec::new()).await;
                    let found = found.as_array().expect("a list").iter();
                    self.faults.extend(found.map(|found| format!("{what}: {found:#}")));
                }
                let wide = self.page.run("return document.documentElement.scrollWidth", Vec::new()).await;
                if wide.as_u64().is_none_or(|wide| wide > width.into()) {
                    self.faults.push(format!("{what} is {wide} wide"));
                }
                self.page.picture(&pictures().join(format!("{what}.png"))).await;
            }
        }
    }

    async fn weigh(&mut self) {
        let loaded = self.page.run(LOADED, Vec::new()).await;
        let loaded: Vec<(String, u64, u64)> = serde_json::from_value(loaded).expect("sizes");
        for (path, bytes, decoded) in loaded {
            let known = self.loaded.entry(path).or_default();
            *known = (*known).max((bytes, decoded));
        }
    }
}

pub(super) fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    target.join("console")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_used_by_everybody_and_weighs_little() {
    let stack = Stack::start().await;
    let shop = Shop::open(&stack).await;
    let Some(page) = Page::of(&stack).await else { return };
    let mut eyes = Eyes { page: &page, axe: axe(), loaded: BTreeMap::new(), faults: Vec::new() };
    page.go("/console/sign-in").await;
    page.settled().await;
    let paint =
        page.until("something is painted", "performance.getEntriesByName('first-contentful-paint')[0]?.startTime");
    println!("first paint of the sign-in: {} ms", paint.await);
    eyes.look("sign-in").await;
    page.sign_in(crate::support::TOKEN).await;
    page.visit("imports").await;
    let paint =
        page.until("something is painted", "performance.getEntriesByName('first-contentful-paint')[0]?.startTime");
    println!("first paint of the imports: {} ms", paint.await);
    eyes.look("imports").await;
    page.visit("imports?status=expired").await;
    eyes.look("imports-none").await;

    page.visit("new").await;
    eyes.look("new").await;
    let file = page.file("summer-range.csv", catalogue_with_errors(60).replace("brand", "maker"));
    page.give("#file", &file).await;
    page.until("the settings are shown", "document.querySelector('#settings').checkVisibility()").await;
    page.is_ready().await;
    page.run("columns.open = reading.open = true", Vec::new()).await;
    eyes.look("new-mapping").await;

    for (name, id) in
        [("good", &shop.good), ("failed", &shop.failed), ("awaiting", &shop.awaiting), ("review", &shop.review)]
    {
        page.visit(&format!("import?id={id}")).await;
        eyes.look(&format!("import-{name}")).await;
    }
    page.visit(&format!("import?id={}", shop.bad)).await;
    page.sees("#rounds tbody", "").await;
    eyes.look("import-chain").await;
    page.visit(&format!("import?id={}", shop.open)).await;
    page.until("the groups are shown", "document.querySelector('#groups tbody button')").await;
    page.run("document.querySelector('#groups tbody button').click()", Vec::new()).await;
    page.until("the cells are shown", "document.querySelector('#cells-list mark')").await;
    eyes.look("import-errors").await;
    page.visit(&format!("import?id={}", shop.held)).await;
    page.click("#removals-box summary").await;
    page.until("the removals are shown", "document.querySelector('#removals li')").await;
    eyes.look("import-replace").await;
    page.click("#confirm-it").await;
    page.until("a question is asked", "document.querySelector('#confirm').open").await;
    eyes.look("question").await;
    page.click("#confirm-no").await;

    page.visit("records").await;
    eyes.look("records").await;
    page.visit("records?kind=products&key=HW-1000").await;
    page.sees("#values", "").await;
    eyes.look("record").await;
    page.visit("kinds").await;
    eyes.look("kinds").await;
    page.give("#sample", &file).await;
    page.until("the fields are proposed", "document.querySelector('#make #fields tbody tr')").await;
    page.is_ready().await;
    eyes.look("kind-sample").await;
    page.visit("kind?name=products").await;
    eyes.look("kind").await;
    page.visit("kind?name=spare-parts&before=1&after=2").await;
    eyes.look("kind-changes").await;
    page.visit("webhooks").await;
    eyes.look("webhooks").await;
    page.visit(&format!("webhooks?id={}", shop.webhook)).await;
    page.sees("#deliveries tbody", "").await;
    eyes.look("webhook").await;
    page.visit("keys").await;
    eyes.look("keys").await;
    page.click("#scope-import-read").await;
    page.click("#make button[type=submit]").await;
    page.until("the secret is shown", "document.querySelector('#once').open").await;
    eyes.look("key-once").await;
    page.will_be_refused(404, 1);
    page.go("/console/import?id=imp_01M8GMXX43FK0742A8WYZ0YC8G").await;
    page.refusal().await;
    eyes.look("refused").await;

    let Eyes { loaded, faults, .. } = eyes;
    let sum = |of: fn(&(u64, u64)) -> u64| loaded.values().map(of).sum::<u64>();
    let (bytes, decoded) = (sum(|sizes| sizes.0), sum(|sizes| sizes.1));
    for (path, (bytes, decoded)) in &loaded {
        println!("{bytes:>7} of {decoded:>7} bytes: {path}");
    }
    println!("{bytes} of {decoded} bytes for everything");
    assert!(bytes > 0 && bytes <= MOST_BYTES, "{bytes} bytes over the wire");
    let texts: Vec<&str> = faults.iter().map(String::as_str).collect();
    assert!(texts.is_empty(), "{}", texts.join("\n"));
    page.close().await;
    stack.stop().await;
}

/// Whether the navigation is shown, and the colours of paper and text.
const PRINTED: &str = "
const { backgroundColor, color } = getComputedStyle(document.body);
return [document.querySelector('nav').checkVisibility(), backgroundColor, color];
";

/// What is printed has no navigation, and is dark on light whatever the scheme.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_printed_without_what_only_a_screen_needs() {
    let stack = Stack::start().await;
    let import = stack.import_as(super::shop::named("bad.csv"), catalogue_with_errors(60).as_bytes()).await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.visit(&format!("import?id={}", import.id)).await;
    let media = json!({ "media": "print", "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    page.devtools("Emulation.setEmulatedMedia", media).await;
    let printed = page.run(PRINTED, Vec::new()).await;
    assert_eq!(printed[0], Value::Bool(false), "{printed}");
    let light = |text: &Value| {
        let numbers =
            text.as_str().expect("a colour").split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u32>().ok());
        numbers.take(3).sum::<u32>()
    };
    assert!(light(&printed[2]) < 200, "the text is light: {printed}");
    page.close().await;
    stack.stop().await;
}
