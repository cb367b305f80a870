//! penstock-api
