//! How likely a reading of a text's foreign words is.
//!
//! A foreign word is one that holds a byte beyond ASCII. Each encoding reads it in its own way, and of each reading it
//! can be said how likely such a word is: by the letters of the languages that are written in that encoding, by the
//! characters that an East Asian language uses most, by signs that stand where they are met. Sums are natural
//! logarithms of probabilities. All else of a text, its ASCII words, its markup and its numbers, is the same in every
//! encoding and tells nothing.

use std::{borrow::Cow, collections::HashSet, sync::LazyLock};

use encoding_rs::{DecoderResult, Encoding};

use super::language::{self, Characters, EDGE, Language};

/// Distinct foreign words that are weighed, at most: by then it is clear.
const WORDS: usize = 1000;

/// Bytes of a word that are weighed, at most.
const WORD_BYTES: usize = 96;

/// An ASCII letter where any is as likely as another: one of 26.
const ANY_LATIN: f32 = -3.26;

/// The rarest of letters.
const ANY_LETTER: f32 = -8.0;

/// A byte beyond ASCII of which nothing is known.
const ANY_BYTE: f32 = -4.85;

/// That a word is a name, or of a language that nothing is known of.
const NAME: f32 = -3.5;

/// That a word follows the language of most words of its file.
const MOST: f32 = 0.7;

/// A letter behind one of another script, without anything between them.
const OTHER_SCRIPT: f32 = -5.0;

/// A capital behind a small letter.
const CAPITAL_INSIDE: f32 = -4.0;

/// That a file is in none of the encodings that are known, against one in Windows-1252.
const UNKNOWN: f32 = -7.0;

/// Whether a byte may be a letter, or part of a character, in any encoding.
pub(super) fn may_be_of_word(byte: u8) -> bool {
    matches!(byte, 0x40..=0x7e | 0x80..)
}

/// The words of a text that hold foreign bytes, each once, in the order in which they come. A word is what stands
/// between bytes that [cannot be of one](may_be_of_word).
pub(super) fn foreign_words(text: &[u8]) -> Vec<&[u8]> {
    let mut seen = HashSet::new();
    let foreign = text.split(|byte| !may_be_of_word(*byte)).filter(|word| !word.is_ascii());
    foreign.map(bounded).filter(|word| seen.insert(*word)).take(WORDS).collect()
}

/// What is weighed of a word: a part with its first foreign byte.
fn bounded(word: &[u8]) -> &[u8] {
    let first = word.iter().position(|byte| !byte.is_ascii()).unwrap_or_default();
    let start = first.saturating_sub(WORD_BYTES / 3);
    &word[start..word.len().min(start + WORD_BYTES)]
}

/// Whether a word is UTF-8 of letters as they are met, whatever else it may be: `Ã¼` in Windows-1252 is no word.
pub(super) fn is_utf_8(word: &[u8]) -> bool {
    let letters = |text: &str| {
        text.chars()
            .filter(|c| !c.is_ascii())
            .all(|c| matches!(c, 'À'..='ſ' | 'Ά'..='ώ' | 'Ѐ'..='џ' | 'א'..='ת' | 'ء'..='ي') && c.is_alphabetic())
    };
    std::str::from_utf8(word).is_ok_and(letters)
}

/// Whether a word is UTF-8 of one letter and nothing else, which may as well be one character of two bytes elsewhere.
/// Those of Western languages are none: `è`, `å` and `ó` are words, `Ø` is a sign, `Ö` a size.
pub(super) fn is_utf_8_letter(word: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(word) else { return false };
    let text = text.trim_matches('|');
    let mut letters = text.chars();
    let is_one = matches!((letters.next(), letters.next()), (Some('\u{100}'..='\u{7ff}'), None));
    is_one && is_utf_8(word)
}

/// Whether a word is UTF-8 with signs alone beyond ASCII, such as `½` and `20°C`.
pub(super) fn is_utf_8_sign(word: &[u8]) -> bool {
    let signs = |text: &str| text.chars().filter(|c| !c.is_ascii()).all(|c| matches!(c, '\u{a0}'..='¿' | '×' | '÷'));
    std::str::from_utf8(word).is_ok_and(signs)
}

/// An encoding that a text may be in.
pub(super) struct Candidate {
    /// Its name.
    pub(super) name: &'static str,
    /// What decodes it; `None` for one that is recognised and not read.
    pub(super) encoding: Option<&'static Encoding>,
    /// How likely a file is in it, against one in Windows-1252.
    prior: f32,
    script: Script,
}

enum Script {
    Letters(Box<Letters>),
    /// Characters of two bytes, mostly; the `bool` tells whether both are always beyond ASCII.
    EastAsian(&'static Characters, bool),
}

/// Characters of one byte, each of which is a letter, a sign, or nothing.
struct Letters {
    bytes: [Kind; 256],
    /// How likely each letter is in a name, which may be of any of the languages or of none.
    in_names: [f32; 256],
    /// The languages that are written in it, and which of their letters each byte is.
    languages: Vec<(&'static Language, [u8; 256])>,
}

#[derive(Clone, Copy)]
enum Kind {
    /// What stands between words in every encoding.
    Gap,
    Letter {
        character: char,
        is_upper: bool,
    },
    Sign(char),
    Undefined,
}

/// Encodings of one byte a character: how likely a file is in them, and the languages that are written in them.
const LETTERS: [(&str, f32, &str); 19] = [
    ("windows-1252", 0.0, "ca da de en es et fi fr is it nb nl pt sv"),
    ("ISO-8859-15", -3.0, "ca da de en es et fi fr it nb nl pt sv"),
    ("macintosh", -4.5, "ca da de en es fi fr it nb nl pt sv"),
    ("windows-1250", -1.5, "cs de en hu pl ro sh sk sl"),
    ("ISO-8859-2", -3.5, "cs de hu pl ro sh sk sl"),
    ("windows-1254", -2.0, "de en tr"),
    ("windows-1257", -2.5, "de en et lt lv"),
    ("ISO-8859-4", -8.0, "lt lv"),
    ("windows-1251", -1.0, "bg mk ru uk"),
    ("KOI8-U", -4.0, "ru uk"),
    ("IBM866", -4.0, "ru"),
    ("ISO-8859-5", -4.5, "bg ru"),
    ("x-mac-cyrillic", -5.0, "ru"),
    ("windows-1253", -2.0, "el"),
    ("ISO-8859-7", -3.0, "el"),
    ("windows-1255", -2.0, "he"),
    ("windows-1256", -2.0, "ar fa"),
    ("ISO-8859-6", -4.0, "ar"),
    ("windows-874", -2.5, "th"),
];

/// Encodings of East Asian languages.
const EAST_ASIAN: [(&str, f32, &str, bool); 5] = [
    ("GBK", -1.5, "zh", true),
    ("Shift_JIS", -1.5, "ja", false),
    ("EUC-KR", -1.5, "ko", true),
    ("Big5", -2.0, "zht", false),
    ("EUC-JP", -4.0, "ja", false),
];

/// Code pages of DOS, which are met and not read: the Encoding Standard knows none of them.
const UNREAD: [(&str, f32, &str, &str); 2] = [
    (
        "IBM850",
        -3.5,
        "ca da de en es fi fr it nb nl pt sv",
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
    ),
    (
        "IBM852",
        -4.0,
        "cs de hu pl sh sk sl",
        "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×čáíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐└┴┬├─┼Ăă╚╔╩╦╠═╬¤đĐĎËďŇÍÎě┘┌█▄ŢŮ▀ÓßÔŃńňŠšŔÚŕŰýÝţ´\u{ad}˝˛ˇ˘§÷¸°¨˙űŘř■\u{a0}",
    ),
];

static CANDIDATES: LazyLock<Vec<Candidate>> = LazyLock::new(|| {
    let known = |name: &str| Encoding::for_label(name.as_bytes()).expect("a name of the Encoding Standard");
    let letters = LETTERS.into_iter().map(|(name, prior, languages)| {
        let encoding = known(name);
        let character = |at: u8| decoded(encoding, &[at + 0x80])?.chars().next().filter(|c| !c.is_control());
        let characters: Vec<Option<char>> = (0..128).map(character).collect();
        let script = Script::Letters(Box::new(Letters::new(&characters, languages)));
        Candidate { name, encoding: Some(encoding), prior, script }
    });
    let east_asian = EAST_ASIAN.into_iter().map(|(name, prior, language, is_euc)| {
        let script = Script::EastAsian(language::characters_of(language), is_euc);
        Candidate { name, encoding: Some(known(name)), prior, script }
    });
    let unread = UNREAD.into_iter().map(|(name, prior, languages, characters)| {
        let characters: Vec<Option<char>> = characters.chars().map(Some).collect();
        let script = Script::Letters(Box::new(Letters::new(&characters, languages)));
        Candidate { name, encoding: None, prior, script }
    });
    letters.chain(east_asian).chain(unread).collect()
});

/// Bytes in an encoding, if they are.
fn decoded<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
    encoding.decode_without_bom_handling_and_without_replacement(bytes)
}

/// A candidate, with how likely it is that a text is in it.
#[derive(Clone, Copy)]
pub(super) struct Weighed {
    pub(super) candidate: &'static Candidate,
    pub(super) likely: f32,
}

/// Every encoding that a text can be in, the likeliest first, and how likely it is that it is in none. An encoding that
/// leaves a byte of the text undefined is none that it can be in.
pub(super) fn weigh(text: &[u8], complete: bool, words: &[&[u8]]) -> (Vec<Weighed>, f32) {
    let mut holds = [false; 256];
    text.iter().for_each(|byte| holds[usize::from(*byte)] = true);
    let possible = CANDIDATES.iter().filter(|candidate| candidate.can_read(text, complete, &holds));
    let weigh =
        |candidate: &'static Candidate| Weighed { candidate, likely: candidate.prior + candidate.likely(words) };
    let mut weighed: Vec<Weighed> = possible.map(weigh).collect();
    weighed.sort_by(|a, b| b.likely.total_cmp(&a.likely));
    let unknown = words.iter().map(|word| any(word)).sum::<f32>() + UNKNOWN;
    (weighed, unknown)
}

/// A word of which nothing is known.
fn any(word: &[u8]) -> f32 {
    let byte = |byte: &u8| match byte {
        0x80.. => ANY_BYTE,
        byte if byte.is_ascii_alphabetic() => ANY_LATIN,
        _ => 0.0,
    };
    word.iter().map(byte).sum()
}

impl Candidate {
    fn can_read(&self, text: &[u8], complete: bool, holds: &[bool; 256]) -> bool {
        match (&self.script, self.encoding) {
            (Script::EastAsian(..), Some(encoding)) => decodes(encoding, text, complete),
            (Script::Letters(letters), _) => {
                letters.bytes.iter().zip(holds).all(|(kind, holds)| !holds || !matches!(kind, Kind::Undefined))
            }
            (Script::EastAsian(..), None) => false,
        }
    }

    /// Whether it is for a language that is written in letters, with one byte for each.
    pub(super) fn is_of_letters(&self) -> bool {
        matches!(self.script, Script::Letters(_))
    }

    /// What it makes of a word.
    pub(super) fn read(&self, word: &[u8]) -> String {
        match &self.script {
            Script::Letters(letters) => word.iter().map(|byte| letters.character(*byte)).collect(),
            Script::EastAsian(..) => {
                let encoding = self.encoding.expect("East Asian encodings are read");
                encoding.decode_without_bom_handling(word).0.into_owned()
            }
        }
    }

    /// Whether a word is no word, but one character that a text in English may hold: a sign, alone or beside a unit, or
    /// a letter that is one, such as that of a diameter. `around` is what stands before and behind the word: some signs
    /// are only likely beside a digit.
    pub(super) fn reads_as_sign(&self, word: &[u8], around: (&[u8], &[u8])) -> bool {
        let is_behind_digit = || around.0.last().is_some_and(u8::is_ascii_digit);
        let is_before_digit = || matches!(around.1, [b'0'..=b'9', ..] | [b' ', b'0'..=b'9', ..]);
        let read = self.read(word);
        let read = read.trim_matches('|');
        let Some(at) = read.find(|c: char| !c.is_ascii()) else { return false };
        let Some(sign) = read[at..].chars().next() else { return false };
        let (before, behind) = (&read[..at], &read[at + sign.len_utf8()..]);
        let is_unit = |unit: &str| unit.len() <= 2 && unit.bytes().all(|byte| byte.is_ascii_alphabetic());
        match sign {
            '°' => {
                before.is_empty() && matches!(behind, "" | "C" | "F" | "c")
                    || matches!(before, "N" | "n") && behind.is_empty()
            }
            // Alone they are the letters of a Pole, a Ukrainian, a Russian.
            '²' | '³' => {
                behind.is_empty()
                    && (matches!(before, "m" | "cm" | "dm" | "mm" | "km") || before.is_empty() && is_behind_digit())
            }
            '£' => before.is_empty() && behind.is_empty() && is_before_digit(),
            'º' => before.is_empty() && behind.is_empty() && is_behind_digit(),
            'µ' => before.is_empty() && is_unit(behind),
            _ => before.is_empty() && behind.is_empty() && "±·½¼¾×§©®™€•–—…’‘“”«»¿¡\u{a0}øØéàäöüÄÖÜ".contains(sign),
        }
    }

    /// Whether a word is one character and nothing else: it tells too little of a language.
    pub(super) fn reads_as_one(&self, word: &[u8]) -> bool {
        let read = self.read(word);
        let mut characters = read.chars().filter(|c| !matches!(c, '|'));
        matches!((characters.next(), characters.next()), (Some(c), None) if !c.is_ascii())
    }

    fn likely(&self, words: &[&[u8]]) -> f32 {
        match &self.script {
            Script::EastAsian(characters, is_euc) => {
                let rare = |word| if *is_euc { rare_pairs(word) } else { 0.0 };
                words.iter().map(|word| east_asian(&self.read(word), characters) + rare(word)).sum()
            }
            Script::Letters(letters) => letters.likely(words),
        }
    }
}

fn decodes(encoding: &'static Encoding, text: &[u8], complete: bool) -> bool {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let (mut from, mut piece) = (0, vec![0u16; 16 * 1024]);
    loop {
        let (result, read, written) = decoder.decode_to_utf16_without_replacement(&text[from..], &mut piece, complete);
        // Characters for private use are what an encoding leaves undefined.
        if piece[..written].iter().any(|unit| (0xe000..=0xf8ff).contains(unit)) {
            return false;
        }
        from += read;
        match result {
            DecoderResult::InputEmpty => return true,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => return false,
        }
    }
}

/// The word of an East Asian language.
fn east_asian(word: &str, characters: &Characters) -> f32 {
    let (has_kana, has_hangul) = (characters.contains_key(&'の'), characters.contains_key(&'이'));
    let mut sum = 0.0;
    let mut before = None;
    for c in word.chars() {
        sum += match c {
            c if c.is_ascii_alphabetic() => ANY_LATIN,
            c if c.is_ascii() => 0.0,
            c if characters.contains_key(&c) => characters[&c],
            '\u{3000}'..='\u{3011}' | '\u{ff01}'..='\u{ff5e}' | '・' | '’' | '“' | '”' | '‘' | '…' | '×' | '℃' => {
                -5.5
            }
            '\u{3041}'..='\u{30fe}' if has_kana => -6.5,
            '\u{ff61}'..='\u{ff9f}' if has_kana => -5.5,
            '\u{4e00}'..='\u{9fff}' if !has_hangul => -11.0,
            '\u{ac00}'..='\u{d7a3}' => -10.0,
            _ => -12.0,
        };
        sum += match before.replace(c) {
            Some(before) if c.is_ascii() != before.is_ascii() => beside(if c.is_ascii() { c } else { before }),
            _ => 0.0,
        };
    }
    sum
}

/// An ASCII character beside one of an East Asian language: `LED` may be, `led` hardly is.
fn beside(ascii: char) -> f32 {
    match ascii {
        'a'..='z' => -5.0,
        'A'..='Z' => -1.5,
        _ => 0.0,
    }
}

/// Pairs of a word that are not of the 94 by 94 that a national standard has and an encoding of the EUC family is for.
fn rare_pairs(word: &[u8]) -> f32 {
    let (mut at, mut rare) = (0, 0);
    while let Some(pair) = word.get(at..at + 2) {
        let is_pair = !pair[0].is_ascii();
        rare += u32::from(is_pair && !(pair[0] >= 0xa1 && pair[1] >= 0xa1));
        at += 1 + usize::from(is_pair);
    }
    -4.0 * rare as f32
}

impl Letters {
    /// Of the characters of the bytes from 0x80 on.
    fn new(characters: &[Option<char>], languages: &str) -> Self {
        let languages = language::lettered(languages);
        let is_latin = languages.iter().all(|language| language.is_latin);
        let bytes = std::array::from_fn(|byte| match byte.checked_sub(0x80) {
            None if (byte as u8).is_ascii_alphabetic() => {
                Kind::Letter { character: char::from(byte as u8), is_upper: (byte as u8).is_ascii_uppercase() }
            }
            None => Kind::Gap,
            Some(at) => match characters[at] {
                None => Kind::Undefined,
                Some(c) if !is_sign(c, is_latin) => Kind::Letter { character: c, is_upper: c.is_uppercase() },
                Some(c) => Kind::Sign(c),
            },
        });
        let letter = |language: &Language, kind: Kind| match kind {
            Kind::Letter { character, .. } => language.letter(lower(character)),
            _ => EDGE,
        };
        let languages: Vec<_> = languages.into_iter().map(|it| (it, bytes.map(|kind| letter(it, kind)))).collect();
        let in_names = std::array::from_fn(|byte| {
            let alone = languages.iter().map(|(language, letters)| language.alone(letters[byte])).sum::<f32>();
            if byte < 0x80 && !is_latin { ANY_LATIN } else { (alone / languages.len() as f32).ln().max(ANY_LETTER) }
        });
        Self { bytes, in_names, languages }
    }

    fn character(&self, byte: u8) -> char {
        match self.bytes[usize::from(byte)] {
            Kind::Letter { character, .. } => character,
            Kind::Sign(sign) => sign,
            Kind::Gap => char::from(byte),
            Kind::Undefined => char::REPLACEMENT_CHARACTER,
        }
    }

    /// Most words are of one language, which may be any of those that are written in the encoding; each other word may
    /// be of any of them.
    fn likely(&self, words: &[&[u8]]) -> f32 {
        let each = self.languages.len() as f32;
        let by_word: Vec<Vec<f32>> = words
            .iter()
            .map(|word| self.languages.iter().map(|(language, letters)| self.word(word, language, letters)).collect())
            .collect();
        let of_most = |most: usize| {
            let word = |likely: &Vec<f32>| {
                let greatest = likely.iter().copied().fold(f32::MIN, f32::max);
                let any: f32 = likely.iter().map(|likely| (likely - greatest).exp()).sum();
                greatest + (MOST * (likely[most] - greatest).exp() + (1.0 - MOST) * any / each).ln()
            };
            by_word.iter().map(word).sum::<f32>()
        };
        (0..self.languages.len()).map(of_most).fold(f32::MIN, f32::max)
    }

    /// A word in one language.
    fn word(&self, word: &[u8], language: &Language, letters: &[u8; 256]) -> f32 {
        let mut sum = 0.0;
        let mut run = Run::default();
        for (at, byte) in word.iter().enumerate() {
            match self.bytes[usize::from(*byte)] {
                Kind::Letter { character, is_upper } => {
                    run.push(
                        language,
                        letters[usize::from(*byte)],
                        character,
                        is_upper,
                        self.in_names[usize::from(*byte)],
                    );
                }
                Kind::Sign(sign) => {
                    let behind = run.letters;
                    sum += std::mem::take(&mut run).end(language) + self.sign(sign, behind, word, at);
                }
                Kind::Gap | Kind::Undefined => sum += std::mem::take(&mut run).end(language),
            }
        }
        sum + run.end(language)
    }

    /// A sign of a word, with so many letters before it.
    fn sign(&self, sign: char, letters: usize, word: &[u8], at: usize) -> f32 {
        let next = word.get(at + 1).map(|byte| (self.bytes[usize::from(*byte)], *byte));
        let opens = matches!(next, Some((Kind::Letter { .. }, _)));
        let fits = match (letters > 0, opens) {
            // `l’eau`, `isn’t`.
            (true, true) if sign == '’' => letters <= 2 || word.len() - at <= 3,
            (true, true) => matches!(sign, '·' | '´' | '\u{ad}'),
            // Degrees of Celsius and the like; a sign of a unit.
            (false, true) if sign == '°' => matches!(next, Some((_, b'C' | b'F' | b'K' | b'c'))),
            // Rock ’n’ Roll
            (false, true) if sign == '’' => word.len() - at <= 2,
            (false, true) => "\u{a0}“„µ©«‘·¿¡§№".contains(sign),
            // Of a short unit, such as m² and N°.
            (true, false) if "°²³ºª".contains(sign) => letters <= 2,
            // „quoted“
            (true, false) if sign == '“' => word[..at].iter().any(|byte| self.character(*byte) == '„'),
            (true, false) => "®™’\u{a0}”…»·".contains(sign),
            (false, false) => true,
        };
        let beside = match next {
            Some((Kind::Sign(_), _)) => -2.0,
            _ if fits => 0.0,
            _ if sign == '\u{a0}' => -4.0,
            _ if letters > 0 && opens => -6.0,
            _ => -4.0,
        };
        // m² and m³
        let unit = letters > 0 && letters <= 2 && word[at - 1] == b'm' && "²³".contains(sign);
        if unit { -2.5 } else { likely_sign(sign) + beside }
    }
}

/// Letters without anything between them.
#[derive(Default)]
struct Run {
    letters: usize,
    last: u8,
    first: Option<char>,
    was_latin: bool,
    was_lower: bool,
    /// As a word of the language.
    as_word: f32,
    /// As a name.
    as_name: f32,
    /// What speaks against it, whatever it is.
    faults: f32,
}

impl Run {
    #[inline]
    fn push(&mut self, language: &Language, letter: u8, character: char, is_upper: bool, in_name: f32) {
        let is_latin = character < '\u{250}';
        if self.letters > 0 && !language.is_latin && self.was_latin != is_latin {
            self.faults += OTHER_SCRIPT;
        }
        if is_upper && self.was_lower {
            self.faults += CAPITAL_INSIDE;
        }
        if !language.is_latin && is_latin {
            self.as_word += ANY_LATIN;
            self.last = EDGE;
        } else {
            self.as_word += language.behind(self.last, letter);
            self.last = letter;
        }
        self.as_name += in_name;
        self.first.get_or_insert(character);
        self.letters += 1;
        self.was_latin = is_latin;
        self.was_lower = !is_upper;
    }

    fn end(self, language: &Language) -> f32 {
        match (self.letters, self.first) {
            (0, _) => 0.0,
            // The sign of a diameter.
            (1, Some('ø' | 'Ø')) => -4.0,
            _ => {
                let (word, name) = (self.as_word + language.behind(self.last, EDGE), self.as_name + NAME);
                self.faults + word.max(name) + (-(word - name).abs()).exp().ln_1p()
            }
        }
    }
}

fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}

/// Characters that stand for themselves. Some that Unicode takes for letters are, and so are all beyond Latin where
/// languages are Latin.
fn is_sign(c: char, is_latin: bool) -> bool {
    let is_letter = c.is_alphabetic() || language::is_mark(c);
    !is_letter || matches!(c, 'µ' | 'º' | 'ª' | 'ƒ' | 'ˆ') || is_latin && c >= '\u{250}'
}

/// A sign where it fits.
fn likely_sign(sign: char) -> f32 {
    match sign {
        '°' | '®' | '™' | '’' | '–' | '\u{a0}' | '€' => -3.0,
        '“' | '”' | '„' | '…' | '•' | '²' | '³' | 'µ' | '×' | '±' | '½' | '£' | '©' => -4.0,
        '«' | '»' | '—' | '¼' | '¾' | 'º' | '·' | '¿' | '¡' => -4.5,
        '´' | '‘' | '§' | 'ª' | '\u{ad}' | '¥' | '‰' | '№' | '‚' => -5.0,
        _ => -8.0,
    }
}
