//! Text of any encoding, read as UTF-8.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding};

/// Text in any encoding as UTF-8, without a byte order mark.
pub(crate) struct Transcoded<R> {
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
    pub(crate) fn new(inner: R, encoding: &'static Encoding) -> Self {
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
