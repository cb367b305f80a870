//! Names and cells from whoever writes a file: they are shown as they are, and never become a part of the page.

use penstock_client::{NewImport, NewKey, NewWebhook};
use penstock_model::{ImportOptions, Mode, Scope};
use serde_json::json;

use super::{
    browser::Page,
    shop::named,
    support::{Stack, upload},
};

/// What would do something if it were markup: it would say so in `hacked`, or break out of where it stands.
const MARKUP: [&str; 4] = [
    "<img src=x onerror=hacked=1>",
    "\"><script>hacked=1</script>",
    "'><svg onload=hacked=1>",
    "javascript:hacked=1//{{7*7}}${7*7}",
];

/// Text that turns what stands beside it around: overrides and isolates that are never ended.
const TURNED: &str = "\u{202E}gnp.exe\u{2066}\u{2067}";

impl Page {
    /// Nothing of what people wrote has become a part of the page, and the page is as wide as its window.
    async fn is_unharmed(&self, path: &str) {
        let found = self.run(FOUND, Vec::new()).await;
        assert_eq!(found, json!([]), "{path}");
        for width in [320, 1280] {
            self.look(width, 800, "light").await;
            let wide = self.run("return document.documentElement.scrollWidth", Vec::new()).await;
            assert!(wide.as_u64().is_some_and(|wide| wide <= width.into()), "{path} is {wide} wide at {width}");
        }
        let faults = self.faults().await;
        assert!(faults.is_empty(), "{path}: {faults:#?}");
    }
}

/// Elements and attributes that no page of the console has.
const FOUND: &str = r#"
const none = "img, iframe, object, embed, base, script:not([type=module][src])";
const found = [...document.querySelectorAll(none)];
const leads = /^(href|src|action|formaction)$/;
for (const element of document.querySelectorAll("*"))
  for (const { name, value } of element.attributes)
    if (name.startsWith("on") || leads.test(name) && /^\s*javascript:/i.test(value)) found.push(element);
return ["hacked" in window ? "hacked" : [], found.map((element) => element.outerHTML.slice(0, 200))].flat(2);
"#;

/// All that people read.
const TEXTS: &str = "
const options = [...document.querySelectorAll('option')].map((option) => option.text);
return main.innerText + options.join(' ');
";

/// How the ends of what turns text around are kept.
const TURNS: &str = r"
return [...document.querySelectorAll('mark, bdi, #name')].filter((found) => found.textContent.includes('\u202E'))
  .map((found) => getComputedStyle(found).unicodeBidi);
";

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_and_cells_are_never_rendered() {
    let stack = Stack::start().await;
    let long = "W".repeat(10_000);
    let cells: Vec<&str> = MARKUP.into_iter().chain([TURNED, &long]).collect();
    let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
    // A file of good and of bad rows, whose header is hostile as well.
    let mut file = format!(
        "sku,name,brand,cost,{}\n",
        cells.iter().map(|cell| quoted(&cell[..cell.len().min(200)])).collect::<Vec<_>>().join(",")
    );
    for (row, cell) in cells.iter().enumerate() {
        let rest = cells.iter().map(|_| quoted(cell)).collect::<Vec<_>>().join(",");
        file.push_str(&format!(
            "{},{},b,1,{rest}\n",
            quoted(&format!("{row}{}", &cell[..cell.len().min(500)])),
            quoted(cell)
        ));
        file.push_str(&format!("K-{row},n,b,{},{rest}\n", quoted(cell)));
    }
    let mut ids = Vec::new();
    for name in MARKUP.into_iter().chain([TURNED]) {
        let import = stack.client.create(&named(name), None).await.expect("created");
        assert_eq!(upload(&import, file.as_bytes()).await, 200);
        ids.push(stack.ended(&import.id).await.id);
    }
    let (label, url) = (MARKUP[0], "https://example.com/?q='><svg/onload=hacked=1>");
    let key = NewKey { account: None, scopes: vec![Scope::ImportRead], label: Some(label.into()) };
    stack.client.create_key(&key).await.expect("made");
    let webhook = NewWebhook { url: url.into(), description: Some(MARKUP[1].into()), ..NewWebhook::default() };
    let webhook = stack.client.create_webhook(&webhook).await.expect("made");
    let fields = json!([
        { "name": MARKUP[0], "title": MARKUP[1], "description": MARKUP[2] },
        { "name": TURNED, "title": MARKUP[3] },
        { "name": "pattern", "constraints": { "enum": [MARKUP[0], MARKUP[1], TURNED] } },
    ]);
    let (title, description) = (MARKUP[0], MARKUP[1]);
    let rules = json!([{ "rule": "pattern != \"<b>\"", "message": MARKUP[2], "fields": [MARKUP[0], TURNED] }]);
    let kind = json!({
        "name": "hostile", "title": title, "description": description, "primaryKey": MARKUP[0], "fields": fields,
        "rules": rules,
    });
    stack.client.put_kind(&kind).await.expect("registered");
    let replace = ImportOptions { mode: Mode::Replace, most_removed_percent: Some(0), ..ImportOptions::default() };
    let held = stack.client.create(&NewImport { options: replace, ..named("r.csv") }, None).await.expect("created");
    assert_eq!(upload(&held, b"sku,name,brand\nonly,n,b\n").await, 200);
    stack.cloud.quiet().await;

    let Some(page) = Page::signed_in(&stack).await else { return };
    let shown = async |what: &str| {
        let text = page.run(TEXTS, Vec::new()).await;
        let text = text.as_str().expect("a text").to_owned();
        assert!(text.contains(what), "{} shows no {what}:\n{text}", page.at().await);
    };
    page.visit("imports").await;
    for name in MARKUP {
        shown(name).await;
    }
    page.is_unharmed("imports").await;
    for id in &ids {
        let path = format!("import?id={id}");
        page.visit(&path).await;
        page.until("the groups are shown", "document.querySelector('#groups tbody button')").await;
        page.run("document.querySelector('#groups tbody button').click()", Vec::new()).await;
        page.until("the cells are shown", "document.querySelector('#cells-list mark')").await;
        page.is_unharmed(&path).await;
    }
    shown(MARKUP[0]).await;
    // A cell that turns text around ends where it ends.
    let turned = page.run(TURNS, Vec::new()).await;
    let turned: Vec<String> = serde_json::from_value(turned).expect("texts");
    assert!(
        !turned.is_empty() && turned.iter().all(|found| found.contains("isolate") || found == "plaintext"),
        "{turned:?}"
    );
    page.visit(&format!("import?id={}", held.id)).await;
    page.import_is("awaiting_confirmation").await;
    page.click("#removals-box summary").await;
    page.sees("#removals", "").await;
    page.is_unharmed("a replace").await;
    page.visit("records?kind=products").await;
    shown(MARKUP[0]).await;
    page.is_unharmed("records").await;
    let link = page.run("return document.querySelector('#list tbody a').href", Vec::new()).await;
    page.go(link.as_str().expect("a link").strip_prefix(stack.cloud.url()).expect("of the console")).await;
    page.is_ready().await;
    page.sees("#values", "").await;
    page.is_unharmed("a record").await;
    page.visit("kind?name=hostile").await;
    shown(MARKUP[0]).await;
    page.is_unharmed("a kind").await;
    page.visit("kinds").await;
    page.is_unharmed("kinds").await;
    page.visit("keys").await;
    shown(label).await;
    page.is_unharmed("keys").await;
    page.visit("webhooks").await;
    shown(MARKUP[1]).await;
    page.is_unharmed("webhooks").await;
    page.visit(&format!("webhooks?id={}", webhook.id)).await;
    page.is_unharmed("a webhook").await;
    // A file as it is chosen: its name, its header and its cells.
    page.choose_file("<img src=x onerror=hacked=1>.csv", &file).await;
    page.run("columns.open = true", Vec::new()).await;
    shown(MARKUP[1]).await;
    page.is_unharmed("new").await;
    page.close().await;
    stack.stop().await;
}

/// What stands in an address is as little trusted as what stands in a file.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_addresses_lead_nowhere() {
    let stack = Stack::start().await;
    let Some(page) = Page::of(&stack).await else { return };
    for to in [
        "https://example.com/",
        "//example.com/",
        "javascript:hacked=1",
        "\\\\example.com",
        "imports\n//example.com",
        "../docs",
    ] {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("to", to).finish();
        page.go(&format!("/console/sign-in?{query}")).await;
        page.settled().await;
        page.fill("#key", crate::support::TOKEN).await;
        page.click("main button[type=submit]").await;
        page.until(
            "a page of the console",
            "location.pathname.startsWith('/console/') && !location.pathname.endsWith('sign-in')",
        )
        .await;
        page.settled().await;
        page.is_unharmed(to).await;
        page.click("#sign-out").await;
        page.until("the sign-in", "location.pathname.endsWith('/console/sign-in')").await;
    }
    page.sign_in(crate::support::TOKEN).await;
    for markup in MARKUP {
        for (path, name) in [
            ("import", "id"),
            ("imports", "kind"),
            ("imports", "status"),
            ("records", "kind"),
            ("kind", "name"),
            ("new", "from"),
            ("webhooks", "id"),
        ] {
            let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, markup).finish();
            page.go(&format!("/console/{path}?{query}")).await;
            page.settled().await;
            // A refusal is what is wanted; the status depends on the page.
            let found = page.run(FOUND, Vec::new()).await;
            assert_eq!(found, json!([]), "{path}?{query}");
            let faults = page.faults().await;
            let others: Vec<_> = faults
                .iter()
                .filter(|fault| !(fault.starts_with("network: ") && fault.contains("responded with a status of 4")))
                .collect();
            assert!(others.is_empty(), "{path}?{query}: {others:#?}");
        }
    }
    page.close().await;
    stack.stop().await;
}
