//! An import as the native API shows it.

use std::collections::BTreeMap;

use penstock_model::{Failure, Format, Grammar, Import, ImportOptions, Layout, Rows, Status, rfc3339};
use penstock_store::{
    Store, StoreError,
    uploads::{PresignedForm, PresignedRequest},
};
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
    /// The detected layout of the upload.
    detected: Option<Detected>,
    columns: Option<Vec<String>>,
    ignored_columns: Vec<String>,
    rows: Rows,
    /// Records that it removed, or has removed so far.
    removed: u64,
    /// Records that it would remove, or was to, once that is counted.
    to_remove: Option<u64>,
    /// Until when that can be confirmed.
    confirm_until: Option<String>,
    /// The import that its upload waits for.
    waiting_for: Option<String>,
    /// Notes of an import without a file; those of others stand in `detected`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// The status in which a processing import will end, once it is cancelled or has failed.
    ending: Option<Status>,
    failure: Option<Failure>,
    rejected: Option<Rejected>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<PresignedPut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<PresignedPost>,
}

/// The JSON of the detected layout of an upload.
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
            Grammar::Lines | Grammar::Elements { .. } | Grammar::Concatenated | Grammar::Sheet => (None, None),
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

impl Detected {
    /// With notes that were added since the layout was resolved.
    fn with(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }
}

/// The JSON of the file of rejected rows, which is at `…/rejected`.
#[derive(Debug, Serialize)]
struct Rejected {
    rows: u64,
}

/// The JSON of a presigned PUT.
#[derive(Debug, Serialize)]
struct PresignedPut {
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
}

/// The JSON of a presigned POST, which a browser's form can send.
#[derive(Debug, Serialize)]
struct PresignedPost {
    url: String,
    fields: BTreeMap<&'static str, String>,
}

impl ImportView {
    /// The import with its current counts.
    pub(super) async fn new(store: &Store, import: Import) -> Result<Self, StoreError> {
        let rows = store.rows(&import).await?;
        let removed = store.removed(&import).await?;
        let waiting_for = import.waiting_for.as_ref().filter(|gate| **gate != import.id).map(ToString::to_string);
        let notes = match import.layout {
            None => import.notes.iter().cloned().collect(),
            Some(_) => Vec::new(),
        };
        let rejected = import.report.as_ref().map(|report| Rejected { rows: report.rows });
        Ok(Self {
            id: import.id.to_string(),
            kind: import.kind.to_string(),
            status: import.status,
            created_at: rfc3339(import.created_at),
            expires_at: rfc3339(import.deadline()),
            completed_at: import.completed_at.map(rfc3339),
            filename: import.filename,
            kind_version: Some(import.kind_version).filter(|version| *version > 0),
            format: import.format,
            options: import.options,
            detected: import.layout.map(|layout| Detected::from(layout).with(import.notes)),
            columns: import.columns,
            ignored_columns: import.ignored_columns,
            rows,
            removed,
            to_remove: import.to_remove.map(|to_remove| to_remove.records),
            confirm_until: import.held_until.filter(|_| import.status == Status::AwaitingConfirmation).map(rfc3339),
            waiting_for: waiting_for.filter(|_| !import.status.is_final()),
            notes,
            ending: import.halt.filter(|_| !import.status.is_final()).map(|halt| halt.status),
            failure: import.failure,
            rejected,
            upload: None,
            form: None,
        })
    }

    /// The import with the two ways to upload its file, while it awaits its upload.
    pub(super) async fn with_upload(store: &Store, import: Import) -> Result<Self, StoreError> {
        if import.status != Status::AwaitingUpload || store.now_ms() >= import.expires_at {
            return Self::new(store, import).await;
        }
        let PresignedRequest { method, url, headers } = store.presign_upload(&import).await?;
        let upload = Some(PresignedPut { method, url, headers: headers.into_iter().collect() });
        let PresignedForm { url, fields } = store.presign_form(&import);
        let form = Some(PresignedPost { url, fields: fields.into_iter().collect() });
        Ok(Self { upload, form, ..Self::new(store, import).await? })
    }
}
