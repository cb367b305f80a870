//! Metrics, written into the log as CloudWatch reads them (Amazon CloudWatch User Guide, "Specification: Embedded
//! metric format"): no call, no permission, and a line that says to which import and chunk the numbers belong.
//!
//! An invocation that is repeated writes its numbers again, so they tell what happens and how fast; what has come of an
//! import is told by the import alone.

use std::{
    io::Write,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};

/// Where CloudWatch puts them.
pub const NAMESPACE: &str = "Penstock";

/// Every metric's name, as alarms and the dashboard in `template.yaml` spell them.
pub const NAMES: [&str; 13] = [
    "RowsCreated",
    "RowsUpdated",
    "RowsUnchanged",
    "RowsSkipped",
    "RowsFailed",
    "ChunkLatency",
    "FirstRowLag",
    "EndLag",
    "DeadLetters",
    "ImportsSwept",
    "DropsWaiting",
    "ReportAge",
    "MessagesReturned",
];

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Rows that made a record.
    RowsCreated,
    /// Rows that changed one.
    RowsUpdated,
    /// Rows that found their record as they wanted it.
    RowsUnchanged,
    /// Rows that their import's mode passes over.
    RowsSkipped,
    /// Rows that were rejected.
    RowsFailed,
    /// How long a validator worked on a chunk, in milliseconds.
    ChunkLatency,
    /// How long after its upload was accepted an import's first chunk was done, in milliseconds.
    FirstRowLag,
    /// How long after its upload was accepted an import ended, in milliseconds.
    EndLag,
    /// Messages of a dead-letter queue that the sweeper settled.
    DeadLetters,
    /// Unfinished imports that the sweeper looked at; a sweep that looked at none writes a zero.
    ImportsSwept,
    /// Files of the inbox that a look at it found waiting: for a preset, a key, a kind or room.
    DropsWaiting,
    /// How long ago the import ended whose rejected rows a sweep found missing, the longest of them, in seconds.
    ReportAge,
    /// Messages that went back to their queue, such as those of a throttled table.
    MessagesReturned,
}

impl Metric {
    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    fn unit(self) -> &'static str {
        match self {
            Self::ChunkLatency | Self::FirstRowLag | Self::EndLag => "Milliseconds",
            Self::ReportAge => "Seconds",
            _ => "Count",
        }
    }
}

/// The stack by which metrics are told apart; set once, when the function starts.
static STACK: OnceLock<String> = OnceLock::new();

pub(crate) fn start(stack: &str) {
    // A second start in one process, as in a test, keeps the first one's name.
    let _ = STACK.set(stack.to_owned());
}

/// Writes values of this moment as one line of the log, beside properties that tell where they belong, such as
/// `("import.id", …)`. A repeat counts again.
pub fn write(values: &[(Metric, u64)], properties: &[(&str, &str)]) {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut line = line(STACK.get().map_or("", String::as_str), now_ms, values, properties).to_string();
    line.push('\n');
    // One write, so that lines of other threads do not come between; where the log is closed nobody reads it.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

fn line(stack: &str, now_ms: u128, values: &[(Metric, u64)], properties: &[(&str, &str)]) -> Value {
    let metrics: Vec<Value> =
        values.iter().map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() })).collect();
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [["Stack"]], "Metrics": metrics });
    let mut line = Map::new();
    line.insert("_aws".into(), json!({ "Timestamp": now_ms as u64, "CloudWatchMetrics": [directive] }));
    line.insert("Stack".into(), stack.into());
    line.extend(values.iter().map(|(metric, value)| (metric.name().to_owned(), (*value).into())));
    line.extend(properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_in_the_embedded_metric_format() {
        let values = [(Metric::RowsCreated, 3), (Metric::ChunkLatency, 41)];
        let line = line("shop", 1_790_000_000_000, &values, &[("import.id", "imp_1")]);
        let wanted = json!({
            "_aws": {
                "Timestamp": 1_790_000_000_000_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "Penstock",
                    "Dimensions": [["Stack"]],
                    "Metrics": [
                        { "Name": "RowsCreated", "Unit": "Count" },
                        { "Name": "ChunkLatency", "Unit": "Milliseconds" },
                    ],
                }],
            },
            "Stack": "shop",
            "RowsCreated": 3,
            "ChunkLatency": 41,
            "import.id": "imp_1",
        });
        assert_eq!(line, wanted);
    }

    #[test]
    fn every_metric_has_its_name() {
        for (metric, name) in [
            (Metric::RowsCreated, "RowsCreated"),
            (Metric::RowsUpdated, "RowsUpdated"),
            (Metric::RowsUnchanged, "RowsUnchanged"),
            (Metric::RowsSkipped, "RowsSkipped"),
            (Metric::RowsFailed, "RowsFailed"),
            (Metric::ChunkLatency, "ChunkLatency"),
            (Metric::FirstRowLag, "FirstRowLag"),
            (Metric::EndLag, "EndLag"),
            (Metric::DeadLetters, "DeadLetters"),
            (Metric::ImportsSwept, "ImportsSwept"),
            (Metric::DropsWaiting, "DropsWaiting"),
            (Metric::ReportAge, "ReportAge"),
            (Metric::MessagesReturned, "MessagesReturned"),
        ] {
            assert_eq!(metric.name(), name);
        }
    }
}
