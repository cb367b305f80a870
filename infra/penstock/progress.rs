//! How an upload's and an import's progress is shown: a bar on a terminal, else a line every few seconds.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{DecimalBytes, HumanDuration, ProgressBar, ProgressStyle};
use penstock_client::Import;

use crate::{terminal::shown, variable};

/// How long a line stands before another of the same status follows.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// What is shown on standard error while an import is made.
pub(crate) struct Progress {
    view: View,
    /// What is being done, and since when.
    stage: &'static str,
    since: Instant,
}

enum View {
    Bar(ProgressBar),
    Lines {
        /// When the last line was written, and what it said.
        last: Option<(Instant, String)>,
    },
}

impl Progress {
    pub(crate) fn new() -> Self {
        // A terminal that cannot move its cursor says so.
        let moves = std::io::stderr().is_terminal() && variable("TERM").is_none_or(|term| term != "dumb");
        let view = if moves {
            let bar = ProgressBar::no_length();
            let style = ProgressStyle::with_template("{spinner} {elapsed_precise} [{wide_bar}] {msg}");
            bar.set_style(style.expect("a valid template").progress_chars("=> "));
            bar.enable_steady_tick(Duration::from_millis(100));
            View::Bar(bar)
        } else {
            View::Lines { last: None }
        };
        Self { view, stage: "", since: Instant::now() }
    }

    /// Writes a line above the bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.view {
            View::Bar(bar) => bar.suspend(|| note!("{line}")),
            View::Lines { .. } => note!("{line}"),
        }
    }

    /// Shows how many bytes of a file have been sent.
    pub(crate) fn sent(&mut self, bytes: u64, total: u64) {
        let rate = self.rate("uploading", bytes);
        let text = format!(
            "uploading: {} of {}{}",
            DecimalBytes(bytes),
            DecimalBytes(total),
            time_left(total.saturating_sub(bytes), rate)
        );
        self.show(bytes, Some(total), text);
    }

    /// Shows how far an import is.
    pub(crate) fn import(&mut self, import: &Import) {
        let rows = &import.rows;
        let rate = self.rate(import.status.as_str(), rows.processed);
        let total = rows.total.map_or("?".to_owned(), |total| total.to_string());
        let left = rows.total.map(|total| time_left(total.saturating_sub(rows.processed), rate)).unwrap_or_default();
        let speed = if rate > 0.0 { format!(", {rate:.0} rows/s") } else { String::new() };
        let beside = match (&import.waiting_for, import.removed) {
            (Some(gate), _) => format!(", waiting for {gate}"),
            (None, 0) => String::new(),
            (None, removed) => format!(", {removed} removed"),
        };
        let text = format!(
            "{}: {}/{total} rows, {} failed{beside}{speed}{left}",
            import.status.as_str(),
            rows.processed,
            rows.failed
        );
        self.show(rows.processed, rows.total, text);
    }

    /// So many a second since the stage began.
    fn rate(&mut self, stage: &'static str, done: u64) -> f64 {
        if self.stage != stage {
            (self.stage, self.since) = (stage, Instant::now());
            if let View::Lines { last } = &mut self.view {
                *last = None;
            }
        }
        let seconds = self.since.elapsed().as_secs_f64();
        if seconds < 0.5 { 0.0 } else { done as f64 / seconds }
    }

    fn show(&mut self, done: u64, total: Option<u64>, text: String) {
        match &mut self.view {
            View::Bar(bar) => {
                match total {
                    Some(total) => bar.set_length(total),
                    None => bar.unset_length(),
                }
                bar.set_position(done);
                bar.set_message(shown(&text).into_owned());
            }
            View::Lines { last } => {
                let is_due = |(at, said): &(Instant, String)| at.elapsed() >= LINE_EVERY && *said != text;
                if last.as_ref().is_none_or(is_due) {
                    note!("{text}");
                    *last = Some((Instant::now(), text));
                }
            }
        }
    }
}

/// The bar goes, so that what is written next stands in its place.
impl Drop for Progress {
    fn drop(&mut self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }
}

/// How long what is left will take.
fn time_left(left: u64, rate: f64) -> String {
    let seconds = left as f64 / rate;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if left > 0 => format!(", {} left", HumanDuration(time)),
        _ => String::new(),
    }
}
