//! Replacing: an import whose file is all that its kind shall hold.
//!
//! ```text
//!  its upload                    all rows are           few enough                 every shard
//!  is accepted:                  accounted for, and     records would go           is tallied
//!  at the gate                   nobody else runs
//!  ───────────▶ Splitting, Applying ───── count ──────────── decide ──▶ Removing ───────▶ Ended
//!                                           │                             ▲    gate free
//!                                           │ too many: the gate is free  │ nobody else runs
//!                                           ▼                             │
//!                                          Held ───── confirm ───▶ Confirmed
//!                                           │        at the gate again, at a place of its own
//!                                           └── cancel, or not confirmed in time ──▶ Ended, nothing removed
//! ```
//!
//! While an import is at the gate of its kind no other upload of the kind is accepted, and those wait; so when the
//! imports that were accepted before have ended, nobody writes rows of the kind. Then what the file does not name can
//! be told: a record that is not named holds what older imports wrote, and goes as a whole.
//!
//! From the decision on nothing stops the removal: neither a cancel nor a failure. Until then both end the import with
//! nothing removed.
//!
//! An import that would remove more than its guard lets pass leaves the gate and is held. It still counts as one that
//! runs, so that whoever comes later leaves stamps. Confirmed, it takes a place of its own in the order, and removes at
//! that place what it does not name and nobody newer has written.

use serde::{Deserialize, Serialize};

use crate::{Import, Mode, Stage, Stamp, Transition, Uploaded, limits};

/// An order to remove every record of a kind: a replace by nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Everything {
    /// How many records its owner says there are. It is confirmed where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// What a replace would remove, when that was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToRemove {
    /// Records that would go.
    pub records: u64,
    /// Records that were there before the import, those among them.
    pub of: u64,
}

/// What becomes of a replace that has been counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// Its removal is decided.
    Pass(Transition),
    /// It waits to be confirmed.
    Hold(Transition),
}

impl Import {
    /// Whether records go that the import does not name.
    pub fn is_replace(&self) -> bool {
        self.options.mode == Mode::Replace && self.options.writes()
    }

    /// Whether the import is at the gate of its kind, as far as the import tells: from when it is accepted until it is
    /// held, and again from when it is confirmed.
    pub fn at_gate(&self) -> bool {
        let left = self.held_until.is_some() && self.confirmed.is_none();
        self.is_replace() && self.order > 0 && !left
    }

    /// Whether the import is at the gate of its kind.
    pub fn at_gate_now(&self) -> bool {
        self.at_gate() && self.stage() != Stage::Ended
    }

    /// What an order to accept means to an order to remove everything, which awaits no upload.
    pub fn on_everything(&self) -> Uploaded {
        match self.stage() {
            _ if self.everything.is_none() => Uploaded::Ignored("the import awaits an upload"),
            Stage::Waiting => Uploaded::Expected,
            Stage::Ended => Uploaded::Ignored("the import has ended"),
            _ => Uploaded::Known,
        }
    }

    /// The place in the order that its removal has.
    pub fn removal_stamp(&self) -> Stamp {
        match self.confirmed {
            Some(order) => Stamp::of_delete(order),
            None => Stamp::of_replace(self.order),
        }
    }

    /// The decision to remove.
    pub fn decide(&self, to_remove: ToRemove) -> Transition {
        Transition::Decide { stamp: self.removal_stamp(), to_remove }
    }

    /// What becomes of the import once it is known what it would remove. `held_ms` is how long it may wait to be
    /// confirmed.
    pub fn guard(&self, to_remove: ToRemove, now_ms: i64, held_ms: i64) -> Guard {
        let passes = match self.everything {
            Some(Everything { count }) => to_remove.records == 0 || count == Some(to_remove.records),
            None => {
                let most = self.options.most_removed_percent.unwrap_or(limits::MOST_REMOVED_PERCENT);
                u128::from(to_remove.records) * 100 <= u128::from(to_remove.of) * u128::from(most)
            }
        };
        match passes {
            true => Guard::Pass(self.decide(to_remove)),
            false => {
                let until = now_ms.saturating_add(held_ms);
                Guard::Hold(Transition::Hold { to_remove: Some(to_remove), until, rows: None })
            }
        }
    }

    /// How many counts of what is to be removed have begun with so many shards counted, and got no further as far as is
    /// known.
    pub fn counts_begun(&self, shards: usize) -> usize {
        let began_here = |entry: &&String| entry.rsplit_once(':').is_some_and(|(at, _)| at == shards.to_string());
        self.count_begun.iter().filter(began_here).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImportId, ImportOptions};

    fn replace(most: Option<u8>) -> Import {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        let import = Import::new(ImportId::new(1, [7; 10]), account, kind, 0, 1000);
        let options = ImportOptions { mode: Mode::Replace, most_removed_percent: most, ..ImportOptions::default() };
        Import { options, order: 4, ..import }
    }

    #[test]
    fn the_guard_stops_what_is_more_than_its_share_and_nothing_else() {
        let passes = |most, records, of| {
            matches!(replace(most).guard(ToRemove { records, of }, 5, 10), Guard::Pass(Transition::Decide { .. }))
        };
        assert!(passes(None, 20, 100) && !passes(None, 21, 100));
        assert!(passes(None, 0, 0) && passes(Some(0), 0, 9) && !passes(Some(0), 1, 1_000_000));
        assert!(passes(Some(100), 7, 7) && !passes(Some(99), 7, 7));
        assert!(passes(Some(100), u64::MAX, u64::MAX));
        let held = replace(None).guard(ToRemove { records: 2, of: 2 }, 5, 10);
        let to_remove = Some(ToRemove { records: 2, of: 2 });
        assert_eq!(held, Guard::Hold(Transition::Hold { to_remove, until: 15, rows: None }));
    }

    #[test]
    fn everything_goes_where_its_count_is_named() {
        let order = |count| Import { everything: Some(Everything { count }), ..replace(None) };
        let passes =
            |count, records| matches!(order(count).guard(ToRemove { records, of: records }, 5, 10), Guard::Pass(_));
        assert!(passes(Some(3), 3) && passes(None, 0) && passes(Some(3), 0));
        assert!(!passes(Some(3), 4) && !passes(Some(3), 2) && !passes(None, 1));
    }

    #[test]
    fn a_removal_stands_behind_the_rows_of_its_import_or_at_the_place_where_it_was_confirmed() {
        let import = replace(None);
        assert_eq!(import.removal_stamp(), Stamp { order: 4, row: u64::MAX });
        assert_eq!(Import { confirmed: Some(9), ..import }.removal_stamp(), Stamp { order: 9, row: 0 });
    }
}
