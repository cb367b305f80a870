//! Random schedules of replaces among other imports and deletes from a printed seed, over the real function processes,
//! held to a catalogue that takes one event after the other. What a replace removes stands behind its last row, or
//! where it was confirmed.
//!
//! `PENSTOCK_REPLACES_SEEDS=1000..1200 cargo test --workspace --test suite deletes::replaces::long -- --nocapture` runs
//! as many schedules as one likes. Faults and deletes are those of the schedules without replaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use penstock_client::Import;
use penstock_model::{EmptyCells, ImportOptions, Mode, Stamp, Status};

use super::{
    schedules::{Deletes, KEYS, answered, compare, count, delete, faults, late_deviations, stack_with, upload},
    support::{
        Stack, begun, files,
        reference::{self, Catalogue, Rules},
        rng::Rng,
    },
};

/// An import, and what its owner does with it.
struct Planned {
    options: ImportOptions,
    file: Vec<u8>,
    /// Whether a removal that is held is confirmed; otherwise the import is cancelled.
    confirms: bool,
}

/// What is done to the stack, in this order.
enum Step {
    Upload(usize),
    Delete(Vec<u64>),
    Cancel(usize),
    /// Whatever is held is answered.
    Answer,
    Pass(u64),
}

struct Wave {
    imports: Vec<Planned>,
    steps: Vec<Step>,
}

fn plan(rng: &mut Rng, file: fn(&mut Rng, u64, u64) -> Vec<u8>, overlaps: bool) -> Planned {
    let mode = match rng.below(5) {
        0 | 1 if !overlaps => *rng.pick(&[Mode::Create, Mode::Fill]),
        0 | 1 => Mode::Upsert,
        _ => Mode::Replace,
    };
    let is_replace = mode == Mode::Replace;
    let empty_cells = if rng.once_in(3) { EmptyCells::Clear } else { EmptyCells::Keep };
    let most_removed_percent = is_replace.then(|| *rng.pick(&[0, 20, 100, 100]));
    let options = ImportOptions { mode, empty_cells, most_removed_percent, ..ImportOptions::default() };
    let rows = if is_replace { rng.below(60) } else { 20 + rng.below(100) };
    Planned { options, file: file(rng, rows, KEYS), confirms: !rng.once_in(4) }
}

fn waves(rng: &mut Rng) -> Vec<Wave> {
    let file = if rng.once_in(2) { files::steady } else { files::clashing };
    let wave = |rng: &mut Rng, number: u64| {
        let overlaps = number == 0 || rng.once_in(2);
        let count = if overlaps { 2 + rng.below(3) as usize } else { 1 };
        let imports: Vec<Planned> = (0..count).map(|_| plan(rng, file, overlaps)).collect();
        let (mut steps, mut uploads) = (Vec::new(), 0..count);
        for _ in 0..30 {
            match rng.below(12) {
                0..4 => steps.extend(uploads.next().map(Step::Upload)),
                4..6 => steps.push(Step::Delete((0..=rng.below(4)).map(|_| rng.below(KEYS)).collect())),
                6 if rng.once_in(3) => steps.push(Step::Cancel(rng.below(count as u64) as usize)),
                7 => steps.push(Step::Answer),
                _ => steps.push(Step::Pass(rng.below(30))),
            }
        }
        steps.extend(uploads.map(Step::Upload));
        Wave { imports, steps }
    };
    (0..2 + rng.below(2)).map(|number| wave(rng, number)).collect()
}

/// The records that the rows of a file name; nothing where a row may name any.
fn names(file: &[u8]) -> Option<BTreeSet<String>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let columns = reader.headers().expect("a header").len();
    let sku = |record: csv::Result<csv::StringRecord>| {
        let record = record.expect("text");
        (record.len() == columns && !record[0].is_empty()).then(|| record[0].to_owned())
    };
    reader.records().map(sku).collect()
}

/// Confirms or cancels what is held, once; what comes of it is seen later.
async fn answer(stack: &Stack, imports: &[(Import, &Planned)]) {
    for (created, planned) in imports {
        let Ok(import) = stack.client.import(&created.id).await else { continue };
        if import.status == Status::AwaitingConfirmation {
            // Another replace may be at the gate, or the weather bad: then it is asked again.
            let _ = match planned.confirms {
                true => stack.client.confirm(&import.id).await,
                false => stack.client.cancel(&import.id).await,
            };
        }
    }
}

/// Lets time pass until all imports have ended; what has not, in words.
async fn end(stack: &Stack, imports: &[(Import, &Planned)]) -> Vec<String> {
    for minute in 0..180 {
        stack.cloud.quiet().await;
        if minute == 5 {
            stack.cloud.faults().clear();
        }
        answer(stack, imports).await;
        let mut left = 0;
        for (created, _) in imports {
            let import = answered(async || stack.client.import(&created.id).await).await;
            left += usize::from(!import.status.is_final() || import.rows.failed > 0 && import.rejected.is_none());
        }
        if left == 0 && minute > 5 {
            return Vec::new();
        }
        stack.pass(Duration::from_secs(61)).await;
    }
    let mut hangs = Vec::new();
    for (created, _) in imports {
        let import = stack.client.import(&created.id).await.expect("is there");
        if !import.status.is_final() {
            hangs.push(format!("{} has not ended: {import:?}", import.id));
        }
    }
    hangs
}

/// What has a place in the order.
enum Event<'w> {
    Import(Box<Import>, &'w Planned, BTreeSet<u64>),
    Deleted(String),
    /// The place of the import, what it removed, and what its file names.
    Removal {
        import: u64,
        removed: u64,
        names: Option<BTreeSet<String>>,
    },
}

/// What a schedule has removed, and what it should have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    removed: u64,
    /// Imports that were held and confirmed, and those that were cancelled.
    confirmed: u64,
    cancelled: u64,
    /// Deletes of records that in the order of the events a replace had removed before: it did not find them.
    deleted_before: u64,
    expected: u64,
}

/// Runs a wave to its end, and holds it to the catalogue, which it takes further.
async fn run_wave(stack: &Stack, wave: &Wave, catalogue: &mut Catalogue) -> Vec<String> {
    stack.cloud.faults().clear();
    let mut imports = Vec::new();
    for planned in &wave.imports {
        imports.push((stack.create(planned.options.clone()).await, planned));
    }
    stack.cloud.faults().resume();
    let (mut deletes, mut deviations) = (Deletes::default(), Vec::new());
    for step in &wave.steps {
        match step {
            Step::Upload(import) => upload(&imports[*import].0, &wave.imports[*import].file).await,
            Step::Delete(numbers) => delete(stack, numbers, &mut deletes, &mut deviations).await,
            // Some come too late.
            Step::Cancel(import) => drop(stack.client.cancel(&imports[*import].0.id).await),
            Step::Answer => answer(stack, &imports).await,
            Step::Pass(seconds) => stack.pass(Duration::from_secs(*seconds)).await,
        }
    }
    deviations.extend(end(stack, &imports).await);
    if !deviations.is_empty() {
        return deviations;
    }
    let (mut events, mut sums) = (Vec::<(Stamp, Event<'_>)>::new(), Sums::default());
    for (created, planned) in imports {
        let import = stack.client.import(&created.id).await.expect("is there");
        let (account, id) = ("1".parse().expect("valid"), import.id.parse().expect("an id"));
        let stored = stack.cloud.store().import(&account, &id).await.expect("read").expect("there");
        let names = names(&planned.file);
        let should_remove = planned.options.mode == Mode::Replace && names.is_some();
        let is_whole = matches!(import.status, Status::Completed | Status::CompletedWithErrors);
        if is_whole && stored.removes.is_some() != should_remove || !is_whole && stored.removes.is_some() {
            deviations.push(format!("{} ended as {:?} and has decided {:?}", import.id, import.status, stored.removes));
        }
        if stored.removes.is_none() && import.removed > 0 {
            deviations.push(format!("{} removed {} without a decision", import.id, import.removed));
        }
        sums.confirmed += u64::from(stored.confirmed.is_some());
        sums.cancelled += u64::from(import.status == Status::Cancelled);
        if stored.order == 0 {
            continue;
        }
        if stored.removes.is_some() {
            let removal = Event::Removal { import: stored.order, removed: import.removed, names };
            events.push((stored.removal_stamp(), removal));
        }
        let rows = begun::rows(stack, &stored, &planned.file).await;
        events.push((Stamp { order: stored.order, row: 1 }, Event::Import(Box::new(import), planned, rows)));
    }
    let deleted = deletes.made.into_iter();
    events.extend(deleted.map(|deleted| (Stamp::of_delete(deleted.place), Event::Deleted(deleted.sku))));
    events.sort_by_key(|(at, _)| *at);
    let alone = wave.imports.len() == 1 && !deletes.repeated;
    let mut touched = BTreeMap::<String, u64>::new();
    for (at, event) in events {
        match event {
            Event::Deleted(sku) => {
                sums.deleted_before += u64::from(catalogue.remove(&sku).is_none());
                touched.remove(&sku);
            }
            Event::Import(import, planned, rows) => {
                let mode = planned.options.mode;
                let rules = Rules { mode, empty_cells: planned.options.empty_cells };
                let expected = reference::apply(&planned.file, catalogue, rules, |row| rows.contains(&row));
                if import.status == Status::Cancelled {
                    let counted = (import.rows.processed, import.rows.failed);
                    if counted != (rows.len() as u64, expected.failed) {
                        deviations.push(format!("{} counts {:?}, not {expected:?}", import.id, import.rows));
                    }
                } else {
                    deviations.extend(count(&import, &expected, alone));
                }
                let mut accepted = Catalogue::new();
                reference::apply(&planned.file, &mut accepted, Rules::default(), |row| rows.contains(&row));
                touched.extend(accepted.into_keys().map(|sku| (sku, at.order)));
            }
            Event::Removal { import, removed, names } => {
                let names = names.unwrap_or_default();
                let before = catalogue.len();
                catalogue.retain(|sku, _| names.contains(sku) || touched.get(sku).is_some_and(|order| *order > import));
                sums.expected += (before - catalogue.len()) as u64;
                sums.removed += removed;
            }
        }
    }
    println!("{sums:?}");
    // A request that was repeated may have deleted a record twice, of which nobody knows.
    if !deletes.repeated && sums.removed + sums.deleted_before != sums.expected {
        deviations.push(format!("{sums:?}"));
    }
    deviations
}

async fn holds(seed: u64) {
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let waves = waves(&mut rng);
    let faults = faults(&mut rng, seed);
    let stack = stack_with(&faults).await;
    let (mut catalogue, mut deviations) = (Catalogue::new(), Vec::new());
    for wave in &waves {
        deviations.extend(run_wave(&stack, wave, &mut catalogue).await);
        deviations.extend(compare(&stack, &catalogue).await);
    }
    let deviated = !deviations.is_empty();
    deviations.extend(late_deviations(stack, &catalogue, deviated).await);
    assert!(deviations.is_empty(), "seed {seed}, {faults:?}:\n{}", deviations.join("\n"));
}

crate::seeds!(schedule_1: 1, schedule_2: 2, schedule_3: 3, schedule_4: 4);

/// The seeds that `PENSTOCK_REPLACES_SEEDS` names, such as `1000..1200`, one after the other; without it the next of
/// the ordinary run.
#[tokio::test(flavor = "multi_thread")]
async fn long() {
    crate::support::seeds::each("PENSTOCK_REPLACES_SEEDS", "5..6", "schedules of replaces", holds).await;
}
