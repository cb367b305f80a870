//! penstock-sweep
