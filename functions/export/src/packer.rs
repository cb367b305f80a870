//! Compressing a part: a whole of its own, so that parts stand one behind the other and a reader can begin with any.

use std::io::Write;

use flate2::write::GzEncoder;
use penstock_model::ExportCompression;

/// How hard Zstandard tries: its own default. What waits is the table, not the processor.
const ZSTD_LEVEL: i32 = 3;

/// One part of a file, as it grows: a member of gzip (RFC 1952 §2.2), a frame of Zstandard (RFC 8878 §3), or the text.
pub(crate) enum Packer {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Packer {
    /// An empty part.
    pub(crate) fn new(compression: ExportCompression) -> Self {
        match compression {
            ExportCompression::None => Self::Plain(Vec::new()),
            ExportCompression::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::default())),
            ExportCompression::Zstd => Self::Zstd(
                zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).expect("the level is one of Zstandard's"),
            ),
        }
    }

    pub(crate) fn write(&mut self, text: &[u8]) {
        let written = match self {
            Self::Plain(part) => part.write_all(text),
            Self::Gzip(encoder) => encoder.write_all(text),
            Self::Zstd(encoder) => encoder.write_all(text),
        };
        written.expect("writing to memory succeeds");
    }

    /// Bytes of the part so far, without those that the compressor still holds.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Plain(part) => part.len(),
            Self::Gzip(encoder) => encoder.get_ref().len(),
            Self::Zstd(encoder) => encoder.get_ref().len(),
        }
    }

    /// The part, ended.
    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Plain(part) => part,
            Self::Gzip(encoder) => encoder.finish().expect("writing to memory succeeds"),
            Self::Zstd(encoder) => encoder.finish().expect("writing to memory succeeds"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn parts_one_behind_the_other_are_one_file() {
        for compression in ExportCompression::ALL {
            let mut file = Vec::new();
            for text in ["first\n", "second\n"] {
                let mut part = Packer::new(compression);
                part.write(text.as_bytes());
                file.extend(part.finish());
            }
            let mut read = String::new();
            match compression {
                ExportCompression::None => read = String::from_utf8(file).expect("text"),
                ExportCompression::Gzip => {
                    flate2::read::MultiGzDecoder::new(&file[..]).read_to_string(&mut read).expect("gzip");
                }
                ExportCompression::Zstd => {
                    let mut decoder = zstd::stream::read::Decoder::new(&file[..]).expect("a decoder");
                    decoder.read_to_string(&mut read).expect("zstd");
                }
            }
            assert_eq!(read, "first\nsecond\n", "{compression:?}");
        }
    }
}
