//! Reviewing: an import that finds out what its file would do, and does it when somebody has confirmed that.
//!
//! ```text
//!  its upload is          all rows are
//!  accepted: no place     judged                  confirm: one transaction
//!  ───────▶ Splitting, Applying ──────▶ Held ──────────────────────────────▶ Ended, completed
//!                                        │                                    and an import `from` it, which has taken
//!                                        │                                    the next place in the order
//!                                        ├── cancel ───────────────────────▶ Ended, cancelled
//!                                        └── not confirmed in time ────────▶ Ended, nothing written
//! ```
//!
//! A review takes no place in the order of its kind and writes no record. Each row is judged against the stored
//! catalogue and against the rows of the same file: of the rows that name a record which is not there, one makes it.
//! Which one counts as that is settled by claims, one for each such record, held by the chunk that claimed it first.
//!
//! What it says is what the import does, if the catalogue of the kind is the same. So a review remembers where the
//! order of its kind stood, and who ran, when its rows began to be judged ([`JudgedAt`]). Whoever may have changed the
//! catalogue since has taken a place behind that, or is one of those who ran.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Import, ImportId, ImportOptions, Stage, Transition, limits::UPLOAD_LEFT_MS};

/// What the order of a kind was when the rows of a review began to be judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedAt {
    /// The place that was to be taken next.
    pub next: u64,
    /// The imports that ran and were not held: they may have written rows meanwhile. At most as many as an account has
    /// unfinished.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub running: BTreeSet<ImportId>,
}

impl JudgedAt {
    /// Whether the catalogue may have changed since, where the place that is to be taken next is now this one.
    pub fn may_have_moved(&self, next: u64) -> bool {
        self.next != next || !self.running.is_empty()
    }
}

impl Import {
    /// Whether rows are judged, and applied by another import once that is confirmed.
    pub fn is_review(&self) -> bool {
        self.options.review
    }

    /// Whether no chunk of a review needs the claims of the others any more: every one that began is accounted for.
    pub fn is_judged(&self) -> bool {
        self.is_review() && matches!(self.stage(), Stage::Held | Stage::Ended)
    }

    /// Has a review that is judged wait to be confirmed: for `held_ms`, and no longer than until another import can
    /// just be made of its upload, which is kept for `kept_ms`. `None` if it is none, or is not judged.
    pub fn hold_review(&self, now_ms: i64, held_ms: i64, kept_ms: i64) -> Option<Transition> {
        let total = self.total.filter(|_| self.is_review() && self.stage() == Stage::Applying)?;
        let rows = self.is_accounted_for().then(|| self.counts(total))?;
        let last = self.source_expires_at(kept_ms)?.saturating_sub(UPLOAD_LEFT_MS);
        let until = now_ms.saturating_add(held_ms).min(last);
        Some(Transition::Hold { to_remove: None, until, rows: Some(rows) })
    }

    /// The import that applies what a review has judged, made at `now_ms` and accepted at once, at this place in the
    /// order of its kind: it reads the same upload in the same way. `None` if the review does not wait to be confirmed,
    /// or its upload is not kept long enough.
    pub fn applying(
        &self,
        id: ImportId,
        now_ms: i64,
        kept_ms: i64,
        order: u64,
        no_older_running: bool,
    ) -> Option<Self> {
        if !self.is_review() || self.stage() != Stage::Held {
            return None;
        }
        let source = self.source(now_ms, kept_ms).ok()?;
        let new = Self::new(id, self.account.clone(), self.kind.clone(), now_ms, now_ms);
        let new = Self {
            kind_version: self.kind_version,
            format: self.format,
            options: ImportOptions { review: false, ..self.options.clone() },
            chunking: self.chunking,
            layout: self.layout.clone(),
            metadata: self.metadata.clone(),
            webhook: self.webhook.clone(),
            ..new
        };
        let new = new.reading(source, self);
        Some(Self { waiting_for: None, order, no_older_running, accepted_at: Some(now_ms), ..new })
    }

    /// The end of a review that is confirmed: this import applies what it has judged.
    pub fn confirm_as(&self, import: &ImportId) -> Option<Transition> {
        match self.end_unremoved()? {
            Transition::End { status, .. } if self.is_review() && self.stage() == Stage::Held => {
                Some(Transition::ConfirmAs { import: import.clone(), status })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Deletion, Halt, Rows, Settlement, Stamp, Status, StoredObject, Tally, Uploaded};

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn id(number: u8) -> ImportId {
        ImportId::new(1, [number; 10])
    }

    fn object() -> StoredObject {
        StoredObject { version: Some("v".into()), etag: "e".into(), bytes: 9 }
    }

    /// The import as the store has it after a transition.
    fn after(import: &Import, transition: &Transition) -> Import {
        assert!(transition.is_made_from(import.stage()), "{transition:?} from {:?}", import.stage());
        let mut stored = serde_json::to_value(import).expect("JSON");
        for (name, value) in transition.writes(7) {
            stored[name] = value;
        }
        serde_json::from_value(stored).expect("an import")
    }

    /// A review that was accepted when the next place was the fifth.
    fn accepted() -> Import {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        let options = ImportOptions { review: true, ..ImportOptions::default() };
        let new = Import { options, kind_version: 3, ..Import::new(id(7), account, kind, 10, 1000) };
        assert_eq!(new.on_upload(&object()), Uploaded::Expected);
        after(&new, &Transition::Judge { object: object(), at: JudgedAt { next: 5, running: BTreeSet::new() } })
    }

    /// The same with twelve rows that are judged, two of them rejected.
    fn judged() -> Import {
        let split = after(&accepted(), &Transition::Split { total: 12 });
        let noted_tally = Tally { created: 10, failed: 2, errors: 2, ..Tally::default() };
        Import { opened_blocks: 1, noted_blocks: vec![0], noted_tally, ..split }
    }

    fn held() -> Import {
        let import = judged();
        after(&import, &import.hold_review(100, 7 * DAY_MS, 30 * DAY_MS).expect("it is judged"))
    }

    #[test]
    fn a_review_takes_no_place_and_its_rows_come_after_whatever_there_is() {
        let import = accepted();
        assert_eq!((import.stage(), import.order, import.is_in_order()), (Stage::Splitting, 0, false));
        assert_eq!((import.judged_at.as_ref().map(|at| at.next), import.accepted_at), (Some(5), Some(7)));
        let stamp = import.job().stamp(1);
        assert!(stamp > Stamp { order: u64::from(u32::MAX) - 1, row: u64::MAX } && !import.is_replace());
        assert_eq!(stamp.of_default().default_of(), Some(stamp), "its defaults are told from those of stored rows");
    }

    #[test]
    fn it_is_held_with_its_counts_once_every_row_is_judged() {
        assert_eq!(accepted().hold_review(100, DAY_MS, 30 * DAY_MS), None);
        let import = judged();
        assert_eq!((import.settle(), import.is_judged()), (Settlement::Hold, false));
        let dry = ImportOptions { review: false, dry_run: true, ..ImportOptions::default() };
        assert_eq!((Import { options: dry, ..import }).hold_review(100, DAY_MS, 30 * DAY_MS), None);
        let import = held();
        let rows = Rows { total: Some(12), processed: 12, created: 10, failed: 2, ..Rows::default() };
        assert_eq!((import.status, import.rows), (Status::AwaitingConfirmation, Some(rows)));
        assert_eq!((import.held_until, import.to_remove), (Some(100 + 7 * DAY_MS), None));
        assert!(import.is_judged() && import.owes_report(), "its rejected rows are written now");
        assert_eq!((import.settle(), import.delete()), (Settlement::Wait, Deletion::Refused));
        // Its upload goes before the days are over: it is held until then.
        let short = judged().hold_review(100, 7 * DAY_MS, 5 * DAY_MS);
        assert!(matches!(short, Some(Transition::Hold { until, .. }) if until == 10 + 3 * DAY_MS), "{short:?}");
    }

    #[test]
    fn what_is_confirmed_is_made_of_the_same_upload_with_the_same_options() {
        let review = held();
        let import = review.applying(id(8), 200, 30 * DAY_MS, 5, true).expect("it is held");
        assert_eq!((import.stage(), import.order, import.no_older_running), (Stage::Splitting, 5, true));
        assert_eq!(import.options, ImportOptions::default());
        assert_eq!((import.kind_version, import.from.as_ref().map(|from| &from.import)), (3, Some(&review.id)));
        assert_eq!((import.upload_of(), import.on_upload(&object())), (&review.id, Uploaded::Known));
        assert_eq!(import.source_expires_at(DAY_MS), review.source_expires_at(DAY_MS));
        let ended = after(&review, &review.confirm_as(&import.id).expect("it is held"));
        assert_eq!((ended.status, &ended.confirmed_as), (Status::CompletedWithErrors, &Some(import.id)));
        assert_eq!((ended.stage(), ended.rows, ended.completed_at), (Stage::Ended, review.rows, Some(7)));
        // For as long as it is held, its upload lasts for another import.
        let until = review.held_until.expect("it is held");
        assert!(review.applying(id(8), until, 9 * DAY_MS + 100, 5, true).is_some());
        assert_eq!(judged().applying(id(8), 200, 30 * DAY_MS, 5, true), None);
        assert_eq!((judged().confirm_as(&id(8)), ended_of(&review).confirm_as(&id(8))), (None, None));
    }

    fn ended_of(review: &Import) -> Import {
        after(review, &review.end_held(i64::MAX).expect("its time is over"))
    }

    /// What is one of these, made first, keeps the other out.
    #[test]
    fn of_a_confirmation_a_cancel_and_an_expiry_one_is_made() {
        let review = held();
        let confirm = review.confirm_as(&id(8)).expect("it is held");
        let cancel = review.on_halt(&Halt::cancelled()).expect("it is held");
        let expire = review.end_held(i64::MAX).expect("its time is over");
        assert_eq!(review.end_held(100 + 7 * DAY_MS), None);
        let confirmed = after(&review, &confirm);
        assert!(!cancel.is_made_from(confirmed.stage()) && !expire.is_made_from(confirmed.stage()));
        assert!(!confirm.is_made_from(confirmed.stage()));
        let cancelled = after(&review, &cancel);
        assert_eq!(cancelled.stage(), Stage::Halting);
        assert!(!confirm.is_made_from(cancelled.stage()));
        let expired = ended_of(&review);
        assert_eq!((expired.status, expired.confirmed_as.as_ref()), (Status::CompletedWithErrors, None));
        assert!(!confirm.is_made_from(expired.stage()) && !cancel.is_made_from(expired.stage()));
    }

    proptest! {
        /// Whoever may write rows, or deletes, while a review is judged or behind that is seen. Each writer is the
        /// place that it took and the moment of its end; a review looks at one moment, and is confirmed at a later one.
        #[test]
        fn whoever_may_have_changed_the_catalogue_is_seen(
            writers in prop::collection::vec((0u64..30, 0u64..12), 0..6),
            looked in 0u64..30,
            waited in 0u64..30,
        ) {
            let mut writers: Vec<(u64, u64)> = writers.into_iter().map(|(from, took)| (from, from + took)).collect();
            writers.sort_unstable();
            let confirmed = looked + waited;
            // Of what begins at the moment of the look, the look sees nothing: it comes behind.
            let before = |moment: u64| writers.iter().filter(|(from, _)| *from < moment).count() as u64 + 1;
            let running = writers.iter().enumerate().filter(|(_, (from, to))| *from < looked && *to >= looked);
            let running = running.map(|(at, _)| id(at as u8)).collect();
            let at = JudgedAt { next: before(looked), running };
            let wrote = writers.iter().any(|(from, to)| *from < confirmed && *to >= looked);
            prop_assert_eq!(at.may_have_moved(before(confirmed)), wrote);
        }
    }
}
