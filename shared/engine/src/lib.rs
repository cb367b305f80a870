//! The engine: bytes in, values out. No AWS, no tokio, no clock.
//!
//! A [`kind`] is a compiled schema. [`reading`] takes a file from its upload to its columns and chunks:
//!
//! 1. [`detect`] finds out what the upload is, from its content and from what is known of it before.
//! 2. [`decode`] gives its text; the text of a workbook's [`sheet`] is written by the engine.
//! 3. [`split`] cuts the text into chunks.
//! 4. [`header`] reads the columns, and [`mapping`] and [`plan`] match them to the kind's fields.
//!
//! [`options`] checks what an import's creator says of all that. Then [`rows`] turns a chunk into typed rows of
//! [`cell`]s and row errors, [`merge`] applies a row to a record, [`fold`] a chunk's rows of it, and [`key`] names it.
//! [`digest`] tells whether a file may have named it before, and whether a row says what was said last. [`preview`]
//! shows a file's first rows, and [`rejected`] writes rejected rows to be mended. [`notes`] says what row errors mean
//! for the file. [`export`] writes records as a file that reads as the same records. [`named`] tells which records a
//! file names, of which a replace keeps only those.

mod archive;
mod blocks;
pub mod cell;
pub mod decode;
pub mod detect;
pub mod digest;
pub mod export;
pub mod fold;
pub mod header;
mod hints;
pub mod invisible;
pub mod key;
pub mod kind;
pub mod kinds;
pub mod lines;
pub mod mapping;
mod members;
pub mod merge;
pub mod named;
pub mod notes;
pub mod options;
pub mod plan;
pub mod preview;
pub mod reading;
pub mod rejected;
pub mod rows;
mod samples;
pub mod sheet;
pub mod split;
mod strings;
mod suggestions;
mod transcoded;
pub mod upload;

/// The number of cases with which a property is tried: `usual`, or what `PENSTOCK_CASES` says.
#[cfg(test)]
fn cases(usual: u32) -> proptest::test_runner::Config {
    let wanted = std::env::var("PENSTOCK_CASES").ok().and_then(|cases| cases.parse().ok());
    proptest::test_runner::Config::with_cases(wanted.unwrap_or(usual))
}
