//! The pages: what stands on each before a module fills it.
//!
//! They hold nothing of an account, so each is made once. Templates (`template` elements) are rows and blocks that a
//! module copies; what it fills in them has the attribute `data-is`.

mod catalogue;
mod import;
mod imports;
mod new;
mod settings;

use std::sync::OnceLock;

use maud::{DOCTYPE, Markup, html};

use super::assets::{FOLDER, pack};

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    /// Its last segment in the path. Its module is called so too.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// The page of the navigation to which it belongs; none of a page without navigation.
    section: Option<&'static str>,
    body: fn() -> Markup,
    text: OnceLock<String>,
    packed: OnceLock<Vec<u8>>,
}

impl Page {
    const fn new(name: &'static str, title: &'static str, section: Option<&'static str>, body: fn() -> Markup) -> Self {
        Self { name, title, section, body, text: OnceLock::new(), packed: OnceLock::new() }
    }

    /// Its HTML.
    pub(super) fn text(&self) -> &str {
        self.text.get_or_init(|| shell(self).into_string())
    }

    /// The same as gzip.
    pub(super) fn packed(&self) -> &[u8] {
        self.packed.get_or_init(|| pack(self.text()))
    }
}

/// Every page.
pub(super) static PAGES: [Page; 9] = [
    Page::new("sign-in", "Sign in", None, settings::sign_in),
    Page::new("imports", "Imports", Some("imports"), imports::body),
    Page::new("new", "New import", Some("imports"), new::body),
    Page::new("import", "Import", Some("imports"), import::body),
    Page::new("records", "Records", Some("records"), catalogue::records),
    Page::new("kinds", "Kinds", Some("kinds"), catalogue::kinds),
    Page::new("kind", "Kind", Some("kinds"), catalogue::kind),
    Page::new("webhooks", "Webhooks", Some("webhooks"), settings::webhooks),
    Page::new("keys", "API keys", Some("keys"), settings::keys),
];

/// What the navigation leads to.
const SECTIONS: [(&str, &str); 5] = [
    ("imports", "Imports"),
    ("records", "Records"),
    ("kinds", "Kinds"),
    ("webhooks", "Webhooks"),
    ("keys", "API keys"),
];

/// Modules that every page loads, so that a browser need not find them one behind the other.
const SHARED: [&str; 4] = ["page.js", "api.js", "dom.js", "words.js"];

fn shell(page: &Page) -> Markup {
    let folder = &*FOLDER;
    html! {
        (DOCTYPE)
        html lang="en" data-state="loading" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " – Penstock" }
                link rel="icon" type="image/svg+xml" href={ (folder) "/icon.svg" };
                link rel="stylesheet" href={ (folder) "/style.css" };
                @for module in SHARED {
                    link rel="modulepreload" href={ (folder) "/" (module) };
                }
                script type="module" src={ (folder) "/" (page.name) ".js" } {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    p.brand { "Penstock" }
                    @if let Some(section) = page.section {
                        nav aria-label="Console" {
                            ul {
                                @for (name, title) in SECTIONS {
                                    li {
                                        a href=(name) aria-current=[(name == section).then_some("page")] { (title) }
                                    }
                                }
                            }
                        }
                        div.who {
                            span #who {}
                            button #sign-out type="button" { "Sign out" }
                        }
                    }
                }
                main #main tabindex="-1" {
                    noscript { p { "The console needs JavaScript. The same can be done with the API and the command." } }
                    div #alert role="alert" {}
                    ((page.body)())
                    p #status role="status" {}
                }
                dialog #confirm aria-labelledby="confirm-title" aria-describedby="confirm-text" {
                    h2 #confirm-title {}
                    p #confirm-text {}
                    div.actions {
                        button #confirm-yes type="button" {}
                        button #confirm-no type="button" { "Cancel" }
                    }
                }
            }
        }
    }
}

/// A table in a box that scrolls by itself, since a wide one must not widen the page. A column whose name begins with
/// `#` has numbers, one with `~` is left out where there is little room, and one without a name has what can be done.
fn table(id: &str, caption: &str, columns: &[&str]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table id=(id) {
                caption { (caption) }
                thead { tr { @for column in columns { (heading(column)) } } }
                tbody {}
            }
        }
    }
}

fn heading(column: &str) -> Markup {
    let (is_wide, column) = (column.starts_with('~'), column.trim_start_matches('~'));
    let (is_number, name) = (column.starts_with('#'), column.trim_start_matches('#'));
    html! {
        @if name.is_empty() { td {} } @else { th.wide[is_wide].number[is_number] scope="col" { (name) } }
    }
}

/// The link to the next page of a list.
fn pager() -> Markup {
    html! {
        nav.pager aria-label="Pages" {
            a #first-page href="" hidden { "First page" }
            a #next-page href="" hidden { "Next page" }
        }
    }
}
