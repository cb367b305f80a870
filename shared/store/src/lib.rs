//! penstock-store
