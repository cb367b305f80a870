//! Which records a file names: all that a replace keeps.
//!
//! Every row whose key can be read names its record: one that is accepted, one that is rejected for another cell, one
//! that is too long to be carried. A blank row, the header again and a line of dashes name nothing. A row whose key
//! cannot be read may name any record, so a file that holds one says of no record that it is not named.
//!
//! The file is read as the splitter cuts it and as validators read rows, by the same code and the same pinned layout:
//! whatever they accept is named here.

use std::{collections::HashSet, ops::ControlFlow, ops::RangeInclusive};

use penstock_model::{Failure, Job, limits};

pub use crate::rows::Unreadable;
use crate::{
    key,
    kind::Kind,
    plan::{ChunkPlan, Plan},
    rows::{self, Records},
    split::{Piece, SplitError, SplitOptions, Splitter},
};

/// The keys that a file names in a range of shards: of each 128 bits of its SHA-256. Two keys that agree in them, which
/// nobody has met, are taken for one, and the record that is not named stays.
#[derive(Debug)]
pub struct NamedKeys {
    shards: RangeInclusive<u8>,
    most: usize,
    keys: HashSet<u128>,
}

/// There are more keys than are held at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file names more than {most} records in the shards that were looked at")]
pub struct Full {
    /// How many are held, at most.
    pub most: usize,
}

/// The two halves of a range of shards; `None` for a single shard.
///
/// A file of which [`NamedKeys`] of a range are full is read again for each half. A single shard, which is one of 256
/// by a hash, is full for no file of keys that were not sought for it.
pub fn halves(shards: &RangeInclusive<u8>) -> Option<[RangeInclusive<u8>; 2]> {
    let (first, last) = (*shards.start(), *shards.end());
    let middle = first + last.checked_sub(first).filter(|more| *more > 0)? / 2;
    Some([first..=middle, middle + 1..=last])
}

impl NamedKeys {
    /// An empty set for keys of these shards, of which it holds `most`: [`limits::NAMED_KEYS`] in a function of 1,024
    /// MB.
    pub fn of(shards: RangeInclusive<u8>, most: usize) -> Self {
        Self { shards, most, keys: HashSet::new() }
    }

    /// The shards whose keys are held.
    pub fn shards(&self) -> &RangeInclusive<u8> {
        &self.shards
    }

    /// Adds a canonical key, unless it is of another shard. A repeat changes nothing.
    ///
    /// # Errors
    /// [`Full`], where there is no room for one more key.
    pub fn add(&mut self, canonical: &str) -> Result<(), Full> {
        let Some(key) = self.held(canonical) else { return Ok(()) };
        if self.keys.len() < self.most {
            self.keys.insert(key);
        } else if !self.keys.contains(&key) {
            return Err(Full { most: self.most });
        }
        Ok(())
    }

    /// Whether a canonical key is named. One of another shard counts as named: nothing is known of it.
    pub fn contains(&self, canonical: &str) -> bool {
        self.held(canonical).is_none_or(|key| self.keys.contains(&key))
    }

    /// How many keys are held.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What is held of a key; `None` for one of another shard.
    fn held(&self, canonical: &str) -> Option<u128> {
        let hash = key::hash(&key::tidy(canonical));
        let bits = hash[1..17].try_into().expect("16 bytes");
        self.shards.contains(&hash[0]).then_some(u128::from_be_bytes(bits))
    }
}

/// Why the names of a file are not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// They are too many to be held at once: the file is to be read again, for fewer shards.
    #[error(transparent)]
    Full(#[from] Full),
    /// A row may name any record: the same will happen next time.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// A file that is read for the keys that its rows name: it is pushed the file's text, in pieces of any size.
///
/// No more is held than a chunk and a record of [`limits::NAMED_RECORD_BYTES`].
#[derive(Debug)]
pub struct Reader {
    job: Job,
    plan: ChunkPlan,
    splitter: Splitter,
    /// The row behind the last chunk, and its line.
    next: (u64, u64),
}

impl Reader {
    /// A reader from the start of an import's file.
    ///
    /// # Errors
    /// Those of [`Kind::read_by`] and [`Plan::compile`], which the import has met before.
    pub fn new(job: Job, kind: Kind) -> Result<Self, Failure> {
        let kind = kind.read_by(&job.reading)?;
        let plan = Plan::compile(kind, job.grammar, &job.columns, &job.options.mapping)?;
        let options = SplitOptions::new(job.grammar, &job.chunking).holding(limits::NAMED_RECORD_BYTES);
        Ok(Self::with(job, &plan, options))
    }

    fn with(job: Job, plan: &Plan, options: SplitOptions) -> Self {
        let splitter = Splitter::new(options).with(&job.reading);
        Self { job, plan: ChunkPlan::new(plan.keyed()), splitter, next: (1, 1) }
    }

    /// Takes the next bytes of the text, and adds the keys of the rows that they complete.
    ///
    /// # Errors
    /// [`Stop`]. The reading is over then.
    pub fn push(&mut self, text: &[u8], named: &mut NamedKeys) -> Result<(), Stop> {
        self.each(Some(text), &mut |key| named.add(key))
    }

    /// Takes the end of the text, and adds the keys of the last rows.
    ///
    /// # Errors
    /// As [`Reader::push`].
    pub fn finish(&mut self, named: &mut NamedKeys) -> Result<(), Stop> {
        self.each(None, &mut |key| named.add(key))
    }

    /// Takes the next bytes, or the end, and calls `take` with the key of each row that is complete.
    fn each(&mut self, text: Option<&[u8]>, take: &mut dyn FnMut(&str) -> Result<(), Full>) -> Result<(), Stop> {
        let pieces = match text {
            Some(text) => self.splitter.push(text),
            None => self.splitter.finish().map(|(pieces, _)| pieces),
        };
        for piece in pieces.map_err(|error| self.broken(&error))? {
            let Piece::Chunk(chunk, next) = piece else { continue };
            self.next = (next.row, next.line);
            let records = Records::of(&self.job, &chunk);
            let wanted = rows::each_key(self.plan.for_next(), &self.job, &records, |key| match take(key) {
                Ok(()) => ControlFlow::Continue(()),
                Err(full) => ControlFlow::Break(full),
            })?;
            if let ControlFlow::Break(full) = wanted {
                return Err(full.into());
            }
        }
        Ok(())
    }

    /// What an import that has been split does not meet.
    fn broken(&self, error: &SplitError) -> Unreadable {
        let (row, line) = self.next;
        Unreadable { row, line, reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
