//! Schedules that once broke a promise, and must not again.

use std::time::Duration;

use penstock_model::{Abort, ImportOptions, QueueName, Status, limits};
use penstock_store::removals::Deleted;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    self, Stack,
    crashes::{arm, armed, stack_with_crashes, stack_with_crashes_and},
    files,
    held::{HELD, half_done, held, held_and},
    http::post_form,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_form_posted_again_while_a_split_is_handed_on_changes_nothing() {
    // Far longer than the test takes, wherever in it a draw falls.
    let held = Duration::from_secs(100 * 24 * 3600);
    let stack = held_and(|options| {
        options.faults.deadline_near = 1.0;
        options.faults.delay = held;
    })
    .await;
    let created = stack.create(ImportOptions::default()).await;
    let form = created.form.as_ref().expect("a form");
    assert_eq!(post_form(form, &files::plain(0, 500, "1")).await.status, 204);
    stack.cloud.quiet().await;
    let import = stack.client.import(&created.id).await.expect("there");
    assert_eq!((import.status, import.rows.total), (Status::Processing, None));
    assert_eq!(stack.cloud.queue_depths()["splits"].delayed, 1, "the rest is handed on");
    assert_eq!(post_form(form, &files::plain(500_000, 5, "2")).await.status, 204);
    stack.cloud.quiet().await;
    assert_eq!(stack.cloud.queue_depths()["splits"].delayed, 1);
    stack.cloud.faults().clear();
    stack.pass(held).await;
    let import = stack.ended(&created.id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 500));
    assert!(stack.records("1", &["SKU-500000".to_owned()]).await.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_posted_again_while_a_split_is_dead_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes(folder.path()).await;
    arm(folder.path(), "split.checkpoint.always");
    let created = stack.uploaded(&files::plain(0, 950, "1")).await;
    stack.cloud.quiet().await;
    let form = created.form.as_ref().expect("a form");
    assert_eq!(post_form(form, &files::plain(5000, 5, "2")).await.status, 204);
    let (account, id) = ("1".parse().expect("valid"), created.id.parse().expect("valid"));
    let died = async || stack.cloud.store().import(&account, &id).await.expect("read").expect("there").split_died_at;
    stack.passes_until("the split is dead-lettered", async || died().await.is_some()).await;
    assert!(stack.deaths("split") >= 3);
    std::fs::remove_file(folder.path().join("split.checkpoint.always")).expect("removed");
    let import = stack.ended(&created.id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 950));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_meets_the_upload_is_refused_and_removes_nothing() {
    const ROWS: u64 = 2_000;
    let stack = held().await;
    let mut file = b"sku,name,brand\n".to_vec();
    (0..ROWS).for_each(|row| file.extend(format!("SKU-{row},,Brand\n").as_bytes()));
    let running = half_done(&stack, &file, ROWS).await;
    let (account, id) = ("1".parse().expect("valid"), running.id.parse().expect("valid"));
    assert_eq!(stack.cloud.store().delete(&account, &id).await.expect("answers"), Deleted::Runs);
    stack.pass(HELD).await;
    let import = stack.ended(&running.id).await;
    assert_eq!((import.status, import.rows.failed), (Status::CompletedWithErrors, ROWS));
    assert_eq!(stack.errors(&running.id).await.len() as u64, ROWS);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_an_import_that_awaits_its_upload_ends_it_first() {
    let stack = Stack::with(|options| {
        // The event waits until the clock is advanced.
        options.faults.event_late = 1.0;
    })
    .await;
    let created = stack.uploaded(&files::plain(0, 10, "1")).await;
    let (account, id) = ("1".parse().expect("valid"), created.id.parse().expect("valid"));
    assert_eq!(stack.cloud.store().delete(&account, &id).await.expect("answers"), Deleted::Gone);
    stack.pass(Duration::from_secs(61)).await;
    stack.cloud.idle().await;
    assert_eq!(support::refused(stack.client.import(&created.id).await).0, 404);
    assert!(stack.records("1", &["SKU-1".to_owned()]).await.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_import_whose_begun_chunk_was_lost_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes(folder.path()).await;
    arm(folder.path(), "validate.begun");
    let created = stack.uploaded(&files::plain(0, 950, "1")).await;
    stack.cloud.quiet().await;
    assert_eq!(armed(folder.path()), [""; 0]);
    assert_eq!(stack.client.cancel(&created.id).await.expect("cancelled").status, Status::Processing);
    stack.cloud.queue("chunks").expect("the queue").purge();
    let import = stack.ended(&created.id).await;
    assert_eq!((import.status, import.rows.total), (Status::Cancelled, Some(950)));
    assert_eq!(import.rows.created + import.rows.unprocessed, 950);
    stack.stop().await;
}

/// S3 judges a URL when its request begins: a long upload may end after the import has expired.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_began_in_time_counts_however_long_it_takes() {
    let stack = Stack::with(|options| options.scheduled = false).await;
    let created = stack.create(ImportOptions::default()).await;
    let target = created.upload.clone().expect("an upload URL");
    let file = files::plain(0, 10, "1");
    let (host, path) = target.url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut connection = tokio::net::TcpStream::connect(host).await.expect("a connection");
    let mut head = format!(
        "PUT /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\nexpect: 100-continue\r\n",
        file.len()
    );
    target.headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    connection.write_all(format!("{head}\r\n").as_bytes()).await.expect("sent");
    // The storage has taken the request when it asks for its body.
    let mut asked = [0; 25];
    connection.read_exact(&mut asked).await.expect("an answer");
    assert!(asked.starts_with(b"HTTP/1.1 100 Continue"), "{}", String::from_utf8_lossy(&asked));
    stack.pass(Duration::from_secs(36 * 60)).await;
    stack.cloud.sweep_now().await.expect("the sweeper looks");
    assert_eq!(stack.client.import(&created.id).await.expect("there").status, Status::Expired);
    connection.write_all(&file).await.expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let import = stack.ended(&created.id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 10));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_dead_letter_do_not_use_up_a_chunks_last_try() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| {
        options.faults.seed = 5;
        options.faults.message_twice = 1.0;
        options.scheduled = false;
        options.queues[QueueName::Chunks].max_receive_count = 5;
    })
    .await;
    arm(folder.path(), "validate.received.always");
    let created = stack.uploaded(&files::plain(0, 90, "1")).await;
    let id = created.id.parse().expect("valid");
    let sent_again = async || {
        let blocks = stack.cloud.store().blocks(&id, &[0]).await.expect("read");
        blocks.get(&0).is_some_and(|block| !block.resent.is_empty())
    };
    stack.passes_until("the chunk is sent again", sent_again).await;
    std::fs::remove_file(folder.path().join("validate.received.always")).expect("removed");
    let import = stack.ended(&created.id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 90));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_dead_letter_do_not_use_up_a_splits_last_try() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes_and(folder.path(), |options| {
        options.faults.seed = 5;
        options.faults.event_twice = 1.0;
        options.scheduled = false;
    })
    .await;
    arm(folder.path(), "split.columns.always");
    let created = stack.uploaded(&files::plain(0, 90, "1")).await;
    let (account, id) = ("1".parse().expect("valid"), created.id.parse().expect("valid"));
    let died = async || stack.cloud.store().import(&account, &id).await.expect("read").expect("there").split_died_at;
    stack.passes_until("the split is dead-lettered", async || died().await.is_some()).await;
    std::fs::remove_file(folder.path().join("split.columns.always")).expect("removed");
    let import = stack.ended(&created.id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 90));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_threshold_holds_when_the_deciding_tally_is_the_last() {
    let options = ImportOptions { abort: Some(Abort { rows: 10, percent: 10 }), ..ImportOptions::default() };
    let mut file = String::from("sku,name,brand\n");
    (0..50).for_each(|row| file.push_str(&format!("BAD-{row}\n")));
    for delayed in [0.0, 1.0] {
        let stack = Stack::with(|options| {
            options.faults.message_delayed = delayed;
            options.faults.delay = Duration::from_secs(60);
        })
        .await;
        let import = stack.import_with(file.as_bytes(), options.clone()).await;
        assert_eq!(
            (import.status, import.failure.map(|failure| failure.code)),
            (Status::Failed, Some("too_many_rejected".into()))
        );
        assert_eq!((import.rows.failed, import.rows.total, import.rows.unprocessed), (50, Some(50), 0));
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_its_record_has_no_room_for_is_rejected_or_applied_and_not_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = stack_with_crashes(folder.path()).await;
    let part = "x".repeat(limits::RECORD_BYTES - 1000);
    for point in ["validate.error_parts", "validate.errors"] {
        stack.import(format!("sku,name,brand,description\nA,a,b,{part}\n").as_bytes()).await;
        arm(folder.path(), point);
        let refused = stack.uploaded(format!("sku,name,brand,category\nA,a,b,{part}\n").as_bytes()).await;
        stack.cloud.quiet().await;
        assert_eq!(armed(folder.path()), [""; 0]);
        // There is room when the chunk comes back; its row has been refused all the same.
        stack.import(b"sku,name,brand,description\nA,a,b,short\n").await;
        let refused = stack.ended(&refused.id).await;
        assert_eq!((refused.status, refused.rows.failed), (Status::CompletedWithErrors, 1), "{point}");
        let codes: Vec<String> = stack.errors(&refused.id).await.into_iter().map(|error| error.code).collect();
        assert_eq!(codes, ["record_item_too_large"], "{point}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_no_item_could_hold_fails_at_once_with_its_limit() {
    let stack = Stack::start().await;
    let import = stack.import(format!("sku,name,brand,{}\nA,a,b,c\n", "c".repeat(220_000)).as_bytes()).await;
    let failure = import.failure.expect("a reason");
    assert_eq!(failure.code, "header_too_large");
    assert!(failure.message.contains("65536"), "{}", failure.message);
    // The widest that is taken, of characters that take most room on their way.
    let columns = (limits::HEADER_BYTES - 20) / (limits::COLUMN_NAME_CHARS + 1);
    let name = |column: usize| format!(",{column:02}{}", "\u{1}".repeat(limits::COLUMN_NAME_CHARS - 2));
    let widest = format!("sku,name,brand{}", (0..columns).map(name).collect::<String>());
    let import = stack.import(format!("{widest}\nA,a,b{}\n", ",c".repeat(columns)).as_bytes()).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, 1));
    stack.stop().await;
}
