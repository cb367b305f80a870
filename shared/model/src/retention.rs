//! For how long an import is kept: from its end on, for as long as the deployment says.
//!
//! Everything here is pure. When an import goes is decided from the import as it is then, and from how long imports are
//! kept then: a deployment that changes how long changes it for the imports that have ended, too.

use crate::{Import, ImportId};

/// What the retention of an import says at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retention {
    /// It has not ended: it is kept.
    Unended,
    /// It is kept until this moment, in Unix milliseconds.
    Until(i64),
    /// Its time is over, and this import still reads its upload: it is kept until that needs it no more.
    Read(ImportId),
    /// Its time is over, and nothing needs it.
    Over,
}

impl Import {
    /// When it ended, in Unix milliseconds; `None` while it has not.
    pub fn ended_at(&self) -> Option<i64> {
        self.status.is_final().then(|| self.completed_at.unwrap_or(self.created_at))
    }

    /// Until when it is kept, in Unix milliseconds, where each is kept for `kept_ms` from its end on, and longer only
    /// while another import reads its upload; `None` while it has not ended.
    pub fn retained_until(&self, kept_ms: i64) -> Option<i64> {
        Some(self.ended_at()?.saturating_add(kept_ms))
    }

    /// What its retention says at this moment, in Unix milliseconds.
    pub fn retention(&self, now_ms: i64, kept_ms: i64) -> Retention {
        match (self.retained_until(kept_ms), self.readers.first()) {
            (None, _) => Retention::Unended,
            (Some(until), _) if now_ms < until => Retention::Until(until),
            (Some(_), Some(reader)) => Retention::Read(reader.clone()),
            (Some(_), None) => Retention::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{Deletion, Halt, Stage, Status};

    fn import(status: Status, created_at: i64) -> Import {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        Import { status, ..Import::new(ImportId::new(1, [7; 10]), account, kind, created_at, created_at + 1) }
    }

    #[test]
    fn an_import_is_kept_from_its_end_on_and_one_that_has_not_ended_for_ever() {
        let ended = Import { completed_at: Some(50), ..import(Status::Completed, 10) };
        assert_eq!((ended.ended_at(), ended.retained_until(100)), (Some(50), Some(150)));
        assert_eq!(ended.retention(149, 100), Retention::Until(150));
        assert_eq!(ended.retention(150, 100), Retention::Over);
        // Another parameter counts for it as well.
        assert_eq!((ended.retention(150, 200), ended.retention(70, 20)), (Retention::Until(250), Retention::Over));
        let running = import(Status::Processing, 10);
        assert_eq!((running.retained_until(100), running.retention(i64::MAX, 0)), (None, Retention::Unended));
        // One that had expired and runs after all is not what it was.
        let late = Import { completed_at: None, ..import(Status::Processing, 10) };
        assert_eq!(late.retention(i64::MAX, 1), Retention::Unended);
        assert_eq!(import(Status::Failed, 10).ended_at(), Some(10));
    }

    proptest! {
        /// What goes is what a deletion would remove, and its time is over; whatever else is true of it.
        #[test]
        fn what_goes_has_ended_its_time_is_over_and_nobody_reads_it(
            status in prop::sample::select(Status::ALL.to_vec()),
            created_at in 0..1_000_i64,
            ran_for in prop::option::of(0..1_000_i64),
            now_ms in 0..4_000_i64,
            kept_ms in prop_oneof![0..2_000_i64, Just(i64::MAX)],
            is_read in any::<bool>(),
            is_halted in any::<bool>(),
        ) {
            let reader = ImportId::new(2, [8; 10]);
            let readers: BTreeSet<ImportId> = is_read.then(|| reader.clone()).into_iter().collect();
            let halt = is_halted.then(Halt::cancelled);
            let completed_at = ran_for.map(|ms| created_at + ms);
            let import = Import { completed_at, readers, halt, ..import(status, created_at) };
            let has_ended = matches!(import.stage(), Stage::Ended | Stage::Expired);
            let ended_at = completed_at.unwrap_or(created_at);
            let is_over = has_ended && now_ms >= ended_at.saturating_add(kept_ms);
            let retention = import.retention(now_ms, kept_ms);
            prop_assert_eq!(retention == Retention::Unended, !has_ended);
            prop_assert_eq!(retention == Retention::Over, is_over && !is_read);
            prop_assert_eq!(retention == Retention::Read(reader), is_over && is_read);
            if retention == Retention::Over {
                prop_assert_eq!(import.delete(), Deletion::Remove);
            }
            if let Retention::Until(until) = retention {
                prop_assert!(until > now_ms && import.retention(until, kept_ms) != Retention::Until(until));
            }
        }
    }
}
