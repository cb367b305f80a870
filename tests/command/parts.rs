//! Large files: in parts, over lines that break.

use penstock_client::Import;
use penstock_model::{Status, limits};
use reqwest::Method;
use tempfile::TempDir;

use super::{
    Running, folder_with,
    gate::{Fate, Gate},
    line::Line,
    names, penstock, signal as send_signal,
    support::{Stack, TOKEN, storage::uploads_under_way},
};

/// Bytes of a row, which is as wide as it may be, so that a large file has few.
const ROW_BYTES: usize = 250_000;

/// A file of so many bytes and some more, in a folder of its own.
fn large(bytes: u64) -> (TempDir, String, u64) {
    let mut content = String::from("sku,name,brand,description\n");
    let mut rows = 0;
    while (content.len() as u64) < bytes {
        // No two rows are the same, so that no two parts are.
        let cell = format!("{rows:09} ").repeat(ROW_BYTES / 10);
        content.push_str(&format!("SKU-{rows},Name,Brand,{cell}\n"));
        rows += 1;
    }
    let (folder, file) = folder_with("large.csv", &content);
    (folder, file, rows)
}

fn import(file: &str, url: &str) -> Running {
    Running::start(penstock(&["import", file, "--dry-run", "--url", url, "--token", TOKEN]))
}

async fn ends(running: Running) -> (Option<i32>, String, Vec<String>) {
    tokio::task::spawn_blocking(|| running.ends()).await.expect("it ends")
}

async fn only(stack: &Stack) -> Import {
    let mut imports = stack.client.list(None, 10).await.expect("a list").imports;
    assert_eq!(imports.len(), 1, "one import");
    imports.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_arrives_over_a_line_that_breaks() {
    let stack = Stack::start().await;
    let (_folder, file, rows) = large(100 << 20);
    let gate = Gate::before(stack.cloud.url()).await;
    // A part gets through, and the next one does not.
    let line = Line::to(gate.url(), 10_000_000).await;
    gate.files_come_by(line.url());
    let (code, printed, said) = ends(import(&file, gate.url())).await;
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(printed.contains(&format!("{rows} rows: {rows} created")), "{printed}");
    let bytes = std::fs::metadata(&file).expect("a file").len();
    let parts = u32::try_from(bytes.div_ceil(limits::SENT_PART_BYTES)).expect("few");
    let announced = format!("uploading {bytes} bytes in {parts} parts of {} bytes", limits::SENT_PART_BYTES);
    assert!(said.iter().any(|line| line.contains(&announced)), "{said:#?}");
    let told = |line: &&String| line.starts_with("part ") && line.contains("trying again in ");
    // Each break costs a part one try, and no part that was taken is sent again.
    assert!(line.broken() >= 10, "{} breaks", line.broken());
    assert_eq!(said.iter().filter(told).count(), line.broken(), "{said:#?}");
    assert_eq!(gate.parts().0, (1..=parts).collect::<Vec<_>>());
    // The object is the file.
    let imported = only(&stack).await;
    let (account, id) = ("1".parse().expect("valid"), imported.id.parse().expect("valid"));
    let stored = stack.cloud.store().import(&account, &id).await.expect("read").expect("there");
    let object = stack.cloud.store().read_upload(&stored, 0, None).await.expect("the object");
    let object = object.collect().await.expect("all of it").into_bytes();
    assert!(object == std::fs::read(&file).expect("the file"), "{} bytes of {bytes}", object.len());
    assert_eq!(uploads_under_way(&stack).await, [""; 0]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_a_moment_is_asked_again() {
    let stack = Stack::start().await;
    let (_folder, file, rows) = large(limits::PARTS_ABOVE_BYTES + 1);
    let gate = Gate::before(stack.cloud.url()).await;
    gate.rule(Method::POST, "/parts", Fate::Answered(503, 2));
    // A URL that is not valid any more: it is signed anew.
    gate.rule(Method::PUT, "/uploads/", Fate::Answered(403, 1));
    gate.rule(Method::PUT, "/uploads/", Fate::Answered(500, 1));
    // The answer is lost, and the call has had its effect.
    gate.rule(Method::POST, "/complete", Fate::LostAfter);
    gate.open();
    let running = import(&file, gate.url());
    gate.met(5).await;
    let (code, printed, said) = ends(running).await;
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(printed.contains(&format!("{rows} rows: {rows} created")), "{printed}");
    for part in ["part 1 of 9: 503", "part 1 of 9: the upload was not taken: 403", "the upload was not taken: 500"] {
        assert!(said.iter().any(|line| line.contains(part)), "{part}: {said:#?}");
    }
    assert!(said.iter().any(|line| line.starts_with("the parts are not put together: 502")), "{said:#?}");
    assert_eq!(gate.parts().0, (1..=9).collect::<Vec<_>>());
    assert_eq!(only(&stack).await.status, Status::Completed);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_leaves_no_parts() {
    let stack = Stack::start().await;
    let (folder, file, _) = large(limits::PARTS_ABOVE_BYTES + 1);
    let gate = Gate::before(stack.cloud.url()).await;
    gate.rule(Method::PUT, "partNumber=4", Fate::HeldBefore);
    let running = import(&file, gate.url());
    gate.met(1).await;
    assert_eq!(uploads_under_way(&stack).await.len(), 1);
    send_signal(&running.child, "INT");
    let (code, printed, said) = ends(running).await;
    assert_eq!((code, &*printed), (Some(1), ""), "{said:#?}");
    let cancelled = only(&stack).await;
    let truth = format!("{} is cancelled, and nothing of it was imported", cancelled.id);
    assert!(said.last().is_some_and(|line| line.contains("interrupted") && line.contains(&truth)), "{said:#?}");
    assert_eq!((cancelled.status, cancelled.rows.processed), (Status::Cancelled, 0));
    assert_eq!(uploads_under_way(&stack).await, [""; 0], "the parts are removed");
    assert_eq!(gate.parts().0, [1, 2, 3]);
    assert_eq!(names(folder.path()), ["large.csv"]);
    gate.open();
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_that_changes_on_its_way_is_not_imported() {
    let stack = Stack::start().await;
    let (_folder, file, _) = large(limits::PARTS_ABOVE_BYTES + 1);
    for change in ["written to", "shorter"] {
        let gate = Gate::before(stack.cloud.url()).await;
        gate.rule(Method::PUT, "partNumber=5", Fate::HeldBefore);
        let running = import(&file, gate.url());
        gate.met(1).await;
        let opened = std::fs::OpenOptions::new().write(true).open(&file).expect("a file");
        let bytes = opened.metadata().expect("its length").len();
        match change {
            "written to" => std::io::Write::write_all(&mut &opened, b"S").expect("written"),
            _ => opened.set_len(bytes / 2).expect("shorter"),
        }
        gate.open();
        let (code, printed, said) = ends(running).await;
        assert_eq!((code, &*printed), (Some(1), ""), "{change}: {said:#?}");
        let told = said.last().expect("a line");
        assert!(told.contains("large.csv changed while it was uploaded") && told.contains("is cancelled"), "{told}");
        let newest = stack.client.list(None, 1).await.expect("a list").imports.remove(0);
        assert_eq!((newest.status, newest.rows.processed), (Status::Cancelled, 0), "{change}");
        assert_eq!(uploads_under_way(&stack).await, [""; 0], "{change}");
    }
    stack.stop().await;
}
