//! The place of the scan in a splitter's buffer.

/// How far the present record has been scanned.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scan {
    /// Where in the buffer the record starts, if it has started.
    pub(super) start: Option<usize>,
    /// The next byte to scan.
    pub(super) at: usize,
    /// The place in the buffer whose line a refusal of the record would name, if it is still in the buffer.
    pub(super) mark: Option<usize>,
    /// Lines that have ended in the record, where the grammar counts them.
    pub(super) lines: u64,
}
