use std::{
    io::{Cursor, Write},
    ops::ControlFlow,
};

use penstock_model::Grammar;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

fn layout(compression: Option<Compression>, encoding: &str) -> Layout {
    Layout { compression, encoding: encoding.to_owned(), ..Layout::plain(Format::Csv, Grammar::CSV) }
}

fn text(layout: &Layout, file: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    each_piece(layout, Cursor::new(file), file.len() as u64, &mut |piece| {
        text.extend_from_slice(piece);
        ControlFlow::Continue(())
    })?;
    Ok(text)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("in memory");
    encoder.finish().expect("in memory")
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default()).expect("in memory");
        writer.write_all(text).expect("in memory");
    }
    writer.finish().expect("in memory").into_inner()
}

#[test]
fn what_is_packed_comes_out_as_it_went_in() {
    let file: Vec<u8> = (0..200_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
    let zstd = zstd::stream::encode_all(file.as_slice(), 1).expect("in memory");
    let two_members = [gzip(&file[..1000]), gzip(&file[1000..])].concat();
    for (packed, compression) in [
        (gzip(&file), Compression::Gzip),
        (two_members, Compression::Gzip),
        (zstd, Compression::Zstd),
        (archive(&[("folder/products.csv", &file), ("__MACOSX/x", b"y")]), Compression::Zip),
    ] {
        let layout = layout(Some(compression), UTF_8);
        assert!(text(&layout, &packed).expect("whole") == file, "{compression:?}");
        let cut = text(&layout, &packed[..packed.len() * 3 / 4]).expect_err("cut").code;
        assert_eq!(cut, "damaged_file", "{compression:?}");
    }
}

#[test]
fn a_flipped_bit_in_an_archive_is_noticed() {
    let mut packed = archive(&[("a.csv", "sku,name\n".repeat(100).as_bytes())]);
    // The data stands behind the local header of 30 bytes and the name.
    packed[40] ^= 1;
    assert_eq!(text(&layout(Some(Compression::Zip), UTF_8), &packed).expect_err("damaged").code, "damaged_file");
}

#[test]
fn a_zstandard_frame_whose_window_is_larger_than_the_limit_is_not_decoded() {
    let packed = |window_bytes: u64| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.window_log(window_bytes.ilog2()).expect("a window");
        encoder.write_all(b"a,b\n").expect("in memory");
        encoder.finish().expect("in memory")
    };
    let zstd = layout(Some(Compression::Zstd), UTF_8);
    assert_eq!(text(&zstd, &packed(limits::ZSTD_WINDOW_BYTES)).expect("within the limit"), b"a,b\n");
    let failure = text(&zstd, &packed(2 * limits::ZSTD_WINDOW_BYTES)).expect_err("over the limit");
    assert_eq!(failure.code, "damaged_file");
}

#[test]
fn an_archive_must_hold_one_file() {
    let zip = layout(Some(Compression::Zip), UTF_8);
    let beside = [("x/.DS_Store", &b"x"[..]), ("x/a.csv", b"a"), ("x/._a.csv", b"x"), ("x/Thumbs.db", b"x")];
    assert_eq!(text(&zip, &archive(&beside)).expect("one file"), b"a");
    assert_eq!(text(&zip, &archive(&[("a.csv", b"a"), ("b.csv", b"b")])).expect_err("two").code, "not_one_file");
    assert_eq!(text(&zip, &archive(&[])).expect_err("none").code, "not_one_file");
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let zeros = vec![b'0'; 1024 * 1024];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..=limits::UNPACKED_LEAST_BYTES / zeros.len() as u64 {
        encoder.write_all(&zeros).expect("in memory");
    }
    let bomb = encoder.finish().expect("in memory");
    let mut taken = 0;
    let failure =
        each_piece(&layout(Some(Compression::Gzip), UTF_8), Cursor::new(&bomb), bomb.len() as u64, &mut |piece| {
            taken += piece.len() as u64;
            ControlFlow::Continue(())
        });
    let failure = failure.expect_err("too large");
    assert_eq!(failure.code, "unpacks_too_large");
    assert!(
        failure.message.contains(&limits::UNPACKED_LEAST_BYTES.to_string()) && taken <= limits::UNPACKED_LEAST_BYTES
    );
}

#[test]
fn every_encoding_becomes_utf_8_and_foreign_bytes_stay_no_text() {
    let (windows, _, _) = encoding_rs::WINDOWS_1252.encode("größe €");
    assert_eq!(text(&layout(None, "windows-1252"), &windows).expect("decodes"), "größe €".as_bytes());
    let utf16: Vec<u8> = "\u{feff}größe \u{1f600}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(text(&layout(None, "UTF-16LE"), &utf16).expect("decodes"), "größe \u{1f600}".as_bytes());
    let lone = [b"a\0".as_slice(), &[0x00, 0xd8], b"b\0"].concat();
    assert_eq!(text(&layout(None, "UTF-16LE"), &lone).expect("decodes"), b"a\xffb");
    let cut = [b"a\0".as_slice(), b"b"].concat();
    assert_eq!(text(&layout(None, "UTF-16LE"), &cut).expect("decodes"), b"a\xff");
    let long = "ä".repeat(100_000);
    let (shift_jis, _, _) = encoding_rs::WINDOWS_1252.encode(&long);
    assert_eq!(text(&layout(None, "windows-1252"), &shift_jis).expect("decodes"), long.as_bytes());
}
