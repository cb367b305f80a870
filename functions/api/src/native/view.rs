//! An import as the native API shows it.

use penstock_model::{
    Import, Status, cost, rfc3339,
    views::{self, Detected, Form, Rejected, Times, Upload},
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
    let retained_until = import.retained_until(store.settings().import_retention_ms());
    let rejected = import.report.as_ref().map(|report| Rejected { rows: report.rows });
    let detected = import.layout.clone().map(|layout| {
        let mut detected = Detected::from(layout);
        // Those that were added since the layout was resolved.
        detected.notes.extend(import.notes.iter().cloned());
        detected
    });
    let (times, cost) =
        (times(&import), import.status.is_final().then(|| cost::estimate(&rows, removed, import.options.dry_run)));
    Ok(views::Import {
        id: import.id.to_string(),
        kind: import.kind.to_string(),
        status: import.status,
        created_at: rfc3339(import.created_at),
        expires_at: rfc3339(import.deadline()),
        completed_at: import.completed_at.map(rfc3339),
        retained_until: retained_until.map(rfc3339),
        from: import.from.map(|source| source.import.to_string()),
        corrects: import.corrects.map(|id| id.to_string()),
        source_expires_at: source_expires_at.map(rfc3339),
        filename: import.filename,
        kind_version: Some(import.kind_version).filter(|version| *version > 0),
        format: import.format,
        options: import.options,
        preset: import.preset.map(|preset| preset.to_string()),
        metadata: import.metadata,
        webhook: import.webhook.map(|webhook| webhook.to_string()),
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
        created_by: import.created_by,
        confirmed_by: import.confirmed_by,
        cancelled_by: import.cancelled_by,
        times,
        cost,
        upload: None,
        form: None,
    })
}

/// When the import came to its stages.
fn times(import: &Import) -> Times {
    // What it reads was uploaded to another import, or it has no file.
    let is_uploaded = import.from.is_none() && import.object.is_some();
    Times {
        uploaded_at: import.found_at.or(import.accepted_at).filter(|_| is_uploaded).map(rfc3339),
        accepted_at: import.accepted_at.map(rfc3339),
        split_began_at: import.split_began_at.map(rfc3339),
        split_ended_at: import.split_ended_at.map(rfc3339),
        rows_began_at: import.rows_began_at.map(rfc3339),
        rows_ended_at: import.rows_ended_at.map(rfc3339),
        confirmed_at: import.confirmed_at.map(rfc3339),
        halted_at: import.halted_at.map(rfc3339),
    }
}

/// The import with the two ways to upload its file, while it awaits its upload.
pub(super) async fn with_upload(store: &Store, import: Import) -> Result<views::Import, StoreError> {
    if import.status != Status::AwaitingUpload || store.now_ms() >= import.expires_at {
        return shown(store, import).await;
    }
    let PresignedRequest { method, url, headers } = store.presign_upload(&import).await?;
    let upload = Some(Upload { method: method.to_owned(), url, headers: headers.into_iter().collect() });
    let PresignedForm { url, fields } = store.presign_form(&import).await?;
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let form = Some(Form { url, fields });
    Ok(views::Import { upload, form, ..shown(store, import).await? })
}
