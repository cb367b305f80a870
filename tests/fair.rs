//! A fair share: a chunk that takes too long, or ends the program, holds up no other and ends by its own tries; how
//! often a message was received decides nothing; what one tenant sends does not keep another waiting.

use std::time::Duration;

use penstock_client::NewImport;
use penstock_engine::kind::Kind;
use penstock_model::{QueueName, Status, limits};

use crate::support::{
    OTHER_TOKEN, Stack, adds_up,
    crashes::{arm, armed, stack_with_crashes, stack_with_crashes_and},
    files, upload,
};

/// Rows of one chunk of the tests that cut small ones.
const CHUNK_ROWS: usize = 20;

/// A pattern that a text keeps busy for a time that grows with both: more than a kind may have that is put now.
const SLOW_KIND: &str = r#"{
    "fields": [
        { "name": "id", "type": "string", "constraints": { "required": true } },
        { "name": "bits", "type": "string", "constraints": { "maxLength": 12000, "pattern": "[01]*1[01]{2000}" } }
    ],
    "primaryKey": "id"
}"#;

/// Stores the slow kind as one that was put before patterns were bounded: what slow rows do must not rest on that
/// bound.
async fn store_slow_kind(stack: &Stack) {
    let schema = Kind::parse_as(SLOW_KIND.as_bytes(), &"slow".parse().expect("valid")).expect("a schema");
    stack.cloud.store().put_kind(&"1".parse().expect("valid"), &schema, SLOW_KIND).await.expect("stored");
}

/// A stack that cuts small chunks, works out the rows of one for a second at most, and has one validator.
async fn hasty(batch_size: usize) -> Stack {
    Stack::with(|options| {
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), CHUNK_ROWS.to_string()));
        options.environment.push(("PENSTOCK_CHUNK_SECONDS".into(), "1".into()));
        options.functions.validate.concurrency = 1;
        options.queues[QueueName::Chunks].batch_size = batch_size;
        // Messages stay on their way until the clock is advanced.
        options.faults.seed = 1;
        options.faults.message_delayed = 1.0;
        options.faults.delay = Duration::from_secs(3_600);
    })
    .await
}

/// The one chunk that is slow, and the good ones around it, of a tenant; a single row of another tenant comes with
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_takes_too_long_fails_alone_and_holds_nobody_up() {
    let stack = hasty(8).await;
    store_slow_kind(&stack).await;
    let mut file = b"id,bits\n".to_vec();
    let slow = "10".repeat(6_000);
    for row in 0..3 * CHUNK_ROWS {
        let is_slow = (CHUNK_ROWS..2 * CHUNK_ROWS).contains(&row);
        let bits = if is_slow { slow.as_str() } else { "" };
        file.extend(format!("R-{row},{bits}\n").as_bytes());
    }
    let new = NewImport { kind: Some("slow".to_owned()), ..NewImport::default() };
    let hostile = stack.client.create(&new, None).await.expect("created");
    assert_eq!(upload(&hostile, &file).await, 200);
    let other = stack.client_of(OTHER_TOKEN);
    let neighbour = other.create(&NewImport::default(), None).await.expect("created");
    assert_eq!(upload(&neighbour, &files::plain(0, 1, "1")).await, 200);
    stack.cloud.quiet().await;
    stack.cloud.faults().clear();
    // All four chunks are delivered at once, in one batch.
    stack.pass(Duration::from_secs(3_600)).await;
    stack.cloud.quiet().await;
    assert_eq!(stack.invocations("validate"), 1);
    let neighbour = other.import(&neighbour.id).await.expect("there");
    assert_eq!((neighbour.status, neighbour.rows.created), (Status::Completed, 1));
    let running = stack.client.import(&hostile.id).await.expect("there");
    assert_eq!((running.status, running.rows.created), (Status::Processing, 2 * CHUNK_ROWS as u64));
    // The slow chunk is tried alone, as often as that is allowed, and ends.
    let ended = stack.ended(&hostile.id).await;
    adds_up(&ended);
    assert_eq!((ended.status, ended.rows.created), (Status::CompletedWithErrors, 2 * CHUNK_ROWS as u64));
    let errors = stack.errors(&hostile.id).await;
    let rows: Vec<u64> = errors.iter().map(|error| error.row).collect();
    assert_eq!(rows, (CHUNK_ROWS as u64 + 1..=2 * CHUNK_ROWS as u64).collect::<Vec<_>>());
    assert!(errors.iter().all(|error| error.code == "row_takes_too_long"), "{:?}", errors[0]);
    assert!(errors[0].message.contains("1 seconds"), "{}", errors[0].message);
    // The first delivery, the tries, and the one that finds that they are too many.
    assert_eq!(stack.invocations("validate"), 2 + limits::CHUNK_TRIES as u64);
    assert_eq!(stack.deaths("validate"), 0);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_ends_every_validator_is_told_by_its_tries() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| {
        options.functions.validate.concurrency = 1;
        options.queues[QueueName::Chunks].batch_size = 1;
    })
    .await;
    arm(folder.path(), "validate.working_out.always");
    // The validator that gives it up dies as well.
    arm(folder.path(), "validate.stuck");
    let import = stack.import(&files::plain(0, 90, "1")).await;
    assert_eq!((import.status, import.rows.failed), (Status::CompletedWithErrors, 90));
    let errors = stack.errors(&import.id).await;
    assert!(errors.iter().all(|error| error.code == "row_takes_too_long"), "{:?}", errors[0]);
    assert_eq!(stack.deaths("validate"), 2 + limits::CHUNK_TRIES);
    assert_eq!(armed(folder.path()), ["validate.working_out.always"]);
    std::fs::remove_file(folder.path().join("validate.working_out.always")).expect("removed");
    let again = stack.import(&files::plain(0, 90, "1")).await;
    assert_eq!((again.status, again.rows.created), (Status::Completed, 90));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receives_decide_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| options.scheduled = false).await;
    // Before it begins: as a neighbour's chunk would end the process.
    arm(folder.path(), "validate.received.always");
    let created = stack.uploaded(&files::plain(0, 90, "1")).await;
    stack.passes_until("many deaths", async || stack.deaths("validate") >= 12).await;
    let running = stack.client.import(&created.id).await.expect("there");
    assert_eq!((running.status, running.rows.processed), (Status::Processing, 0));
    std::fs::remove_file(folder.path().join("validate.received.always")).expect("removed");
    let import = stack.ended(&created.id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 90));
    stack.stop().await;
}

/// A killed validator's chunk goes on after a minute of the local clock.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_validator_is_killed_goes_on_within_a_minute() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes(folder.path()).await;
    arm(folder.path(), "validate.begun");
    let created = stack.uploaded(&files::plain(0, 950, "1")).await;
    stack.cloud.quiet().await;
    assert_eq!(armed(folder.path()), [""; 0]);
    assert_eq!(stack.client.import(&created.id).await.expect("there").status, Status::Processing);
    stack.pass(Duration::from_secs(60)).await;
    stack.cloud.quiet().await;
    let import = stack.client.import(&created.id).await.expect("there");
    assert_eq!((import.status, import.rows.created), (Status::Completed, 950));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_ends_every_splitter_fails_its_import_within_minutes() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes(folder.path()).await;
    arm(folder.path(), "split.begun.always");
    let created = stack.uploaded(&files::plain(0, 250, "1")).await;
    let mut minutes = 0;
    while !stack.client.import(&created.id).await.expect("there").status.is_final() {
        stack.cloud.quiet().await;
        stack.pass(Duration::from_secs(61)).await;
        minutes += 1;
        assert!(minutes <= 10, "it stands still:\n{}", stack.logs());
    }
    let import = stack.ended(&created.id).await;
    let failure = import.failure.expect("a reason");
    assert_eq!((import.status, failure.code.as_str()), (Status::Failed, "split_failed"));
    assert!(failure.message.contains("row 0"), "{}", failure.message);
    assert_eq!(stack.deaths("split"), limits::SPLIT_TRIES);
    // Nobody else is concerned.
    std::fs::remove_file(folder.path().join("split.begun.always")).expect("removed");
    assert_eq!(stack.import(&files::plain(0, 250, "1")).await.status, Status::Completed);
    stack.stop().await;
}

/// A burst of one tenant's chunks, and another's single row: it is answered after a few of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_one_tenant_does_not_keep_anothers_row_waiting() {
    const CHUNKS: usize = 40;
    let stack = hasty(1).await;
    let burst = stack.uploaded(&files::plain(0, (CHUNKS * CHUNK_ROWS) as u64, "1")).await;
    let other = stack.client_of(OTHER_TOKEN);
    let single = other.create(&NewImport::default(), None).await.expect("created");
    assert_eq!(upload(&single, &files::plain(0, 1, "1")).await, 200);
    stack.cloud.quiet().await;
    stack.cloud.faults().clear();
    // Every chunk is there at once.
    stack.pass(Duration::from_secs(3_600)).await;
    stack.cloud.quiet().await;
    assert_eq!(stack.client.import(&burst.id).await.expect("there").status, Status::Completed);
    assert_eq!(other.import(&single.id).await.expect("there").status, Status::Completed);
    // The one validator writes a line for each chunk that it has done.
    let log = stack.cloud.logs("validate");
    let done: Vec<&str> = log.lines().filter(|line| line.contains("\"ChunkLatency\":")).collect();
    assert_eq!(done.len(), CHUNKS + 1, "{log}");
    let place = done.iter().position(|line| line.contains(&single.id)).expect("its chunk was done");
    assert!(place <= 2, "the single row came after {place} chunks of {CHUNKS}");
    stack.stop().await;
}
