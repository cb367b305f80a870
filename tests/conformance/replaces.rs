//! Replaces: one at the gate of a kind, its counts written once, its tombstones only over what was read.

use penstock_model::{
    Actor, Halt, Import, ImportOptions, Mode, Record, Settlement, Stage, Stamp, Status, Transition, replace::ToRemove,
};
use penstock_store::{
    accept::Acceptance,
    records::{Write, Written},
    replace::{Confirmation, Pass, ShardTally},
};

use super::{
    bench::{Bench, KIND, object},
    records::{name_of, named, write},
};

/// A stored replace whose upload has not been accepted.
async fn created(bench: &Bench) -> Import {
    let options = ImportOptions { mode: Mode::Replace, ..ImportOptions::default() };
    let import = Import { options, ..bench.import() };
    bench.store.create_import(&import, None).await.expect("created");
    import
}

async fn accept(bench: &Bench, import: &Import) -> Option<Import> {
    match bench.store.accept(&bench.account, &import.id, &object("1")).await.expect("answers") {
        Acceptance::Go(import) => Some(*import),
        Acceptance::Nothing(_) => None,
    }
}

/// A replace at the gate, of a file without rows.
async fn at_gate(bench: &Bench) -> Import {
    let import = accept(bench, &created(bench).await).await.expect("accepted");
    bench.store.set_total(&import, 0, None).await.expect("answers");
    bench.now(&import).await
}

async fn ended(bench: &Bench, import: &Import) -> Import {
    bench.store.order_halt(&bench.account, &import.id, &Halt::cancelled()).await.expect("answers");
    bench.store.settle(&bench.account, &import.id).await.expect("answers").expect("there")
}

pub(crate) async fn one_replace_is_at_the_gate_and_others_wait(bench: Bench) {
    let gate = at_gate(&bench).await;
    assert_eq!((gate.stage(), gate.settle(), gate.order), (Stage::Applying, Settlement::Remove, 1));
    let (upsert, second) = (bench.created().await, created(&bench).await);
    for waiting in [&upsert, &second] {
        // A repeat finds it waiting.
        for _ in 0..2 {
            assert!(accept(&bench, waiting).await.is_none());
            let now = bench.now(waiting).await;
            assert_eq!((now.stage(), now.status, now.order), (Stage::Waiting, Status::Processing, 0));
            assert_eq!((now.waiting_for, now.object), (Some(gate.id.clone()), Some(object("1"))));
        }
    }
    assert_eq!(ended(&bench, &second).await.status, Status::Cancelled);
    assert_eq!(ended(&bench, &gate).await.status, Status::Cancelled);
    let accepted = accept(&bench, &upsert).await.expect("the gate is free");
    assert_eq!((accepted.order, &accepted.waiting_for, accepted.stage()), (2, &None, Stage::Splitting));
    assert!(accepted.no_older_running);
    // One that runs is waited for, and keeps nobody from the gate.
    let third = at_gate(&bench).await;
    assert_eq!(third.order, 3);
    assert!(!bench.store.may_remove(&third).await.expect("answers"));
    assert_eq!(ended(&bench, &accepted).await.status, Status::Cancelled);
    assert!(bench.store.may_remove(&third).await.expect("answers"));
}

pub(crate) async fn a_held_replace_leaves_the_gate_and_takes_a_place_when_it_is_confirmed(bench: Bench) {
    let store = &bench.store;
    let import = at_gate(&bench).await;
    let to_remove = ToRemove { records: 2, of: 3 };
    let hold = Transition::Hold { to_remove: Some(to_remove), until: store.now_ms() + 60_000, rows: None };
    assert!(store.hold(&import, &hold).await.expect("answers"));
    assert!(!store.hold(&import, &hold).await.expect("answers"), "it is held");
    let held = bench.now(&import).await;
    assert_eq!((held.status, held.to_remove), (Status::AwaitingConfirmation, Some(to_remove)));
    assert!(!store.end_held(&held).await.expect("answers"), "its time is not over");
    // Another replace passes, which does not wait for the held one, and is not alone all the same.
    let other = at_gate(&bench).await;
    assert_eq!((other.order, other.no_older_running), (2, false));
    assert!(store.may_remove(&other).await.expect("answers") && store.others_held(&other).await.expect("answers"));
    let by = Actor::new("test".into(), None, None, "native");
    let confirm = async || store.confirm(&bench.account, &import.id, &by).await.expect("answers");
    assert_eq!(confirm().await, Confirmation::GateTaken(other.id.clone()));
    assert!(store.decide_removal(&other, &other.decide(ToRemove::default())).await.expect("answers"));
    let removing = bench.now(&other).await;
    let halted = ended(&bench, &other).await;
    assert_eq!((halted.stage(), halted.halt), (Stage::Removing, None), "nothing stops it");
    let end = removing.end_removed(0).expect("it removes");
    assert_eq!(store.end_replace(removing, &end).await.expect("answers").expect("there").status, Status::Completed);
    for _ in 0..2 {
        assert_eq!(confirm().await, Confirmation::Confirmed);
    }
    let confirmed = bench.now(&import).await;
    assert_eq!((confirmed.stage(), confirmed.removal_stamp()), (Stage::Confirmed, Stamp::of_delete(3)));
    assert!(accept(&bench, &bench.created().await).await.is_none(), "it is at the gate");
    assert_eq!(ended(&bench, &confirmed).await.status, Status::Cancelled);
    assert_eq!(confirm().await, Confirmation::NotHeld);
    assert_eq!(store.confirm(&bench.account, &bench.import().id, &by).await.expect("answers"), Confirmation::Missing);
}

pub(crate) async fn the_first_count_of_a_shard_counts(bench: Bench) {
    let (store, import) = (&bench.store, at_gate(&bench).await);
    let tally = |run: &str| ShardTally { records: 2, of: 5, run: run.to_owned(), parts: 1 };
    let keys = ["A".to_owned(), "B,ä\n".to_owned()];
    store.put_keys(&import.id, 7, "first", 0, &keys).await.expect("stored");
    for _ in 0..2 {
        assert!(store.tally_shard(&import.id, 7, Pass::Count, &tally("first")).await.expect("answers"));
    }
    assert!(!store.tally_shard(&import.id, 7, Pass::Count, &tally("second")).await.expect("answers"));
    let tallies = store.shard_tallies(&import.id, Pass::Count).await.expect("answers");
    assert_eq!(tallies.into_iter().collect::<Vec<_>>(), [(7, tally("first"))]);
    assert!(store.shard_tallies(&import.id, Pass::Remove).await.expect("answers").is_empty());
    assert_eq!(store.listed_keys(&import.id, 7, "first", 0).await.expect("answers"), keys);
    assert!(store.listed_keys(&import.id, 7, "second", 0).await.expect("answers").is_empty());
}

pub(crate) async fn a_tombstone_is_written_over_what_was_read(bench: Bench) {
    let store = &bench.store;
    for sku in ["A", "B"] {
        assert_eq!(write(store, &name_of(&bench, sku), &named(0, "made")).await, Written::Stored);
    }
    let read = async |sku: &str| {
        let name = name_of(&bench, sku);
        store.records(&[&name]).await.expect("answers").remove(&name).expect("an item")
    };
    let at = Stamp::of_replace(4);
    let (a, b) = (read("A").await.deleted(at), read("B").await.deleted(at));
    assert_eq!(write(store, &name_of(&bench, "B"), &named(b.rev, "newer")).await, Written::Stored);
    let names = ["A", "B", "C"].map(|sku| name_of(&bench, sku));
    let writes = [
        Write { name: &names[0], record: &a },
        Write { name: &names[1], record: &b },
        Write { name: &names[2], record: &a },
    ];
    let written = store.write_tombstones(&writes).await.expect("answers");
    assert_eq!(written, [Written::Stored, Written::ReadAgain, Written::ReadAgain]);
    let gone = read("A").await;
    assert_eq!(gone, Record { rev: a.rev + 1, ..a });
    assert!(!read("B").await.is_gone());
    // It does not expire by itself, and is told so by its shard until somebody has it expire.
    let name = &names[0];
    let shard = u8::from_str_radix(&name.partition[name.partition.len() - 2..], 16).expect("a shard");
    let kind = KIND.parse().expect("a kind");
    let lasting = async || {
        let page = store.shard_page(&bench.account, &kind, shard, None, 10).await.expect("a page");
        page.lasting.len()
    };
    assert_eq!(lasting().await, 1);
    store.expire_tombstones(&[(name.clone(), gone.rev)]).await.expect("answers");
    assert_eq!((lasting().await, read("A").await), (0, gone));
}
