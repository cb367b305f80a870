//! Physical lines: `\n`, `\r\n` and a lone `\r` each end one.

/// How many lines end in `bytes`. A `\r` at the very end counts, so bytes must not be cut between `\r` and `\n`.
pub fn ended_in(bytes: &[u8]) -> u64 {
    memchr::memchr2_iter(b'\n', b'\r', bytes)
        .filter(|&at| bytes[at] == b'\n' || bytes.get(at + 1) != Some(&b'\n'))
        .count() as u64
}

/// Counts lines over bytes that arrive in pieces, cut anywhere.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct LineCounter {
    pub(crate) ended: u64,
    after_cr: bool,
}

impl LineCounter {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let Some(&last) = bytes.last() else { return };
        self.ended += ended_in(bytes);
        if self.after_cr && bytes[0] == b'\n' {
            self.ended -= 1;
        }
        self.after_cr = last == b'\r';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_terminator_is_one_line_wherever_the_bytes_are_cut() {
        let text = b"a\nb\r\nc\rd\n\n\r\r\n";
        assert_eq!(ended_in(text), 7);
        for cut in 0..=text.len() {
            let mut counter = LineCounter::default();
            counter.feed(&text[..cut]);
            counter.feed(&text[cut..]);
            assert_eq!(counter.ended, 7, "cut at {cut}");
        }
    }
}
