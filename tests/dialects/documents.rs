//! What each dialect's document settles, and its transcripts: every refusal that a document names, and every refusal
//! that is settled where the document names none, is provoked by a transcript. What no request can provoke, a panic and
//! a table that does not answer, is in the tests of the api.

use std::collections::BTreeSet;

use futures::future::LocalBoxFuture;
use penstock_api::DIALECTS;
use serde_json::Value;

use super::{
    DOCUMENTS,
    crowd::{Caller, Ended},
    transcript,
};

/// A dialect as its document has it: what the tests of all dialects need to know of one.
pub(crate) struct Document {
    /// The dialect's name in the table. Its transcripts are in the folder of this name.
    pub(crate) dialect: &'static str,
    /// The source of the dialect's own tests, which play its transcripts.
    pub(crate) tests: &'static str,
    pub(crate) form: ErrorForm,
    /// A path that takes GET but not PATCH.
    pub(crate) path: &'static str,
    /// A path to which a file is posted in a body of this type, which may be larger than Lambda takes. `None` where the
    /// dialect's own limit is lower, or where the path holds the id of an import.
    pub(crate) upload: Option<(&'static str, Body)>,
    /// The refusals of this dialect alone; every refusal of a dialect without codes.
    pub(crate) refusals: &'static [Refusal],
    /// A client that imports [`super::crowd::ROWS`] good rows and a bad one.
    pub(crate) client: for<'a> fn(&'a Caller<'a>) -> LocalBoxFuture<'a, Ended>,
}

/// Where the parts of an error are: JSON pointers.
#[derive(Clone, Copy)]
pub(crate) struct ErrorForm {
    pub(crate) code: Option<&'static str>,
    pub(crate) message: &'static str,
    pub(crate) status: Option<&'static str>,
}

/// The type of a body that holds a file.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    Form,
    Json,
}

/// Status and code of a refusal; the sentence instead of the code in a dialect without codes.
type Refusal = (u16, &'static str);

/// The refusals of every dialect with codes: a credential, a scope, a path, a method, a body.
const EVERYWHERE: [Refusal; 5] = [
    (401, "unauthorized"),
    (403, "forbidden"),
    (404, "not_found"),
    (405, "method_not_allowed"),
    (413, "body_too_large"),
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
fn every_dialect_of_the_table_has_its_document() {
    let documents: BTreeSet<&str> = DOCUMENTS.iter().map(|document| document.dialect).collect();
    let dialects: BTreeSet<&str> =
        DIALECTS.iter().map(|dialect| dialect.name).filter(|name| *name != "native").collect();
    assert_eq!(documents, dialects);
}

#[test]
fn every_refusal_of_the_documents_is_provoked_and_no_other() {
    for Document { dialect, form, refusals, .. } in DOCUMENTS {
        let (word, everywhere) = match form.code {
            Some(code) => (code, &EVERYWHERE[..]),
            None => (form.message, &[][..]),
        };
        let wanted: BTreeSet<(u16, &str)> = refusals.iter().chain(everywhere).copied().collect();
        let answers: Vec<(u16, Value)> =
            transcripts(dialect).iter().flat_map(|(_, text)| transcript::answers(text)).collect();
        let refused = answers.iter().filter(|(status, _)| *status >= 400);
        let found: BTreeSet<(u16, &str)> = refused
            .map(|(status, body)| (*status, body.pointer(word).and_then(Value::as_str).expect("a word")))
            .collect();
        assert_eq!(found, wanted, "{dialect}");
    }
}

#[test]
fn every_transcript_is_played() {
    for Document { dialect, tests, .. } in DOCUMENTS {
        let transcripts = transcripts(dialect);
        assert!(!transcripts.is_empty());
        for (file, _) in transcripts {
            assert!(tests.contains(&format!("include_str!(\"{dialect}/{file}\")")), "{dialect}/{file}");
        }
    }
}
