//! The catalogue that takes one event after the other, to which a world is held.

use std::collections::BTreeMap;

use penstock_model::{Mode, Stamp, Value};

use super::{rule::Without, schedule::Sort, stored::Stored, world::World};
use crate::merge::tests::sequential;

/// What a record shows.
type Shown = BTreeMap<String, Value>;

impl World<'_> {
    /// What deviates from the catalogue that takes one event after the other, in words.
    pub(super) fn deviations(&self) -> Vec<String> {
        enum Happened {
            Import(usize),
            Delete(usize),
            Removal(usize),
        }
        let mut happened: Vec<(Stamp, Happened)> = Vec::new();
        for (number, stored) in self.imports.iter().enumerate().filter(|(_, stored)| stored.import.order > 0) {
            happened.push((Stamp { order: stored.import.order, row: 1 }, Happened::Import(number)));
            let is_removed = stored.import.removed.is_some()
                || self.without == Without::Decision && stored.was_decided && stored.import.halt.is_none();
            if is_removed {
                happened.push((stored.import.removal_stamp(), Happened::Removal(number)));
            }
        }
        happened.extend(self.deleted.iter().map(|(place, key)| (Stamp::of_delete(*place), Happened::Delete(*key))));
        happened.sort_by_key(|(at, _)| *at);
        let (mut catalogue, mut touched) = (BTreeMap::<usize, Shown>::new(), BTreeMap::<usize, u64>::new());
        for (key, says) in self.schedule.start.iter().enumerate() {
            if let Some(says) = says {
                catalogue.extend(sequential(None, Mode::Upsert, &[*says]).0.map(|shown| (key, shown)));
            }
        }
        let mut found = Vec::new();
        for (_, happened) in happened {
            match happened {
                Happened::Delete(key) => {
                    catalogue.remove(&key);
                    touched.remove(&key);
                }
                Happened::Import(number) => {
                    let Stored { import, file, tallied, .. } = &self.imports[number];
                    for row in tallied.iter().map(|row| &file.rows[*row]).filter(|row| row.sort == Sort::Good) {
                        let (after, counts) = sequential(catalogue.get(&row.key), file.mode.of_rows(), &[row.says]);
                        catalogue.extend(after.map(|shown| (row.key, shown)));
                        // A row that fills writes nothing where it finds nothing to fill; one that only creates where
                        // it is skipped.
                        let is_written = counts[0] + counts[1] > 0 || file.mode.of_rows() == Mode::Upsert;
                        if is_written {
                            touched.insert(row.key, import.order);
                        }
                    }
                }
                Happened::Removal(number) => {
                    let Stored { import, file, removed, truth, .. } = &self.imports[number];
                    let is_named =
                        |key: &usize| file.rows.iter().any(|row| row.key == *key && row.sort != Sort::Unreadable);
                    let is_newer = |key: &usize| touched.get(key).is_some_and(|order| *order > import.order);
                    let goes: Vec<usize> =
                        catalogue.keys().copied().filter(|key| !is_named(key) && !is_newer(key)).collect();
                    for key in &goes {
                        catalogue.remove(key);
                        touched.remove(key);
                    }
                    let counted: u64 = removed.values().sum();
                    if counted != *truth {
                        found.push(format!("removed: import {number} counts {counted}, and {truth} went"));
                    }
                    if self.deleted.is_empty() && counted != goes.len() as u64 {
                        found.push(format!("removed: import {number} counts {counted}, not {}", goes.len()));
                    }
                    if import.to_remove.is_none_or(|shown| shown.records < counted) {
                        found.push(format!("shown: import {number} removes {counted} of {:?}", import.to_remove));
                    }
                    if file.rows.iter().any(|row| row.sort == Sort::Unreadable) {
                        found.push(format!("unreadable: import {number} removes"));
                    }
                }
            }
        }
        for key in 0..self.schedule.start.len() {
            let shown = self.records.get(&key).filter(|record| !record.is_gone()).map(|record| &record.fields);
            if shown != catalogue.get(&key) {
                found.push(format!("catalogue: {key} shows {shown:?}, not {:?}", catalogue.get(&key)));
            }
        }
        for (number, stored) in self.imports.iter().enumerate() {
            if stored.import.removed.is_none() && stored.truth > 0 {
                found.push(format!("catalogue: import {number} has not removed, and {} went", stored.truth));
            }
        }
        found
    }
}
