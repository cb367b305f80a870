//! penstock-split
