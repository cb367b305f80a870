//! The local cloud as those see it who use it, and as those do who must not.

mod browser;
mod closed;
mod data;
mod dev;
mod port;
mod slow;
mod strict;

use crate::support;

/// A file of so many good rows.
fn products(rows: u64) -> Vec<u8> {
    support::files::plain(0, rows, "1.00")
}
