//! The engine: bytes in, values out. No AWS, no tokio, no clock.
//!
//! A [`kind`] is a schema compiled. A file passes through in this order: [`split`] cuts it into chunks, [`header`] reads its columns, [`plan`]
//! matches them to a kind's fields, [`rows`] turns a chunk into typed rows and row errors, [`merge`] applies a row to a record, [`key`] names the record.

pub mod header;
pub mod key;
pub mod kind;
pub mod kinds;
pub mod lines;
pub mod merge;
pub mod plan;
pub mod rows;
pub mod split;
