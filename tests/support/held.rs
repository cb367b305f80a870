//! Imports that stand still in the middle for as long as a test wants.

use std::time::Duration;

use penstock_client::Import;
use penstock_local::Options;
use penstock_model::Status;

use super::Stack;

/// How long messages are held back, at most.
pub const HELD: Duration = Duration::from_secs(3600);

/// A stack that cuts files into chunks of ten rows and delays the message of each. The seed decides each delay; only
/// advancing the clock ends it in time.
pub async fn held() -> Stack {
    held_and(|_| {}).await
}

/// The same with options that the test changes.
pub async fn held_and(change: impl FnOnce(&mut Options)) -> Stack {
    Stack::with(|options| {
        options.scheduled = false;
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "10".into()));
        options.faults.seed = 1;
        options.faults.message_delayed = 1.0;
        options.faults.delay = HELD;
        change(options);
    })
    .await
}

/// Starts an import of a file of that many rows on a [`held`] stack, and lets time pass until about half of it is done.
pub async fn half_done(stack: &Stack, file: &[u8], rows: u64) -> Import {
    let created = stack.uploaded(file).await;
    stack.cloud.quiet().await;
    // What is sent from now on is not held back.
    stack.cloud.faults().clear();
    stack.pass(HELD / 2).await;
    stack.cloud.quiet().await;
    let import = stack.client.import(&created.id).await.expect("is there");
    assert_eq!((import.status, import.rows.total), (Status::Processing, Some(rows)));
    assert!((1..rows).contains(&import.rows.processed), "{:?}", import.rows);
    import
}
