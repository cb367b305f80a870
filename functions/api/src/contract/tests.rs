//! The documents are those of the code, and their error codes are the code's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use regex::Regex;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::{BodyLimits, CorsOrigins, dialects::SERVED, native, rate_limits};

/// The variable that renews what is compared.
const RENEW: &str = "PENSTOCK_RENEW";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi")
}

fn made(served: &Served) -> String {
    let document = document::document(served.dialect, served.contract);
    format!("{}\n", serde_json::to_string_pretty(&document).expect("JSON"))
}

/// `PENSTOCK_RENEW=1 cargo test -p penstock-api contract` renews the files.
#[test]
fn the_documents_are_those_of_the_code() {
    for served in SERVED {
        let (file, made) = (folder().join(format!("{}.json", served.dialect.name)), made(served));
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
async fn the_served_documents_are_the_files() {
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
    for Served { dialect, .. } in SERVED {
        let request = Request::get(path_of(dialect)).body(Body::empty()).expect("a request");
        let answer = router.clone().oneshot(request).await.expect("answers");
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &JSON.parse().expect("ASCII")));
        let body = to_bytes(answer.into_body(), 4 << 20).await.expect("a body");
        let file = fs::read(folder().join(format!("{}.json", dialect.name))).expect("a file");
        assert!(body == file, "{}", dialect.name);
    }
}

/// The sources of a folder, without their tests, and without what the dialects alone use.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" && name != "dialects" && name != "contract" {
            sources(&path, found);
        } else if name.ends_with(".rs") && !["tests.rs", "contract.rs", "multipart.rs"].contains(&name.as_str()) {
            let text = fs::read_to_string(&path).expect("text");
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            found.push((path, text));
        }
    }
}

fn codes_in(folder: &str, pattern: &str) -> BTreeSet<String> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    let pattern = Regex::new(pattern).expect("a pattern");
    found
        .iter()
        .flat_map(|(_, text)| pattern.captures_iter(text).map(|code| code[1].to_owned()).collect::<Vec<_>>())
        .collect()
}

/// The codes of the errors in a document, by status.
fn codes_of(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut codes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in
        document["paths"].as_object().into_iter().flatten().flat_map(|(_, path)| path.as_object()).flatten()
    {
        for (status, answer) in operation.1["responses"].as_object().into_iter().flatten() {
            let schema = &answer["content"]["application/problem+json"]["schema"]["allOf"][1];
            let listed = schema["properties"]["code"]["enum"].as_array().into_iter().flatten();
            codes.entry(status.clone()).or_default().extend(listed.filter_map(|code| code.as_str().map(str::to_owned)));
        }
    }
    codes
}

/// A refusal begins with its status or the function of it, and its code is the next word. What passes a failure of the
/// engine on has its code.
#[test]
fn the_codes_of_the_code_are_those_of_the_document() {
    let said: BTreeSet<String> =
        codes_of(&document::document(&native::DIALECT, native::SERVED.contract)).into_values().flatten().collect();
    let refusals = codes_in(
        "src",
        r#"(?:Refusal|Self)::(?:new|bad_request|unprocessable|conflict)\(\s*(?:StatusCode::[A-Z_]+,\s*)?"([a-z_]+)""#,
    );
    // Of a dialect alone, or of a status that no route of the native API answers with.
    let others = ["bad_request", "method_not_allowed", "unsupported_media_type"];
    let mut coded: BTreeSet<String> = refusals.into_iter().filter(|code| !others.contains(&code.as_str())).collect();
    coded.extend(codes_in("../../shared/engine/src", r#"Failure::new\(\s*"([a-z_]+)""#));
    let missing: Vec<_> = coded.difference(&said).collect();
    assert!(missing.is_empty(), "the document lacks {missing:?}");
    let unknown: Vec<_> = said.difference(&coded).collect();
    assert!(unknown.is_empty(), "no code says {unknown:?}");
}
