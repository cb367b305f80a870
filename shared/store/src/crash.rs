//! Crash points: places just after a side effect at which a test can have a process killed.

use std::{path::PathBuf, sync::LazyLock};

static DIRECTORY: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("PENSTOCK_CRASH_DIR").map(PathBuf::from));

/// Every crash point's name. A fault test walks through all of them.
pub const POINTS: &[&str] = &[
    "split.accepted",
    "split.columns",
    "split.block_opened",
    "split.chunks_sent",
    "split.checkpoint",
    "split.last_block_sized",
    "split.total",
    "split.continued",
    "validate.begun",
    "validate.records",
    "validate.errors",
    "validate.tally",
    "validate.noted",
    "halt.ordered",
    "halt.block_closed",
    "end.ended",
    "end.report_sent",
    "report.written",
    "report.recorded",
    "sweep.sent_again",
    "sweep.chunk_failed",
    "sweep.expired",
];

/// Kills this process at once, as `kill -9` would, if `PENSTOCK_CRASH_DIR` names a directory that holds a file of this name. The file is
/// removed first, so it kills one process once. Without the variable, as in every deployment, this is one comparison.
pub fn point(name: &'static str) {
    debug_assert!(POINTS.contains(&name), "{name} is not listed");
    if let Some(directory) = &*DIRECTORY
        && std::fs::remove_file(directory.join(name)).is_ok()
    {
        std::process::abort();
    }
}
