//! The console as it is served: what it may do, what it weighs, and where its links lead.

use std::{collections::BTreeSet, fs, path::Path};

use axum::body::{Body, to_bytes};
use flate2::read::GzDecoder;
use regex::Regex;
use tower::ServiceExt;

use super::*;
use crate::{
    BodyLimits, CorsOrigins, limiter,
    markup::{contrast, found},
    rate_limits,
};

/// Bytes over the wire of everything together.
const WIRE_BYTES: usize = 60_000;

fn served() -> Router {
    let rate_limits = rate_limits(|_| None).expect("the defaults");
    let store = limiter::tests::store_without_tables();
    crate::router(store, BodyLimits::STREAMED, rate_limits, CorsOrigins::default())
}

async fn ask(path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    let answer = served().oneshot(request.body(Body::empty()).expect("a request")).await.expect("answers");
    let (parts, body) = answer.into_parts();
    (parts.status.as_u16(), parts.headers, to_bytes(body, 1 << 20).await.expect("a body").to_vec())
}

/// A header as a text.
fn said<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().expect("text"))
}

fn path_of(asset: &Asset) -> String {
    format!("/console/{}/{}", *FOLDER, asset.name)
}

#[tokio::test]
async fn a_page_may_do_what_it_needs_and_is_asked_for_anew() {
    for page in &PAGES {
        let (status, headers, body) = ask(&format!("/console/{}", page.name), &[]).await;
        assert_eq!((status, said(&headers, "content-type")), (200, "text/html; charset=utf-8"), "{}", page.name);
        assert_eq!(headers["cache-control"], "no-cache");
        assert_eq!(
            ["referrer-policy", "x-content-type-options"].map(|name| said(&headers, name)),
            ["no-referrer", "nosniff"]
        );
        assert_eq!(body, page.text().as_bytes());
        let policy = headers["content-security-policy"].to_str().expect("text");
        let directives: Vec<&str> = policy.split("; ").collect();
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(directives.contains(&directive), "{policy}");
        }
        let (_, connect) = policy.split_once("connect-src 'self' ").expect("a bucket");
        let origin = connect.split(';').next().unwrap_or_default();
        assert!(!origin.is_empty() && !origin.contains(['*', ' ']) && origin.starts_with("http"), "{policy}");
    }
}

#[tokio::test]
async fn an_asset_is_kept_for_ever_under_the_hash_of_them_all() {
    assert_eq!(FOLDER.len(), 16);
    for asset in &ASSETS {
        let (status, headers, body) = ask(&path_of(asset), &[("accept-encoding", "br, gzip")]).await;
        assert_eq!((status, said(&headers, "content-type")), (200, asset.media_type), "{}", asset.name);
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(["content-encoding", "vary"].map(|name| said(&headers, name)), ["gzip", "Accept-Encoding"]);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut GzDecoder::new(&body[..]), &mut text).expect("gzip");
        assert!(text == asset.text, "{}", asset.name);
        let (_, headers, body) = ask(&path_of(asset), &[]).await;
        assert!(!headers.contains_key("content-encoding") && body == asset.text.as_bytes(), "{}", asset.name);
    }
    assert_eq!(ask("/console/0123456789abcdef/style.css", &[]).await.0, 404);
}

/// Every file of the folder is served, so that none is forgotten.
#[test]
fn the_assets_are_the_files_of_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file() && path.extension().is_none_or(|extension| extension != "md"))
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(files, ASSETS.iter().map(|asset| asset.name.to_owned()).collect());
}

#[test]
fn everything_together_is_small() {
    let assets: usize = ASSETS.iter().map(|asset| asset.packed().len()).sum();
    let pages: usize = PAGES.iter().map(|page| page.packed().len()).sum();
    assert!(assets + pages <= WIRE_BYTES, "{assets} + {pages} bytes over the wire, the limit is {WIRE_BYTES}");
}

/// What makes markup or code of a text is used nowhere; the policy would refuse it as well.
#[test]
fn nothing_makes_markup_or_code_of_a_text() {
    let never = Regex::new(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\b|new Function|javascript:| style=|<style|\son[a-z]+=",
    )
    .expect("a pattern");
    let texts =
        ASSETS.iter().map(|asset| (asset.name, asset.text)).chain(PAGES.iter().map(|page| (page.name, page.text())));
    for (name, text) in texts {
        assert_eq!(never.find(text).map(|found| found.as_str()), None, "{name}");
        assert!(!text.replace("http://www.w3.org/2000/svg", "").contains("://"), "{name} names another host");
    }
    for page in &PAGES {
        assert_eq!(page.text().matches("<script").count(), 1, "{}", page.name);
    }
}

#[test]
fn every_link_and_import_leads_somewhere() {
    let pages: BTreeSet<&str> = PAGES.iter().map(|page| page.name).collect();
    let assets: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.name).collect();
    for page in &PAGES {
        let text = page.text();
        let ids = found(text, r#"\bid="([^"]*)""#);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{}: an id comes twice", page.name);
        for link in found(text, r#"\b(?:href|src)="([^"]*)""#) {
            let is_there = match (link.strip_prefix('#'), link.strip_prefix(&format!("{}/", *FOLDER))) {
                (Some(id), _) => ids.contains(&id),
                (None, Some(asset)) => assets.contains(asset),
                (None, None) => link.is_empty() || pages.contains(link),
            };
            assert!(is_there, "{}: {link}", page.name);
        }
        for id in found(text, r#"\b(?:for|aria-labelledby|aria-describedby)="([^"]*)""#) {
            assert!(ids.contains(&id), "{}: {id}", page.name);
        }
    }
    let mut loaded: BTreeSet<&str> = pages.iter().copied().collect();
    for asset in &ASSETS {
        for module in found(asset.text, r#"from "\./([^"]+)";"#) {
            assert!(assets.contains(module), "{}: {module}", asset.name);
            loaded.insert(module.trim_end_matches(".js"));
        }
        for page in found(asset.text, r#"(?:link|leave)\("([a-z-]+)""#) {
            assert!(pages.contains(page), "{}: {page}", asset.name);
        }
    }
    let idle: Vec<_> = ASSETS
        .iter()
        .filter_map(|asset| asset.name.strip_suffix(".js"))
        .filter(|name| !loaded.contains(name))
        .collect();
    assert!(idle.is_empty(), "{idle:?}");
}

/// Elements that a module looks for stand on each page that loads it.
#[test]
fn modules_find_what_they_look_for() {
    let shell = PAGES[0].text();
    let asset = |name: &str| ASSETS.iter().find(|asset| asset.name == name);
    for page in &PAGES {
        let ids: BTreeSet<&str> = found(page.text(), r#"\bid="([^"]*)""#).into_iter().collect();
        let (mut queue, mut seen) = (vec![format!("{}.js", page.name)], BTreeSet::new());
        while let Some(name) = queue.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let text = asset(&name).expect("an asset").text;
            queue.extend(found(text, r#"from "\./([^"]+)";"#).into_iter().map(str::to_owned));
            // What every page may use stands on those that use it.
            if ["page.js", "dom.js"].contains(&name.as_str()) {
                continue;
            }
            for id in found(text, r#"\$\("([a-z0-9-]+)"\)"#)
                .into_iter()
                .chain(found(text, r#"\b(?:copy|fill|head)\(\s*"([a-z-]+)""#))
            {
                assert!(ids.contains(id), "{name} looks for {id} on the page {}", page.name);
            }
        }
    }
    for id in found(asset("page.js").expect("an asset").text, r#"\$\("(confirm[a-z-]*|alert|status)"\)"#) {
        assert!(shell.contains(&format!("id=\"{id}\"")), "{id}");
    }
}

#[test]
fn a_page_can_be_read_without_eyes() {
    for page in &PAGES {
        let (name, text) = (page.name, page.text());
        for part in
            ["<html lang=\"en\"", "<header>", "<main id=\"main\"", "<a class=\"skip\" href=\"#main\">", "<title>"]
        {
            assert_eq!(text.matches(part).count(), 1, "{name}: {part}");
        }
        assert_eq!(text.matches("<h1").count(), 1, "{name}");
        let tables = text.matches("<table").count();
        assert_eq!((text.matches("<caption>").count(), text.matches("<thead>").count()), (tables, tables), "{name}");
        for input in found(text, r#"<(?:input|select)([^>]*)>"#).into_iter().filter(|input| !input.contains("data-is"))
        {
            let id = found(input, r#"\bid="([^"]*)""#);
            assert!(id.iter().any(|id| text.contains(&format!("for=\"{id}\""))), "{name}: no label for{input}");
        }
    }
}

/// Text has a contrast of 4.5 at least, and 3 the edge of what can be used (WCAG 2.2, 1.4.3 and 1.4.11).
#[test]
fn it_has_contrast_by_day_and_by_night() {
    let style = ASSETS.iter().find(|asset| asset.name == "style.css").expect("the style").text;
    let (day, night) = style.split_once("prefers-color-scheme: dark").expect("two schemes");
    for scheme in [day, night] {
        let colour = |name: &str| found(scheme, &format!("--{name}: #([0-9a-f]{{6}});"))[0];
        for paper in ["paper", "raised", "bad-paper"] {
            for ink in ["ink", "quiet", "link", "good", "bad"] {
                let ratio = contrast(colour(paper), colour(ink));
                assert!(ratio >= 4.5, "{ink} on {paper}: {ratio}");
            }
            assert!(contrast(colour(paper), colour("edge")) >= 3.0, "edges on {paper}");
        }
        assert!(contrast(colour("mark"), colour("ink")) >= 4.5, "marks");
        // A primary button is the one way round, and under the pointer the other.
        assert!(contrast(colour("ink"), colour("paper")) >= 4.5, "buttons");
    }
}

#[tokio::test]
async fn who_asks_for_html_is_led_to_the_console() {
    let (status, headers, _) = ask("/", &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]).await;
    assert_eq!((status, said(&headers, "location")), (303, "console/imports"));
    for accept in ["*/*", "application/json"] {
        assert_eq!(ask("/", &[("accept", accept)]).await.0, 404, "{accept}");
    }
    for (path, location) in [("/console", "console/imports"), ("/console/", "imports")] {
        let (status, headers, _) = ask(path, &[]).await;
        assert_eq!((status, said(&headers, "location")), (303, location), "{path}");
    }
    assert_eq!(ask("/console/nothing", &[]).await.0, 404);
}
