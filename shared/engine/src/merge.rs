//! Merging: what a row does to a record.
//!
//! **The law.** Any order, grouping and repetition of the same rows gives the same record: the same fields with the
//! same stamps. For *upsert* this holds over any number of imports; for *create* and *fill* over one import on top of
//! what was there before.
//!
//! *upsert*: field by field the greatest stamp wins, and a cleared field keeps its stamp as a tombstone. A kind's
//! defaults come with the record, under a stamp derived from that of the row that made it, [`Stamp::of_default`]: lower
//! than every row's, so any row that names the field wins over them, and the greater the earlier the row is, so a row
//! that comes late but stands before the one that made the record replaces that one's defaults by its own. Together the
//! greatest stamp still wins.
//!
//! *create* and *fill* let the earliest row win, so a row that comes late but stands earlier in the file takes back
//! what a later one did. The stamps tell which rows of this import are in a record: every row has the key, so the least
//! stamp of this import in the record is the earliest row that made or filled it. A default always holds a value (see
//! [`Kind::defaults`]): were it empty after one row and not after another, a `fill` that found it full could not be
//! undone when the other row turns out to be the earlier. For the same reason a *fill* row that clears a field says
//! nothing of it: were its default kept out, what a later row says of the field would have to be kept beneath a default
//! until it is known that no earlier row clears it.
//!
//! A delete takes a place in the order as an import does, and leaves a tombstone with its stamp, `gone`
//! ([`Record::deleted`]). A row below `gone` changes nothing, in any mode, whether the record is a tombstone still or
//! was made anew: in the order of the rows it came before the delete. To a row above it a tombstone is no record: any
//! mode makes one, which keeps `gone` and goes on from the tombstone's `rev`. A delete and an import never share a
//! place, so all rows of an import stand on the same side of a delete.
//!
//! A replace removes what its file does not name in the same way, behind its last row ([`removal`]).
//!
//! A row that is delivered again finds in the record what it did: `made` says that it created, `last` and its own stamp
//! that it was applied. Only where a file repeats a key may a redelivered row count as unchanged after it counted as
//! updated, or the other way round.

use std::{borrow::Cow, collections::BTreeMap};

use penstock_model::{Applied, Mode, Record, Stamp, Value};

use crate::{cell::Cell, kind::Kind, named::NamedKeys, plan::Plan, rows::Row};

/// The outcome of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It made the record.
    Created,
    /// It changed a value of the record.
    Updated,
    /// The record had its values already.
    Unchanged,
    /// The mode skipped it.
    Skipped,
}

/// A record that is being changed, and whether it has to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The record; `None` while there is none.
    pub record: Option<Record>,
    /// Whether it has to be written.
    pub changed: bool,
}

impl Draft {
    /// A record as it is stored: nothing has to be written.
    pub fn stored(record: Option<Record>) -> Self {
        Self { record, changed: false }
    }

    /// Applies a row whose stamp is `stamp`. `rev` is left as it is: it counts writes, not rows.
    pub fn apply(&mut self, plan: &Plan, mode: Mode, stamp: Stamp, row: &Row<'_>) -> Outcome {
        let kind = plan.kind();
        let row = &*if mode == Mode::Fill { only_filling(row) } else { Cow::Borrowed(row) };
        if let Some(record) = &self.record
            && record.gone.is_some_and(|gone| stamp < gone)
        {
            return before_the_delete(record, mode, stamp);
        }
        let tombstone = self.record.take_if(|record| record.is_gone());
        let Some(record) = &mut self.record else {
            let made = made_by(kind, stamp, row);
            self.record = Some(match tombstone {
                Some(Record { rev, gone, .. }) => Record { rev, gone, ..made },
                None => made,
            });
            self.changed = true;
            return Outcome::Created;
        };
        match mode {
            Mode::Upsert | Mode::Replace => upsert(record, kind, stamp, row, &mut self.changed),
            Mode::Create => create(record, kind, stamp, row, &mut self.changed),
            Mode::Fill => fill(record, kind, stamp, row, &mut self.changed),
        }
    }
}

/// The outcome of a row that stands before the delete in the order: what it was the first time, as far as the record
/// knows.
fn before_the_delete(record: &Record, mode: Mode, stamp: Stamp) -> Outcome {
    if record.made == stamp {
        Outcome::Created
    } else if record.last.stamp == stamp && record.last.changed {
        Outcome::Updated
    } else if mode == Mode::Create {
        Outcome::Skipped
    } else {
        Outcome::Unchanged
    }
}

/// What a row says to a record that it fills: a field that it clears is one of which it says nothing.
fn only_filling<'r, 'a>(row: &'r Row<'a>) -> Cow<'r, Row<'a>> {
    if row.cells.iter().all(|(_, cell)| cell.is_some()) {
        return Cow::Borrowed(row);
    }
    let cells = row.cells.iter().filter(|(_, cell)| cell.is_some()).cloned().collect();
    Cow::Owned(Row { row: row.row, key: row.key.clone(), cells })
}

fn made_by(kind: &Kind, stamp: Stamp, row: &Row<'_>) -> Record {
    let name = |field: usize| kind.field(field).name().to_owned();
    let value = |(field, cell): &(usize, Option<Cell<'_>>)| Some((name(*field), cell.clone()?.into()));
    // A row names a field once, and maps that are made at once need not look for each name's place.
    let mut record = Record {
        rev: 0,
        made: stamp,
        last: Applied { stamp, changed: true },
        fields: row.cells.iter().filter_map(value).collect(),
        stamps: row.cells.iter().map(|(field, _)| (name(*field), stamp)).collect(),
        gone: None,
    };
    put_newer(&mut record, kind, stamp.of_default(), &kind.defaults(&row.cells));
    record
}

/// Sets the cells that are newer than the record's. The answer is whether there were any, and whether a value changed.
fn put_newer(record: &mut Record, kind: &Kind, stamp: Stamp, cells: &[(usize, Option<Cell<'_>>)]) -> (bool, bool) {
    let (mut touched, mut shows) = (false, false);
    for (field, value) in cells {
        let name = kind.field(*field).name();
        if record.stamps.get(name).is_none_or(|at| *at < stamp) {
            touched = true;
            shows |= put(record, name, stamp, value.as_ref());
        }
    }
    (touched, shows)
}

/// Sets one field. The answer is whether its value changed.
fn put(record: &mut Record, name: &str, stamp: Stamp, cell: Option<&Cell<'_>>) -> bool {
    match record.stamps.get_mut(name) {
        Some(at) => *at = stamp,
        None => drop(record.stamps.insert(name.to_owned(), stamp)),
    }
    let Some(cell) = cell else { return record.fields.remove(name).is_some() };
    match record.fields.get_mut(name) {
        Some(value) if *cell == *value => return false,
        Some(value) => *value = cell.clone().into(),
        None => drop(record.fields.insert(name.to_owned(), cell.clone().into())),
    }
    true
}

/// The outcome of a row that the record holds already; `None` where it does not hold it.
fn applied_before(record: &Record, stamp: Stamp) -> Option<Outcome> {
    let outcome = |changed| if changed { Outcome::Updated } else { Outcome::Unchanged };
    if record.made == stamp {
        Some(Outcome::Created)
    } else if record.last.stamp == stamp {
        Some(outcome(record.last.changed))
    } else {
        let derived = stamp.of_default();
        record.stamps.values().any(|at| *at == stamp || *at == derived).then_some(Outcome::Updated)
    }
}

fn upsert(record: &mut Record, kind: &Kind, stamp: Stamp, row: &Row<'_>, changed: &mut bool) -> Outcome {
    if let Some(outcome) = applied_before(record, stamp) {
        return outcome;
    }
    let (mut touched, mut shows) = put_newer(record, kind, stamp, &row.cells);
    // In the order of the rows this one would have made the record, or come before the one that did.
    if stamp < record.made {
        let (newer, other) = put_newer(record, kind, stamp.of_default(), &kind.defaults(&row.cells));
        (touched, shows) = (touched | newer, shows | other);
    }
    settle(record, stamp, touched, shows, changed)
}

/// Notes in the record what a row did.
fn settle(record: &mut Record, stamp: Stamp, touched: bool, shows: bool, changed: &mut bool) -> Outcome {
    if touched {
        record.last = Applied { stamp, changed: shows };
        *changed = true;
    }
    if shows { Outcome::Updated } else { Outcome::Unchanged }
}

/// The earliest row of this import in a record that this import made.
fn earliest(record: &Record, order: u64) -> Option<Stamp> {
    if record.made.order != order {
        return None;
    }
    record.stamps.values().filter(|at| at.order == order).min().copied()
}

/// Takes out what later rows of this import set, so that a row that is earlier than all of them can make the record
/// anew.
fn take_back(record: &mut Record, kind: &Kind, stamp: Stamp, row: &Row<'_>) -> BTreeMap<String, Value> {
    let before = record.fields.clone();
    // Only the rows of this import made the record, so every default in it is one of theirs.
    let taken = |at: &Stamp| at.order == 0 || (at.order == stamp.order && *at > stamp);
    let names: Vec<String> = record.stamps.iter().filter(|(_, at)| taken(at)).map(|(name, _)| name.clone()).collect();
    for name in names {
        record.stamps.remove(&name);
        record.fields.remove(&name);
    }
    put_newer(record, kind, stamp, &row.cells);
    put_newer(record, kind, stamp.of_default(), &kind.defaults(&row.cells));
    before
}

fn create(record: &mut Record, kind: &Kind, stamp: Stamp, row: &Row<'_>, changed: &mut bool) -> Outcome {
    if record.made == stamp {
        return Outcome::Created;
    }
    // The record was made by a later row of this import, which has been counted as its creator: this one's values
    // replace that row's.
    if earliest(record, stamp.order).is_some_and(|earliest| earliest > stamp) {
        take_back(record, kind, stamp, row);
        *changed = true;
    }
    Outcome::Skipped
}

fn fill(record: &mut Record, kind: &Kind, stamp: Stamp, row: &Row<'_>, changed: &mut bool) -> Outcome {
    if let Some(outcome) = applied_before(record, stamp) {
        return outcome;
    }
    if earliest(record, stamp.order).is_some_and(|earliest| earliest > stamp) {
        // Later rows filled what this one left: keep what they set in fields that it does not.
        let later = record.clone();
        let before = take_back(record, kind, stamp, row);
        for (name, at) in later.stamps.iter().filter(|(_, at)| at.order == stamp.order) {
            if !record.fields.contains_key(name)
                && let Some(value) = later.fields.get(name)
            {
                put(record, name, *at, Some(&Cell::of(value)));
            }
        }
        let shows = before != record.fields;
        return settle(record, stamp, true, shows, changed);
    }
    let (mut touched, mut shows) = (false, false);
    for (field, value) in &row.cells {
        let name = kind.field(*field).name();
        let free = match record.stamps.get(name) {
            None => true,
            Some(at) if record.fields.contains_key(name) => at.order == stamp.order && *at > stamp,
            Some(at) => *at < stamp,
        };
        if free {
            touched = true;
            shows |= put(record, name, stamp, value.as_ref());
        }
    }
    settle(record, stamp, touched, shows, changed)
}

/// What a replace does to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// Nothing: the file names it, something newer has written it, or there is no record.
    Stays,
    /// Nothing any more: it is the tombstone that this replace has left, and counts as removed.
    Removed,
    /// It becomes this tombstone, if its `rev` is still the one read; `rev` is left as it is. Otherwise it is read and
    /// judged again.
    Removes(Record),
}

/// Judges a record that has been read consistently, once all rows of a replace and of every older import have been
/// applied. `newest` is the stamp behind the last row of the replace, [`Stamp::of_replace`]: what is newer is spared as
/// a whole. `at` is the stamp of what it removes: the same one, or where the removal was confirmed later
/// [`Stamp::of_delete`] of the place that was taken then.
pub fn removal(record: &Record, canonical: &str, named: &NamedKeys, newest: Stamp, at: Stamp) -> Removal {
    match record.newest() {
        None if record.gone == Some(at) => Removal::Removed,
        Some(stamp) if stamp <= newest && !named.contains(canonical) => Removal::Removes(record.deleted(at)),
        _ => Removal::Stays,
    }
}

#[cfg(test)]
mod deletes;
#[cfg(test)]
mod replaces;
#[cfg(test)]
mod tests;
