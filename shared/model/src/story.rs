//! Mending rejected rows and sending them again: imports that correct one another, as one story.
//!
//! An import may name the one that it corrects: its file has rows that were rejected there, mended. Several in a row
//! are a chain, each of them a round. A [`Story`] is what is stored of a chain beside its imports: which they are, and
//! what became of the rows of those that were deleted since. [`StorySum`] accounts for the rows of all rounds together.
//!
//! ```text
//!   first file     100 rows   ──▶  94 applied                    6 failed
//!   round 2, mended  6 rows   ──▶   4 applied                    2 failed
//!   round 3, mended  3 rows   ──▶   3 applied   (1 of them is a row that was added)
//!   together: total 100 + added 1 = applied 101 + failed 0
//! ```
//!
//! An import is corrected by one other at a time. Everything here is pure; the store writes a story on the condition
//! that it is still the one that was read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Import, ImportId, Rows, Status, limits::STORY_ROUNDS};

/// A chain of imports, each of which corrects the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// How often it was written.
    pub writes: u64,
    /// Its rounds, the first import first; [`STORY_ROUNDS`] at most.
    pub rounds: Vec<Round>,
}

/// One import of a story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Its id.
    pub import: ImportId,
    /// What is kept of it, where it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
}

/// What a story keeps of an import that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// How it ended.
    pub status: Status,
    /// When it was created, in Unix milliseconds.
    pub created_at: i64,
    /// When it ended, in Unix milliseconds.
    pub completed_at: Option<i64>,
    /// What became of its rows.
    pub taken: Taken,
}

/// What a round did with its rows, so far or in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Its counts.
    pub rows: Rows,
    /// Whether its file has been split to its end, so that the total is that of the file.
    pub whole: bool,
}

/// The rows of all rounds of a story, each counted once. At any time
/// `total + added = created + updated + unchanged + skipped + failed + unprocessed`.
///
/// A round is taken to send rows that are *open*: those that failed last, then those that no round has looked at. What
/// its file has beyond them is added. So a row that fails again counts as failed once, and one that is not sent again
/// stays what it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StorySum {
    /// Rows of the first file that are known.
    pub total: u64,
    /// Whether those are all its rows: not before it has been split to its end, and never where its import ended before
    /// that.
    pub whole: bool,
    /// Rows of later files beyond those that were open.
    pub added: u64,
    /// Rows that made a record.
    pub created: u64,
    /// Rows that changed a record.
    pub updated: u64,
    /// Rows whose values the record already had.
    pub unchanged: u64,
    /// Rows that the mode of their import left aside.
    pub skipped: u64,
    /// Rows that were rejected when they were sent last, and are not corrected.
    pub failed: u64,
    /// Rows that no round has looked at.
    pub unprocessed: u64,
}

impl StorySum {
    /// The sum of rounds, the first one first.
    pub fn of(rounds: impl IntoIterator<Item = Taken>) -> Self {
        let mut rounds = rounds.into_iter();
        let mut sum = Self::default();
        if let Some(first) = rounds.next() {
            sum.total = known(&first.rows);
            sum.whole = first.whole;
            sum.unprocessed = sum.total;
            sum.take(&first.rows);
        }
        for Taken { rows, .. } in rounds {
            let beyond = known(&rows).saturating_sub(sum.open());
            sum.added += beyond;
            sum.unprocessed += beyond;
            sum.take(&rows);
        }
        sum
    }

    /// Rows that are not settled: those that failed last, and those that no round has looked at.
    pub fn open(&self) -> u64 {
        self.failed + self.unprocessed
    }

    /// Takes the rows that a round has looked at from those that are open, of which there are enough.
    fn take(&mut self, rows: &Rows) {
        let of_failed = rows.processed.min(self.failed);
        self.failed = self.failed - of_failed + rows.failed;
        self.unprocessed -= rows.processed - of_failed;
        self.created += rows.created;
        self.updated += rows.updated;
        self.unchanged += rows.unchanged;
        self.skipped += rows.skipped;
    }
}

/// Rows of a file that are known.
fn known(rows: &Rows) -> u64 {
    rows.total.unwrap_or(rows.processed)
}

/// Why an import cannot be corrected by a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCorrection {
    /// There is none, or not any more.
    Missing,
    /// The new one is of another kind.
    AnotherKind,
    /// It was a dry run.
    DryRun,
    /// It has not ended.
    Runs,
    /// Nothing was uploaded to it.
    NoFile,
    /// No row is left that could be corrected.
    Nothing,
    /// An import corrects it already.
    Corrected {
        /// That one.
        by: ImportId,
        /// The last of the story.
        last: ImportId,
    },
    /// The story has as many rounds as it may have.
    TooMany,
}

impl Import {
    /// The import, which is new, as one that corrects `of`.
    pub fn correcting(self, of: &Self) -> Self {
        let story = of.story.clone().unwrap_or_else(|| of.id.clone());
        Self { corrects: Some(of.id.clone()), story: Some(story), ..self }
    }

    /// What it did with its rows, by its present counts.
    pub fn taken(&self, rows: Rows) -> Taken {
        Taken { rows, whole: self.total.is_some() }
    }

    /// Whether it ended and never has a file: what it was to do counts for nothing.
    fn is_void(&self) -> bool {
        matches!(self.status, Status::Cancelled | Status::Failed) && self.rows.is_none()
    }
}

impl Story {
    /// That of an import that no other corrects.
    pub fn of(import: &Import) -> Self {
        Self { writes: 0, rounds: vec![Round { import: import.id.clone(), gone: None }] }
    }

    /// The story in which `new` corrects `of`. `imports` are those of the story that are there, `of` among them.
    ///
    /// One that is cancelled before it has a file leaves its place, and so does one that is deleted; the rows that a
    /// deleted one took still count.
    ///
    /// # Errors
    /// [`NoCorrection`]
    pub fn correct(
        &self,
        of: &Import,
        imports: &BTreeMap<ImportId, Import>,
        new: &Import,
    ) -> Result<Self, NoCorrection> {
        if of.kind != new.kind {
            return Err(NoCorrection::AnotherKind);
        }
        if of.options.dry_run || of.is_review() {
            return Err(NoCorrection::DryRun);
        }
        if !of.status.is_final() {
            return Err(NoCorrection::Runs);
        }
        if of.rows.is_none() || of.everything.is_some() {
            return Err(NoCorrection::NoFile);
        }
        let at = self.rounds.iter().position(|round| round.import == of.id).ok_or(NoCorrection::NoFile)?;
        let (before, behind) = self.rounds.split_at(at + 1);
        let behind = behind.iter().filter(|round| !imports.get(&round.import).is_some_and(Import::is_void));
        let behind: Vec<&Round> = behind.collect();
        let mut there = behind.iter().filter(|round| round.gone.is_none());
        if let Some(by) = there.next() {
            let last = there.next_back().unwrap_or(by);
            return Err(NoCorrection::Corrected { by: by.import.clone(), last: last.import.clone() });
        }
        let mut rounds: Vec<Round> = before.iter().chain(behind).cloned().collect();
        if rounds.len() >= STORY_ROUNDS {
            return Err(NoCorrection::TooMany);
        }
        let taken = |round: &Round| match &round.gone {
            Some(gone) => gone.taken,
            None => imports
                .get(&round.import)
                .map(|import| import.taken(import.rows.unwrap_or_default()))
                .unwrap_or_default(),
        };
        // Where its file was not split to its end, there may be more of it.
        if StorySum::of(rounds.iter().map(taken)).open() == 0 && of.total.is_some() {
            return Err(NoCorrection::Nothing);
        }
        rounds.push(Round { import: new.id.clone(), gone: None });
        Ok(Self { writes: self.writes, rounds })
    }

    /// The story when one of its imports is deleted: it keeps what became of its rows, or forgets one that never had a
    /// file. `None` where it is none of them.
    pub fn without(&self, import: &Import) -> Option<Self> {
        let at = self.rounds.iter().position(|round| round.import == import.id && round.gone.is_none())?;
        let mut rounds = self.rounds.clone();
        match import.rows {
            None => {
                rounds.remove(at);
            }
            Some(rows) => {
                let Import { status, created_at, completed_at, .. } = *import;
                rounds[at].gone = Some(Gone { status, created_at, completed_at, taken: import.taken(rows) });
            }
        }
        Some(Self { writes: self.writes, rounds })
    }

    /// Whether all its imports are gone.
    pub fn is_over(&self) -> bool {
        self.rounds.iter().all(|round| round.gone.is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ImportOptions, KindName};

    fn rows(total: Option<u64>, created: u64, failed: u64, unprocessed: u64) -> Rows {
        Rows { total, processed: created + failed, created, failed, unprocessed, ..Rows::default() }
    }

    fn taken(total: u64, created: u64, failed: u64) -> Taken {
        Taken { rows: rows(Some(total), created, failed, total - created - failed), whole: true }
    }

    #[test]
    fn each_row_counts_once_over_all_rounds() {
        let mut rounds = vec![taken(100, 94, 6)];
        let sum = |rounds: &[Taken]| StorySum::of(rounds.iter().copied());
        assert_eq!((sum(&rounds).failed, sum(&rounds).open()), (6, 6));
        rounds.push(taken(6, 4, 2));
        assert_eq!((sum(&rounds).created, sum(&rounds).failed, sum(&rounds).added), (98, 2, 0));
        // Of three rows two were open.
        rounds.push(taken(3, 3, 0));
        let last = StorySum { total: 100, whole: true, added: 1, created: 101, ..StorySum::default() };
        assert_eq!(sum(&rounds), last);
        // What is not sent again stays failed, and what a cancelled round did not look at stays what it was.
        assert_eq!(sum(&[taken(10, 4, 6), taken(2, 2, 0)]).failed, 4);
        let cancelled = sum(&[taken(10, 4, 6), Taken { rows: rows(Some(6), 1, 1, 4), whole: true }]);
        assert_eq!((cancelled.created, cancelled.failed, cancelled.unprocessed, cancelled.added), (5, 5, 0, 0));
        // Of a first file that was not split to its end more rows may come.
        let early = sum(&[Taken { rows: rows(Some(0), 0, 0, 0), whole: false }, taken(3, 3, 0)]);
        assert_eq!((early.total, early.whole, early.added, early.created), (0, false, 3, 3));
        assert_eq!(sum(&[]), StorySum::default());
    }

    /// What becomes of a row of a round.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fate {
        Created,
        Updated,
        Unchanged,
        Skipped,
        Failed,
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            2 => Just(Fate::Created),
            1 => Just(Fate::Updated),
            1 => Just(Fate::Unchanged),
            1 => Just(Fate::Skipped),
            4 => Just(Fate::Failed),
        ]
    }

    proptest! {
        /// Chains in which each row is followed by itself give what the sum says: rows that fail again, files with
        /// fewer and with more rows than were open, rounds that are cancelled or still run. A round sends some of the
        /// open rows, in parts of a thousand, and if it sends all of them some that are new; so many rows of its file
        /// are looked at, in parts of a thousand.
        #[test]
        fn a_sum_is_what_becomes_of_each_row(
            first in 0..40_u64,
            seeds in prop::collection::vec((0..=1000_u64, 0..6_u64, 0..=1300_u64, any::<bool>()), 1..8),
            fates in prop::collection::vec(fate(), 400),
        ) {
            let mut fates = fates.into_iter().cycle();
            // What became of each row that was ever sent when it was last looked at, the first file's first.
            let mut last: Vec<Option<Fate>> = vec![None; first as usize];
            let mut rounds = Vec::new();
            let mut before = StorySum::default();
            for (at, (sent, more, looked_at, tells_total)) in seeds.into_iter().enumerate() {
                let mut file: Vec<usize> = if at == 0 {
                    (0..last.len()).collect()
                } else {
                    let known = &last;
                    let rows = |wanted: Option<Fate>| (0..known.len()).filter(move |row| known[*row] == wanted);
                    let open: Vec<usize> = rows(Some(Fate::Failed)).chain(rows(None)).collect();
                    let count = open.len() as u64 * sent / 1000;
                    open[..count as usize].to_vec()
                };
                let is_all = last.iter().filter(|fate| matches!(fate, None | Some(Fate::Failed))).count() == file.len();
                if at > 0 && is_all {
                    for _ in 0..more {
                        file.push(last.len());
                        last.push(None);
                    }
                }
                let looked_at = (file.len() as u64 * looked_at / 1000).min(file.len() as u64);
                let mut counts = Rows::default();
                for row in &file[..looked_at as usize] {
                    let fate = fates.next().expect("it has no end");
                    last[*row] = Some(fate);
                    match fate {
                        Fate::Created => counts.created += 1,
                        Fate::Updated => counts.updated += 1,
                        Fate::Unchanged => counts.unchanged += 1,
                        Fate::Skipped => counts.skipped += 1,
                        Fate::Failed => counts.failed += 1,
                    }
                }
                counts.processed = looked_at;
                // A file is split no less far than its rows are looked at.
                counts.total = (tells_total || looked_at < file.len() as u64).then_some(file.len() as u64);
                rounds.push(Taken { rows: counts, whole: true });
                let sum = StorySum::of(rounds.iter().copied());
                let count = |wanted: Option<Fate>| last.iter().filter(|fate| **fate == wanted).count() as u64;
                let settled = sum.created + sum.updated + sum.unchanged + sum.skipped;
                prop_assert_eq!(sum.total + sum.added, settled + sum.failed + sum.unprocessed);
                prop_assert_eq!((sum.total, sum.added), (first, last.len() as u64 - first));
                prop_assert_eq!((sum.failed, sum.unprocessed), (count(Some(Fate::Failed)), count(None)));
                prop_assert_eq!(
                    (sum.created, sum.updated, sum.unchanged, sum.skipped),
                    (count(Some(Fate::Created)), count(Some(Fate::Updated)), count(Some(Fate::Unchanged)),
                     count(Some(Fate::Skipped)))
                );
                prop_assert!(sum.added >= before.added && sum.created >= before.created);
                before = sum;
            }
        }

        /// Whatever rounds there are, the sum adds up, and what was settled is the sum of what each round settled.
        #[test]
        fn any_rounds_add_up(
            rounds in prop::collection::vec(
                (0..50_u64, 0..50_u64, 0..50_u64, 0..50_u64, 0..50_u64, prop::option::of(0..50_u64)),
                1..20,
            ),
        ) {
            let round = |(created, updated, skipped, failed, unchanged, more): (u64, u64, u64, u64, u64, Option<u64>)| {
                let processed = created + updated + unchanged + skipped + failed;
                let total = more.map(|more| processed + more);
                let unprocessed = more.unwrap_or(0);
                let rows = Rows { total, processed, created, updated, unchanged, skipped, failed, unprocessed };
                Taken { rows, whole: total.is_some() }
            };
            let rounds: Vec<Taken> = rounds.into_iter().map(round).collect();
            let sum = StorySum::of(rounds.iter().copied());
            let all = |count: fn(&Rows) -> u64| rounds.iter().map(|round| count(&round.rows)).sum::<u64>();
            let settled = sum.created + sum.updated + sum.unchanged + sum.skipped;
            prop_assert_eq!(sum.total + sum.added, settled + sum.open());
            prop_assert_eq!(settled, all(|rows| rows.processed - rows.failed));
            prop_assert_eq!(sum.total, rounds[0].rows.total.unwrap_or(rounds[0].rows.processed));
            prop_assert!(sum.failed >= rounds[rounds.len() - 1].rows.failed);
        }
    }

    fn import(number: u8, status: Status, rows: Option<Rows>) -> Import {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        let import = Import::new(ImportId::new(i64::from(number), [number; 10]), account, kind, number.into(), 99);
        let total = rows.and_then(|rows| rows.total);
        Import { status, total, rows, completed_at: rows.map(|_| 50), ..import }
    }

    fn failed(number: u8) -> Import {
        import(number, Status::CompletedWithErrors, Some(rows(Some(10), 6, 4, 0)))
    }

    fn new(number: u8) -> Import {
        import(number, Status::AwaitingUpload, None)
    }

    fn there(imports: &[&Import]) -> BTreeMap<ImportId, Import> {
        imports.iter().map(|&import| (import.id.clone(), import.clone())).collect()
    }

    fn ids(story: &Story) -> Vec<&ImportId> {
        story.rounds.iter().map(|round| &round.import).collect()
    }

    #[test]
    fn what_has_ended_with_open_rows_is_corrected_by_one_at_a_time() {
        let first = failed(1);
        let alone = Story::of(&first);
        let try_it = |of: &Import| Story::of(of).correct(of, &there(&[of]), &new(9)).err();
        assert_eq!(try_it(&first), None);
        let refused = [
            (
                Import { options: ImportOptions { dry_run: true, ..first.options.clone() }, ..first.clone() },
                NoCorrection::DryRun,
            ),
            (import(1, Status::Processing, None), NoCorrection::Runs),
            (import(1, Status::AwaitingConfirmation, None), NoCorrection::Runs),
            (import(1, Status::Expired, None), NoCorrection::NoFile),
            (import(1, Status::Cancelled, None), NoCorrection::NoFile),
            (import(1, Status::Completed, Some(rows(Some(4), 4, 0, 0))), NoCorrection::Nothing),
        ];
        for (import, why) in refused {
            assert_eq!(try_it(&import), Some(why), "{:?}", import.status);
        }
        // Of a file that was not split to its end there may be more; of one that was, what was not looked at is open.
        let early = Import { total: None, ..import(1, Status::Failed, Some(rows(Some(0), 0, 0, 0))) };
        assert_eq!(try_it(&early), None);
        assert_eq!(try_it(&import(1, Status::Cancelled, Some(rows(Some(9), 4, 0, 5)))), None);
        let other: KindName = "suppliers".parse().expect("valid");
        let another = Import { kind: other, ..new(2) };
        assert_eq!(alone.correct(&first, &there(&[&first]), &another), Err(NoCorrection::AnotherKind));
        // Whoever corrects it keeps others out, and is corrected next.
        let second = failed(2).correcting(&first);
        assert_eq!((second.corrects.as_ref(), second.story.as_ref()), (Some(&first.id), Some(&first.id)));
        let story = alone.correct(&first, &there(&[&first]), &second).expect("it can be corrected");
        let imports = there(&[&first, &second]);
        let by = NoCorrection::Corrected { by: second.id.clone(), last: second.id.clone() };
        assert_eq!(story.correct(&first, &imports, &new(3)), Err(by));
        let third = new(3).correcting(&second);
        assert_eq!(third.story.as_ref(), Some(&first.id));
        let story = story.correct(&second, &imports, &third).expect("it can be corrected");
        assert_eq!(ids(&story), [&first.id, &second.id, &third.id]);
        let by = NoCorrection::Corrected { by: second.id.clone(), last: third.id.clone() };
        assert_eq!(story.correct(&first, &there(&[&first, &second, &third]), &new(4)), Err(by));
    }

    /// A round whose rows are all fine is corrected where rows of an earlier one are open.
    #[test]
    fn rows_that_were_not_sent_again_can_be_sent_later() {
        let first = failed(1);
        let second = import(2, Status::Completed, Some(rows(Some(3), 3, 0, 0)));
        let story = Story::of(&first).correct(&first, &there(&[&first]), &second).expect("four rows are open");
        let imports = there(&[&first, &second]);
        let third = import(3, Status::Completed, Some(rows(Some(1), 1, 0, 0)));
        let story = story.correct(&second, &imports, &third).expect("one row is open");
        let imports = there(&[&first, &second, &third]);
        assert_eq!(story.correct(&third, &imports, &new(4)), Err(NoCorrection::Nothing));
    }

    #[test]
    fn one_without_a_file_leaves_its_place_when_it_can_get_none_any_more() {
        let first = failed(1);
        let story = Story::of(&first).correct(&first, &there(&[&first]), &new(2)).expect("it can be corrected");
        let id = new(2).id;
        for status in [Status::AwaitingUpload, Status::Expired] {
            let imports = there(&[&first, &import(2, status, None)]);
            let by = NoCorrection::Corrected { by: id.clone(), last: id.clone() };
            assert_eq!(story.correct(&first, &imports, &new(3)), Err(by));
        }
        let cancelled = import(2, Status::Cancelled, None);
        let next = story.correct(&first, &there(&[&first, &cancelled]), &new(3)).expect("its place is free");
        assert_eq!(ids(&next), [&first.id, &new(3).id]);
        // It is none of the story any more, and one that is deleted is not either.
        assert_eq!(next.without(&cancelled), None);
        assert_eq!(story.without(&import(2, Status::Expired, None)).as_ref().map(ids), Some(vec![&first.id]));
    }

    #[test]
    fn what_is_deleted_keeps_its_counts_and_leaves_its_place() {
        let (first, second) = (failed(1), failed(2));
        let story = Story::of(&first).correct(&first, &there(&[&first]), &second).expect("it can be corrected");
        let story = story.without(&second).expect("it is one of them");
        assert_eq!(story.without(&second), None, "it is gone already");
        let gone = story.rounds[1].gone.clone().expect("gone");
        assert_eq!((gone.status, gone.created_at, gone.completed_at), (second.status, 2, Some(50)));
        assert_eq!(gone.taken, second.taken(second.rows.expect("counted")));
        let next = story.correct(&first, &there(&[&first]), &new(3)).expect("nobody who is there corrects it");
        assert_eq!(ids(&next), [&first.id, &second.id, &new(3).id]);
        assert!(!story.is_over() && story.without(&first).expect("it is one of them").is_over());
    }

    #[test]
    fn a_story_has_so_many_rounds_at_most() {
        let mut imports = vec![failed(1)];
        let mut story = Story::of(&imports[0]);
        for number in 2.. {
            let all: Vec<&Import> = imports.iter().collect();
            let (of, next) = (imports[imports.len() - 1].clone(), failed(number));
            match story.correct(&of, &there(&all), &next) {
                Ok(longer) => story = longer,
                Err(why) => {
                    assert_eq!((why, story.rounds.len()), (NoCorrection::TooMany, STORY_ROUNDS));
                    return;
                }
            }
            imports.push(next);
        }
    }
}
