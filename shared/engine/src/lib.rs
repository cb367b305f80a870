//! The engine: bytes in, values out. No AWS, no tokio, no clock.
//!
//! A [`kind`] is a schema compiled. A file passes through in this order: [`detect`] finds out what it is, [`decode`] gives its text, [`split`] cuts that into chunks, [`header`]
//! reads its columns, [`mapping`] and [`plan`] match them to a kind's fields, [`rows`] turns a chunk into typed rows and row errors, [`merge`]
//! applies a row to a record, [`key`] names the record. [`seen`] tells whether a file may
//! have named it before.

mod archive;
mod blocks;
pub mod decode;
pub mod detect;
pub mod header;
pub mod key;
pub mod kind;
pub mod kinds;
pub mod lines;
pub mod mapping;
mod members;
pub mod merge;
pub mod plan;
pub mod preview;
pub mod rows;
pub mod seen;
pub mod sheet;
pub mod split;
mod strings;

/// How many cases a property is tried with: so many, or as many as `PENSTOCK_CASES` says.
#[cfg(test)]
fn cases(usual: u32) -> proptest::test_runner::Config {
    let wanted = std::env::var("PENSTOCK_CASES").ok().and_then(|cases| cases.parse().ok());
    proptest::test_runner::Config::with_cases(wanted.unwrap_or(usual))
}
