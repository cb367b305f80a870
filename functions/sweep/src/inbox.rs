//! Files of the inbox: those that have no import are taken, and those whose import has its file go.

use lambda_runtime::Error;
use penstock_model::Order;
use penstock_runtime::{
    Deadline, chain,
    metrics::{self, Metric},
};
use penstock_store::{
    Result, Store,
    inbox::{Found, Taken},
};
use tracing::{info, warn};

use crate::side_by_side;

/// What became of the files of one look at the inbox.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) taken: usize,
    pub(crate) failed: usize,
}

/// Looks at the files of the inbox that come next, where it is time for that. Most have their import by S3's event:
/// those here are files whose event was lost, or that waited. One that cannot be taken now keeps no others waiting; the
/// list comes by it again.
///
/// # Errors
/// When the inbox cannot be listed, or what is done with not removed.
pub(crate) async fn sweep(store: &Store, deadline: Deadline) -> Result<Inbox, Error> {
    let Some(mut listed) = store.list_inbox().await? else { return Ok(Inbox::default()) };
    let files = std::mem::take(&mut listed.files);
    let imports = store.imports_of(&files).await?;
    let (mut with_file, mut without_import) = (Vec::new(), Vec::new());
    for (found, import) in files.into_iter().zip(imports) {
        match import {
            None => without_import.push(found),
            // Where the bucket keeps no versions, another file may be there by now.
            Some(import) if import.object.is_some() && found.file.version != "null" => with_file.push(found.file),
            // It is looked at like any other, until it has its file or has ended.
            Some(_) => {}
        }
    }
    store.remove_from_inbox(with_file).await?;
    let outcomes = side_by_side(deadline, &without_import, |found| async move {
        let outcome = take(store, found).await;
        outcome.inspect_err(|error| {
            warn!(object.key = found.file.key, error = chain(error), "a file of the inbox could not be taken");
        })
    });
    let outcomes = outcomes.await;
    store.note_inbox(listed).await?;
    let count = |of: fn(&Result<Option<bool>>) -> bool| outcomes.iter().filter(|outcome| of(outcome)).count();
    let waiting = count(|outcome| matches!(outcome, Ok(Some(false))));
    if waiting > 0 {
        metrics::write(&[(Metric::DropsWaiting, waiting as u64)], &[]);
    }
    Ok(Inbox { taken: count(|outcome| matches!(outcome, Ok(Some(true)))), failed: count(Result::is_err) })
}

/// Makes the import of a file, and orders its copy: whether it did, or the file waits; nothing of one whose import was
/// deleted. A repeat orders the copy again.
async fn take(store: &Store, found: &Found) -> Result<Option<bool>> {
    match store.take_from_inbox(found).await? {
        Taken::Import(import) => {
            store.send(&Order::to_continue(&import, None)).await?;
            info!(import.id = %import.id, "a file was found in the inbox");
            Ok(Some(true))
        }
        Taken::Waits(why) => {
            info!(object.key = found.file.key, reason = why.as_str(), "a file waits in the inbox");
            Ok(Some(false))
        }
        Taken::Deleted => Ok(None),
    }
}
