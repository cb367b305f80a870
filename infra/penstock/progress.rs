//! How an import's progress is shown: a bar on a terminal, plain lines otherwise.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use penstock_client::Import;

pub(crate) enum Progress {
    Bar(ProgressBar),
    Lines { last: String },
}

impl Progress {
    /// Shows progress on standard error.
    pub(crate) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: String::new() };
        }
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template(
            "{spinner} {elapsed_precise} [{wide_bar}] {human_pos}/{human_len} rows  {msg}",
        );
        bar.set_style(style.expect("a valid template").progress_chars("=> "));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self::Bar(bar)
    }

    pub(crate) fn say(&mut self, what: &str) {
        match self {
            Self::Bar(bar) => bar.set_message(what.to_owned()),
            Self::Lines { .. } => eprintln!("{what}"),
        }
    }

    pub(crate) fn show(&mut self, import: &Import) {
        let rows = &import.rows;
        match self {
            Self::Bar(bar) => {
                if let Some(total) = rows.total {
                    bar.set_length(total);
                }
                bar.set_position(rows.processed);
                bar.set_message(format!("{} failed", rows.failed));
            }
            Self::Lines { last } => {
                let total = rows.total.map_or("?".to_owned(), |total| total.to_string());
                let line =
                    format!("{}: {}/{total} rows, {} failed", import.status.as_str(), rows.processed, rows.failed);
                if *last != line {
                    eprintln!("{line}");
                    *last = line;
                }
            }
        }
    }

    pub(crate) fn end(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
