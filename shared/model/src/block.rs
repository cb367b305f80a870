//! Blocks: the fates and tallies of a bounded number of chunks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::{Tally, limits::CHUNK_TRIES};

/// A block as it is stored. Its maps are keyed by a chunk's number in the file, written as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// How many chunks it has; the last block of a file may have fewer than [`crate::Chunking::per_block`].
    pub size: u32,
    /// The fate of each chunk that has one.
    #[serde(default)]
    pub fates: HashMap<String, Fate>,
    /// The tally of each chunk that has one.
    #[serde(default)]
    pub tallies: HashMap<String, Tally>,
    /// When the first of them was, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tallied_from: Option<i64>,
    /// Whether no further chunk may begin.
    #[serde(default)]
    pub closed: bool,
    /// Chunks that were dead-lettered before they began and have been sent once more.
    #[serde(default)]
    pub resent: HashMap<String, bool>,
    /// Tries of chunks that came again: each names its chunk and itself, `<chunk>:<try>`. A try that went back for a
    /// reason that passes is taken off again; one that got no further stays.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tries: BTreeSet<String>,
}

/// What was decided of a chunk, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// The decision.
    pub verdict: Verdict,
    /// The chunk's last row.
    pub last_row: u64,
}

/// The decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All its accepted rows will be applied.
    Begun,
    /// All its rows have failed: it could not be processed.
    Failed,
    /// All its rows have failed: it was begun again and again, and never got further.
    Stuck,
}

/// What a chunk finds when it asks for its fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// A verdict, not tallied yet.
    Verdict {
        /// The verdict.
        verdict: Verdict,
        /// Whether it was made before, so that some of what follows may have been done.
        before: bool,
    },
    /// The chunk has been tallied; what follows a tally may still be missing.
    Tallied(Box<Block>),
    /// The import is to end early, or is gone: nothing is to be done with the chunk.
    Closed,
}

impl Block {
    /// The fate of a chunk, if one has been decided.
    pub fn fate(&self, chunk: u32) -> Option<Fate> {
        self.fates.get(&chunk.to_string()).copied()
    }

    /// Whether a chunk is tallied.
    pub fn is_tallied(&self, chunk: u32) -> bool {
        self.tallies.contains_key(&chunk.to_string())
    }

    /// Whether a chunk was dead-lettered before it began, and has been sent once more.
    pub fn was_resent(&self, chunk: u32) -> bool {
        self.resent.contains_key(&chunk.to_string())
    }

    /// How many tries of a chunk have begun and got no further, as far as is known.
    pub fn tries(&self, chunk: u32) -> usize {
        let of_chunk = |entry: &&String| entry.split_once(':').is_some_and(|(index, _)| index == chunk.to_string());
        self.tries.iter().filter(of_chunk).count()
    }

    /// Whether a chunk with this many tries, the one that begins among them, is given up.
    pub fn is_stuck(tries: usize) -> bool {
        tries > CHUNK_TRIES
    }

    /// What a chunk finds here that comes second, since it has a fate already or the block is closed.
    pub fn begin(self, chunk: u32) -> Begin {
        if self.is_tallied(chunk) {
            return Begin::Tallied(Box::new(self));
        }
        match self.fate(chunk) {
            Some(Fate { verdict, .. }) => Begin::Verdict { verdict, before: true },
            None => Begin::Closed,
        }
    }

    /// The sum of its tallies.
    pub fn sum(&self) -> Tally {
        self.tallies.values().fold(Tally::default(), |mut sum, tally| {
            sum += *tally;
            sum
        })
    }

    /// Its tallies in the order of the file.
    pub fn tallies_in_order(&self) -> BTreeMap<u32, Tally> {
        self.tallies.iter().filter_map(|(chunk, tally)| Some((chunk.parse().ok()?, *tally))).collect()
    }

    /// Whether every chunk that it has is tallied.
    pub fn is_full(&self) -> bool {
        self.tallies.len() as u32 == self.size
    }

    /// Whether every chunk with a fate is tallied: all that a closed block will ever hold.
    pub fn is_at_rest(&self) -> bool {
        self.fates.keys().all(|chunk| self.tallies.contains_key(chunk))
    }

    /// The last row of the last chunk with a fate; 0 without one.
    pub fn last_row(&self) -> u64 {
        self.fates.values().map(|fate| fate.last_row).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_for_each_chunk_and_a_repeat_of_one_is_one() {
        let mut block = Block::default();
        for entry in ["1:a", "1:b", "1:b", "11:a"] {
            block.tries.insert(entry.to_owned());
        }
        assert_eq!([0, 1, 11].map(|chunk| block.tries(chunk)), [0, 2, 1]);
        assert!(!Block::is_stuck(CHUNK_TRIES) && Block::is_stuck(CHUNK_TRIES + 1));
    }
}
