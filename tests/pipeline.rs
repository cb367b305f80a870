//! The main job, end to end, over the real function processes.

use penstock_client::Import;
use penstock_model::{QueueName, Status};

use crate::support::{
    self, Stack, files,
    held::{HELD, held_and},
    reference::{self, Catalogue, Expected},
};

/// Holds an import of a file into an empty catalogue to the reference: counters, every error, every record.
async fn agrees(stack: &Stack, import: &Import, file: &[u8]) {
    let mut catalogue = Catalogue::new();
    let expected = reference::upsert(file, &mut catalogue);
    counters_agree(import, &expected);
    let errors: Vec<_> = stack.errors(&import.id).await.into_iter().map(|e| (e.row, e.line, e.field, e.code)).collect();
    assert_eq!(errors.len(), expected.errors.len());
    for (found, wanted) in errors.iter().zip(&expected.errors) {
        assert_eq!(found, wanted);
    }
    let skus: Vec<String> = catalogue.keys().cloned().collect();
    let stored = stack.records("1", &skus).await;
    assert_eq!(stored.len(), catalogue.len());
    for (sku, wanted) in &catalogue {
        assert_eq!(&reference::shown(&stored[sku]), wanted, "{sku}");
    }
    let rejected: Vec<String> = (0..1000).map(|n| format!("bad-{n}")).collect();
    assert!(stack.records("1", &rejected).await.is_empty(), "a rejected row made a record");
}

fn counters_agree(import: &Import, expected: &Expected) {
    let rows = &import.rows;
    assert_eq!(import.status, Status::CompletedWithErrors);
    assert_eq!(rows.total, Some(expected.total));
    assert_eq!(rows.processed, expected.total);
    assert_eq!(rows.created, expected.created);
    assert_eq!(rows.updated + rows.unchanged, expected.updated_or_unchanged);
    assert_eq!(rows.failed, expected.failed);
    assert_eq!((rows.skipped, rows.unprocessed), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_file_of_50_000_rows_gives_what_the_reference_gives() {
    let file = files::hostile(1, 50_000);
    let stack = Stack::start().await;
    let import = stack.import(&file).await;
    agrees(&stack, &import, &file).await;
    assert_eq!(import.ignored_columns, ["colour"]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn splitting_twice_and_delivering_every_message_twice_changes_nothing() {
    let file = files::hostile(1, 50_000);
    let stack = Stack::with(|options| {
        // One message to an invocation, so that invocations count deliveries.
        options.queues[QueueName::Chunks].batch_size = 1;
        options.faults.seed = 2;
        options.faults.event_twice = 1.0;
        options.faults.message_twice = 1.0;
    })
    .await;
    let import = stack.import(&file).await;
    stack.cloud.idle().await;
    agrees(&stack, &import, &file).await;
    // The end, too, was reached once.
    let again = stack.client.import(&import.id).await.expect("the import is there");
    assert_eq!(again.rows, import.rows);
    assert_eq!(again.completed_at, import.completed_at);
    // Everything did come twice.
    let (account, id) = ("1".parse().expect("valid"), import.id.parse().expect("valid"));
    let stored = stack.cloud.store().import(&account, &id).await.expect("read").expect("there");
    let blocks = stack.cloud.store().blocks(&id, &(0..stored.opened_blocks).collect::<Vec<_>>()).await.expect("read");
    let chunks: usize = blocks.values().map(|block| block.fates.len()).sum();
    assert_eq!(stack.invocations("split"), 2);
    let validated = stack.invocations("validate");
    assert!(validated >= 2 * chunks as u64, "{validated} for {chunks} chunks");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_only_grow_and_the_total_is_told_when_the_file_is_split() {
    // The messages come over an hour, by the clock.
    let stack = held_and(|options| options.environment.push(("PENSTOCK_BLOCK_CHUNKS".into(), "4".into()))).await;
    let created = stack.create(Default::default()).await;
    assert_eq!(created.rows.total, None);
    assert_eq!(support::upload(&created, &files::hostile(3, 3_000)).await, 200);
    let mut last = created.rows;
    let mut look = async || {
        let import = stack.client.import(&created.id).await.expect("there");
        let rows = import.rows;
        let counters = |rows: &penstock_model::Rows| {
            [
                rows.processed,
                rows.created,
                rows.updated,
                rows.unchanged,
                rows.skipped,
                rows.failed,
                rows.total.unwrap_or(0),
            ]
        };
        let grown = counters(&last).into_iter().zip(counters(&rows)).all(|(before, now)| before <= now);
        assert!(grown && (last.total.is_none() || rows.total == last.total), "{last:?} became {rows:?}");
        last = rows;
        import
    };
    let mut on_its_way = 0;
    for _ in 0..=60 {
        {
            // While what a minute has brought is worked on, again and again; and when it is done.
            let mut quiet = std::pin::pin!(stack.cloud.quiet());
            while futures::poll!(quiet.as_mut()).is_pending() {
                look().await;
            }
        }
        let import = look().await;
        on_its_way += u32::from(import.rows.processed > 0 && !import.status.is_final());
        stack.pass(HELD / 60).await;
    }
    assert!(on_its_way > 30, "it was seen on its way {on_its_way} times");
    stack.cloud.quiet().await;
    let import = look().await;
    assert_eq!((import.status, import.rows.total), (Status::CompletedWithErrors, Some(import.rows.processed)));
    stack.stop().await;
}

/// One short row reads a record of hundreds of kilobytes: a chunk of them must not be held at once.
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_stored_records() {
    let stack = Stack::start().await;
    let large = "x".repeat(250_000);
    let (mut first, mut second) = (String::from("sku,name,brand,description\n"), String::from("sku,name,brand\n"));
    for row in 0..400 {
        first.push_str(&format!("B{row},n,b,{large}\n"));
        second.push_str(&format!("B{row},n2,b\n"));
    }
    assert_eq!(stack.import(first.as_bytes()).await.rows.created, 400);
    assert_eq!(stack.import(second.as_bytes()).await.rows.updated, 400);
    for process in stack.cloud.processes() {
        println!("{process:?}");
        assert!(process.peak_rss_bytes <= 128 << 20, "{process:?}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rejected_rows_come_back_as_they_came_with_their_reasons() {
    let stack = Stack::start().await;
    let file =
        b"sku,name,cost,brand\nA,a,1,b\nB,\"two\nlines\",1 \xe2\x82\xac,b\n\nC,=1+1\n=cmd,,x,\n\"D,never closed\n";
    let import = stack.import(file).await;
    assert_eq!((import.rows.created, import.rows.failed), (1, 4));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rejected.csv");
    stack.client.save_rejected(&import.id, &path).await.expect("the file is written");
    let text = std::fs::read_to_string(&path).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "_row,_line,_errors,sku,name,cost,brand");
    assert!(lines[1].starts_with("2,3,invalid_number: ") && lines[1].ends_with("B,\"two"), "{text}");
    assert_eq!(lines[2], "lines\",1 €,b");
    assert!(lines[3].starts_with("3,6,") && lines[3].ends_with(",C,=1+1"), "{text}");
    // Rows stand as they came: only what was added is made safe for spreadsheets.
    assert!(lines[4].starts_with("4,7,") && lines[4].ends_with(",=cmd,,x,"), "{text}");
    assert!(
        lines[5].starts_with("5,8,unterminated_quote: ") || lines[5].starts_with("5,8,\"unterminated_quote: "),
        "{text}"
    );
    assert!(lines[5].ends_with("\"D,never closed"), "{text}");
    // Mended and sent again, the added columns are ignored.
    let mended = text.replace(",C,=1+1", ",C,=1+1,1,b");
    let again = stack.import(mended.as_bytes()).await;
    assert_eq!(again.ignored_columns, ["_row", "_line", "_errors"]);
    assert_eq!((again.rows.created, again.rows.failed), (1, 3));
    stack.stop().await;
}

/// 30 MB, or as many as `PENSTOCK_MEMORY_MB` says.
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_within_128_mib_whatever_the_file() {
    let megabytes: usize = std::env::var("PENSTOCK_MEMORY_MB").map_or(30, |text| text.parse().expect("a number"));
    let mut file = String::from("sku,name,brand,description\n");
    let text = "words ".repeat(160);
    let mut rows = 0;
    while file.len() < megabytes * 1_000_000 {
        file.push_str(&format!("SKU-{rows},Product,Brand,{text}\n"));
        rows += 1;
    }
    let stack = Stack::start().await;
    let import = stack.import(file.as_bytes()).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, rows));
    let processes = stack.cloud.processes();
    for function in ["split", "validate"] {
        let peaks: Vec<u64> = processes.iter().filter(|p| p.function == function).map(|p| p.peak_rss_bytes).collect();
        println!("{megabytes} MB, {function}: {peaks:?} bytes at most");
        assert!(!peaks.is_empty() && peaks.iter().all(|peak| (1..=128 << 20).contains(peak)), "{function}: {peaks:?}");
    }
    stack.stop().await;
}
