//! Decoding: an upload's bytes become its text, whatever compression and encoding they have.
//!
//! The text is UTF-8 with rows in the grammar that its [`Layout`] names, the same on every reading. Bytes that do not
//! belong to the file's encoding become the byte `0xFF`, which is no UTF-8 anywhere: the rows that hold them are
//! rejected, not silently changed.

use std::io::{self, BufReader, Read};

use encoding_rs::Encoding;
use penstock_model::{Compression, Failure, Format, Layout, UTF_8, advice::shown, limits};

use crate::{
    archive::{Archive, Entry},
    sheet,
    transcoded::Transcoded,
    upload::{Sink, Upload},
};

/// Bytes that are handed on at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Files of an archive that a failure names, at most.
const NAMED_FILES: usize = 5;

/// Hands the whole text of an upload of `bytes` bytes to `sink`, in pieces, in memory that does not depend on its size.
///
/// # Errors
/// A permanent failure: `damaged_file` where the upload does not unpack, `unpacks_too_large` over the limits, those of
/// [`sheet::each_row`]. An upload that cannot be read gives one of them too, so the caller has to ask the upload
/// whether it failed.
pub fn each_piece(layout: &Layout, upload: impl Upload, bytes: u64, sink: Sink<'_>) -> Result<(), Failure> {
    match layout.format {
        Format::Csv | Format::Tsv | Format::Ndjson | Format::Json => each_piece_of_text(layout, upload, bytes, sink),
        Format::Xlsx => sheet::each_row(upload, layout.sheet.as_deref(), layout.reading.header_line.unwrap_or(1), sink),
    }
}

fn each_piece_of_text(layout: &Layout, upload: impl Upload, bytes: u64, sink: Sink<'_>) -> Result<(), Failure> {
    let unpacked = unpack(layout.compression, upload, bytes)?;
    let mut text: Box<dyn Read> = match Encoding::for_label(layout.encoding.as_bytes()) {
        Some(encoding) if layout.encoding != UTF_8 => Box::new(Transcoded::new(unpacked, encoding)),
        _ => unpacked,
    };
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = text.read(&mut piece).map_err(failure)?;
        if read == 0 || sink(&piece[..read]).is_break() {
            return Ok(());
        }
    }
}

/// An upload's bytes, unpacked as they are read, and no more of them than the limits allow.
///
/// # Errors
/// A permanent failure: `damaged_file`, or `not_one_file` for an archive that holds none or several.
pub(crate) fn unpack<'a>(
    compression: Option<Compression>,
    upload: impl Upload + 'a,
    bytes: u64,
) -> Result<Box<dyn Read + 'a>, Failure> {
    let unpacked: Box<dyn Read + 'a> = match compression {
        None => return Ok(Box::new(upload)),
        Some(Compression::Gzip) => {
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(PIECE_BYTES, upload)))
        }
        Some(Compression::Zstd) => {
            let buffered = BufReader::with_capacity(PIECE_BYTES, upload);
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered).map_err(failure)?;
            decoder.window_log_max(limits::ZSTD_WINDOW_BYTES.ilog2()).map_err(failure)?;
            Box::new(decoder)
        }
        Some(Compression::Zip) => {
            let archive = Archive::open(upload)?;
            let only = only_entry(&archive)?;
            archive.into_unpacked(only)?
        }
    };
    let limit =
        (bytes.saturating_mul(limits::UNPACKED_RATIO)).clamp(limits::UNPACKED_LEAST_BYTES, limits::UNPACKED_BYTES);
    Ok(Box::new(Limited { inner: unpacked, left: limit, limit }))
}

/// The one file of an archive. Folders, and what systems add beside the files of a folder, do not count.
fn only_entry<U: Upload>(archive: &Archive<U>) -> Result<usize, Failure> {
    let is_file = |entry: &Entry| {
        let name = entry.name.rsplit('/').next().unwrap_or_default();
        let is_added = name.starts_with("._") || matches!(name, ".DS_Store" | "Thumbs.db" | "desktop.ini");
        !entry.is_folder() && !entry.name.starts_with("__MACOSX/") && !is_added
    };
    let mut files = archive.entries().iter().enumerate().filter(|(_, entry)| is_file(entry));
    let (only, entry) = match (files.next(), files.next()) {
        (Some(only), None) => only,
        (Some(_), Some(_)) => {
            let names = archive.entries().iter().filter(|entry| is_file(entry)).map(|entry| entry.name.as_str());
            let count = names.clone().count();
            let names: Vec<String> = names.take(NAMED_FILES).map(|name| format!("`{}`", shown(name))).collect();
            let more = if count > names.len() { ", …" } else { "" };
            let message = format!(
                "the file is a ZIP archive of {count} files ({}{more}); it must hold one: upload each by itself",
                names.join(", ")
            );
            return Err(Failure::new("not_one_file", message));
        }
        (None, _) => {
            return Err(Failure::new("not_one_file", "the file is a ZIP archive without a file; it must hold one"));
        }
    };
    if !entry.can_be_unpacked() {
        let message = "the file in the ZIP archive is encrypted, or packed by another method than Deflate";
        return Err(Failure::new("damaged_file", message));
    }
    Ok(only)
}

/// An upload unpacks to more than the limits allow.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the file unpacks to more than {limit} bytes")]
struct UnpacksTooLarge {
    limit: u64,
}

pub(crate) fn failure(error: io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<UnpacksTooLarge>()) {
        Some(too_large) => Failure::new("unpacks_too_large", too_large.to_string()),
        None => Failure::new("damaged_file", format!("the file is damaged: {error}")),
    }
}

/// Fails instead of giving more than `limit` bytes.
struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(UnpacksTooLarge { limit: self.limit }))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
