//! The line breaks, the API is busy, a clock is wrong: an upload goes on, is gone on with, or is cancelled.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use penstock_model::Status;
use serde_json::json;

use super::{browser::Page, shop::named, support::Stack};

/// Rows of a file of three parts, and of one of six: four are sent at once. What makes them long is in a column that is
/// no field.
const THREE_PARTS: u64 = 1000;
const SIX_PARTS: u64 = 2200;
const ROW_BYTES: usize = 20_000;

/// So slow that the upload of such a file is not over before it is looked at.
const SLOW: i64 = 200_000;

/// Notes the paths of all requests to the API, beyond the page that makes them. No request waits for a change, and one
/// whose path ends as `sessionStorage.refused` says is answered with that status, so often.
const NOTED: &str = "
const real = window.fetch;
window.fetch = async (url, how) => {
  const to = new URL(url);
  to.searchParams.delete('wait');
  const [end, status, times] = JSON.parse(sessionStorage.refused ?? '[0, 0, 0]');
  sessionStorage.asked = `${sessionStorage.asked ?? ''}${to.pathname}\\n`;
  if (times === 0 || !to.pathname.endsWith(end)) return real(to, how);
  sessionStorage.refused = JSON.stringify([end, status, times - 1]);
  return new Response(JSON.stringify({ detail: 'the test refuses it' }), { status });
};
";

/// How many requests have been made whose path ends so, as an expression.
fn asked(end: &str) -> String {
    format!("(sessionStorage.asked ?? '').split('\\n').filter((path) => path.endsWith('{end}')).length")
}

impl Page {
    /// Whether the line is up, and how many bytes it takes in a second; -1 is as many as it can.
    async fn line(&self, is_up: bool, bytes: i64) {
        self.devtools("Network.enable", json!({})).await;
        let conditions =
            json!({ "offline": !is_up, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes });
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// Notes requests from the next page on.
    async fn notes_requests(&self) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": NOTED })).await;
    }

    /// Requests whose path ends so are refused so often.
    async fn refuses(&self, end: &str, status: u16, times: u32) {
        let refused = json!([end, status, times]).to_string();
        self.run("sessionStorage.refused = arguments[0]", vec![json!(refused)]).await;
    }

    /// A file of so many rows.
    fn parts(&self, rows: u64) -> PathBuf {
        let path = self.folder().join("parts.csv");
        let mut file = BufWriter::new(File::create(&path).expect("a file"));
        writeln!(file, "sku,name,brand,remarks").expect("written");
        let filler = "x".repeat(ROW_BYTES);
        for row in 0..rows {
            writeln!(file, "P-{row},Lamp,Acme,{filler}").expect("written");
        }
        file.flush().expect("written");
        path
    }

    /// Begins to send a file of so many rows at this speed, and gives the import.
    async fn begins(&self, rows: u64, bytes: i64) -> String {
        let path = self.parts(rows);
        self.visit("new").await;
        self.give("#file", &path).await;
        self.until("the settings are shown", "document.querySelector('#settings').checkVisibility()").await;
        self.is_ready().await;
        self.line(true, bytes).await;
        self.click("#import-now").await;
        self.import_id().await
    }

    /// Some of the file has gone.
    async fn sends(&self) {
        self.until("some of it has gone", "document.querySelector('#sent').value > 0").await;
    }

    /// What failed since the line was down is not a fault of the page.
    async fn line_was_down(&self) {
        let faults = self.faults().await;
        let others: Vec<_> = faults.iter().filter(|fault| !fault.contains("net::ERR_INTERNET_DISCONNECTED")).collect();
        assert!(!faults.is_empty() && others.is_empty(), "{faults:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_once_the_line_is_up_again() {
    let stack = Stack::start().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.notes_requests().await;
    let id = page.begins(SIX_PARTS, SLOW).await;
    page.sends().await;
    // What is on its way arrives, and what would follow it does not.
    page.line(false, -1).await;
    page.sees("#sent-text", "The storage did not answer. See whether the line is up").await;
    let stands = "return [document.documentElement.dataset.state, document.querySelector('#sent').value < 1]";
    assert_eq!(page.run(stands, Vec::new()).await, json!(["busy", true]));
    // What the API cannot answer for a moment ends it no more than the line does.
    page.refuses("/complete", 503, 1).await;
    page.line(true, -1).await;
    assert_eq!(page.import_is("completed").await, id);
    let import = stack.ended(&id).await;
    assert_eq!((import.status, import.rows.created), (Status::Completed, SIX_PARTS));
    assert_eq!(page.run(&format!("return {}", asked("/complete")), Vec::new()).await, 2);
    page.line_was_down().await;
    page.close().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_has_failed_is_gone_on_with_or_cancelled() {
    let stack = Stack::start().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.notes_requests().await;
    page.visit("imports").await;
    page.refuses("/parts", 422, 1).await;
    let id = page.begins(THREE_PARTS, -1).await;
    assert!(page.refusal().await.contains("The test refuses it"));
    page.click("#go-on").await;
    assert_eq!(page.import_is("completed").await, id);
    assert_eq!(stack.ended(&id).await.rows.created, THREE_PARTS);
    // After it has failed it can be cancelled.
    page.refuses("/parts", 422, 1).await;
    let failed = page.begins(THREE_PARTS, -1).await;
    page.refusal().await;
    page.click("#stop-sending").await;
    page.says_yes().await;
    assert_eq!(page.import_is("cancelled").await, failed);
    page.sees("#outcome a", "Make a new import").await;
    // And so it can in the middle.
    let sent = page.begins(THREE_PARTS, SLOW).await;
    page.sends().await;
    page.click("#stop-sending").await;
    page.says_yes().await;
    assert_eq!(page.import_is("cancelled").await, sent);
    assert_eq!(stack.client.import(&sent).await.expect("there").status, Status::Cancelled);
    page.close().await;
    stack.stop().await;
}

/// Whether a file is asked for, something is sent, and an import can be cancelled as a whole.
const OFFERED: &str =
    "return ['#waiting', '#sending', '#cancel'].map((part) => document.querySelector(part).checkVisibility())";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_sends_a_file_does_not_ask_for_it() {
    let stack = Stack::start().await;
    let import = stack.client.create(&named("parts.csv"), None).await.expect("created");
    let Some(page) = Page::signed_in(&stack).await else { return };
    page.notes_requests().await;
    page.visit(&format!("import?id={}", import.id)).await;
    assert_eq!(page.run(OFFERED, Vec::new()).await, json!([true, false, true]));
    // Another tab that sends it holds this lock.
    let hold =
        "navigator.locks.request('penstock.upload.' + arguments[0], () => new Promise((done) => window.end = done))";
    page.run(hold, vec![json!(import.id)]).await;
    page.sees("#outcome", "sent by another tab").await;
    assert_eq!(page.run(OFFERED, Vec::new()).await, json!([false, false, false]));
    page.run("window.end()", Vec::new()).await;
    page.until("the file is asked for", "document.querySelector('#waiting').checkVisibility()").await;
    page.line(true, SLOW).await;
    page.give("#waiting-file", &page.parts(THREE_PARTS)).await;
    page.sends().await;
    let count = asked(&format!("/{}", import.id));
    let before = page.run(&format!("return {count}"), Vec::new()).await.as_u64().expect("a number");
    page.until("the page has looked", &format!("{count} > {}", before + 1)).await;
    assert_eq!(page.run(OFFERED, Vec::new()).await, json!([false, true, false]));
    page.line(true, -1).await;
    page.import_is("completed").await;
    page.close().await;
    stack.stop().await;
}

/// The clock of the browser is two days ahead: URLs are asked for once all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead_asks_for_no_more_urls() {
    let stack = Stack::start().await;
    let Some(page) = Page::signed_in(&stack).await else { return };
    let ahead = "const now = Date.now; Date.now = () => now() + 48 * 3_600_000;";
    page.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": ahead })).await;
    page.notes_requests().await;
    let id = page.begins(THREE_PARTS, -1).await;
    assert_eq!(page.import_is("completed").await, id);
    assert_eq!(page.run(&format!("return {}", asked("/parts")), Vec::new()).await, 1);
    page.close().await;
    stack.stop().await;
}
