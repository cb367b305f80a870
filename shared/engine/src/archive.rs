//! ZIP archives: their directory, and what their entries unpack to (PKWARE, APPNOTE.TXT 6.3.10).
//!
//! Nothing that an archive announces makes room for anything. The directory is read as a whole, within a limit, and
//! what is kept of an entry is less than it takes there. How many entries there are is told by the directory itself.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::{CrcReader, bufread::DeflateDecoder};
use penstock_model::{Failure, limits};

use crate::upload::Upload;

/// Bytes that are read from the upload at once.
const READ_BYTES: usize = 256 * 1024;

const END_BYTES: usize = 22;
const LOCATOR_BYTES: usize = 20;
const ENTRY_BYTES: usize = 46;
const HEADER_BYTES: usize = 30;

/// Places that are looked at for the end record. Its signature may stand in a comment, but hardly over and over.
const END_PLACES: usize = 16;

/// The longest comment that an archive ends in.
const COMMENT_BYTES: usize = u16::MAX as usize;

/// An archive whose directory has been read.
#[derive(Debug)]
pub(crate) struct Archive<U> {
    upload: BufReader<U>,
    entries: Vec<Entry>,
}

/// A file, or a folder, in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its path in the archive.
    pub(crate) name: String,
    header_at: u64,
    packed_bytes: u64,
    method: u16,
    crc: u32,
    encrypted: bool,
}

impl Entry {
    /// Whether it is a folder.
    pub(crate) fn is_folder(&self) -> bool {
        self.name.ends_with(['/', '\\'])
    }

    /// Whether it can be unpacked: it is not encrypted, and stored as it is or packed by Deflate.
    pub(crate) fn can_be_unpacked(&self) -> bool {
        !self.encrypted && matches!(self.method, 0 | 8)
    }
}

impl<U: Upload> Archive<U> {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// `damaged_file`; `archive_too_large` where the directory has more than [`limits::ARCHIVE_DIRECTORY_BYTES`].
    pub(crate) fn open(upload: U) -> Result<Self, Failure> {
        let mut upload = BufReader::with_capacity(READ_BYTES, upload);
        let directory = read_directory(&mut upload)?;
        let entries = entries(&directory.bytes, directory.shift)
            .ok_or_else(|| damaged("an entry of its directory is not what one is"))?;
        Ok(Self { upload, entries })
    }

    /// The entries, in the order of the directory.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What an entry unpacks to. Reading it fails where its checksum is wrong.
    ///
    /// # Errors
    /// `damaged_file`.
    pub(crate) fn unpack(&mut self, entry: usize) -> Result<Box<dyn Read + '_>, Failure> {
        self.go_to(entry)?;
        Ok(unpacked(&mut self.upload, &self.entries[entry]))
    }

    /// The same of the only entry that is wanted.
    ///
    /// # Errors
    /// `damaged_file`.
    pub(crate) fn into_unpacked<'a>(mut self, entry: usize) -> Result<Box<dyn Read + 'a>, Failure>
    where
        U: 'a,
    {
        self.go_to(entry)?;
        Ok(unpacked(self.upload, &self.entries[entry]))
    }

    /// Goes to the packed bytes of an entry.
    fn go_to(&mut self, entry: usize) -> Result<(), Failure> {
        let entry = &self.entries[entry];
        if !entry.can_be_unpacked() {
            return Err(damaged("an entry is encrypted, or packed by another method than Deflate"));
        }
        let mut header = [0; HEADER_BYTES];
        seek(&mut self.upload, entry.header_at)?;
        self.upload.read_exact(&mut header).map_err(|_| damaged("it is cut off"))?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(damaged("an entry is not where its directory says"));
        }
        let names = i64::from(u16_at(&header, 26)) + i64::from(u16_at(&header, 28));
        self.upload.seek_relative(names).map_err(|_| damaged("it is cut off"))
    }
}

pub(crate) fn damaged(what: &str) -> Failure {
    Failure::new("damaged_file", format!("the ZIP archive cannot be read: {what}"))
}

/// Goes to a place, by what has been read already where it is near.
fn seek<U: Upload>(upload: &mut BufReader<U>, to: u64) -> Result<(), Failure> {
    let from = upload.stream_position().map_err(|_| damaged("it is cut off"))?;
    let by = to.checked_signed_diff(from).ok_or_else(|| damaged("an entry is beyond its end"))?;
    upload.seek_relative(by).map_err(|_| damaged("it is cut off"))
}

fn unpacked<'a>(upload: impl BufRead + 'a, entry: &Entry) -> Box<dyn Read + 'a> {
    let packed = upload.take(entry.packed_bytes);
    let unpacked: Box<dyn Read + 'a> =
        if entry.method == 0 { Box::new(packed) } else { Box::new(DeflateDecoder::new(packed)) };
    Box::new(Checked { inner: CrcReader::new(unpacked), crc: entry.crc })
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

struct Directory {
    bytes: Vec<u8>,
    /// How far behind where they say things stand.
    shift: u64,
}

/// Reads the directory. Where it stands is told at the end of the archive, in front of a comment (APPNOTE.TXT 4.3.14 to
/// 4.3.16).
fn read_directory<U: Upload>(upload: &mut BufReader<U>) -> Result<Directory, Failure> {
    let cut = |_| damaged("it is cut off");
    let length = upload.seek(SeekFrom::End(0)).map_err(cut)?;
    let tail_at = length.saturating_sub((LOCATOR_BYTES + END_BYTES + COMMENT_BYTES) as u64);
    let mut tail = Vec::new();
    upload.seek(SeekFrom::Start(tail_at)).map_err(cut)?;
    upload.read_to_end(&mut tail).map_err(cut)?;
    // What looks like the end record may stand in the comment as well.
    for at in memchr::memmem::rfind_iter(&tail, b"PK\x05\x06").take(END_PLACES) {
        let Some(end) = tail[at..].first_chunk::<END_BYTES>() else { continue };
        if at + END_BYTES + usize::from(u16_at(end, 20)) > tail.len() {
            continue;
        }
        let mut ends_at = tail_at + at as u64;
        let mut bytes = u64::from(u32_at(end, 12));
        let mut starts_at = u64::from(u32_at(end, 16));
        let locator = at.checked_sub(LOCATOR_BYTES).map(|at| &tail[at..at + LOCATOR_BYTES]);
        if let Some(locator) = locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) {
            ends_at = u64_at(locator, 8);
            let mut large = [0; 56];
            upload.seek(SeekFrom::Start(ends_at)).map_err(cut)?;
            upload.read_exact(&mut large).map_err(cut)?;
            if !large.starts_with(b"PK\x06\x06") {
                continue;
            }
            (bytes, starts_at) = (u64_at(&large, 40), u64_at(&large, 48));
        }
        // It abuts what tells of it, also where something was put in front of the archive.
        let Some(shift) = ends_at.checked_sub(bytes).and_then(|at| at.checked_sub(starts_at)) else { continue };
        if bytes > limits::ARCHIVE_DIRECTORY_BYTES as u64 {
            let limit = limits::ARCHIVE_DIRECTORY_BYTES;
            let message = format!("the directory of the ZIP archive has {bytes} bytes, the limit is {limit}");
            return Err(Failure::new("archive_too_large", message));
        }
        let mut directory = vec![0; bytes as usize];
        upload.seek(SeekFrom::Start(starts_at + shift)).map_err(cut)?;
        upload.read_exact(&mut directory).map_err(cut)?;
        return Ok(Directory { bytes: directory, shift });
    }
    Err(damaged("its directory is not there"))
}

/// The entries of a directory (APPNOTE.TXT 4.3.12); `None` where it is not one.
fn entries(mut directory: &[u8], shift: u64) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while directory.starts_with(b"PK\x01\x02") {
        let (fixed, rest) = directory.split_first_chunk::<ENTRY_BYTES>()?;
        let (name, rest) = rest.split_at_checked(u16_at(fixed, 28).into())?;
        let (extra, rest) = rest.split_at_checked(u16_at(fixed, 30).into())?;
        let (_comment, rest) = rest.split_at_checked(u16_at(fixed, 32).into())?;
        let [_, packed_bytes, header_at] = sizes(fixed, extra);
        entries.push(Entry {
            name: String::from_utf8_lossy(name).into_owned(),
            header_at: header_at.checked_add(shift)?,
            packed_bytes,
            method: u16_at(fixed, 10),
            crc: u32_at(fixed, 16),
            encrypted: u16_at(fixed, 8) & 1 != 0,
        });
        directory = rest;
    }
    // A signature of the directory may follow.
    (directory.is_empty() || directory.starts_with(b"PK\x05\x05")).then_some(entries)
}

/// How large an entry is, unpacked and packed, and where it stands. What does not fit is in an extra field (APPNOTE.TXT
/// 4.5.3).
fn sizes(fixed: &[u8; ENTRY_BYTES], mut extra: &[u8]) -> [u64; 3] {
    let mut large: &[u8] = &[];
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        // Some writers leave bytes there that are no field.
        let Some((field, rest)) = rest.split_at_checked(u16_at(head, 2).into()) else { break };
        if u16_at(head, 0) == 1 {
            large = field;
        }
        extra = rest;
    }
    let mut sizes = [24, 20, 42].map(|at| u64::from(u32_at(fixed, at)));
    for size in sizes.iter_mut().filter(|size| **size == u64::from(u32::MAX)) {
        if let Some((value, rest)) = large.split_first_chunk::<8>() {
            (*size, large) = (u64::from_le_bytes(*value), rest);
        }
    }
    sizes
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests;
