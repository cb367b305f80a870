//! Every import ends: what the sweeper finds, resumes and settles, case by case.

use std::{io::Write, time::Duration};

use penstock_local::Usage;
use penstock_model::{Abort, ImportOptions, QueueName, Status};

use crate::support::{
    Stack,
    crashes::{arm, armed, stack_with_crashes, stack_with_crashes_and},
    files, storage, upload,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_event_was_lost_is_found_and_split() {
    let stack = Stack::with(|options| options.faults.event_lost = 1.0).await;
    let import = stack.import(&files::plain(0, 10, "1")).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 10));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_never_used_expires_after_its_url_and_not_before() {
    let stack = Stack::start().await;
    let import = stack.create(ImportOptions::default()).await;
    let status = async || {
        stack.cloud.sweep_now().await.expect("the sweeper looks");
        stack.client.import(&import.id).await.expect("there").status
    };
    stack.pass(Duration::from_secs(29 * 60)).await;
    assert_eq!(status().await, Status::AwaitingUpload);
    assert_eq!(upload(&import, b"sku,name,brand\n").await, 200, "the last moment has not come");
    let import = stack.create(ImportOptions::default()).await;
    stack.pass(Duration::from_secs(34 * 60)).await;
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    assert_eq!(stack.client.import(&import.id).await.expect("there").status, Status::AwaitingUpload);
    stack.pass(Duration::from_secs(7 * 60)).await;
    let expired = stack.ended(&import.id).await;
    assert_eq!(expired.status, Status::Expired);
    assert_eq!(expired.rows.total, None);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_stored_in_time_counts_however_late_its_event_is() {
    let stack = Stack::with(|options| {
        options.faults.event_lost = 1.0;
        options.scheduled = false;
    })
    .await;
    let import = stack.uploaded(&files::plain(0, 10, "1")).await;
    stack.pass(Duration::from_secs(48 * 3600)).await;
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    stack.cloud.idle().await;
    let import = stack.client.import(&import.id).await.expect("there");
    assert_eq!((import.status, import.rows.created), (Status::Completed, 10));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_kills_every_validator_fails_its_rows_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    // It is received so often, and no oftener: the sweeper is asked about it.
    let stack = stack_with_crashes_and(folder.path(), |options| {
        options.queues[QueueName::Chunks].max_receive_count = 5;
    })
    .await;
    let good = stack.import(&files::plain(0, 250, "1")).await;
    assert_eq!(good.status, Status::Completed);
    arm(folder.path(), "validate.received.always");
    // The sweeper dies on the way, too.
    arm(folder.path(), "sweep.resent");
    arm(folder.path(), "sweep.chunk_failed");
    let import = stack.import(&files::plain(1000, 250, "1")).await;
    assert_eq!(import.status, Status::CompletedWithErrors);
    assert_eq!((import.rows.failed, import.rows.total), (250, Some(250)));
    let errors = stack.errors(&import.id).await;
    let rows: Vec<u64> = errors.iter().map(|error| error.row).collect();
    assert_eq!(rows, (1..=250).collect::<Vec<_>>());
    assert!(errors.iter().all(|error| error.code == "not_processed" && error.line == error.row + 1));
    std::fs::remove_file(folder.path().join("validate.received.always")).expect("removed");
    assert_eq!(armed(folder.path()), [""; 0]);
    // The rows come back as they were sent, and can be sent again.
    let path = folder.path().join("rejected.csv");
    stack.client.save_rejected(&import.id, &path).await.expect("saved");
    let again = stack.import(&std::fs::read(&path).expect("a file")).await;
    assert_eq!((again.status, again.rows.created), (Status::Completed, 250));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_has_begun_is_finished_however_often_its_validator_dies() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| {
        options.queues[QueueName::Chunks].max_receive_count = 5;
    })
    .await;
    arm(folder.path(), "validate.records.always");
    let import = stack.uploaded(&files::plain(0, 90, "1")).await;
    // The one chunk is received five times, dead-lettered and sent again, twice over, and begins once more.
    let settled = |usage: Usage| {
        usage.total(|operation| (&*operation.name, &*operation.resource) == ("DeleteMessageBatch", "chunks-dead")).items
    };
    stack.passes_until("two dead letters", async || settled(stack.cloud.usage()) >= 2).await;
    assert!(stack.deaths("validate") >= 10);
    let running = stack.client.import(&import.id).await.expect("there");
    assert_eq!((running.status, running.rows.processed), (Status::Processing, 0));
    std::fs::remove_file(folder.path().join("validate.records.always")).expect("removed");
    let import = stack.ended(&import.id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 90));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_that_never_gets_anywhere_ends_its_import_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes(folder.path()).await;
    arm(folder.path(), "split.columns.always");
    let import = stack.import(&files::plain(0, 250, "1")).await;
    assert_eq!(import.status, Status::Failed);
    let failure = import.failure.expect("a reason");
    assert_eq!(failure.code, "split_failed");
    assert!(failure.message.contains("row 0"), "{}", failure.message);
    assert_eq!((import.rows.total, import.rows.processed), (Some(0), 0));
    stack.stop().await;
}

/// Steps that an import which goes by itself from its upload to its end does not take. Other tests walk them.
const ELSEWHERE: &[&str] = &[
    // `tests/again.rs`, `tests/corrects.rs`, `tests/accounts.rs`, `tests/exports.rs`, `tests/replace`,
    // `tests/review.rs`, `tests/deletion.rs`
    "again.",
    "story.",
    "account.",
    "export.",
    "replace.",
    "review.",
    "delete.",
    "removal.",
    "kind.",
    // `tests/webhooks.rs`
    "event.",
    "delivery.",
    // `tests/inbox.rs`
    "inbox.",
    // `tests/dialects`, `tests/parts.rs`
    "upload.",
    "parts.",
    // `tests/digest.rs`
    "split.unchanged",
    "split.same",
    // below
    "split.continued",
    "report.continued",
    "validate.stuck",
    "halt.",
    "sweep.",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_death_after_any_named_step_changes_nothing() {
    let is_here = |point: &&&str| !ELSEWHERE.iter().any(|others| point.starts_with(others));
    for point in penstock_store::crash::POINTS.iter().filter(is_here) {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes(folder.path()).await;
        arm(folder.path(), point);
        let mut file = files::plain(0, 950, "1");
        file.extend(b"SKU-bad,,Brand,1\n");
        let import = stack.import(&file).await;
        assert_eq!(import.status, Status::CompletedWithErrors, "{point}");
        let rows = import.rows;
        assert_eq!((rows.created, rows.failed, rows.total), (950, 1, Some(951)), "{point}");
        assert_eq!(import.rejected.expect("rejected rows").rows, 1, "{point}");
        assert_eq!(armed(folder.path()), [""; 0], "{point}");
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_while_an_import_is_ended_early_changes_nothing() {
    for point in ["halt.ordered", "halt.block_closed", "end.ended", "end.report_sent"] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes_and(folder.path(), |options| {
            // Only the first chunk can halt the import. With two validators the other one could finish all other chunks
            // first: the import would end by itself, and nothing would be halted.
            options.functions.validate.concurrency = 1;
            options.queues[QueueName::Chunks].batch_size = 1;
        })
        .await;
        arm(folder.path(), point);
        let mut file = b"sku,name,brand\n".to_vec();
        (0..950).for_each(|row| file.extend(format!("SKU-{row},,Brand\n").as_bytes()));
        let options = ImportOptions { abort: Some(Abort { rows: 100, percent: 50 }), ..ImportOptions::default() };
        let import = stack.import_with(&file, options).await;
        assert_eq!(
            (import.status, import.failure.expect("a reason").code.as_str()),
            (Status::Failed, "too_many_rejected")
        );
        let rows = import.rows;
        assert!(rows.failed > 50 && rows.created == 0, "{point}: {rows:?}");
        assert_eq!(rows.total, Some(rows.failed + rows.unprocessed), "{point}: {rows:?}");
        assert_eq!(stack.errors(&import.id).await.len() as u64, rows.failed, "{point}");
        assert_eq!(armed(folder.path()), [""; 0], "{point}");
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_of_the_sweeper_that_expires_an_import_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes(folder.path()).await;
    arm(folder.path(), "sweep.expired");
    let import = stack.create(ImportOptions::default()).await;
    assert_eq!(stack.ended(&import.id).await.status, Status::Expired);
    assert_eq!(armed(folder.path()), [""; 0]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_near_its_time_limit_goes_on_in_another_invocation() {
    let folder = tempfile::tempdir().expect("a folder");
    // It dies, once, after it has handed on.
    arm(folder.path(), "split.continued");
    let stack = stack_with_crashes_and(folder.path(), |options| options.faults.deadline_near = 1.0).await;
    let import = stack.import(&files::plain(0, 20_000, "1")).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 20_000));
    println!("{} invocations of split", stack.invocations("split"));
    assert!(stack.cloud.logs("split").contains("handed on"), "{}", stack.cloud.logs("split"));
    assert!(stack.invocations("split") > 1);
    assert_eq!(armed(folder.path()), [""; 0]);
    stack.stop().await;
}

/// A file of rejected rows of more than three parts, of which each invocation writes one.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_near_its_time_limit_goes_on_in_another_invocation() {
    let mut file = b"sku,name,brand,cost\n".to_vec();
    (0..900).for_each(|row| file.extend(format!("S-{row},{},Acme,cheap\n", "x".repeat(20_000)).into_bytes()));
    let mut written = Vec::new();
    for deadline_near in [0.0, 1.0] {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with_crashes_and(folder.path(), |options| options.faults.deadline_near = deadline_near).await;
        if deadline_near > 0.0 {
            // It dies, once, after it has handed on: the message comes again beside the one that it sent.
            arm(folder.path(), "report.continued");
        }
        let import = stack.import(&file).await;
        assert_eq!((import.status, import.rows.failed), (Status::CompletedWithErrors, 900));
        assert_eq!(import.rejected.as_ref().expect("rejected rows").rows, 900);
        assert_eq!(stack.cloud.logs("report").contains("handed on"), deadline_near > 0.0);
        stack.cloud.quiet().await;
        assert_eq!(armed(folder.path()), [""; 0]);
        written.push(stack.rejected(&import).await);
        assert_eq!(storage::results_under_way(&stack).await, [""; 0]);
        stack.stop().await;
    }
    let [whole, in_steps] = &written[..] else { panic!("two files") };
    assert!(whole.len() > 18_000_000 && whole == in_steps, "{} and {} bytes", whole.len(), in_steps.len());
}

/// More than the sixteen after which Lambda stops a function that orders itself, unless its template allows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_needs_twenty_continuations_gets_them() {
    let stack = Stack::with(|options| {
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "100".into()));
        options.faults.deadline_near = 1.0;
    })
    .await;
    // The splitter looks at its time once for each piece that it reads: the rows are long, so that there are few.
    let mut file = b"sku,name,brand\n".to_vec();
    (0..3_000).for_each(|row| file.extend(format!("S-{row},{},Acme\n", "x".repeat(1_000)).into_bytes()));
    let import = stack.import(&file).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 3_000));
    assert!(stack.invocations("split") > 20, "{}", stack.cloud.logs("split"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_lost_are_made_again_from_the_file() {
    let plain = files::plain(0, 950, "1");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&plain).expect("in memory");
    for file in [plain, packed.finish().expect("in memory")] {
        let stack = Stack::with(|options| {
            options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "100".into()));
            options.environment.push(("PENSTOCK_BLOCK_CHUNKS".into(), "4".into()));
            // Messages stay on their way for as long as the test wants.
            options.faults.message_delayed = 1.0;
            options.faults.delay = Duration::from_secs(24 * 3600);
            options.faults.seed = 11;
        })
        .await;
        let import = stack.uploaded(&file).await;
        stack.cloud.quiet().await;
        let split = stack.client.import(&import.id).await.expect("there");
        assert_eq!((split.status, split.rows.total), (Status::Processing, Some(950)));
        stack.cloud.queue("chunks").expect("the queue").purge();
        stack.cloud.faults().clear();
        let import = stack.ended(&import.id).await;
        assert_eq!((import.status, import.rows.created), (Status::Completed, 950));
        stack.stop().await;
    }
}
