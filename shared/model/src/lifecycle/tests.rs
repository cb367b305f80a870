use super::*;
use crate::{Fate, ImportId, ImportOptions, Mode, Verdict};

const HOUR_MS: i64 = 3_600_000;

fn awaiting() -> Import {
    let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
    Import::new(ImportId::new(1, [7; 10]), account, kind, 0, HOUR_MS)
}

fn object(etag: &str) -> StoredObject {
    StoredObject { version: None, etag: etag.to_owned(), bytes: 10 }
}

fn accept() -> Transition {
    Transition::Accept { object: Some(object("a")), order: 3, no_older_running: true }
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

fn replaces(import: Import) -> Import {
    let options = ImportOptions { mode: Mode::Replace, ..ImportOptions::default() };
    Import { options, ..import }
}

const TO_REMOVE: ToRemove = ToRemove { records: 5, of: 9 };

/// An import at each of the stages.
fn at(stage: Stage) -> Import {
    match stage {
        Stage::AwaitingUpload => awaiting(),
        Stage::Expired => after(&awaiting(), &awaiting().expire(2 * HOUR_MS).expect("its time is over")),
        Stage::Splitting => after(&awaiting(), &accept()),
        Stage::Applying => {
            Import { opened_blocks: 1, ..after(&at(Stage::Splitting), &Transition::Split { total: 20 }) }
        }
        Stage::Waiting => {
            let gate = ImportId::new(1, [8; 10]);
            after(&awaiting(), &Transition::Wait { object: Some(object("a")), gate })
        }
        Stage::Held => {
            let counted = Import { opened_blocks: 0, ..replaces(at(Stage::Applying)) };
            after(&counted, &Transition::Hold { to_remove: Some(TO_REMOVE), until: HOUR_MS, rows: None })
        }
        Stage::Confirmed => after(&at(Stage::Held), &Transition::Confirm { order: 8 }),
        Stage::Removing => after(&at(Stage::Confirmed), &at(Stage::Confirmed).decide(TO_REMOVE)),
        Stage::Halting => {
            let running = at(Stage::Splitting);
            after(&running, &running.on_halt(&Halt::cancelled()).expect("it runs"))
        }
        Stage::Ended => after(&awaiting(), &awaiting().on_halt(&Halt::cancelled()).expect("it waits")),
    }
}

fn end(transition: &Transition) -> (Status, Option<&str>, Option<Rows>) {
    match transition {
        Transition::End { status, failure, rows, .. } => (*status, failure.as_ref().map(|f| f.code.as_str()), *rows),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stage_is_told_by_its_marks_and_by_no_others() {
    for stage in Stage::ALL {
        let import = at(stage);
        assert_eq!(import.stage(), stage);
        let fits = |other: &Stage| {
            let Marks { statuses, halt, total, waiting_for, confirmed, removes } = other.marks();
            let fits = |mark: Option<bool>, is_there: bool| mark.is_none_or(|there| there == is_there);
            statuses.contains(&import.status)
                && fits(halt, import.halt.is_some())
                && fits(total, import.total.is_some())
                && fits(waiting_for, import.waiting_for.is_some())
                && fits(confirmed, import.confirmed.is_some())
                && fits(removes, import.removes.is_some())
        };
        assert_eq!(Stage::ALL.into_iter().filter(fits).collect::<Vec<_>>(), [stage]);
    }
    // Marks of an import that was halted when it had been split.
    let split = at(Stage::Applying);
    assert_eq!(after(&split, &Transition::Halt(Halt::cancelled())).stage(), Stage::Halting);
}

#[test]
fn what_is_decided_can_be_made_from_where_it_was_decided() {
    for stage in Stage::ALL {
        let import = Import { opened_blocks: 0, ..at(stage) };
        let settled = match import.settle() {
            Settlement::End(transition) => Some(transition),
            Settlement::CloseBlocks => import.end_early(&ClosedBlocks::default()),
            Settlement::Remove => {
                import.end_removed(4).or_else(|| (stage == Stage::Confirmed).then(|| import.decide(TO_REMOVE)))
            }
            Settlement::Wait | Settlement::Hold | Settlement::Report | Settlement::Done => None,
        };
        let deleted = match import.delete() {
            Deletion::End(transition) => Some(transition),
            Deletion::Refused | Deletion::Read(_) | Deletion::Remove => None,
        };
        let accepted = (import.on_upload(&object("a")) == Uploaded::Expected).then(accept);
        let decided = [
            import.on_halt(&Halt::cancelled()),
            import.expire(i64::MAX),
            settled,
            deleted,
            accepted,
            import.end_held(i64::MAX),
        ];
        for transition in decided.into_iter().flatten() {
            assert!(transition.is_made_from(stage), "{transition:?} from {stage:?}");
            assert_ne!(after(&import, &transition).stage(), stage);
        }
    }
}

#[test]
fn an_upload_is_accepted_once_and_late_if_need_be() {
    let of = |stage, etag: &str| at(stage).on_upload(&object(etag));
    for waiting in [Stage::AwaitingUpload, Stage::Expired] {
        assert_eq!(of(waiting, "a"), Uploaded::Expected);
        let import = after(&at(waiting), &accept());
        assert_eq!((import.order, import.no_older_running, import.accepted_at), (3, true, Some(7)));
        assert_eq!(import.completed_at, None, "that it expired is past");
    }
    assert_eq!(of(Stage::Waiting, "a"), Uploaded::Expected);
    assert_eq!(of(Stage::Waiting, "b"), Uploaded::Ignored("the import is about another object"));
    let later = [Stage::Held, Stage::Confirmed, Stage::Removing];
    for running in [Stage::Splitting, Stage::Applying, Stage::Halting].into_iter().chain(later) {
        assert_eq!(of(running, "a"), Uploaded::Known);
        assert_eq!(of(running, "b"), Uploaded::Ignored("the import is about another object"));
    }
    assert_eq!(of(Stage::Ended, "a"), Uploaded::Ignored("the import has ended"));
}

#[test]
fn an_import_expires_after_its_grace_and_only_while_it_waits() {
    assert_eq!(awaiting().expire(HOUR_MS + EXPIRY_GRACE_MS), None);
    let expired = at(Stage::Expired);
    assert_eq!((expired.status, expired.completed_at, expired.rows), (Status::Expired, Some(7), None));
    assert_eq!(at(Stage::Splitting).expire(i64::MAX), None);
}

#[test]
fn the_first_order_to_end_counts() {
    let halting = at(Stage::Halting);
    assert_eq!((halting.status, halting.completed_at), (Status::Processing, None));
    assert_eq!(halting.on_halt(&Halt::failed(Failure::new("split_failed", "too late"))), None);
    let failed = awaiting().on_halt(&Halt::failed(Failure::new("upload_gone", "no upload wanted"))).expect("it waits");
    assert_eq!(end(&failed), (Status::Failed, Some("upload_gone"), None));
    assert!(failed.stays_due(&awaiting()), "parts may be left");
}

#[test]
fn an_import_ends_when_every_block_is_noted() {
    let tally = Tally { created: 17, failed: 3, failed_early: 2, errors: 3, ..Tally::default() };
    let import = Import { noted_tally: tally, ..at(Stage::Applying) };
    assert_eq!(import.settle(), Settlement::Wait);
    let noted = Import { noted_blocks: vec![0], ..import };
    let Settlement::End(ended) = noted.settle() else { panic!("every block is noted") };
    let rows = Rows { total: Some(20), processed: 20, created: 17, failed: 3, ..Rows::default() };
    assert_eq!(end(&ended), (Status::CompletedWithErrors, None, Some(rows)));
    assert!(ended.stays_due(&noted));
    let ended = after(&noted, &ended);
    assert_eq!(ended.settle(), Settlement::Report);
    let all_good = Import { noted_tally: Tally { created: 20, ..Tally::default() }, ..noted.clone() };
    let Settlement::End(completed) = all_good.settle() else { panic!("every block is noted") };
    assert_eq!((end(&completed).0, completed.stays_due(&all_good)), (Status::Completed, false));
    assert_eq!(after(&all_good, &completed).settle(), Settlement::Done);
    // Too many of the first rows, shown by the last tally.
    let options = ImportOptions { abort: Some(Abort { rows: 10, percent: 10 }), ..ImportOptions::default() };
    let Settlement::End(failed) = (Import { options, ..noted }).settle() else { panic!("every block is noted") };
    assert_eq!(end(&failed), (Status::Failed, Some("too_many_rejected"), Some(rows)));
}

#[test]
fn too_many_rejected_rows_halt_an_import_that_runs() {
    let options = ImportOptions { abort: Some(Abort { rows: 10, percent: 10 }), ..ImportOptions::default() };
    for stage in Stage::ALL {
        let import = Import { options: options.clone(), ..at(stage) };
        let runs = matches!(stage, Stage::Splitting | Stage::Applying);
        assert_eq!(import.abort().and_then(|abort| abort.halt(1)), None);
        let halt = import.abort().and_then(|abort| abort.halt(2));
        assert_eq!(halt.map(|halt| halt.status), runs.then_some(Status::Failed), "{stage:?}");
    }
    assert_eq!(at(Stage::Splitting).abort(), None, "no threshold was set");
}

#[test]
fn a_halted_import_ends_when_what_has_begun_is_accounted_for() {
    let mut block = Block { size: 4, closed: true, ..Block::default() };
    block.fates.insert("0".into(), Fate { verdict: Verdict::Begun, last_row: 10 });
    block.fates.insert("1".into(), Fate { verdict: Verdict::Begun, last_row: 20 });
    block.tallies.insert("0".into(), Tally { created: 10, ..Tally::default() });
    let closed = |block: &Block| {
        let mut blocks = ClosedBlocks::default();
        blocks.add(block);
        blocks
    };
    let halting = at(Stage::Halting);
    assert_eq!(halting.settle(), Settlement::CloseBlocks);
    assert_eq!(halting.end_early(&closed(&block)), None, "a chunk has begun");
    block.tallies.insert("1".into(), Tally { created: 9, ..Tally::default() });
    let ended = halting.end_early(&closed(&block)).expect("all is accounted for");
    let rows = Rows { total: Some(20), processed: 19, created: 19, unprocessed: 1, ..Rows::default() };
    assert_eq!(end(&ended), (Status::Cancelled, None, Some(rows)));
    // Of a file that was split as a whole, or further than chunks have a fate, more is known.
    let split = Import { total: Some(50), ..halting.clone() };
    let total = |import: &Import| end(&import.end_early(&closed(&block)).expect("ends")).2.and_then(|rows| rows.total);
    assert_eq!(total(&split), Some(50));
    let further = Import { checkpoint: Checkpoint { row: 31, ..Checkpoint::START }, ..halting };
    assert_eq!(total(&further), Some(30));
    assert_eq!(at(Stage::Splitting).end_early(&closed(&block)), None, "nobody ordered it");
}

#[test]
fn the_rows_of_a_file_that_was_known_again_count_also_where_it_is_cancelled() {
    let noted_tally = Tally { unchanged: 50, ..Tally::default() };
    let same = Import { total: Some(50), noted_tally, ..at(Stage::Halting) };
    let ended = same.end_early(&ClosedBlocks::default()).expect("there is no block");
    let rows = Rows { total: Some(50), processed: 50, unchanged: 50, ..Rows::default() };
    assert_eq!(end(&ended), (Status::Cancelled, None, Some(rows)));
}

#[test]
fn what_may_have_been_lost_is_sent_again() {
    let resumed = |stage| at(stage).resume();
    assert_eq!(resumed(Stage::Splitting), Some(Order::to_continue(&awaiting(), None)));
    for stage in [Stage::Applying, Stage::Halting] {
        assert_eq!(resumed(stage), Some(Order::to_resend(&awaiting(), Checkpoint::START)));
    }
    for stage in [Stage::AwaitingUpload, Stage::Expired, Stage::Ended] {
        assert_eq!(resumed(stage), None);
    }
    // A replace all of whose rows are accounted for is settled, and then goes on by itself.
    let counted = Import { opened_blocks: 0, ..replaces(at(Stage::Applying)) };
    assert_eq!((counted.settle(), counted.resume()), (Settlement::Remove, None));
    let died = Import { split_died_at: Some(0), ..at(Stage::Splitting) };
    assert_eq!(died.resume(), Some(Order::to_continue(&awaiting(), Some(0))));
    let got_further = Import { checkpoint: Checkpoint { chunk: 4, ..Checkpoint::START }, ..died };
    assert_eq!(got_further.resume(), Some(Order::to_continue(&awaiting(), None)));
}

#[test]
fn only_what_does_not_run_is_deleted() {
    for stage in Stage::ALL {
        let runs = !matches!(stage, Stage::AwaitingUpload | Stage::Expired | Stage::Ended);
        assert_eq!(at(stage).delete() == Deletion::Refused, runs, "{stage:?}");
    }
    let Deletion::End(ended) = awaiting().delete() else { panic!("it waits") };
    assert_eq!(after(&awaiting(), &ended).delete(), Deletion::Remove);
    let reader = ImportId::new(1, [9; 10]);
    let read = Import { readers: [reader.clone()].into(), ..after(&awaiting(), &ended) };
    assert_eq!(read.delete(), Deletion::Read(reader));
}

#[test]
fn a_replace_ends_by_its_removal_and_any_other_import_without_one() {
    let applied = Import { opened_blocks: 0, ..at(Stage::Applying) };
    assert!(matches!(applied.settle(), Settlement::End(_)), "an upsert has ended");
    assert_eq!(applied.end_unremoved(), None);
    let counted = replaces(applied);
    assert_eq!(counted.settle(), Settlement::Remove);
    let dry = ImportOptions { dry_run: true, ..counted.options.clone() };
    assert!(matches!((Import { options: dry, ..counted.clone() }).settle(), Settlement::End(_)), "nothing is removed");
    let abort = Some(Abort { rows: 10, percent: 0 });
    let aborted = Import {
        options: ImportOptions { abort, ..counted.options.clone() },
        noted_tally: Tally { failed: 1, failed_early: 1, ..Tally::default() },
        ..counted.clone()
    };
    let Settlement::End(failed) = aborted.settle() else { panic!("it has failed, and removes nothing") };
    assert_eq!(end(&failed).0, Status::Failed);
    let removing = after(&counted, &counted.decide(TO_REMOVE));
    assert_eq!((removing.stage(), removing.removes), (Stage::Removing, Some((3, u64::MAX))));
    let ended = after(&removing, &removing.end_removed(5).expect("it removes"));
    assert_eq!((ended.stage(), ended.removed, ended.to_remove), (Stage::Ended, Some(5), Some(TO_REMOVE)));
    assert_eq!(ended.rows.and_then(|rows| rows.total), Some(20));
}

#[test]
fn nothing_stops_a_removal_that_is_decided() {
    let removing = at(Stage::Removing);
    assert_eq!(removing.on_halt(&Halt::cancelled()), None);
    let halted = Transition::Halt(Halt::cancelled());
    let unremoved = at(Stage::Held).end_unremoved().expect("it is held");
    for refused in [halted, unremoved.clone(), removing.decide(TO_REMOVE)] {
        assert!(!refused.is_made_from(Stage::Removing), "{refused:?}");
    }
    // Nor does what a held import comes to stop one that was confirmed meanwhile.
    assert!(!unremoved.is_made_from(Stage::Confirmed));
    // Until then a cancel does.
    for stage in [Stage::Waiting, Stage::Applying, Stage::Held, Stage::Confirmed] {
        let halting = after(&at(stage), &at(stage).on_halt(&Halt::cancelled()).expect("it can be cancelled"));
        assert_eq!((halting.stage(), halting.settle()), (Stage::Halting, Settlement::CloseBlocks), "{stage:?}");
    }
}

#[test]
fn a_held_import_ends_when_nobody_confirms_it_in_time() {
    let held = at(Stage::Held);
    assert_eq!((held.status, held.settle()), (Status::AwaitingConfirmation, Settlement::Wait));
    assert_eq!(held.end_held(HOUR_MS), None);
    let ended = after(&held, &held.end_held(HOUR_MS + 1).expect("its time is over"));
    assert_eq!((ended.status, ended.removed), (Status::Completed, None));
    assert_eq!(at(Stage::Confirmed).end_held(i64::MAX), None);
}

#[test]
fn an_order_to_remove_everything_has_no_file_and_no_row() {
    let order = Import { everything: Some(Default::default()), ..replaces(awaiting()) };
    let accepted = after(&order, &Transition::Accept { object: None, order: 2, no_older_running: true });
    assert_eq!((accepted.stage(), accepted.settle()), (Stage::Applying, Settlement::Remove));
    let removing = after(&accepted, &accepted.decide(TO_REMOVE));
    let ended = after(&removing, &removing.end_removed(5).expect("it removes"));
    assert_eq!((ended.status, ended.rows.and_then(|rows| rows.total)), (Status::Completed, Some(0)));
}
