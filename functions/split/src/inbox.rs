//! Files that are dropped off: from the inbox to where an upload is awaited.

use penstock_engine::reading;
use penstock_model::{Failure, Import, InboxFile};
use penstock_runtime::{Deadline, chain};
use penstock_store::{
    Result, Store,
    inbox::{Copied, Taken},
};
use tracing::{info, warn};

use crate::split::{fail, run};

/// Makes the import of a file, and has it copied. A repeat finds the import, and copies what is not there.
///
/// # Errors
/// What may be different next time. A file that waits is no error: the sweeper finds it again.
pub(crate) async fn take(store: &Store, file: InboxFile, deadline: Deadline) -> Result<()> {
    let Some(found) = store.find_in_inbox(file.clone()).await? else {
        info!(object.key = file.key, "a file is not in the inbox any more");
        return Ok(());
    };
    match store.take_from_inbox(&found).await? {
        Taken::Import(import) => run(store, &import.account, &import.id, None, deadline).await,
        Taken::Waits(why) => {
            info!(object.key = file.key, reason = why.as_str(), "a file waits in the inbox");
            Ok(())
        }
        Taken::Deleted => Ok(()),
    }
}

/// Has the file of an import copied, whose event then starts the split. A repeat stores another version, which the
/// import is not about.
///
/// A copy that fails is not tried again here, where each try would bring another one: the sweeper orders the next,
/// until the import expires.
///
/// # Errors
/// What may be different next time.
pub(crate) async fn copy(store: &Store, import: &Import, file: &InboxFile) -> Result<()> {
    if let Err(failure) = reading::check_size(file.bytes) {
        return fail(store, import, failure).await;
    }
    match store.copy_from_inbox(import, file).await {
        Ok(Copied::Stored) => info!(import.id = %import.id, bytes = file.bytes, "a file is copied out of the inbox"),
        Ok(Copied::Gone) => {
            let gone = "the file that was dropped off was removed before it was copied; drop it off again";
            return fail(store, import, Failure::new("upload_gone", gone)).await;
        }
        Err(error) => {
            warn!(import.id = %import.id, error = chain(&error), "a file could not be copied out of the inbox now");
        }
    }
    Ok(())
}
