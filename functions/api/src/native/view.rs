//! An import as the native API shows it.

use std::collections::BTreeMap;

use penstock_model::{Failure, Format, Grammar, Import, ImportOptions, Layout, Rows, Status, rfc3339};
use penstock_store::{Store, StoreError};
use serde::Serialize;

/// The JSON of an import.
#[derive(Debug, Serialize)]
pub(super) struct ImportView {
    id: String,
    kind: String,
    status: Status,
    created_at: String,
    expires_at: String,
    completed_at: Option<String>,
    filename: Option<String>,
    /// The version of an account's own kind.
    kind_version: Option<u32>,
    format: Option<Format>,
    options: ImportOptions,
    /// What the upload turned out to be.
    detected: Option<Detected>,
    columns: Option<Vec<String>>,
    ignored_columns: Vec<String>,
    rows: Rows,
    /// The status in which a processing import is about to end, when it was cancelled or failed.
    ending: Option<Status>,
    failure: Option<Failure>,
    rejected: Option<Rejected>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<Upload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<Form>,
}

/// The JSON of what an upload turned out to be.
#[derive(Debug, Serialize)]
pub(super) struct Detected {
    format: Format,
    compression: Option<&'static str>,
    encoding: String,
    delimiter: Option<char>,
    quoting: Option<bool>,
    sheet: Option<String>,
    notes: Vec<String>,
}

impl From<Layout> for Detected {
    fn from(layout: Layout) -> Self {
        let (delimiter, quoting) = match layout.grammar {
            Grammar::Delimited { delimiter, quoting } => (Some(char::from(delimiter)), Some(quoting)),
            _ => (None, None),
        };
        Self {
            format: layout.format,
            compression: layout.compression.map(|compression| compression.as_str()),
            encoding: layout.encoding,
            delimiter,
            quoting,
            sheet: layout.sheet,
            notes: layout.notes,
        }
    }
}

/// The rejected rows file is there, at `…/rejected`.
#[derive(Debug, Serialize)]
struct Rejected {
    rows: u64,
}

/// How to upload the file by one PUT.
#[derive(Debug, Serialize)]
struct Upload {
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
}

/// How to upload the file from a browser's form.
#[derive(Debug, Serialize)]
struct Form {
    url: String,
    fields: BTreeMap<&'static str, String>,
}

impl ImportView {
    /// The import with its rows as they are now.
    pub(super) async fn new(store: &Store, import: Import) -> Result<Self, StoreError> {
        let rows = store.rows(&import).await?;
        let rejected = import.report.as_ref().map(|report| Rejected { rows: report.rows });
        Ok(Self {
            id: import.id.to_string(),
            kind: import.kind.to_string(),
            status: import.status,
            created_at: rfc3339(import.created_at),
            expires_at: rfc3339(import.expires_at),
            completed_at: import.completed_at.map(rfc3339),
            filename: import.filename,
            kind_version: Some(import.kind_version).filter(|version| *version > 0),
            format: import.format,
            options: import.options,
            detected: import.layout.map(Detected::from),
            columns: import.columns,
            ignored_columns: import.ignored_columns,
            rows,
            ending: import.halt.filter(|_| !import.status.is_final()).map(|halt| halt.status),
            failure: import.failure,
            rejected,
            upload: None,
            form: None,
        })
    }

    /// The import with the ways to upload its file, while it waits for it.
    pub(super) async fn with_upload(store: &Store, import: Import) -> Result<Self, StoreError> {
        let waits = import.status == Status::AwaitingUpload && store.now_ms() < import.expires_at;
        let (upload, form) = if waits {
            let presigned = store.presign_upload(&import).await?;
            let form = store.presign_form(&import);
            (
                Some(Upload {
                    method: presigned.method,
                    url: presigned.url,
                    headers: presigned.headers.into_iter().collect(),
                }),
                Some(Form { url: form.url, fields: form.fields.into_iter().collect() }),
            )
        } else {
            (None, None)
        };
        Ok(Self { upload, form, ..Self::new(store, import).await? })
    }
}
