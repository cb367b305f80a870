//! What a stack costs in which nothing is imported: by the numbers of the template, and sweeps as they are counted.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Bench, Dollars, MILLION, Run, Table, dollars};

/// Days of the month of which the document tells.
const DAYS: u64 = 30;

/// How often the sweeper is invoked to be counted.
const SWEEPS: u64 = 20;

/// What an idle stack has by `template.yaml`, with the defaults of its parameters; `tests/template` holds it to that.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Stack {
    /// Metrics that alarms look at.
    alarm_metrics: u64,
    /// Those that `GradualRelease` adds.
    release_alarm_metrics: u64,
    /// Metrics of Penstock's own that are written where nothing happens: what a sweep writes.
    metrics: u64,
    /// Queues that functions read, those of dead letters among them.
    queues: u64,
    /// Pollers that Lambda keeps at each (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS").
    pollers: u64,
    /// How long a poll of an empty queue waits, in seconds; the longest that SQS has.
    poll_seconds: u64,
    sweeps_a_minute: u64,
}

impl Stack {
    /// Polls of empty queues in so many seconds, at most.
    fn polls(&self, seconds: u64) -> u64 {
        self.queues * self.pollers * seconds / self.poll_seconds
    }

    fn sweeps(&self, seconds: u64) -> u64 {
        self.sweeps_a_minute * seconds / 60
    }
}

/// A month in which nothing happens, in dollars.
#[derive(Debug, Serialize)]
pub(super) struct Month {
    days: u64,
    polls: u64,
    sweeps: u64,
    /// Of a million sweeps, as counted.
    sweeps_per_million: Dollars,
    alarms: f64,
    metrics: f64,
    polling: f64,
    sweeping: f64,
}

impl Month {
    /// By the prices, where a million sweeps cost that.
    fn of(table: &Table, sweeps_per_million: Dollars) -> anyhow::Result<Self> {
        let (stack, seconds) = (&table.idle, DAYS * 24 * 3600);
        let (polls, sweeps) = (stack.polls(seconds), stack.sweeps(seconds));
        Ok(Self {
            days: DAYS,
            polls,
            sweeps,
            sweeps_per_million,
            alarms: table.of("alarm_metric_month", stack.alarm_metrics as f64)?,
            metrics: table.of("metric_month", stack.metrics as f64)?,
            polling: table.of("sqs_request", polls as f64)?,
            sweeping: sweeps_per_million.total() * sweeps as f64 / MILLION,
        })
    }

    fn total(&self) -> f64 {
        self.alarms + self.metrics + self.polling + self.sweeping
    }
}

/// Counts sweeps that find nothing, on a cloud into which nothing has been imported.
///
/// # Errors
/// A sweep fails.
pub(super) async fn month(bench: &Bench<'_>) -> anyhow::Result<Month> {
    let sweep = async || bench.cloud.sweep_now().await.map_err(|error| anyhow::anyhow!("a sweep failed: {error:?}"));
    // So that the function has started.
    sweep().await?;
    bench.cloud.idle().await;
    let before = bench.used();
    for _ in 0..SWEEPS {
        sweep().await?;
    }
    bench.cloud.idle().await;
    Month::of(bench.table, dollars(bench.table, &bench.used().since(&before), SWEEPS)?)
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// What the document says of it, and of polls while the rows of `new` are imported.
pub(super) fn section(table: &Table, month: &Month, new: &Run) -> anyhow::Result<String> {
    let stack = &table.idle;
    let mut text = String::from("## What an idle stack costs a month\n\n");
    writeln!(
        text,
        "With the defaults of the parameters, in {} days in which nothing is imported and nobody asks; free tiers are left out.\n\
         What is stored is paid by the gigabyte. The numbers are those of `template.yaml`; sweeps were counted.\n",
        month.days
    )?;
    writeln!(text, "| for | how many | dollars |\n| --- | ---: | ---: |")?;
    writeln!(text, "| metrics that alarms look at | {} | {:.2} |", stack.alarm_metrics, month.alarms)?;
    writeln!(
        text,
        "| polls of {} empty queues, at most: {} pollers each, {} seconds a poll | {} | {:.2} |",
        stack.queues,
        stack.pollers,
        stack.poll_seconds,
        grouped(month.polls),
        month.polling
    )?;
    writeln!(text, "| metrics of Penstock's own that a sweep writes | {} | {:.2} |", stack.metrics, month.metrics)?;
    writeln!(
        text,
        "| sweeps, with their reads and their lines in the log | {} | {:.2} |",
        grouped(month.sweeps),
        month.sweeping
    )?;
    writeln!(text, "| all | | {:.2} |", month.total())?;
    let seconds = new.seconds * MILLION / new.rows as f64;
    let polls = stack.polls(seconds.round() as u64);
    writeln!(
        text,
        "\n`GradualRelease` adds {:.2} dollars for its alarms, `Dashboard=true` {:.2}. Polls go on while rows are imported, and do\n\
         not grow with them: in the {seconds:.0} seconds that a million new rows took here they come to {:.4} dollars.\n",
        table.of("alarm_metric_month", stack.release_alarm_metrics as f64)?,
        table.of("dashboard_month", 1.0)?,
        table.of("sqs_request", polls as f64)?,
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_what_its_parts_are() {
        let table = Table::read().expect("a price table");
        let sweeps = Dollars { dynamodb_reads: 1.5, logs: 0.5, ..Dollars::default() };
        let month = Month::of(&table, sweeps).expect("every price is there");
        assert_eq!((month.sweeps, month.polls), (43_200, 7_776_000));
        for (told, wanted) in [
            (month.alarms, 3.70),
            (month.metrics, 0.30),
            (month.polling, 3.1104),
            (month.sweeping, 2.0 * 0.0432),
            (month.total(), 3.70 + 0.30 + 3.1104 + 0.0864),
        ] {
            assert!((told - wanted).abs() < 1e-9, "{told} is not {wanted}");
        }
        let (usage, dollars_per_million) = (Vec::new(), Dollars::default());
        let new =
            Run { name: "new", rows: 100_000, bytes: 1, seconds: 30.0, outcome: None, usage, dollars_per_million };
        let text = section(&table, &month, &new).expect("a section");
        assert!(text.lines().all(|line| line.len() <= 120), "{text}");
        assert!(text.contains("seconds a poll | 7,776,000 | 3.11 |"), "{text}");
        assert!(text.contains("| all | | 7.20 |"), "{text}");
        // 300 seconds: 900 polls.
        assert!(text.contains("in the 300 seconds") && text.contains("come to 0.0004 dollars"), "{text}");
        assert!(text.contains("adds 1.00 dollars for its alarms, `Dashboard=true` 3.00."), "{text}");
        assert_eq!([grouped(7), grouped(1_000), grouped(43_200_000)], ["7", "1,000", "43,200,000"]);
    }
}
