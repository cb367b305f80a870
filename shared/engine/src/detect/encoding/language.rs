//! Languages, as far as their words tell an encoding: which letter follows which.
//!
//! A language's model is made of the words in `languages.txt`, some two hundred common and commercial ones, when a text
//! is met that is not UTF-8. It says how likely a letter is behind another one; pairs that none of the words has are as
//! likely as a vowel, a consonant or a word's start makes them. So `größe` is a likely word of German, and `grцЯe` or
//! `gräře` of no language.

use std::{collections::HashMap, sync::LazyLock};

/// Words of each language, a line each behind its code.
const WORDS: &str = include_str!("languages.txt");

/// The edge of a word.
pub(super) const EDGE: u8 = 0;

/// A letter that the language does not use.
pub(super) const STRANGE: u8 = 1;

/// How likely a letter is one that its neighbour has nothing to do with.
const ANYTHING: f32 = 0.02;

/// A language written in letters.
pub(super) struct Language {
    /// Its code.
    pub(super) code: &'static str,
    /// Whether its letters are Latin.
    pub(super) is_latin: bool,
    letters: Vec<char>,
    /// The probability of each letter.
    alone: Vec<f32>,
    /// For each letter, the logarithm of the probability of each letter behind it.
    behind: Vec<f32>,
}

impl Language {
    fn of(code: &'static str, words: &str) -> Self {
        let mut letters: Vec<char> = words.chars().filter(|c| c.is_alphabetic() || is_mark(*c)).collect();
        let is_latin = letters.iter().filter(|c| c.is_ascii()).count() * 2 > letters.len();
        letters.extend(is_latin.then_some('a'..='z').into_iter().flatten());
        letters.sort_unstable();
        letters.dedup();
        let count = letters.len() + 2;
        let mut language = Self { code, is_latin, letters, alone: Vec::new(), behind: vec![0.0; count * count] };
        let mut pairs = vec![0.0f32; count * count];
        for word in words.split([' ', '\'', '·']).filter(|word| !word.is_empty()) {
            let mut before = EDGE;
            for letter in word.chars().map(|c| language.letter(c)).chain([EDGE]) {
                pairs[usize::from(before) * count + usize::from(letter)] += 1.0;
                before = letter;
            }
        }
        language.weigh(&pairs, count);
        language
    }

    /// Pairs are smoothed as Witten and Bell do: what has not been seen is as likely as something new was so far.
    fn weigh(&mut self, pairs: &[f32], count: usize) {
        let classes: Vec<usize> = (0..count).map(|letter| self.class(letter)).collect();
        let (mut single, mut of_class) = (vec![0.0f32; count], vec![0.0f32; 3 * count]);
        for (at, pair) in pairs.iter().enumerate() {
            single[at % count] += pair;
            of_class[classes[at / count] * count + at % count] += pair;
        }
        let single = smoothed(&single, &vec![1.0 / count as f32; count]);
        self.alone = single.clone();
        let of_class: Vec<Vec<f32>> = of_class.chunks(count).map(|row| smoothed(row, &single)).collect();
        for (letter, row) in pairs.chunks(count).enumerate() {
            let likely = smoothed(row, &of_class[classes[letter]]);
            let logarithms = likely.iter().map(|likely| (likely * (1.0 - ANYTHING) + ANYTHING / count as f32).ln());
            self.behind[letter * count..][..count].iter_mut().zip(logarithms).for_each(|(to, likely)| *to = likely);
        }
    }

    /// A vowel, a consonant, or what is neither.
    fn class(&self, letter: usize) -> usize {
        const VOWELS: &str = "aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýÿœāąăēĕėęěīįıōőūůűųőаеёиоуыэюяіїєαεηιουωάέήίόύώ";
        match letter.checked_sub(2) {
            None => 0,
            Some(letter) if VOWELS.contains(self.letters[letter]) => 1,
            Some(_) => 2,
        }
    }

    /// The letter that a character is, in lower case.
    pub(super) fn letter(&self, lower: char) -> u8 {
        self.letters.binary_search(&lower).map_or(STRANGE, |at| at as u8 + 2)
    }

    /// The probability of a letter, wherever it stands.
    pub(super) fn alone(&self, letter: u8) -> f32 {
        self.alone[usize::from(letter)]
    }

    /// The logarithm of the probability of a letter behind another one.
    #[inline]
    pub(super) fn behind(&self, before: u8, letter: u8) -> f32 {
        self.behind[usize::from(before) * (self.letters.len() + 2) + usize::from(letter)]
    }
}

/// How likely each of some things is, by how often they were seen, and by how likely they are `otherwise`.
fn smoothed(seen: &[f32], otherwise: &[f32]) -> Vec<f32> {
    let all: f32 = seen.iter().sum();
    let kinds = seen.iter().filter(|seen| **seen > 0.0).count().max(1) as f32;
    seen.iter().zip(otherwise).map(|(seen, otherwise)| (seen + kinds * otherwise) / (all + kinds)).collect()
}

/// Marks that belong to the letters that they stand on: Thai vowels and tones.
pub(super) fn is_mark(c: char) -> bool {
    ('\u{e31}'..='\u{e3a}').contains(&c) || ('\u{e47}'..='\u{e4e}').contains(&c)
}

/// The characters of an East Asian language, each with the logarithm of its probability.
pub(super) type Characters = HashMap<char, f32>;

/// What is known of all languages.
pub(super) struct Languages {
    lettered: Vec<Language>,
    east_asian: Vec<(&'static str, Characters)>,
}

/// Languages that are not written in letters.
const EAST_ASIAN: [&str; 4] = ["zh", "zht", "ja", "ko"];

static LANGUAGES: LazyLock<Languages> = LazyLock::new(|| {
    let mut languages = Languages { lettered: Vec::new(), east_asian: Vec::new() };
    for (code, words) in WORDS.lines().filter_map(|line| line.split_once(' ')) {
        if EAST_ASIAN.contains(&code) {
            languages.east_asian.push((code, characters(words)));
        } else {
            languages.lettered.push(Language::of(code, words));
        }
    }
    languages
});

fn characters(text: &str) -> Characters {
    let mut counts = Characters::new();
    for c in text.chars().filter(|c| !c.is_ascii()) {
        *counts.entry(c).or_default() += 1.0;
    }
    let all: f32 = counts.values().map(|count| count + 1.0).sum();
    counts.values_mut().for_each(|count| *count = (0.8 * (*count + 1.0) / all).ln());
    counts
}

/// The languages of these codes that are written in letters.
pub(super) fn lettered(codes: &str) -> Vec<&'static Language> {
    LANGUAGES.lettered.iter().filter(|language| codes.split(' ').any(|code| code == language.code)).collect()
}

/// The characters of a language that is not.
pub(super) fn characters_of(code: &str) -> &'static Characters {
    let found = LANGUAGES.east_asian.iter().find(|(of, _)| *of == code);
    &found.expect("every East Asian language has a line").1
}
