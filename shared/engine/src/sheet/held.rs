//! What is held of a workbook while it is read.

use penstock_model::limits;

use super::xml::Flaw;

/// Counts what is held: shared texts, date formats, sheets and what they are related to.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: usize,
}

impl Held {
    /// Counts so many bytes more.
    ///
    /// # Errors
    /// [`Flaw::TooMuch`] over [`limits::WORKBOOK_HELD_BYTES`].
    #[inline]
    pub(super) fn keep(&mut self, bytes: usize) -> Result<(), Flaw> {
        self.bytes += bytes;
        if self.bytes <= limits::WORKBOOK_HELD_BYTES { Ok(()) } else { Err(Flaw::TooMuch) }
    }
}
