//! penstock-local
