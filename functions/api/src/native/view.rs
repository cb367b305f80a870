//! An import as the native API shows it.

use penstock_model::{
    Import, Status, rfc3339,
    views::{self, Detected, Form, Rejected, Upload},
};
use penstock_store::{
    Store, StoreError,
    uploads::{PresignedForm, PresignedRequest},
};

/// The import with its current counts.
pub(super) async fn shown(store: &Store, import: Import) -> Result<views::Import, StoreError> {
    let rows = store.rows(&import).await?;
    let removed = store.removed(&import).await?;
    let waiting_for = import.waiting_for.as_ref().filter(|gate| **gate != import.id).map(ToString::to_string);
    let notes = match import.layout {
        None => import.notes.iter().cloned().collect(),
        Some(_) => Vec::new(),
    };
    let source_expires_at = import.source_expires_at(store.settings().upload_retention_ms());
    let rejected = import.report.as_ref().map(|report| Rejected { rows: report.rows });
    let detected = import.layout.clone().map(|layout| {
        let mut detected = Detected::from(layout);
        // Those that were added since the layout was resolved.
        detected.notes.extend(import.notes.iter().cloned());
        detected
    });
    Ok(views::Import {
        id: import.id.to_string(),
        kind: import.kind.to_string(),
        status: import.status,
        created_at: rfc3339(import.created_at),
        expires_at: rfc3339(import.deadline()),
        completed_at: import.completed_at.map(rfc3339),
        from: import.from.map(|source| source.import.to_string()),
        source_expires_at: source_expires_at.map(rfc3339),
        filename: import.filename,
        kind_version: Some(import.kind_version).filter(|version| *version > 0),
        format: import.format,
        options: import.options,
        detected,
        columns: import.columns,
        ignored_columns: import.ignored_columns,
        rows,
        removed,
        to_remove: import.to_remove.map(|to_remove| to_remove.records),
        confirmed_as: import.confirmed_as.map(|import| import.to_string()),
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
pub(super) async fn with_upload(store: &Store, import: Import) -> Result<views::Import, StoreError> {
    if import.status != Status::AwaitingUpload || store.now_ms() >= import.expires_at {
        return shown(store, import).await;
    }
    let PresignedRequest { method, url, headers } = store.presign_upload(&import).await?;
    let upload = Some(Upload { method: method.to_owned(), url, headers: headers.into_iter().collect() });
    let PresignedForm { url, fields } = store.presign_form(&import);
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let form = Some(Form { url, fields });
    Ok(views::Import { upload, form, ..shown(store, import).await? })
}
