//! penstock-client
