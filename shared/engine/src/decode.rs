//! Decoding: an upload's bytes become its text, whatever they are packed in and however it is encoded.
//!
//! The text is UTF-8 with rows in the grammar that its [`Layout`] names, the same on every reading. Bytes that do not belong to the file's
//! encoding become the byte `0xFF`, which is no UTF-8 anywhere: the rows that hold them are rejected, not silently changed.

use std::{
    io::{self, BufReader, Read, Seek, SeekFrom},
    ops::ControlFlow,
};

use encoding_rs::{Decoder, DecoderResult, Encoding};
use flate2::CrcReader;
use penstock_model::{Compression, Failure, Format, Layout, UTF_8, limits};
use zip::{CompressionMethod, ZipArchive, result::ZipError};

use crate::sheet;

/// Bytes that are handed on at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Windows of Zstandard frames, at most: 2^25 bytes, 32 MiB.
const ZSTD_WINDOW_LOG: u32 = 25;

/// An upload that can be read anywhere.
pub trait Upload: Read + Seek + Send {}

impl<T: Read + Seek + Send> Upload for T {}

/// Takes pieces of the text, and says whether it wants more.
pub type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>;

/// Hands the whole text of an upload of `bytes` bytes to `sink`, in pieces, in memory that does not depend on its size.
///
/// # Errors
/// A permanent failure: `damaged_file` where it does not unpack, `unpacks_too_large` over the limits, those of [`sheet::each_row`]. An
/// upload that cannot be read gives one of them too: who reads it has to ask it whether it failed.
pub fn each_piece(layout: &Layout, upload: impl Upload, bytes: u64, sink: Sink<'_>) -> Result<(), Failure> {
    if layout.format == Format::Xlsx {
        return sheet::each_row(upload, layout.sheet.as_deref(), sink);
    }
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

/// What is packed in an upload, unpacked as it is read, and no more of it than the limits allow.
///
/// # Errors
/// A permanent failure: `damaged_file`, or `not_one_file` for an archive that holds none or several.
pub(crate) fn unpack<'a>(
    compression: Option<Compression>,
    mut upload: impl Upload + 'a,
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
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(failure)?;
            Box::new(decoder)
        }
        Some(Compression::Zip) => {
            let entry = only_entry(&mut upload)?;
            upload.seek(SeekFrom::Start(entry.start)).map_err(failure)?;
            let packed = upload.take(entry.packed_bytes);
            let unpacked: Box<dyn Read + 'a> = match entry.method {
                CompressionMethod::Stored => Box::new(packed),
                _ => Box::new(flate2::bufread::DeflateDecoder::new(BufReader::with_capacity(PIECE_BYTES, packed))),
            };
            Box::new(Checked { inner: CrcReader::new(unpacked), crc: entry.crc })
        }
    };
    let limit =
        (bytes.saturating_mul(limits::UNPACKED_RATIO)).clamp(limits::UNPACKED_LEAST_BYTES, limits::UNPACKED_BYTES);
    Ok(Box::new(Limited { inner: unpacked, left: limit, limit }))
}

struct Entry {
    start: u64,
    packed_bytes: u64,
    method: CompressionMethod,
    crc: u32,
}

/// The one file of an archive, as its central directory tells (PKWARE, APPNOTE.TXT). Folders, and what macOS adds, do not count.
fn only_entry(upload: &mut impl Upload) -> Result<Entry, Failure> {
    let mut archive = ZipArchive::new(upload).map_err(archive_failure)?;
    let mut found = None;
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(archive_failure)?;
        if file.is_dir() || file.name().is_ok_and(|name| name.starts_with("__MACOSX/")) {
            continue;
        }
        if found.is_some() {
            return Err(Failure::new("not_one_file", "the ZIP archive holds several files; it must hold one"));
        }
        if file.encrypted() || !matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            let message = "the file in the ZIP archive is encrypted, or packed by another method than Deflate";
            return Err(Failure::new("damaged_file", message));
        }
        let start = file.data_start().ok_or_else(|| archive_failure(ZipError::FileNotFound))?;
        let (packed_bytes, method, crc) = (file.compressed_size(), file.compression(), file.crc32());
        found = Some(Entry { start, packed_bytes, method, crc });
    }
    found.ok_or_else(|| Failure::new("not_one_file", "the ZIP archive holds no file; it must hold one"))
}

pub(crate) fn archive_failure(error: ZipError) -> Failure {
    Failure::new("damaged_file", format!("the ZIP archive cannot be read: {error}"))
}

/// More text than the limits allow.
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

/// Ends with an error where it would give more than `limit` bytes.
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

/// Ends with an error where the checksum is not what the archive says.
struct Checked<R> {
    inner: CrcReader<R>,
    crc: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read == 0 && !buffer.is_empty() && self.inner.crc().sum() != self.crc {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong"));
        }
        Ok(read)
    }
}

/// Text in any encoding as UTF-8, a byte order mark taken away.
struct Transcoded<R> {
    inner: R,
    decoder: Decoder,
    bytes: Vec<u8>,
    /// The part of `bytes` that has not been decoded.
    from: usize,
    to: usize,
    ended: bool,
    finished: bool,
}

impl<R: Read> Transcoded<R> {
    fn new(inner: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { inner, decoder, bytes: vec![0; 64 * 1024], from: 0, to: 0, ended: false, finished: false }
    }
}

/// Stands for bytes that are not in the encoding: no byte of UTF-8 text.
pub(crate) const FOREIGN: u8 = 0xff;

impl<R: Read> Read for Transcoded<R> {
    /// `buffer` must have room for a character and a marker: at least 8 bytes.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.finished {
                return Ok(0);
            }
            if self.from == self.to && !self.ended {
                (self.from, self.to) = (0, self.inner.read(&mut self.bytes)?);
                self.ended = self.to == 0;
            }
            let room = buffer.len() - 1;
            let input = &self.bytes[self.from..self.to];
            let (result, read, mut written) =
                self.decoder.decode_to_utf8_without_replacement(input, &mut buffer[..room], self.ended);
            self.from += read;
            match result {
                DecoderResult::Malformed(..) => {
                    buffer[written] = FOREIGN;
                    written += 1;
                }
                DecoderResult::InputEmpty => self.finished = self.ended,
                DecoderResult::OutputFull => {}
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

#[cfg(test)]
mod tests;
