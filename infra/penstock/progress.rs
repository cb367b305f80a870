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
    rate: Rate,
}

/// How fast what is being done gets on, as far as it has been seen.
struct Rate {
    /// What is being done, since when, and how much of it was done by then.
    stage: &'static str,
    since: Instant,
    from: u64,
}

impl Rate {
    /// So many a second since the stage was seen first; 0 as long as nobody knows. What was done before says nothing of
    /// that.
    fn at(&mut self, now: Instant, stage: &'static str, done: u64) -> f64 {
        /// What is measured for less time than this says little.
        const LEAST_SECONDS: f64 = 0.5;
        if self.stage != stage {
            *self = Self { stage, since: now, from: done };
        }
        let seconds = now.duration_since(self.since).as_secs_f64();
        if seconds < LEAST_SECONDS { 0.0 } else { done.saturating_sub(self.from) as f64 / seconds }
    }
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
        Self { view, rate: Rate { stage: "", since: Instant::now(), from: 0 } }
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

    fn rate(&mut self, stage: &'static str, done: u64) -> f64 {
        if self.rate.stage != stage
            && let View::Lines { last } = &mut self.view
        {
            *last = None;
        }
        self.rate.at(Instant::now(), stage, done)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_what_was_seen() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut rate = Rate { stage: "", since: start, from: 0 };
        // A million rows were done before anybody looked.
        assert_eq!(rate.at(at(0), "processing", 1_000_000), 0.0);
        assert_eq!(rate.at(at(2), "processing", 1_001_000), 500.0);
        assert_eq!(rate.at(at(10), "processing", 1_001_000), 100.0);
        // Another status has done nothing yet, however much there is by then.
        assert_eq!(rate.at(at(11), "completed", 1_002_000), 0.0);
        assert_eq!(rate.at(at(12), "completed", 1_002_000), 0.0);
        // A part of a file that is sent again makes less of it.
        assert_eq!(rate.at(at(20), "uploading", 100), 0.0);
        assert_eq!(rate.at(at(21), "uploading", 50), 0.0);
    }
}
