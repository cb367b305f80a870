//! The functions and the queues between them: the one table of both.
//!
//! The settings, the local cloud, the command and the tests of `template.yaml` go by it. A new function or queue is
//! declared here; what has to be said of it elsewhere the compiler finds.

use std::{fmt, str::FromStr};

use crate::{InvalidId, listed::listed};

listed! {
    /// A function: what Lambda runs, one stage of the pipeline each.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum FunctionName {
        /// HTTP requests, behind API Gateway.
        Api,
        /// Requests that go past the api, before API Gateway lets them through.
        Authorize,
        /// Storage event → chunks.
        Split,
        /// Chunk → records.
        Validate,
        /// Ended import → rejected rows file.
        Report,
        /// Records → a file.
        Export,
        /// Records that the file of a replace does not name → tombstones.
        Remove,
        /// Events → endpoints and the bus.
        Notify,
        /// Dead letters, expiry, lost events.
        Sweep,
    }
}

impl FunctionName {
    /// The word by which the command, the packages and the logs know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Authorize => "authorize",
            Self::Split => "split",
            Self::Validate => "validate",
            Self::Report => "report",
            Self::Export => "export",
            Self::Remove => "remove",
            Self::Notify => "notify",
            Self::Sweep => "sweep",
        }
    }

    /// How long one invocation may take, in seconds.
    pub const fn timeout_seconds(self) -> u32 {
        match self {
            Self::Api => 30,
            Self::Authorize => 10,
            Self::Split | Self::Report => 300,
            Self::Validate | Self::Notify => 30,
            Self::Export | Self::Remove => 900,
            Self::Sweep => 60,
        }
    }

    /// The logical id of a resource of this function in `template.yaml`: `Function`, `Role` or `Log`.
    pub fn logical_id(self, resource: &str) -> String {
        format!("{}{resource}", capitalised(self.as_str()))
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FunctionName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let named = Self::ALL.iter().find(|function| function.as_str() == text);
        named.copied().ok_or(InvalidId::new("there is no function of this name"))
    }
}

listed! {
    /// A queue between two functions.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum QueueName {
        /// Rows for the validators.
        Chunks,
        /// Work for the splitter that no storage event starts.
        Splits,
        /// Ended imports whose rejected rows are to be written.
        Reports,
        /// Exports whose records are to be read.
        Exports,
        /// Imports that remove what their files do not name.
        Removals,
        /// Events that are to be told, and deliveries that are to be attempted.
        Notifications,
    }
}

/// What is true of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueRow {
    /// Its name in the local cloud.
    pub name: &'static str,
    /// The environment variable that holds its URL.
    pub variable: &'static str,
    /// The function that takes its messages.
    pub function: FunctionName,
    /// Messages of one invocation, at most.
    pub batch_size: usize,
    /// After how many receives a message goes to the dead-letter queue, which the sweeper reads.
    pub max_receive_count: u32,
}

impl QueueName {
    /// The table of queues.
    pub const fn row(self) -> QueueRow {
        match self {
            Self::Chunks => QueueRow {
                name: "chunks",
                variable: "PENSTOCK_CHUNKS_QUEUE_URL",
                function: FunctionName::Validate,
                batch_size: 4,
                max_receive_count: MOST_RECEIVES,
            },
            Self::Splits => QueueRow {
                name: "splits",
                variable: "PENSTOCK_SPLITS_QUEUE_URL",
                function: FunctionName::Split,
                batch_size: 1,
                max_receive_count: MOST_RECEIVES,
            },
            Self::Reports => QueueRow {
                name: "reports",
                variable: "PENSTOCK_REPORTS_QUEUE_URL",
                function: FunctionName::Report,
                batch_size: 1,
                max_receive_count: 20,
            },
            Self::Exports => QueueRow {
                name: "exports",
                variable: "PENSTOCK_EXPORTS_QUEUE_URL",
                function: FunctionName::Export,
                batch_size: 1,
                max_receive_count: MOST_RECEIVES,
            },
            Self::Removals => QueueRow {
                name: "removals",
                variable: "PENSTOCK_REMOVALS_QUEUE_URL",
                function: FunctionName::Remove,
                batch_size: 1,
                max_receive_count: MOST_RECEIVES,
            },
            Self::Notifications => QueueRow {
                name: "notifications",
                variable: "PENSTOCK_NOTIFICATIONS_QUEUE_URL",
                function: FunctionName::Notify,
                batch_size: 10,
                max_receive_count: 20,
            },
        }
    }

    /// Its name in the local cloud.
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The name of its dead-letter queue in the local cloud.
    pub fn dead_letters(self) -> String {
        format!("{}-dead", self.as_str())
    }

    /// The queue's logical id in `template.yaml`, such as `ChunksQueue`.
    pub fn logical_id(self) -> String {
        format!("{}Queue", capitalised(self.as_str()))
    }

    /// The dead-letter queue's logical id in `template.yaml`, such as `ChunksDeadQueue`.
    pub fn dead_letters_logical_id(self) -> String {
        format!("{}DeadQueue", capitalised(self.as_str()))
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many times its function's timeout a received message stays hidden from others whose function has said nothing,
/// since it died. AWS asks for at least once, and recommends six times for the sake of invocations that are throttled
/// (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS"). Those cost a receive here and nothing else, since
/// receives decide nothing; so a death is made good sooner.
pub const VISIBILITY_PER_TIMEOUT: u32 = 2;

/// The most receives that SQS takes before it moves a message to the dead-letter queue (Amazon SQS API Reference,
/// "SetQueueAttributes"). A message that cannot be worked off ends by its tries, not by its receives.
pub const MOST_RECEIVES: u32 = 1_000;

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_told_apart() {
        let queues: BTreeSet<String> =
            QueueName::ALL.iter().flat_map(|queue| [queue.to_string(), queue.dead_letters()]).collect();
        assert_eq!(queues.len(), 2 * QueueName::ALL.len());
        let variables: BTreeSet<&str> = QueueName::ALL.iter().map(|queue| queue.row().variable).collect();
        assert_eq!(variables.len(), QueueName::ALL.len());
        for function in FunctionName::ALL {
            assert_eq!(function.as_str().parse(), Ok(function));
        }
        assert!("unknown".parse::<FunctionName>().is_err());
    }

    #[test]
    fn logical_ids_are_those_of_the_template() {
        assert_eq!(QueueName::Chunks.logical_id(), "ChunksQueue");
        assert_eq!(QueueName::Chunks.dead_letters_logical_id(), "ChunksDeadQueue");
        assert_eq!(FunctionName::Validate.logical_id("Role"), "ValidateRole");
    }
}
