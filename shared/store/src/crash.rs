//! Crash points: places just after a side effect at which a test can have a process killed.
//!
//! They exist with the feature `faults` alone. Without it, as in every deployed build, [`point`] does nothing and its
//! names are in no program; `infra/release/check.py` looks for them.

#[cfg(feature = "faults")]
use std::{path::PathBuf, sync::LazyLock};

/// The variable that names the directory in which crash points are set.
#[cfg(feature = "faults")]
pub const DIRECTORY: &str = "PENSTOCK_CRASH_DIR";

/// Every crash point's name. A fault test walks through all of them.
#[cfg(feature = "faults")]
pub const POINTS: &[&str] = &[
    "upload.stored",
    "upload.import_made",
    "upload.split_ordered",
    "inbox.taken",
    "inbox.copied",
    "again.made",
    "again.ordered",
    "story.joined",
    "parts.begun",
    "parts.pinned",
    "parts.completed",
    "parts.removed",
    "parts.closed",
    "split.accepted",
    "split.begun",
    "split.columns",
    "split.block_opened",
    "split.chunks_sent",
    "split.unchanged",
    "split.same",
    "split.digest",
    "split.checkpoint",
    "split.last_block_sized",
    "split.total",
    "split.continued",
    "validate.received",
    "validate.working_out",
    "validate.stuck",
    "validate.begun",
    "validate.records",
    "validate.error_parts",
    "validate.errors",
    "validate.tally",
    "validate.noted",
    "halt.ordered",
    "halt.block_closed",
    "end.ended",
    "end.report_sent",
    "report.continued",
    "report.written",
    "report.recorded",
    "sweep.resent",
    "sweep.chunk_failed",
    "sweep.expired",
    "delete.ordered",
    "removal.ordered",
    "removal.versions",
    "removal.noted",
    "removal.closed",
    "export.created",
    "export.begun",
    "export.part",
    "export.checkpoint",
    "export.continued",
    "export.stored",
    "export.ended",
    "export.resent",
    "export.removed",
    "account.ordered",
    "account.taken",
    "account.revoked",
    "account.ended",
    "account.purged",
    "account.noted",
    "account.own",
    "account.removed",
    "replace.waits",
    "replace.woken",
    "replace.begun",
    "replace.listed",
    "replace.counted",
    "replace.decided",
    "replace.held",
    "replace.confirmed",
    "replace.tombstones",
    "replace.removed",
    "replace.continued",
    "replace.ordered",
    "review.claimed",
    "review.held",
    "review.confirmed",
    "review.left",
    "kind.marked",
    "kind.removed",
    "event.stored",
    "event.ordered",
    "event.on_bus",
    "event.spread",
    "event.told",
    "delivery.begun",
    "delivery.sent",
    "delivery.noted",
    "delivery.ordered",
];

/// Kills this process at once, as `kill -9` would, if [`DIRECTORY`] names a directory that holds a file of this name,
/// which is removed first so that it kills once, or one of this name with `.always` behind it.
#[cfg(feature = "faults")]
pub fn point(name: &'static str) {
    static SET: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(DIRECTORY).map(PathBuf::from));
    assert!(POINTS.contains(&name), "the crash point {name} is not listed");
    if let Some(directory) = &*SET
        && (std::fs::remove_file(directory.join(name)).is_ok() || directory.join(format!("{name}.always")).exists())
    {
        std::process::abort();
    }
}

/// Nothing: this build has no crash points.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_: &'static str) {}
