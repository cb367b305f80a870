//! An upload as the engine reads it, and the text that comes out of it.

use std::{
    io::{Read, Seek},
    ops::ControlFlow,
};

use penstock_model::Failure;

/// An upload that can be read from any place.
pub trait Upload: Read + Seek + Send {}

impl<T: Read + Seek + Send> Upload for T {}

/// Takes pieces of the text, and says whether it wants more.
pub type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>;

/// Goes back to the start of an upload.
///
/// # Errors
/// A permanent failure, `damaged_file`. Whoever gave the upload knows whether it failed for another reason.
pub(crate) fn rewind(upload: &mut impl Upload) -> Result<(), Failure> {
    upload.rewind().map_err(|_| cannot_be_read())
}

/// The failure of an upload whose bytes cannot be had.
pub(crate) fn cannot_be_read() -> Failure {
    Failure::new("damaged_file", "the file cannot be read")
}
