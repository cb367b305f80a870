//! penstock-validate
