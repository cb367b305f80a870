//! A large file: it goes on where it was after a reload, its rows are counted exactly, and the page holds little of it.
//!
//! `PENSTOCK_CONSOLE_MB` makes it larger.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use penstock_model::Status;
use serde_json::{Value, json};

use super::{browser::Page, support::Stack};

/// How much a page may hold, in bytes, whatever the size of the file.
const MOST_HEAP: u64 = 50_000_000;

/// Bytes of a part that the page sends.
const PART_BYTES: u64 = 8 * 1024 * 1024;

/// How many rows a file has, whatever its size: a larger one has longer rows, so that what is measured is the upload.
/// What makes them long is in a column that is no field.
const ROWS: u64 = 5_000;

/// A file of so many megabytes.
fn file(page: &Page, megabytes: u64) -> PathBuf {
    let (path, row) = (page.folder().join("large.csv"), megabytes * 1_000_000 / ROWS);
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    writeln!(file, "sku,name,brand,remarks").expect("written");
    let filler = "x".repeat(usize::try_from(row).expect("small") - 30);
    for row in 0..ROWS {
        writeln!(file, "L-{row:08},Lamp,Acme,{filler}").expect("written");
    }
    file.flush().expect("written");
    path
}

impl Page {
    /// What the page holds once what it holds no more is gone, in bytes: objects, what they hold in the browser, and
    /// buffers.
    async fn heap(&self) -> u64 {
        self.devtools("HeapProfiler.collectGarbage", json!({})).await;
        let usage = self.devtools("Runtime.getHeapUsage", json!({})).await;
        let of = |name: &str| usage[name].as_f64().unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
        let bytes = (of("usedSize") + of("embedderHeapUsedSize") + of("backingStorageSize")) as u64;
        bytes
    }

    /// How fast the page sends, in bytes a second; 0 is as fast as it can.
    async fn sends_at(&self, bytes: u64) {
        self.devtools("Network.enable", json!({})).await;
        let upload = if bytes == 0 { json!(-1) } else { json!(bytes) };
        let conditions =
            json!({ "offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": upload });
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// The share of the file that is sent, from 0 to 1; `None` where nothing is being sent, or it is not known yet.
    async fn sent(&self) -> Option<f64> {
        let sent = "const bar = document.getElementById('sent');
                    return bar?.checkVisibility() && bar.hasAttribute('value') ? bar.position : null";
        self.run(sent, Vec::new()).await.as_f64()
    }

    /// From here on, until it is loaded anew, the page sends so many parts of a file, its first; no others leave it.
    async fn sends_parts(&self, most: u64) {
        let script = "const [most] = arguments, { open, send } = XMLHttpRequest.prototype;
                      XMLHttpRequest.prototype.open = function (method, url) {
                          this.part = Number(new URL(url).searchParams.get('partNumber'));
                          open.call(this, method, url);
                      };
                      XMLHttpRequest.prototype.send = function (body) {
                          if (this.part <= most) send.call(this, body);
                      };";
        self.run(script, vec![json!(most)]).await;
    }

    /// How many parts have arrived, as the page has noted them; `None` where it has noted nothing.
    async fn arrived(&self, id: &str) -> Option<u64> {
        let noted = "const noted = JSON.parse(localStorage.getItem(`penstock.upload.${arguments[0]}`));
                     return noted && Object.keys(noted.etags).length";
        self.run(noted, vec![json!(id)]).await.as_u64()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_goes_on_after_a_reload_and_the_page_holds_little_of_it() {
    let megabytes: u64 = std::env::var("PENSTOCK_CONSOLE_MB").map_or(50, |text| text.parse().expect("a number"));
    let stack = Stack::start().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    let path = file(&page, megabytes);
    page.visit("new").await;
    let before = page.heap().await;
    page.give("#file", &path).await;
    page.until("the settings are shown", "document.querySelector('#settings').checkVisibility()").await;
    page.is_ready().await;
    // Slow enough that it is seen on its way, and it comes no further than these parts.
    let size = path.metadata().expect("a file").len();
    let parts = size.div_ceil(PART_BYTES) * 2 / 3;
    page.sends_parts(parts).await;
    page.sends_at(megabytes * 1_000_000 / 8).await;
    page.click("#import-now").await;
    let id = page.import_id().await;
    let mut peak = before;
    while page.arrived(&id).await.is_none_or(|arrived| arrived < parts) {
        peak = peak.max(page.heap().await);
    }
    page.reload().await;
    page.import_is("awaiting_upload").await;
    page.sends_at(0).await;
    page.give("#waiting-file", &path).await;
    let mut least = f64::INFINITY;
    loop {
        if let Some(sent) = page.sent().await {
            least = least.min(sent);
        }
        peak = peak.max(page.heap().await);
        let stands = page.run("return document.documentElement.dataset.import ?? null", Vec::new()).await;
        assert_ne!(
            page.run("return document.documentElement.dataset.state", Vec::new()).await,
            "failed",
            "{}",
            page.text("#alert").await
        );
        if stands != Value::Null && stands != "awaiting_upload" {
            break;
        }
    }
    println!(
        "{megabytes} MB: {} bytes of heap before, {peak} at most; after the reload it went on at {least:.2}",
        before
    );
    assert!(peak <= MOST_HEAP, "{peak} bytes of heap");
    #[expect(clippy::cast_precision_loss, reason = "a number of bytes")]
    let arrived = (parts * PART_BYTES) as f64 / size as f64;
    assert!(least >= arrived - 0.001, "of what had arrived, {arrived}, some was sent again: it went on at {least}");
    // How long that takes depends on the size; that the page then shows it does not.
    let import = stack.ended(&id).await;
    assert_eq!(page.import_is("completed").await, id);
    assert_eq!((import.status, import.rows.created, import.rows.total), (Status::Completed, ROWS, Some(ROWS)));
    page.counts(&import).await;
    page.close().await;
    stack.stop().await;
}
