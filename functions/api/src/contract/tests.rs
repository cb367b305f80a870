//! The documents are those of the code, and their error codes are the code's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use penstock_model::codes;
use regex::Regex;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::{
    BodyLimits, CorsOrigins,
    dialects::SERVED,
    markup::{contrast, found},
    native, rate_limits,
};

/// The variable that renews what is compared.
const RENEW: &str = "PENSTOCK_RENEW";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi")
}

/// What is made of the code, by the file that keeps it.
fn made() -> BTreeMap<PathBuf, String> {
    let mut made = BTreeMap::new();
    for Served { dialect, contract, .. } in SERVED {
        let document = document::document(dialect, contract);
        let text = serde_json::to_string_pretty(&document).expect("JSON");
        made.insert(folder().join(format!("{}.json", dialect.name)), format!("{text}\n"));
        made.insert(folder().join(format!("guides/{}.html", dialect.name)), guide::page(dialect, &document));
    }
    made
}

/// `PENSTOCK_RENEW=1 cargo test -p penstock-api contract` renews the files.
#[test]
fn the_documents_and_their_pages_are_those_of_the_code() {
    for (file, made) in made() {
        if std::env::var_os(RENEW).is_some() {
            fs::write(&file, &made).expect("writes");
            continue;
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        let differs = kept.lines().zip(made.lines()).position(|(kept, made)| kept != made);
        assert!(
            kept == made,
            "{} is not what the code says (line {:?}): {RENEW}=1 cargo test -p penstock-api contract renews it",
            file.display(),
            differs.map(|at| at + 1)
        );
    }
}

#[tokio::test]
async fn what_is_served_are_the_files() {
    if std::env::var_os(RENEW).is_some() {
        return;
    }
    let limits = rate_limits(|_| None).expect("the defaults");
    let router = crate::router(
        crate::limiter::tests::store_without_tables(),
        BodyLimits::STREAMED,
        limits,
        CorsOrigins::default(),
    );
    let (html, css) = ("text/html; charset=utf-8", "text/css; charset=utf-8");
    let mut files = vec![(STYLE_PATH.to_owned(), css, "guides/style.css".to_owned())];
    for Served { dialect, .. } in SERVED {
        files.push((path_of(dialect), JSON, format!("{}.json", dialect.name)));
        files.push((page_of(dialect), html, format!("guides/{}.html", dialect.name)));
    }
    for (path, media_type, file) in files {
        let request = Request::get(&path).body(Body::empty()).expect("a request");
        let answer = router.clone().oneshot(request).await.expect("answers");
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().expect("text")),
            (200, media_type)
        );
        assert_eq!(answer.headers()["content-security-policy"], POLICY, "{path}");
        let body = to_bytes(answer.into_body(), 4 << 20).await.expect("a body");
        assert!(body == fs::read(folder().join(&file)).expect("a file"), "{path}");
    }
}

/// Where a relative link leads from a page (RFC 3986 §5.2.4).
fn beside(page: &str, link: &str) -> String {
    let mut at: Vec<&str> = page.split('/').collect();
    at.pop();
    for part in link.split('/') {
        if part == ".." {
            at.pop();
        } else {
            at.push(part);
        }
    }
    at.join("/")
}

/// A page can be read without a mouse, without eyes, and without asking another host.
#[test]
fn the_pages_can_be_read_by_everybody() {
    let paths: BTreeSet<String> =
        SERVED.iter().flat_map(|served| [path_of(served.dialect), page_of(served.dialect)]).collect();
    for Served { dialect, contract, .. } in SERVED {
        let (name, guide) = (dialect.name, &guide::page(dialect, &document::document(dialect, contract)));
        for part in
            ["<html lang=\"en\">", "<header>", "<main id=\"main\">", "<a class=\"skip\" href=\"#main\">", "<title>"]
        {
            assert_eq!(guide.matches(part).count(), 1, "{name}: {part}");
        }
        for never in ["<script", "<style", " style=", "<img", "src=", "://fonts", "javascript:", " onclick"] {
            assert!(!guide.contains(never), "{name}: {never}");
        }
        let levels: Vec<u32> = found(guide, "<h([1-6])").iter().map(|level| level.parse().expect("a digit")).collect();
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{name}");
        assert!(levels[0] == 1 && levels.windows(2).all(|two| two[1] <= two[0] + 1), "{name}: {levels:?}");
        let ids = found(guide, r#"\bid="([^"]*)""#);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{name}: an id comes twice");
        // Where its links lead, from its own place.
        for link in found(guide, r#"href="([^"]*)""#) {
            let is_there = match link.strip_prefix('#') {
                Some(id) => ids.contains(&id),
                None => {
                    let path = beside(&page_of(dialect), link);
                    path == STYLE_PATH || paths.contains(&path)
                }
            };
            assert!(is_there, "{name}: {link} leads nowhere");
        }
    }
}

/// Text has a contrast of 4.5 at least, and 3 what is no text (WCAG 2.2, 1.4.3 and 1.4.11), in both colour schemes.
#[test]
fn the_pages_have_contrast_by_day_and_by_night() {
    let (day, night) = STYLE.split_once("prefers-color-scheme: dark").expect("two schemes");
    for scheme in [day, night] {
        let colour = |name: &str| found(scheme, &format!("--{name}: #([0-9a-f]{{6}});"))[0];
        for paper in [colour("paper"), colour("box")] {
            for ink in ["ink", "quiet", "link"] {
                assert!(contrast(paper, colour(ink)) >= 4.5, "{ink} on {paper}");
            }
            assert!(contrast(paper, colour("line")) >= 3.0, "lines on {paper}");
        }
    }
}

/// What a route says of itself, which is no place where a code is made.
static REFUSES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\.refuses\([^)]*\)").expect("a pattern"));

/// Files that list codes, and make none.
const LISTS: [&str; 4] = ["tests.rs", "contract.rs", "codes.rs", "remedy.rs"];

/// The sources of a folder, without their tests and without what the documents alone use.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" && name != "contract" {
            sources(&path, found);
        } else if name.ends_with(".rs") && !LISTS.contains(&name.as_str()) {
            let text = fs::read_to_string(&path).expect("text");
            let text = REFUSES.replace_all(&text, "").into_owned();
            found.push(text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned());
        }
    }
}

/// The sources of every program.
fn all_sources() -> Vec<String> {
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for room in ["functions", "shared"] {
        for entry in fs::read_dir(root.join(room)).expect("a folder") {
            let source = entry.expect("an entry").path().join("src");
            if source.is_dir() {
                sources(&source, &mut found);
            }
        }
    }
    found
}

/// The lists of codes, and what makes an error with one of them where its code is a literal.
#[test]
fn every_code_is_listed_and_every_listed_code_is_made() {
    let sources = all_sources();
    let refusals: BTreeSet<&str> = [codes::REQUESTS, codes::FILES, codes::OPTIONS].concat().into_iter().collect();
    let failures: BTreeSet<&str> =
        [codes::FILES, codes::OPTIONS, codes::IMPORTS, codes::EXPORTS].concat().into_iter().collect();
    let rows: BTreeSet<&str> = codes::ROWS.iter().copied().collect();
    let makers = [
        (
            r#"(?:Refusal|Self)::(?:new|bad_request|unprocessable|conflict)\(\s*(?:StatusCode::[A-Z_]+,\s*)?"([a-z_]+)""#,
            &refusals,
        ),
        (r#"Failure::new\(\s*"([a-z_]+)""#, &failures),
        (r#"(?:CellError::new|Finding::row)\(\s*"([a-z_]+)""#, &rows),
    ];
    for (pattern, listed) in makers {
        let made: BTreeSet<&str> = sources.iter().flat_map(|text| found(text, pattern)).collect();
        assert!(made.len() > 10, "{pattern} finds {made:?}");
        let unlisted: Vec<_> = made.difference(listed).collect();
        assert!(unlisted.is_empty(), "{unlisted:?} are not in shared/model/src/codes.rs");
    }
    for code in refusals.iter().chain(&failures).chain(&rows) {
        let literal = format!("\"{code}\"");
        assert!(sources.iter().any(|text| text.contains(&literal)), "nothing makes {code}");
    }
}

/// The codes of the errors in a document.
fn codes_of(document: &Value) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for operation in
        document["paths"].as_object().into_iter().flatten().flat_map(|(_, path)| path.as_object()).flatten()
    {
        for (status, answer) in operation.1["responses"].as_object().into_iter().flatten() {
            if status.starts_with(['4', '5']) {
                let listed = found(answer["description"].as_str().unwrap_or_default(), "`([a-z_]+)`");
                codes.extend(listed.into_iter().map(str::to_owned));
            }
        }
    }
    codes
}

#[test]
fn the_codes_of_the_documents_are_those_of_the_code() {
    // Of a path or a method that no document has.
    let nowhere = ["bad_request", "method_not_allowed"];
    let listed: BTreeSet<String> = [codes::REQUESTS, codes::FILES, codes::OPTIONS]
        .concat()
        .into_iter()
        .filter(|code| !nowhere.contains(code))
        .map(str::to_owned)
        .collect();
    let mut said = BTreeSet::new();
    for Served { dialect, contract, .. } in SERVED {
        let mut codes = codes_of(&document::document(dialect, contract));
        if dialect.name == "quotiza" {
            // Its own word.
            assert!(codes.remove("throttle_limit_reached") && codes.insert("rate_limited".to_owned()));
        }
        said.extend(codes);
    }
    assert_eq!(said, listed);
    let native = document::document(&native::DIALECT, native::SERVED.contract);
    let enumerated = |shape: &str| {
        let words = &native["components"]["schemas"][shape]["properties"]["code"]["enum"];
        words.as_array().expect("codes").iter().map(|word| word.as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(enumerated("RowError"), codes::ROWS);
    assert!(enumerated("Failure").iter().all(|code| codes::is_failure(code)));
    for code in [codes::FILES, codes::OPTIONS, codes::IMPORTS, codes::EXPORTS].concat() {
        assert!(enumerated("Failure").iter().any(|listed| listed == code), "{code}");
    }
}

/// A link of an answer names an operation of its document, and parameters that this has.
#[test]
fn links_lead_to_operations() {
    for Served { dialect, contract, .. } in SERVED {
        let document = document::document(dialect, contract);
        let operations: Vec<&Value> = document["paths"]
            .as_object()
            .expect("paths")
            .values()
            .flat_map(|path| path.as_object().expect("methods").values())
            .collect();
        let mut links = 0;
        for answer in operations.iter().flat_map(|operation| operation["responses"].as_object().expect("answers")) {
            for (name, link) in answer.1["links"].as_object().into_iter().flatten() {
                let to = operations.iter().find(|operation| operation["operationId"] == link["operationId"]);
                let to = to.unwrap_or_else(|| panic!("{}: there is no {name}", dialect.name));
                for parameter in link["parameters"].as_object().expect("parameters").keys() {
                    let taken = to["parameters"].as_array().into_iter().flatten();
                    assert!(
                        taken.clone().any(|taken| taken["name"] == **parameter),
                        "{}: {name}: {parameter}",
                        dialect.name
                    );
                }
                links += 1;
            }
        }
        assert!(links > 0, "{}", dialect.name);
    }
}

/// An example of success of every operation that answers with a body, but of the document itself.
#[test]
fn every_operation_shows_an_answer() {
    if std::env::var_os(RENEW).is_some() {
        return;
    }
    for Served { dialect, contract, .. } in SERVED {
        let document = document::document(dialect, contract);
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for operation in methods.as_object().expect("methods").values() {
                let answers = operation["responses"].as_object().expect("answers").iter();
                let mut bodies = answers
                    .filter(|(status, _)| status.starts_with('2'))
                    .flat_map(|(_, answer)| {
                        answer["content"].as_object().into_iter().flat_map(|content| content.values())
                    })
                    .peekable();
                let is_shown = bodies.peek().is_none() || bodies.any(|body| !body["example"].is_null());
                assert!(is_shown || operation["operationId"] == "getContract", "{path}: {}", operation["operationId"]);
            }
        }
    }
}
