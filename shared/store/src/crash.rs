//! What fault tests need inside: crash points, places just after a side effect at which a test can have a process killed, and a way to
//! break one promise on purpose.

use std::{path::PathBuf, sync::LazyLock};

static DIRECTORY: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("PENSTOCK_CRASH_DIR").map(PathBuf::from));

/// Every crash point's name. A fault test walks through all of them.
pub const POINTS: &[&str] = &[
    "upload.stored",
    "upload.import_made",
    "upload.split_ordered",
    "split.accepted",
    "split.columns",
    "split.block_opened",
    "split.chunks_sent",
    "split.checkpoint",
    "split.last_block_sized",
    "split.total",
    "split.continued",
    "validate.received",
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

/// Kills this process at once, as `kill -9` would, if `PENSTOCK_CRASH_DIR` names a directory that holds a file of this name, which is removed
/// first so that it kills once, or one of this name with `.always` behind it. Without the variable, as in every deployment, this is one
/// comparison.
pub fn point(name: &'static str) {
    debug_assert!(POINTS.contains(&name), "{name} is not listed");
    if let Some(directory) = &*DIRECTORY
        && (std::fs::remove_file(directory.join(name)).is_ok() || directory.join(format!("{name}.always")).exists())
    {
        std::process::abort();
    }
}

/// Whether `PENSTOCK_SABOTAGE` says that this rule is to be broken. The fault tests use it to show that they would notice. Builds without debug
/// assertions, as every deployment's, break none.
pub fn is_broken(rule: &str) -> bool {
    static BROKEN: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("PENSTOCK_SABOTAGE").ok());
    cfg!(debug_assertions) && BROKEN.as_deref() == Some(rule)
}

/// The name under which a chunk's tally is written: the chunk's number, so that a second delivery finds the first one's. Where the rule `tally`
/// is broken it is another each time, which counts a chunk as often as it is delivered.
pub(crate) fn tally_name(chunk: u32) -> String {
    if is_broken("tally") {
        return format!("{chunk}-{}", u64::from_be_bytes(crate::random()));
    }
    chunk.to_string()
}
