//! Rows of a file that say again what was said last of their records, and rows that may name a record again.
//!
//! A splitter holds a map from the hash of a key to the hash of the last row that named it, and whether the file has
//! named it. Before the file's first row the map is the digest of the files before it with the same columns: the key is
//! there, and the file has not named it. A row that finds there its own hash changes nothing, by rules of which each is
//! needed (`SEMANTICS.md`, "Rows that say it again"): it is dropped. Then the entry is that of this row. A key that the
//! file has named may be named again, and so may one for which there was no room.
//!
//! The hash of a row covers its key and every cell as it is read: field, type, and value or that it clears. It is keyed
//! with what a digest is made with once, so that nobody can write a row that has another one's hash. Two rows of one
//! key with one hash are one in 2^63. The hash of a key has no secret, since deletes give it, and two keys with one
//! hash do no harm: the rows' hashes tell them apart.
//!
//! The object of a digest, numbers little-endian:
//!
//! ```text
//! penstock digest 1⏎   length of the import's id, 1 byte   its id   key of the rows' hashes, 16 bytes
//! entries, 8 bytes     (hash of a key, 8 bytes   hash of a row, 8 bytes) …     check of all before, 8 bytes
//! ```

#![expect(deprecated, reason = "the hasher's algorithm is fixed by its name, SipHash 2-4, and by this module's tests")]

use std::{
    collections::HashMap,
    hash::{Hasher, SipHasher},
};

use penstock_model::{
    Chunk, Dropped, Grammar, ImportId, Job, Repeats,
    digest::Source,
    limits::{DIGEST_FIELDS, REMEMBERED_KEYS},
};

use crate::{
    cell::{Cell, Input},
    kind::Kind,
    plan::{ChunkPlan, Plan},
    rows::{self, Records, Row},
};

/// What every object of a digest begins with: the name and the number of the format.
const MAGIC: &[u8] = b"penstock digest 1\n";

/// Maps among which the entries are spread, so that one of them grows at a time.
const PARTS: usize = 64;

/// In an entry: the file has named the key.
const NAMED: u64 = 1;

/// The hash of a canonical key, as digests and their holes have it.
pub fn key_hash(canonical: &str) -> u64 {
    let mut hasher = SipHasher::new_with_keys(0, 0);
    hasher.write(canonical.as_bytes());
    hasher.finish()
}

/// The source of a file that is read by this plan: the fields of its columns, of this version of its kind. Where rows
/// name their own members, any field may be among them.
///
/// `place` names where the records are stored. Another place has other digests, so that none holds for records that
/// were brought back from an earlier moment.
pub fn source(plan: &Plan, grammar: Grammar, kind_version: u32, place: &str) -> Source {
    let kind = plan.kind();
    let set = |at: &usize| !kind.key_fields().contains(at) || is_told_by_its_text(kind, *at);
    let hash = |at: usize| key_hash(kind.field(at).name());
    let columns = || plan.columns().iter().flatten().copied();
    let mut named: Vec<u64> = columns().map(hash).collect();
    named.sort_unstable();
    let mut fields: Vec<u32> = columns().filter(set).map(|at| hash(at) as u32).collect();
    fields.sort_unstable();
    let is_known = grammar.has_header() && fields.len() <= DIGEST_FIELDS;
    let mut id = SipHasher::new_with_keys(0, 0);
    for part in [place.as_bytes(), &kind_version.to_le_bytes(), &[u8::from(grammar.has_header())]] {
        write_part(&mut id, part);
    }
    if grammar.has_header() {
        named.iter().for_each(|field| id.write(&field.to_le_bytes()));
    }
    Source { id: format!("{:016x}", id.finish()), fields: is_known.then_some(fields) }
}

/// Whether a field of the key holds different values that are written alike in a key: a number, and its text.
fn is_told_by_its_text(kind: &Kind, field: usize) -> bool {
    let is_text = |input| matches!(kind.field(field).check(input), Ok(Some(Cell::Text(_))));
    is_text(Input::Text("1")) && !is_text(Input::Number("1")) && kind.field(field).check(Input::Number("1")).is_ok()
}

/// The rules of the map. A fault test leaves one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A row is compared with what a digest says only if the file has not named its key before.
    pub unnamed: bool,
    /// An entry is that of the last row that names its key.
    pub last: bool,
    /// A cell that clears its field is part of what a row says.
    pub cleared: bool,
}

impl Rules {
    /// All of them.
    pub const ALL: Self = Self { unnamed: true, last: true, cleared: true };
}

/// The entries of a map.
#[derive(Debug)]
struct Entries {
    parts: Vec<HashMap<u64, u64>>,
    left: usize,
}

impl Entries {
    fn with_room(most: usize) -> Self {
        Self { parts: vec![HashMap::new(); PARTS], left: most }
    }

    fn part(&mut self, key: u64) -> &mut HashMap<u64, u64> {
        &mut self.parts[key as usize % PARTS]
    }

    /// Adds an entry that is not there; whether there was room.
    fn add(&mut self, key: u64, entry: u64) -> bool {
        if self.left > 0 && self.part(key).insert(key, entry).is_none() {
            self.left -= 1;
            return true;
        }
        false
    }
}

/// A digest that has been read.
#[derive(Debug)]
pub struct Recalled {
    key: [u8; 16],
    entries: Entries,
}

/// An object that is no digest of this format, or not the one that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the object is no digest of this format, or another import's, or it is damaged")]
pub struct NoDigest;

/// Reads the object of a digest, which it is pushed in pieces of any size.
#[derive(Debug)]
pub struct DigestReader {
    import: ImportId,
    held: Vec<u8>,
    /// What is read of the entries: the hashes' key, the entries that are to come, the check so far, the entries.
    body: Option<(u64, SipHasher, Recalled)>,
}

impl DigestReader {
    /// A reader of the digest that the splitter of this import wrote. It keeps [`REMEMBERED_KEYS`] entries.
    pub fn new(import: ImportId) -> Self {
        Self { import, held: Vec::new(), body: None }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`NoDigest`]: there is nothing to be had of the object.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), NoDigest> {
        self.held.extend_from_slice(bytes);
        let mut at = 0;
        if self.body.is_none() {
            let id = self.import.as_str().as_bytes();
            let head = MAGIC.len() + 1 + id.len();
            if self.held.len() < head + 24 {
                return Ok(());
            }
            let is_it = self.held.starts_with(MAGIC)
                && usize::from(self.held[MAGIC.len()]) == id.len()
                && self.held[MAGIC.len() + 1..head] == *id;
            if !is_it {
                return Err(NoDigest);
            }
            let key: [u8; 16] = self.held[head..head + 16].try_into().expect("16 bytes");
            at = head + 24;
            let mut check = hasher(&key);
            check.write(&self.held[..at]);
            let entries = Entries::with_room(REMEMBERED_KEYS);
            self.body = Some((number(&self.held[at - 8..at]), check, Recalled { key, entries }));
        }
        let Some((left, check, recalled)) = &mut self.body else { return Ok(()) };
        let begun = at;
        while *left > 0 && self.held.len() - at >= 16 {
            let (key, row) = (number(&self.held[at..at + 8]), number(&self.held[at + 8..at + 16]));
            recalled.entries.add(key, row & !NAMED);
            (*left, at) = (*left - 1, at + 16);
        }
        check.write(&self.held[begun..at]);
        self.held.drain(..at);
        // Nothing follows the check.
        if *left == 0 && self.held.len() > 8 { Err(NoDigest) } else { Ok(()) }
    }

    /// The digest, without the entries of keys that were deleted since.
    ///
    /// # Errors
    /// [`NoDigest`]: the object ends too early, or its check is not that of what it holds.
    pub fn finish(self, holes: &[u64]) -> Result<Recalled, NoDigest> {
        let Some((0, check, mut recalled)) = self.body else { return Err(NoDigest) };
        if self.held != check.finish().to_le_bytes() {
            return Err(NoDigest);
        }
        for hole in holes {
            let removed = recalled.entries.part(*hole).remove(hole);
            recalled.entries.left += usize::from(removed.is_some());
        }
        Ok(recalled)
    }
}

/// What there is to say of a chunk's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The rows that may name a record again.
    pub repeats: Repeats,
    /// The rows that are dropped.
    pub dropped: Dropped,
}

/// What was said last of each record, as far as a file has been read.
#[derive(Debug)]
pub struct Said {
    plan: ChunkPlan,
    entries: Entries,
    rules: Rules,
    /// How rows are hashed; `None` where nothing but their keys is read.
    rows: Option<RowHasher>,
    rejected: u64,
    repeats: bool,
}

impl Said {
    /// A map of the keys of a file that is read by this plan. It tells which rows may name a record again, and drops
    /// none.
    pub fn keys(plan: &Plan) -> Self {
        Self::with_room(plan, REMEMBERED_KEYS)
    }

    fn with_room(plan: &Plan, most: usize) -> Self {
        let (plan, entries) = (ChunkPlan::new(plan.keyed()), Entries::with_room(most));
        Self { plan, entries, rules: Rules::ALL, rows: None, rejected: 0, repeats: false }
    }

    /// A map of what the rows of such a file say, after what a digest says, if there is one. `fresh` keys the hashes of
    /// rows where there is none; it is to be random.
    pub fn rows(plan: &Plan, recalled: Option<Recalled>, fresh: [u8; 16], rules: Rules) -> Self {
        let new = || Recalled { key: fresh, entries: Entries::with_room(REMEMBERED_KEYS) };
        let Recalled { key, entries } = recalled.unwrap_or_else(new);
        let rows = Some(RowHasher { key, order: Vec::new(), fields: Vec::new(), number: String::new() });
        Self { plan: ChunkPlan::new(plan.clone()), entries, rules, rows, rejected: 0, repeats: false }
    }

    /// Takes the rows of the file's next chunk, and says which of them may name a record again, and which are dropped;
    /// nothing, if `stopped` says between two rows that it shall stop: then the map is of no use any more. A rejected
    /// row has no key.
    pub fn look(&mut self, job: &Job, chunk: &Chunk, stopped: impl Fn() -> bool) -> Option<Look> {
        let records = Records::of(job, chunk);
        let plan = self.plan.for_next();
        let parsed = rows::parse_unless(plan, job, &records, stopped)?;
        self.rejected += chunk.rows.saturating_sub(parsed.rows.len() as u64);
        let names = self.rows.as_mut().map_or(Vec::new(), |rows| rows.names(plan.kind()));
        let (mut repeats, mut dropped) = (Vec::new(), Dropped::default());
        for row in &parsed.rows {
            let key = key_hash(&row.key);
            let says = self.rows.as_mut().map_or(0, |rows| rows.hash(row, &names, self.rules));
            match self.entries.part(key).get_mut(&key) {
                Some(entry) => {
                    let is_named = *entry & NAMED != 0;
                    if !is_named && *entry == says {
                        dropped.add((row.row - chunk.first_row) as usize);
                    }
                    if is_named {
                        repeats.push(row.row);
                    }
                    if self.rules.unnamed && (self.rules.last || !is_named) {
                        *entry = says | NAMED;
                    }
                }
                None => {
                    if !self.entries.add(key, says | NAMED) {
                        repeats.push(row.row);
                    }
                }
            }
        }
        self.repeats |= !repeats.is_empty();
        Some(Look { repeats: Repeats::of(repeats), dropped })
    }

    /// Whether every row of the file so far was accepted, and is known to name a record that no other row names.
    pub fn is_all_distinct(&self) -> bool {
        self.rejected == 0 && !self.repeats
    }

    /// How many rows of the file were rejected so far.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// The digest behind the file, as the object that the splitter of this import writes: in pieces of some hundred KB,
    /// which are made one at a time. `named_alone` leaves out what the file does not name. Nothing of a map of keys
    /// alone.
    pub fn into_object(self, import: &ImportId, named_alone: bool) -> Option<impl Iterator<Item = Vec<u8>> + use<>> {
        let RowHasher { key, .. } = self.rows?;
        let is_kept = move |entry: &u64| !named_alone || entry & NAMED != 0;
        let count: usize =
            self.entries.parts.iter().map(|part| part.values().filter(|entry| is_kept(entry)).count()).sum();
        let id = import.as_str().as_bytes();
        let mut head = MAGIC.to_vec();
        head.push(u8::try_from(id.len()).expect("an import's id is short"));
        head.extend_from_slice(id);
        head.extend_from_slice(&key);
        head.extend_from_slice(&(count as u64).to_le_bytes());
        let entries = self.entries.parts.into_iter().map(move |part| {
            let mut piece = Vec::with_capacity(part.len() * 16);
            for (key, entry) in part.into_iter().filter(|(_, entry)| is_kept(entry)) {
                piece.extend_from_slice(&key.to_le_bytes());
                piece.extend_from_slice(&(entry & !NAMED).to_le_bytes());
            }
            piece
        });
        let mut pieces = std::iter::once(head).chain(entries);
        let mut check = Some(hasher(&key));
        Some(std::iter::from_fn(move || match pieces.next() {
            Some(piece) => {
                check.as_mut()?.write(&piece);
                Some(piece)
            }
            None => Some(check.take()?.finish().to_le_bytes().to_vec()),
        }))
    }
}

/// Hashes what rows say.
#[derive(Debug)]
struct RowHasher {
    key: [u8; 16],
    /// The cells of the row before, by their fields' names, and those fields as they stood in it.
    order: Vec<usize>,
    fields: Vec<usize>,
    number: String,
}

impl RowHasher {
    /// The hashes of the names of a kind's fields. The rows that follow are read with that kind.
    fn names(&mut self, kind: &Kind) -> Vec<u64> {
        // A field that was added for a member of a row may stand where another one stood.
        self.fields.clear();
        self.order.clear();
        let hash = |name: &str| {
            let mut hasher = hasher(&self.key);
            hasher.write(name.as_bytes());
            hasher.finish()
        };
        kind.fields().iter().map(|field| hash(field.name())).collect()
    }

    /// The hash of a row: of its key and its cells, whatever order they stand in.
    fn hash(&mut self, row: &Row<'_>, names: &[u64], rules: Rules) -> u64 {
        if !self.fields.iter().copied().eq(row.cells.iter().map(|(field, _)| *field)) {
            self.fields = row.cells.iter().map(|(field, _)| *field).collect();
            self.order = (0..self.fields.len()).collect();
            self.order.sort_unstable_by_key(|at| names[self.fields[*at]]);
        }
        let mut hash = hasher(&self.key);
        write_part(&mut hash, row.key.as_bytes());
        for (field, cell) in self.order.iter().map(|at| &row.cells[*at]) {
            if cell.is_none() && !rules.cleared {
                continue;
            }
            hash.write(&names[*field].to_le_bytes());
            match cell {
                None => hash.write(&[0]),
                Some(Cell::Text(text)) => {
                    hash.write(&[1]);
                    write_part(&mut hash, text.as_bytes());
                }
                Some(Cell::Number(number)) => {
                    use std::fmt::Write;
                    self.number.clear();
                    write!(self.number, "{number}").expect("a string takes it");
                    hash.write(&[2]);
                    write_part(&mut hash, self.number.as_bytes());
                }
                Some(Cell::Boolean(boolean)) => hash.write(&[3, u8::from(*boolean)]),
                Some(Cell::Nested(value)) => {
                    hash.write(&[4]);
                    write_part(&mut hash, &serde_json::to_vec(value).expect("a value has JSON"));
                }
            }
        }
        hash.finish() & !NAMED
    }
}

fn hasher(key: &[u8; 16]) -> SipHasher {
    SipHasher::new_with_keys(number(&key[..8]), number(&key[8..]))
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("8 bytes"))
}

/// Writes a part with its length before it, so that parts cannot run into one another.
fn write_part(hasher: &mut SipHasher, part: &[u8]) {
    hasher.write(&(part.len() as u64).to_le_bytes());
    hasher.write(part);
}

#[cfg(test)]
mod tests;
