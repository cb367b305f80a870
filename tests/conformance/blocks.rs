//! Fates, tallies, ends and errors.

use penstock_model::{
    Begin, Block, Halt, Import, QueueName, RowError, RowRange, Rows, Settlement, Status, Tally, Verdict, limits,
};
use penstock_store::{
    Store,
    accept::Step,
    errors::{ErrorCursor, Extent},
};

use super::bench::{Bench, at_once, chunk, job, rows};

fn tally(created: u64, failed: u64) -> Tally {
    Tally { created, failed, errors: failed, ..Tally::default() }
}

async fn block(store: &Store, import: &Import, number: u32) -> Block {
    store.blocks(&import.id, &[number]).await.expect("answers").remove(&number).expect("the block is there")
}

async fn decided(store: &Store, import: &Import, index: u32, verdict: Verdict) -> Begin {
    store.decide(&job(import), &chunk(index, rows()), verdict).await.expect("answers")
}

pub(crate) async fn a_block_is_opened_once(bench: Bench) {
    let Bench { store, .. } = &bench;
    let import = bench.accepted().await;
    let steps = at_once(4, |_| {
        let (store, import) = (store.clone(), import.clone());
        async move { store.open_block(&import, 0).await.expect("answers") }
    })
    .await;
    assert_eq!(steps, [Step::Made; 4]);
    decided(store, &import, 0, Verdict::Begun).await;
    assert_eq!(store.open_block(&import, 0).await.expect("answers"), Step::Made);
    assert_eq!(block(store, &import, 0).await.fates.len(), 1, "a repeat leaves the block as it is");
    assert_eq!(store.open_block(&import, 1).await.expect("answers"), Step::Made);
    assert_eq!(bench.now(&import).await.opened_blocks, 2);
    assert_eq!(store.size_block(&import, 1, 3).await.expect("answers").size, 3);
    let many: Vec<u32> = (0..150).collect();
    let sizes: Vec<u32> =
        store.blocks(&import.id, &many).await.expect("answers").values().map(|block| block.size).collect();
    assert_eq!(sizes.iter().sum::<u32>(), 7, "{sizes:?}");
    assert_eq!(store.open_block(&bench.import(), 0).await.expect("answers"), Step::Overtaken);
}

pub(crate) async fn the_first_fate_of_a_chunk_counts(bench: Bench) {
    let Bench { store, .. } = &bench;
    let import = bench.accepted().await;
    assert_eq!(decided(store, &import, 0, Verdict::Begun).await, Begin::Closed, "there is no block");
    store.open_block(&import, 0).await.expect("answers");
    assert_eq!(
        decided(store, &import, 0, Verdict::Begun).await,
        Begin::Verdict { verdict: Verdict::Begun, before: false }
    );
    assert_eq!(
        decided(store, &import, 0, Verdict::Failed).await,
        Begin::Verdict { verdict: Verdict::Begun, before: true }
    );
    assert_eq!(
        decided(store, &import, 1, Verdict::Failed).await,
        Begin::Verdict { verdict: Verdict::Failed, before: false }
    );
    store.tally(&job(&import), 0, &tally(10, 0)).await.expect("answers").expect("the block is there");
    match decided(store, &import, 0, Verdict::Failed).await {
        Begin::Tallied(block) => assert_eq!((block.sum(), block.last_row()), (tally(10, 0), 20)),
        other => panic!("{other:?}"),
    }
    store.note_resent(&job(&import), 3).await.expect("answers");
    assert_eq!(block(store, &import, 0).await.resent.keys().collect::<Vec<_>>(), ["3"]);
}

pub(crate) async fn of_fates_decided_at_once_one_wins(bench: Bench) {
    let Bench { store, .. } = &bench;
    let import = bench.accepted().await;
    store.open_block(&import, 0).await.expect("answers");
    for index in 0..4 {
        let found = at_once(6, |at| {
            let (store, import) = (store.clone(), import.clone());
            let verdict = if at % 2 == 0 { Verdict::Begun } else { Verdict::Failed };
            async move { decided(&store, &import, index, verdict).await }
        })
        .await;
        let stored = block(store, &import, 0).await.fates[&index.to_string()].verdict;
        let verdicts = found.iter().map(|begin| match begin {
            Begin::Verdict { verdict, before } => (*verdict, *before),
            other => panic!("{other:?}"),
        });
        let (same, first): (Vec<_>, Vec<_>) = verdicts.map(|(verdict, before)| (verdict == stored, !before)).unzip();
        assert_eq!((same, first.iter().filter(|first| **first).count()), (vec![true; 6], 1));
    }
}

pub(crate) async fn the_first_tally_of_a_chunk_counts(bench: Bench) {
    let Bench { store, .. } = &bench;
    let import = bench.accepted().await;
    assert_eq!(store.tally(&job(&import), 0, &tally(1, 0)).await.expect("answers"), None, "there is no block");
    store.open_block(&import, 0).await.expect("answers");
    decided(store, &import, 0, Verdict::Begun).await;
    let blocks = at_once(6, |at| {
        let (store, import) = (store.clone(), import.clone());
        let tally = tally(at as u64 + 1, 0);
        async move { store.tally(&job(&import), 0, &tally).await.expect("answers").expect("the block is there").sum() }
    })
    .await;
    assert!(blocks.windows(2).all(|pair| pair[0] == pair[1]), "{blocks:?}");
    assert_eq!(block(store, &import, 0).await.sum(), blocks[0]);
}

/// An import of `rows` rows in two chunks of one block, of which the second is not tallied yet.
async fn half_done(bench: &Bench, failed: u64) -> Import {
    let Bench { store, .. } = bench;
    let import = bench.accepted().await;
    store.open_block(&import, 0).await.expect("answers");
    for index in 0..2 {
        decided(store, &import, index, Verdict::Begun).await;
    }
    store.tally(&job(&import), 0, &tally(10 - failed, failed)).await.expect("answers");
    import
}

pub(crate) async fn an_import_ends_once_with_the_sums_of_its_blocks(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let import = half_done(&bench, 3).await;
    store.size_block(&import, 0, 2).await.expect("answers");
    let running = store.settle(account, &import.id).await.expect("answers").expect("the import is there");
    assert_eq!(running.status, Status::Processing);
    assert_eq!(store.rows(&running).await.expect("answers").processed, 10);
    let full = store.tally(&job(&import), 1, &tally(10, 0)).await.expect("answers").expect("the block is there");
    assert!(full.is_full());
    // Its total, and the sums of its last block four times: whoever is last settles it, and nobody else.
    let changed = at_once(5, |at| {
        let (store, import, full) = (store.clone(), import.clone(), full.clone());
        async move {
            let changed =
                if at == 0 { store.set_total(&import, 20, None).await } else { store.note(&import, 0, &full).await };
            changed.expect("answers")
        }
    })
    .await;
    let last = changed.iter().flatten().filter(|now| now.settle() != Settlement::Wait);
    assert_eq!((changed.iter().flatten().count(), last.count()), (2, 1));
    let noted = bench.now(&import).await;
    assert_eq!((noted.noted_tally, &noted.noted_blocks[..]), (tally(17, 3), &[0][..]));
    store.note_full_blocks(&noted).await.expect("answers");
    let ended = at_once(4, |_| {
        let (store, import) = (store.clone(), import.clone());
        async move { store.settle(&import.account, &import.id).await.expect("answers").expect("the import is there") }
    })
    .await;
    let rows = Rows { total: Some(20), processed: 20, created: 17, failed: 3, ..Rows::default() };
    for import in &ended {
        assert_eq!((import.status, import.rows), (Status::CompletedWithErrors, Some(rows)));
    }
    assert_eq!(store.rows(&bench.now(&import).await).await.expect("answers"), rows);
    let orders = bench.messages(QueueName::Reports, 1).await;
    assert_eq!(orders[0].1, account.as_str(), "the message's group");
}

pub(crate) async fn a_halted_import_finishes_what_has_begun(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let import = half_done(&bench, 0).await;
    store.order_halt(account, &import.id, &Halt::cancelled()).await.expect("answers");
    let running = store.settle(account, &import.id).await.expect("answers").expect("the import is there");
    assert_eq!(running.status, Status::Processing, "a chunk has begun");
    assert!(block(store, &import, 0).await.closed);
    assert_eq!(decided(store, &import, 2, Verdict::Begun).await, Begin::Closed);
    assert_eq!(
        decided(store, &import, 1, Verdict::Begun).await,
        Begin::Verdict { verdict: Verdict::Begun, before: true }
    );
    store.tally(&job(&import), 1, &tally(9, 0)).await.expect("answers");
    let ended = store.settle(account, &import.id).await.expect("answers").expect("the import is there");
    let rows = Rows { total: Some(20), processed: 19, created: 19, unprocessed: 1, ..Rows::default() };
    assert_eq!((ended.status, ended.rows), (Status::Cancelled, Some(rows)));
    // It is no longer among those of its kind that run, and the next one takes its place.
    assert_eq!(bench.accepted().await.order, 2);
}

pub(crate) async fn errors_come_back_in_the_order_of_the_file(bench: Bench) {
    let Bench { store, .. } = &bench;
    let import = bench.accepted().await;
    store.open_block(&import, 0).await.expect("answers");
    // More than one part a chunk, more than one page of a query.
    let error = |row: u64, field: &str| RowError {
        row,
        line: row + 1,
        source_row: None,
        key: Some(format!("SKU-{row}")),
        field: Some(field.into()),
        value: Some("ü\u{0}\"".repeat(60)),
        code: "required".into(),
        message: "m".repeat(120),
    };
    let extent = |first_row| Extent { offset: 0, bytes: 10, first_row, first_line: first_row + 1, refused: false };
    let mut all = Vec::new();
    for index in (0..3).rev() {
        let first = u64::from(index) * 1000 + 1;
        let errors: Vec<RowError> = (first..first + 1000).flat_map(|row| [error(row, "a"), error(row, "b")]).collect();
        for _ in 0..2 {
            store.put_errors(&import.id, index, extent(first), &errors).await.expect("answers");
        }
        decided(store, &import, index, Verdict::Begun).await;
        store.tally(&job(&import), index, &tally(0, 1000)).await.expect("answers");
        all.splice(0..0, errors);
    }
    let mut found = Vec::new();
    let mut next = Some(ErrorCursor::default());
    while let Some(from) = next {
        let (page, more) = store.errors(&import.id, from, 700).await.expect("a page");
        assert!(page.len() == 700 || more.is_none());
        found.extend(page);
        next = more;
    }
    assert!(found == all, "{} errors of {}", found.len(), all.len());
    let counts = store.error_counts(&import.id).await.expect("counted");
    assert_eq!((counts.errors, counts.rows, counts.others()), (6000, 3000, 0));
    assert_eq!(counts.apart.iter().map(|count| count.field.as_deref()).collect::<Vec<_>>(), [Some("a"), Some("b")]);
    for (at, count) in counts.apart.iter().enumerate() {
        assert_eq!((count.code.as_str(), count.errors, count.rows), ("required", 3000, 3000));
        assert_eq!(count.ranges, [RowRange { first: 1, last: 3000 }]);
        let found = store.errors_at(&import.id, &count.first.iter().copied().collect()).await.expect("found");
        let wanted: Vec<&RowError> = all.iter().skip(at).step_by(2).take(limits::ERROR_EXAMPLES).collect();
        assert_eq!(found.values().collect::<Vec<_>>(), wanted);
    }
    // A place of another part, and one where nothing stands.
    let places = [(1, 1, 0), (1, 99, 0), (1, 0, 99_999)].map(|(chunk, part, index)| ErrorCursor { chunk, part, index });
    let found = store.errors_at(&import.id, &places.into()).await.expect("found");
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [places[0]]);
    let import = bench.now(&import).await;
    let rejected = store.rejected_rows(&import, 1500, 2).await.expect("a page");
    assert_eq!(rejected, [&all[3000..3002], &all[3002..3004]]);
    assert_eq!(store.refused_rows(&import.id, 1).await.expect("answers"), [0; 0]);
}
