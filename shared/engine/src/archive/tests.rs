use std::io::{Cursor, Write};

use proptest::prelude::*;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;

fn archive(files: &[(String, Vec<u8>)], options: SimpleFileOptions, comment: &[u8]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(name.as_str(), options).expect("in memory");
        writer.write_all(bytes).expect("in memory");
    }
    writer.set_raw_comment(comment.into()).expect("short enough");
    writer.finish().expect("in memory").into_inner()
}

fn unpacked(file: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut archive = Archive::open(Cursor::new(file))?;
    let names: Vec<String> = archive.entries().iter().map(|entry| entry.name.clone()).collect();
    let mut files = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        let mut bytes = Vec::new();
        let read = archive.unpack(at)?.read_to_end(&mut bytes);
        read.map_err(|error| damaged(&error.to_string()))?;
        files.push((name, bytes));
    }
    Ok(files)
}

/// An archive of a single stored file, `x` with the text `abc`, written by hand.
fn small() -> Vec<u8> {
    archive(
        &[("x".to_owned(), b"abc".to_vec())],
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
        b"",
    )
}

fn failure(file: &[u8]) -> (String, String) {
    let failure = unpacked(file).expect_err("a failure");
    (failure.code, failure.message)
}

proptest! {
    #![proptest_config(crate::cases(400))]

    #[test]
    fn what_the_zip_crate_writes_is_read(
        files in prop::collection::vec(("[a-zäß/]{1,12}", prop::collection::vec(any::<u8>(), 0..600)), 0..6),
        stored in any::<bool>(),
        large in any::<bool>(),
        comment in prop_oneof![Just(Vec::new()), Just(b"PK\x05\x06 and more of it, long enough for a record".to_vec()), prop::collection::vec(any::<u8>(), 0..60)],
    ) {
        let mut files: Vec<(String, Vec<u8>)> = files;
        files.sort();
        files.dedup_by(|one, other| one.0 == other.0);
        let method = if stored { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method).large_file(large);
        let file = archive(&files, options, &comment);
        prop_assert_eq!(unpacked(&file).expect("an archive"), files);
    }

    #[test]
    fn damage_is_a_failure_and_no_panic(at in 0usize..1000, byte in any::<u8>(), cut in 0usize..1000) {
        let mut file = archive(&[("a".into(), vec![7; 300]), ("b".into(), b"text".to_vec())], SimpleFileOptions::default(), b"");
        let length = file.len();
        file[at % length] = byte;
        let _ = unpacked(&file);
        prop_assert!(unpacked(&file[..cut % length]).is_err());
    }
}

#[test]
fn what_stands_in_front_of_an_archive_is_passed() {
    let file = [b"#!/bin/sh\n".to_vec(), small()].concat();
    assert_eq!(unpacked(&file).expect("an archive"), [("x".to_owned(), b"abc".to_vec())]);
}

#[test]
fn a_checksum_that_is_wrong_is_noticed() {
    let mut file = small();
    let at = memchr::memmem::find(&file, b"abc").expect("stored");
    file[at] = b'b';
    let (code, message) = failure(&file);
    assert_eq!((code.as_str(), message.contains("checksum")), ("damaged_file", true));
}

#[test]
fn a_directory_over_the_limit_is_refused_before_it_is_read() {
    let mut file = small();
    let end = file.len() - END_BYTES;
    // As it says of itself: a little over the limit, with as much in front of it.
    let size = limits::ARCHIVE_DIRECTORY_BYTES as u32 + 1;
    file.splice(0..0, vec![0; size as usize]);
    let end = end + size as usize;
    file[end + 12..end + 16].copy_from_slice(&size.to_le_bytes());
    file[end + 16..end + 20].copy_from_slice(&0u32.to_le_bytes());
    let (code, message) = failure(&file);
    assert_eq!(code, "archive_too_large");
    assert!(message.contains("4194305") && message.contains("4194304"), "{message}");
}

#[test]
fn more_entries_than_are_announced_are_entries_all_the_same() {
    let mut file = small();
    let end = file.len() - END_BYTES;
    file[end + 8..end + 12].fill(0xee);
    assert_eq!(unpacked(&file).expect("an archive").len(), 1);
}

#[test]
fn what_is_encrypted_or_packed_otherwise_is_not_read() {
    for (at, value) in [(8, 1), (10, 12)] {
        let mut file = small();
        let entry = memchr::memmem::find(&file, b"PK\x01\x02").expect("a directory");
        file[entry + at] = value;
        assert!(failure(&file).1.contains("encrypted"));
    }
}
