//! JSON strings as they stand in a text.

/// How many bytes there are before the first quote, backslash or control character, of which the last have no place in
/// a string (RFC 8259 §7); `None` where there is none of them.
///
/// Strings are short, too short for a search that has to be set up. So eight bytes are looked at at once, as a word:
/// subtracting 1 from a byte that is 0 borrows from its highest bit, and so does subtracting 0x20 from one below. A
/// borrow may go on into bytes behind one that was found, never before it, so the lowest bit tells the first.
#[inline]
pub(crate) fn plain_bytes(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let mut at = 0;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let quotes = is_zero(word ^ (ONES * b'"' as u64));
        let backslashes = is_zero(word ^ (ONES * b'\\' as u64));
        let found = (controls | quotes | backslashes) & HIGHS;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    rest.map(|found| at + found)
}

/// A string in its quotes as it stands in a text, if it needs no escape.
pub(crate) fn quoted(string: &str) -> Option<String> {
    plain_bytes(string.as_bytes()).is_none().then(|| format!("\"{string}\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::cases(8000))]

        #[test]
        fn the_first_is_found_wherever_it_stands(bytes in prop::collection::vec(prop_oneof![9 => any::<u8>().prop_map(|b| b | 0x80), 9 => 0x5du8..=0x7f, 1 => 0u8..0x24], 0..40)) {
            let wanted = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(plain_bytes(&bytes), wanted);
        }
    }
}
