//! Imports that are kept no longer.

use lambda_runtime::Error;
use penstock_runtime::{Deadline, chain};
use penstock_store::Store;
use tracing::{info, warn};

/// What became of the imports whose time is over, of one sweep.
#[derive(Debug, Default)]
pub(crate) struct Retentions {
    pub(crate) ended: usize,
    pub(crate) failed: usize,
}

/// Removes imports whose retention is over, a bounded number of them, until the invocation's time is near its end. The
/// next sweep goes on with those that are left. One that cannot be removed now keeps no others waiting.
///
/// # Errors
/// When the list of them cannot be read.
pub(crate) async fn sweep(store: &Store, deadline: Deadline) -> Result<Retentions, Error> {
    let mut retentions = Retentions::default();
    for due in store.due_retentions().await? {
        if deadline.is_near() {
            break;
        }
        match store.end_retention(&due).await {
            Ok(false) => {}
            Ok(true) => {
                retentions.ended += 1;
                info!(import.id = %due.import, "the retention of an import is over: it is removed");
            }
            Err(error) => {
                retentions.failed += 1;
                warn!(import.id = %due.import, error = chain(&error), "an import whose retention is over could not be removed");
                store.put_off_retention(&due).await?;
            }
        }
    }
    Ok(retentions)
}
