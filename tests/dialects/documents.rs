//! The transcripts against the documents: every refusal that a document names, and each that is settled where it names none, is provoked by
//! one of them. What no request can provoke, a panic and a table that does not answer, is in the tests of the api.

use std::collections::BTreeSet;

use serde_json::Value;

use super::transcript;

/// Status and word of a refusal; where a dialect has no words, its sentence.
type Refusal = (u16, &'static str);

/// What every dialect refuses: a credential, a scope, a path, a method, a body.
const EVERYWHERE: [Refusal; 5] = [
    (401, "unauthorized"),
    (403, "forbidden"),
    (404, "not_found"),
    (405, "method_not_allowed"),
    (413, "body_too_large"),
];

struct Document {
    name: &'static str,
    source: &'static str,
    /// Where a refusal has its word.
    word: &'static str,
    refusals: &'static [Refusal],
}

const DOCUMENTS: [Document; 5] = [
    Document {
        name: "algure",
        source: include_str!("algure.rs"),
        word: "/error/code",
        refusals: &[
            (400, "invalid_query"),
            (400, "invalid_limit"),
            (400, "invalid_cursor"),
            (409, "already_uploaded"),
            (409, "import_cancelled"),
            (410, "import_expired"),
            (415, "unsupported_media_type"),
        ],
    },
    Document {
        name: "productsmanager",
        source: include_str!("productsmanager.rs"),
        word: "/error",
        refusals: &[(400, "invalid_form"), (415, "unsupported_media_type"), (422, "validation_error")],
    },
    Document {
        name: "betterdata",
        source: include_str!("betterdata.rs"),
        word: "/error",
        refusals: &[
            (400, "the body is not valid JSON"),
            (400, "products[] is required"),
            (400, "levels[] is required"),
            (400, "suppliers[] is required"),
            (400, "purchaseOrders[] is required"),
            (400, "orders[] is required"),
            (400, "records[] is required"),
            (401, "the API key is missing or wrong"),
            (403, "the API key lacks the scope import:read"),
            (403, "the API key lacks the scope import:write"),
            (404, "Job not found"),
            (404, "there is nothing at this path"),
            (405, "this path does not take this method"),
            (413, "the body is larger than 10485760 bytes, the most that is taken"),
        ],
    },
    Document {
        name: "connectif",
        source: include_str!("connectif.rs"),
        word: "/error",
        refusals: &[
            (400, "invalid_parameter"),
            (400, "invalid_form"),
            (400, "invalid_file"),
            (400, "invalid_query"),
            (400, "invalid_limit"),
            (400, "invalid_cursor"),
            (409, "not_deletable"),
            (415, "unsupported_media_type"),
            (429, "too_many_imports"),
        ],
    },
    Document {
        name: "quotiza",
        source: include_str!("quotiza.rs"),
        word: "/error/code",
        refusals: &[
            (400, "invalid_products_data"),
            (400, "missing_account_id"),
            (404, "account_not_found"),
            (404, "job_not_found"),
            (413, "too_many_products"),
            (429, "throttle_limit_reached"),
        ],
    },
];

/// The transcripts of a dialect: name and text.
fn transcripts(of: &str) -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialects").join(of);
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).expect("text"))
    };
    entries.map(read).collect()
}

#[test]
fn every_refusal_of_the_documents_is_provoked_and_no_other() {
    for Document { name, word, refusals, .. } in DOCUMENTS {
        let everywhere = if name == "betterdata" { &[][..] } else { &EVERYWHERE };
        let wanted: BTreeSet<(u16, &str)> = refusals.iter().chain(everywhere).copied().collect();
        let answers: Vec<(u16, Value)> =
            transcripts(name).iter().flat_map(|(_, text)| transcript::answers(text)).collect();
        let refused = answers.iter().filter(|(status, _)| *status >= 400);
        let found: BTreeSet<(u16, &str)> = refused
            .map(|(status, body)| (*status, body.pointer(word).and_then(Value::as_str).expect("a word")))
            .collect();
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn every_transcript_is_played() {
    for Document { name, source, .. } in DOCUMENTS {
        let transcripts = transcripts(name);
        assert!(!transcripts.is_empty());
        for (file, _) in transcripts {
            assert!(source.contains(&format!("include_str!(\"{name}/{file}\")")), "{name}/{file}");
        }
    }
}
