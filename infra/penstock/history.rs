//! `penstock history`: an import with those that it corrects and those that correct it.

use std::process::ExitCode;

use penstock_client::{History, HistoryRound};
use penstock_model::{Rows, story::StorySum};

use crate::{interrupt::end_when_interrupted, service::Service, terminal};

/// Shows the history of an import: to a person a table, else a JSON document.
pub(crate) async fn run(service: &Service, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    end_when_interrupted()?;
    let client = service.client()?;
    let history = client.history(id).await?;
    if json || !terminal::is_read_by_a_person() {
        terminal::say_json(&history)?;
        return Ok(ExitCode::SUCCESS);
    }
    for line in table(&history) {
        say!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The columns that are numbers.
const NUMBERS: [&str; 7] = ["rows", "created", "updated", "unchanged", "skipped", "failed", "unprocessed"];

/// A line for each import, the sum below them, and what it says in words.
fn table(history: &History) -> Vec<String> {
    let head = ["import", "created at", "status"].into_iter().chain(NUMBERS).chain(["file"]);
    let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
    rows.extend(history.rounds.iter().map(cells));
    let StorySum { total, added, created, updated, unchanged, skipped, failed, unprocessed, .. } = history.sum;
    let sum = [total + added, created, updated, unchanged, skipped, failed, unprocessed];
    let words = ["together", "", ""].map(str::to_owned).into_iter();
    rows.push(words.chain(sum.map(|number| number.to_string())).chain([String::new()]).collect());
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let aligned = |(at, cell): (usize, &String)| match (3..3 + NUMBERS.len()).contains(&at) {
        true => format!("{cell:>width$}", width = widths[at]),
        false => format!("{cell:<width$}", width = widths[at]),
    };
    let line = |row: &Vec<String>| row.iter().enumerate().map(aligned).collect::<Vec<_>>().join("  ");
    let mut lines: Vec<String> = rows.iter().map(|row| line(row).trim_end().to_owned()).collect();
    lines.push(in_words(&history.sum));
    lines
}

fn cells(round: &HistoryRound) -> Vec<String> {
    let HistoryRound { id, status, created_at, rows, import, .. } = round;
    let Rows { total, processed, created, updated, unchanged, skipped, failed, unprocessed } = *rows;
    let file = match import {
        Some(import) => import.filename.clone().unwrap_or_default(),
        None => "(deleted)".to_owned(),
    };
    let numbers = [total.unwrap_or(processed), created, updated, unchanged, skipped, failed, unprocessed];
    let words = [id.clone(), created_at.clone(), status.as_str().to_owned()].into_iter();
    words.chain(numbers.map(|number| number.to_string())).chain([file]).collect()
}

/// What became of the rows of the first file, in a sentence.
fn in_words(sum: &StorySum) -> String {
    let rows = |count: u64| format!("{count} {}", if count == 1 { "row" } else { "rows" });
    let open = match (sum.failed, sum.unprocessed) {
        (0, 0) => "none is open".to_owned(),
        (failed, 0) => format!("{failed} not corrected"),
        (0, unprocessed) => format!("{unprocessed} not looked at"),
        (failed, unprocessed) => format!("{failed} not corrected, {unprocessed} not looked at"),
    };
    let known = if sum.whole { "" } else { ", as far as it was split" };
    let added = if sum.added > 0 { format!(", {} added by later files", sum.added) } else { String::new() };
    format!("{} of the first file{known}{added}: {open}", rows(sum.total))
}

#[cfg(test)]
mod tests {
    use penstock_model::Status;

    use super::*;

    #[test]
    fn a_history_is_a_table_with_the_sum_below() {
        let round = |id: &str, status, rows| HistoryRound {
            id: id.to_owned(),
            status,
            created_at: "2026-11-28T08:39:12Z".to_owned(),
            completed_at: None,
            rows,
            import: None,
        };
        let first = Rows { total: Some(100), processed: 100, created: 94, failed: 6, ..Rows::default() };
        let second = Rows { total: None, processed: 3, created: 2, failed: 1, ..Rows::default() };
        let sum = StorySum { total: 100, whole: true, created: 96, failed: 4, ..StorySum::default() };
        let rounds =
            vec![round("imp_1", Status::CompletedWithErrors, first), round("imp_2", Status::Processing, second)];
        assert_eq!(
            table(&History { rounds, sum }),
            [
                "import    created at            status                 rows  created  updated  unchanged  skipped  failed  \
                 unprocessed  file",
                "imp_1     2026-11-28T08:39:12Z  completed_with_errors   100       94        0          0        0       6  \
                 \u{20}         0  (deleted)",
                "imp_2     2026-11-28T08:39:12Z  processing                3        2        0          0        0       1  \
                 \u{20}         0  (deleted)",
                "together                                                100       96        0          0        0       4  \
                 \u{20}         0",
                "100 rows of the first file: 4 not corrected",
            ]
        );
        let sum = StorySum { total: 1, added: 2, created: 3, ..StorySum::default() };
        let said = "1 row of the first file, as far as it was split, 2 added by later files: none is open";
        assert_eq!(in_words(&sum), said);
    }
}
