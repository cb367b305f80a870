//! The whole journey without a pointer: Tab, Enter, Space and arrows.

use serde_json::{Value, json};

use super::{
    browser::{DOWN, ENTER, ESCAPE, Page, TAB, UP},
    support::{Stack, TOKEN},
};

impl Page {
    /// Goes on with Tab until this has the focus, which must be seen there.
    async fn tab_to(&self, selector: &str) {
        let mut passed = Vec::new();
        for _ in 0..150 {
            let focused = self.run(FOCUSED, vec![json!(selector)]).await;
            assert_eq!(focused["shown"], true, "nothing shows that the focus is on {}", focused["html"]);
            if focused["is_it"] == true {
                return;
            }
            passed.push(focused["html"].clone());
            self.press(TAB).await;
        }
        panic!("Tab does not come to {selector}, but to {}", Value::Array(passed));
    }

    /// Chooses in a select, up or down from what is chosen, as fast as the keys can be pressed.
    async fn arrow_to(&self, selector: &str, value: &str) {
        self.tab_to(selector).await;
        let steps = self.run(STEPS, vec![json!(value)]).await.as_i64().expect("the option is there");
        for _ in 0..steps.abs() {
            self.press(if steps > 0 { DOWN } else { UP }).await;
        }
        self.is_ready().await;
        assert_eq!(self.run("return document.activeElement.value", Vec::new()).await, value, "{selector}");
    }
}

/// How far an option is from the one that is chosen.
const STEPS: &str = "
const { options, selectedIndex } = document.activeElement;
return [...options].findIndex((option) => option.value === arguments[0]) - selectedIndex;
";

/// What has the focus, whether that is wanted, and whether it can be seen: by an outline, or by a shadow or border that
/// it has for it alone. The document itself is passed on the way from the end to the begin, and the link past the
/// navigation leads to what is behind it.
const FOCUSED: &str = r#"
const element = document.activeElement;
const style = getComputedStyle(element);
const box = element.getBoundingClientRect();
return {
  is_it: element.matches(arguments[0]),
  html: element.outerHTML.slice(0, 120),
  shown: element === document.body || element.id === "main"
    || (element.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
        && box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight),
};
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_journey_needs_no_pointer() {
    let stack = Stack::start().await;
    let Some(page) = Page::of(&stack).await else { return };
    page.go("/console/sign-in").await;
    page.settled().await;
    if page.run(FOCUSED, vec![json!("#key")]).await["is_it"] != true {
        page.tab_to("#key").await;
    }
    page.types(TOKEN).await;
    page.press(ENTER).await;
    page.arrives("imports").await;
    // The first stop on each page leads past the navigation.
    page.press(TAB).await;
    assert_eq!(page.run(FOCUSED, vec![json!("a.skip")]).await["is_it"], true);
    page.press(ENTER).await;
    page.tab_to("main a[href=new]").await;
    page.press(ENTER).await;
    page.arrives("new").await;
    page.tab_to("#file").await;
    // What opens here is the system's dialog, which is no part of the page.
    page.give("#file", &page.file("stock.csv", "Item no,Title,Maker\nA-1,Lamp,Acme\nA-2,,Acme\n")).await;
    page.until("the settings are shown", "document.querySelector('#settings').checkVisibility()").await;
    page.is_ready().await;
    if page.run("return kind.value", Vec::new()).await != "products" {
        page.arrow_to("#kind", "products").await;
    }
    for (row, field) in [(1, "sku"), (2, "name"), (3, "brand")] {
        page.arrow_to(&format!("#mapping tbody tr:nth-child({row}) select"), field).await;
    }
    page.until("nothing is missing", "missing.textContent === ''").await;
    page.tab_to("#check").await;
    page.press(ENTER).await;
    let check = page.import_is("completed_with_errors").await;
    page.is_ready().await;
    page.tab_to("#apply").await;
    page.press(' ').await;
    page.until("another import", &format!("new URLSearchParams(location.search).get('id') !== '{check}'")).await;
    let id = page.import_is("completed_with_errors").await;
    let import = stack.ended(&id).await;
    assert_eq!((import.rows.created, import.rows.failed), (1, 1));
    // What went wrong: the rows are opened, and the focus goes to what was opened and comes back.
    page.tab_to("#groups tbody button").await;
    page.press(ENTER).await;
    page.sees("#cells-list tbody", "must hold a value").await;
    page.until("the focus is on what was opened", "document.activeElement.id === 'cells-title'").await;
    page.tab_to("#close-cells").await;
    page.press(ENTER).await;
    page.until("the focus is back", "document.activeElement.matches('#groups tbody button')").await;
    // A question is answered, or not.
    page.tab_to("#delete").await;
    page.press(ENTER).await;
    page.until("a question is asked", "document.querySelector('#confirm').open").await;
    page.press(ESCAPE).await;
    page.until("the question is gone", "!document.querySelector('#confirm').open").await;
    page.until("the focus is back", "document.activeElement.id === 'delete'").await;
    page.close().await;
    stack.stop().await;
}
