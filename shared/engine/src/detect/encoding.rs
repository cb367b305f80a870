//! What encoding a text is in, decided by its first bytes: a pure function of them.
//!
//! ```text
//! byte order mark ─▶ what is asked for ─▶ zero bytes: UTF-16 ─▶ ASCII, UTF-8 ─▶ foreign words: an encoding, or doubt
//! ```
//!
//! Text in a wrong encoding is worse than none: it is stored, looks like text, and nobody is told. So what is not UTF-8
//! is read only where one encoding is far likelier than any that would read the text otherwise; else the import fails
//! before its first row, and shows what the encodings make of it. How likely one is, [`reading`] tells by the words
//! that hold foreign bytes. Two judges are asked: where those words leave a doubt, `chardetng`, which knows other
//! things of languages, must come to the same text.

mod language;
mod reading;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use penstock_model::{
    Failure,
    advice::{self, Setting},
};
use reading::{Candidate, Weighed};

use crate::lines;

/// How much likelier than any other reading the likeliest must be, as a natural logarithm: 400 times.
const SURE: f32 = 6.0;

/// The same where `chardetng` reads the text alike.
const AGREED: f32 = 4.0;

/// How much likelier than none of the known encodings the likeliest must be.
const KNOWN: f32 = 2.0;

/// How much less likely than the likeliest a reading may be to be shown.
const SHOWN: f32 = 10.0;

/// Readings that are shown, at most.
const READINGS: usize = 4;

/// Bytes of a line that are shown before and behind the word that tells the encodings apart, at most.
const SHOWN_BYTES: (usize, usize) = (24, 40);

/// Bytes before and behind one that is not UTF-8 by which it is told what it may be, at most.
const NEAR_BYTES: usize = 200;

/// The encoding of a text that begins with `sample`; `complete` says whether that is all of it.
///
/// # Errors `unknown_encoding` where what is asked for is none, or the text is in one that is not read;
/// `ambiguous_encoding` where it may be in several that read it differently.
pub(super) fn encoding(sample: &[u8], complete: bool, asked: Option<&str>) -> Result<&'static Encoding, Failure> {
    if let Some((encoding, _)) = Encoding::for_bom(sample) {
        return Ok(encoding);
    }
    if let Some(label) = asked {
        return known_encoding(label);
    }
    if let Some(encoding) = utf_16(sample, complete) {
        return Ok(encoding);
    }
    if sample.is_ascii() && switches_characters(sample) {
        let message = "the text looks like ISO-2022-JP, which is not read; save it as UTF-8";
        return Err(Failure::new("unknown_encoding", message));
    }
    if is_binary(sample) {
        return Ok(UTF_8);
    }
    let words = reading::foreign_words(sample);
    if is_utf8(sample, complete) {
        return match looks_east_asian(sample, complete, &words) {
            Some(candidate) => Err(utf_8_or(candidate, sample, &words)),
            None => Ok(UTF_8),
        };
    }
    match decide(sample, complete, &words) {
        Verdict::Sure(encoding) => Ok(encoding),
        Verdict::Unsure(candidates) => Err(ambiguous(sample, &words, &candidates)),
    }
}

/// The encoding of a label of the WHATWG Encoding Standard, in which `latin1` and `iso-8859-1` mean Windows-1252.
///
/// # Errors
/// `unknown_encoding`.
pub fn known_encoding(label: &str) -> Result<&'static Encoding, Failure> {
    let known = Encoding::for_label_no_replacement(label.trim().as_bytes())
        .filter(|encoding| *encoding == UTF_16LE || *encoding == UTF_16BE || encoding.is_ascii_compatible());
    known.ok_or_else(|| {
        let label = advice::shown(label);
        let message = format!("`{label}` is no encoding that is read; names are those of the WHATWG Encoding Standard");
        Failure::new("unknown_encoding", message)
    })
}

/// UTF-16 without a byte order mark. What a table is held together by, such as delimiters, line ends and digits, is
/// ASCII in every language: each of these characters has one zero byte, the second in little-endian order and the first
/// in big-endian order.
fn utf_16(sample: &[u8], complete: bool) -> Option<&'static Encoding> {
    let zeros = |from: usize| sample.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let (encoding, most, fewest) = if odd > even { (UTF_16LE, odd, even) } else { (UTF_16BE, even, odd) };
    if most == 0 || most * 20 < sample.len() || fewest * 8 > most {
        return None;
    }
    let units = &sample[..sample.len() & !1];
    let mut text = char::decode_utf16(units.chunks_exact(2).map(|unit| match encoding == UTF_16LE {
        true => u16::from_le_bytes([unit[0], unit[1]]),
        false => u16::from_be_bytes([unit[0], unit[1]]),
    }))
    .peekable();
    while let Some(character) = text.next() {
        match character {
            Ok('\t' | '\n' | '\r') => {}
            Ok(c) if !c.is_control() => {}
            // Cut by the sample's end.
            Err(_) if text.peek().is_none() && !complete => {}
            _ => return None,
        }
    }
    Some(encoding)
}

/// Whether an ASCII text holds the escapes by which ISO-2022-JP changes between sets of characters (RFC 1468).
fn switches_characters(text: &[u8]) -> bool {
    text.windows(3).any(|bytes| matches!(bytes, [0x1b, b'$', b'@' | b'B'] | [0x1b, b'(', b'J' | b'I']))
}

/// Whether more than one byte in a hundred is NUL: no text.
fn is_binary(sample: &[u8]) -> bool {
    sample.iter().filter(|byte| **byte == 0).count() * 100 > sample.len()
}

/// Whether bytes are UTF-8, some of them perhaps damaged: no fewer words beyond ASCII are whole than broken, and more
/// characters. Of two bytes in an East Asian encoding every fifth pair would do for a character, and hardly any word.
fn is_utf8(sample: &[u8], complete: bool) -> bool {
    let (mut whole_words, mut broken_words) = (0usize, 0usize);
    let (mut whole, mut broken) = (0usize, 0usize);
    let mut words = sample.split(|byte| !reading::may_be_of_word(*byte)).peekable();
    while let Some(word) = words.next() {
        if word.is_ascii() {
            continue;
        }
        let mut is_broken = false;
        let mut chunks = word.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            whole += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
            // A character that is cut at the end of the sample is none that is broken.
            let cut = chunks.peek().is_none() && words.peek().is_none() && !complete && chunk.invalid().len() < 4;
            is_broken |= !chunk.invalid().is_empty() && !cut;
            broken += usize::from(!chunk.invalid().is_empty() && !cut);
        }
        *if is_broken { &mut broken_words } else { &mut whole_words } += 1;
    }
    broken == 0 || whole_words >= broken_words && whole > broken
}

/// The East Asian encoding in which a text of UTF-8 holds words, where it holds none in UTF-8: `应路` in GBK is `Ӧ·`.
/// Only characters of two bytes in UTF-8 are two bytes there.
fn looks_east_asian(text: &[u8], complete: bool, words: &[&[u8]]) -> Option<&'static Candidate> {
    // Letters that stand alone, and nothing else: `小` in GBK is the Cyrillic `С`.
    let are_letters = words.iter().all(|word| reading::is_utf_8_letter(word));
    let is_utf_8 = |word: &&[u8]| reading::is_utf_8(word) || reading::is_utf_8_sign(word) || has_three_bytes(word);
    if words.is_empty() || !are_letters && words.iter().any(is_utf_8) {
        return None;
    }
    let (mut weighed, unknown) = reading::weigh(text, complete, words);
    if are_letters {
        weighed.retain(|it| !it.candidate.is_of_letters());
    }
    let first = weighed.first().filter(|first| !first.candidate.is_of_letters() && first.likely - unknown >= KNOWN)?;
    Some(first.candidate)
}

/// Whether a word is UTF-8 and holds a character of three bytes or more.
fn has_three_bytes(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|word| word.chars().any(|c| c >= '\u{800}'))
}

/// The failure of a text that is UTF-8, and more likely in an East Asian encoding.
fn utf_8_or(candidate: &Candidate, text: &[u8], words: &[&[u8]]) -> Failure {
    let word = words.first().expect("a text that looks East Asian holds a foreign word");
    let excerpt = around(text, word);
    let message = format!(
        "the encoding of the text cannot be told for certain: line {} reads {} in {}, {} in UTF-8; name the right one by the option \
         `encoding` (`--encoding {}` on the command line)",
        line_of(text, word),
        shown_text(&candidate.read(excerpt)),
        candidate.name,
        shown_text(&String::from_utf8_lossy(excerpt)),
        candidate.name,
    );
    Failure::new("ambiguous_encoding", message)
}

/// What comes of a text that is not UTF-8.
enum Verdict {
    /// It is in this encoding.
    Sure(&'static Encoding),
    /// It may be in any of these, the likeliest first, or in none.
    Unsure(Vec<&'static Candidate>),
}

fn decide(text: &[u8], complete: bool, words: &[&[u8]]) -> Verdict {
    let (weighed, unknown) = reading::weigh(text, complete, words);
    let Some(first) = weighed.first() else { return Verdict::Unsure(Vec::new()) };
    // Where a text holds signs alone, a diameter or a degree here and there, it is of the West: others have words to
    // show.
    let western = weighed.iter().find(|it| it.candidate.encoding == Some(WINDOWS_1252));
    if let Some(western) = western {
        let is_sign = |word: &&&[u8]| western.candidate.reads_as_sign(word, beside(text, word));
        let others: Vec<&[u8]> = words.iter().filter(|word| !is_sign(word)).copied().collect();
        if others.is_empty() {
            return Verdict::Sure(WINDOWS_1252);
        }
        // Letters that stand alone, and nothing else, are of many languages: `č.`, `с`, `г`.
        let mut may_be = shown(&weighed, words);
        if may_be.len() > 1
            && first.candidate.is_of_letters()
            && others.iter().all(|word| western.candidate.reads_as_one(word))
        {
            // What it would have been taken for is always shown.
            if !may_be.iter().any(|candidate| readings(candidate, words) == readings(western.candidate, words)) {
                may_be.truncate(READINGS - 1);
                may_be.push(western.candidate);
            }
            return Verdict::Unsure(may_be);
        }
    }
    let as_first = readings(first.candidate, words);
    let rival = weighed[1..].iter().find(|rival| readings(rival.candidate, words) != as_first);
    let ahead = rival.map_or(f32::MAX, |rival| first.likely - rival.likely);
    // Pairs of bytes in an East Asian encoding are UTF-8 by chance.
    let is_mixed = first.candidate.is_of_letters() && words.iter().any(|word| reading::is_utf_8(word));
    let is_known = first.likely - unknown >= KNOWN && !is_mixed;
    match first.candidate.encoding {
        Some(encoding) if is_known && ahead >= SURE => Verdict::Sure(encoding),
        Some(encoding) if is_known && ahead >= AGREED && second_opinion(text, complete, words) == as_first => {
            Verdict::Sure(encoding)
        }
        _ => Verdict::Unsure(shown(&weighed, words)),
    }
}

fn readings(candidate: &Candidate, words: &[&[u8]]) -> Vec<String> {
    words.iter().map(|word| candidate.read(word)).collect()
}

/// The words as `chardetng` would read them.
fn second_opinion(text: &[u8], complete: bool, words: &[&[u8]]) -> Vec<String> {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(text, complete);
    let guess = detector.guess(None, Utf8Detection::Deny);
    words.iter().map(|word| guess.decode_without_bom_handling(word).0.into_owned()).collect()
}

/// The candidates that read the words differently and not much less likely than the first, that one first.
fn shown(weighed: &[Weighed], words: &[&[u8]]) -> Vec<&'static Candidate> {
    let least = weighed[0].likely - SHOWN;
    let mut shown: Vec<(&'static Candidate, Vec<String>)> = Vec::new();
    for Weighed { candidate, .. } in weighed.iter().take_while(|it| it.likely >= least) {
        let read = readings(candidate, words);
        if shown.len() < READINGS && shown.iter().all(|(_, other)| *other != read) {
            shown.push((candidate, read));
        }
    }
    shown.into_iter().map(|(candidate, _)| candidate).collect()
}

/// The failure of a text whose encoding cannot be told. It shows the first word that the candidates read differently,
/// in its line.
fn ambiguous(text: &[u8], words: &[&[u8]], candidates: &[&'static Candidate]) -> Failure {
    let apart = words.iter().find(|word| candidates.iter().any(|it| it.read(word) != candidates[0].read(word)));
    let word = apart.or(words.first()).expect("a text that is not UTF-8 holds a foreign word");
    let (line, excerpt) = (line_of(text, word), around(text, word));
    let named = candidates.iter().find(|candidate| candidate.encoding.is_some()).map(|candidate| candidate.name);
    let is_of_letters = candidates.first().is_some_and(|candidate| candidate.is_of_letters());
    let mixed = words.iter().find(|word| is_of_letters && reading::is_utf_8(word));
    let message = match (mixed, named) {
        (Some(whole), _) => format!(
            "the text is in two encodings: line {} reads {} in UTF-8, and line {} is not UTF-8: {}; save it in one of them",
            line_of(text, whole),
            shown_text(&String::from_utf8_lossy(around(text, whole))),
            line_of(text, words.iter().find(|word| std::str::from_utf8(word).is_err()).unwrap_or(word)),
            as_read(excerpt, candidates),
        ),
        (None, Some(named)) => format!(
            "the text is not UTF-8, and its encoding cannot be told for certain: line {line} reads {}; name the right one, such as by {}",
            as_read(excerpt, candidates),
            Setting::Encoding.to(named),
        ),
        (None, None) => format!(
            "the text is not UTF-8, and in no encoding that is read: line {line} reads {}; save it as UTF-8, or name its encoding by {}",
            as_read(excerpt, candidates),
            Setting::Encoding,
        ),
    };
    Failure::new("ambiguous_encoding", message)
}

/// What bytes that are not UTF-8 from one of them on are in the encodings that they are likeliest in, for a message.
pub(crate) fn likely_readings(bytes: &[u8], broken: usize) -> Option<String> {
    let near = &bytes[broken.saturating_sub(NEAR_BYTES)..(broken + NEAR_BYTES).min(bytes.len())];
    let words = reading::foreign_words(near);
    let word = words.iter().find(|word| std::str::from_utf8(word).is_err())?;
    let (mut weighed, _) = reading::weigh(near, false, &words);
    weighed.retain(|it| it.candidate.encoding.is_some());
    let candidates = if weighed.is_empty() { return None } else { shown(&weighed, &words) };
    Some(as_read(around(near, word), &candidates))
}

/// The line of a text on which one of its words starts.
fn line_of(text: &[u8], word: &[u8]) -> u64 {
    lines::ended_in(&text[..offset(text, word)]) + 1
}

/// What stands in a text before and behind one of its words.
fn beside<'t>(text: &'t [u8], word: &[u8]) -> (&'t [u8], &'t [u8]) {
    let start = offset(text, word);
    (&text[..start], &text[start + word.len()..])
}

/// Where in a text one of its words starts.
fn offset(text: &[u8], word: &[u8]) -> usize {
    word.as_ptr().addr() - text.as_ptr().addr()
}

/// A word in its line, as much of it as is shown. It is cut where no character of any encoding is.
fn around<'t>(text: &'t [u8], word: &[u8]) -> &'t [u8] {
    let (before, behind) = SHOWN_BYTES;
    let start = offset(text, word);
    let end = (start + word.len() + behind).min(text.len());
    let line_end = text[start..end].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(end, |at| start + at);
    let whole_end = match text.get(line_end) {
        None | Some(b'\n' | b'\r') => line_end,
        Some(_) => text[..line_end].iter().rposition(|byte| *byte < 0x40).filter(|at| *at > start).unwrap_or(line_end),
    };
    let earliest = start.saturating_sub(before);
    let line_start = text[earliest..start]
        .iter()
        .rposition(|byte| !matches!(byte, b' '..=b'~'))
        .map_or(earliest, |at| earliest + at + 1);
    &text[line_start..whole_end]
}

/// An excerpt as the candidates read it: `"Möbel" in windows-1252, "Mцbel" in windows-1251`.
fn as_read(excerpt: &[u8], candidates: &[&'static Candidate]) -> String {
    let read = |candidate: &&'static Candidate| {
        let unread = if candidate.encoding.is_none() { ", which is not read" } else { "" };
        format!("{} in {}{unread}", shown_text(&candidate.read(excerpt)), candidate.name)
    };
    match candidates {
        [] => shown_text(&String::from_utf8_lossy(excerpt)),
        candidates => candidates.iter().map(read).collect::<Vec<_>>().join(", "),
    }
}

/// A text between quotes, with what would do something to a terminal, or to the order of characters, as an escape.
fn shown_text(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            c if c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}') => {
                c.escape_default().to_string()
            }
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests;
