//! Making an import of what was uploaded to another one.

use penstock_model::{
    Import, ImportId,
    again::{NoSource, Source},
    limits::UPLOAD_LEFT_MS,
    rfc3339,
};
use penstock_store::Store;

use crate::{auth::Caller, refusal::Refusal};

/// The import of this id, and what a new import of its upload reads.
///
/// # Errors
/// 404 where it is missing or another account's; 409 where it has no upload, or not for long enough any more.
pub(super) async fn source<T>(store: &Store, caller: &Caller<T>, id: &ImportId) -> Result<(Import, Source), Refusal> {
    let no_import = || Refusal::not_found("there is no import `from`: it was deleted, or never was");
    let import = store.import(&caller.account, id).await?.ok_or_else(no_import)?;
    let source = import.source(store.now_ms(), store.settings().upload_retention_ms()).map_err(|why| match why {
        NoSource::Nothing => {
            Refusal::conflict("nothing_uploaded", "nothing was uploaded to the import `from` that could be read again")
        }
        NoSource::Expires(at) => {
            let message = format!(
                "what was uploaded to the import `from` is kept until {}, and another import of it takes {} hours more: \
                 upload the file anew",
                rfc3339(at),
                UPLOAD_LEFT_MS / 3_600_000
            );
            Refusal::conflict("upload_expires", message)
        }
    })?;
    Ok((import, source))
}

/// 409: the import that the file was uploaded to was deleted, and the file with it.
pub(super) fn gone() -> Refusal {
    Refusal::conflict("upload_gone", "the file was removed with the import that it was uploaded to: upload it anew")
}
