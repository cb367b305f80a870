//! penstock-report
