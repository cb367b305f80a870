//! Random schedules of imports and deletes from a printed seed, over the real function processes, held to a catalogue
//! that takes one event after the other: imports and deletes by their places in the order, rows in the order of the
//! file.
//!
//! `PENSTOCK_DELETES_SEEDS=1000..1200 cargo test --workspace --test suite deletes::schedules::long -- --nocapture` runs
//! as many schedules as one likes; the ordinary run takes a small fixed set. A seed decides the files, the deletes and
//! the faults; timing is the machine's. A write that comes late (`WireFaults::write_late`) is that of a validator, or
//! of a delete, that read before and stood still.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use penstock_client::Import;
use penstock_local::{Faults, WireFaults};
use penstock_model::{EmptyCells, ImportOptions, Mode, Record, Status};

use crate::support::{
    Stack, files,
    reference::{self, Catalogue, Expected, Rules},
    rng::Rng,
};

/// Rows of one file.
const ROWS: u64 = 150;

/// Keys that the rows of all files share.
pub(crate) const KEYS: u64 = 40;

/// What is done to the stack, in this order.
#[derive(Debug, Clone)]
enum Step {
    /// The upload of this import of the wave.
    Upload(usize),
    /// Records that one request deletes, by their numbers.
    Delete(Vec<u64>),
    /// So many seconds pass.
    Pass(u64),
}

/// Imports that may overlap one another, and what happens around them.
struct Wave {
    imports: Vec<(ImportOptions, Vec<u8>)>,
    steps: Vec<Step>,
}

struct Schedule {
    waves: Vec<Wave>,
    faults: Faults,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let file = if rng.once_in(2) { files::steady } else { files::clashing };
        let mut waves = Vec::new();
        // A create or fill import overlaps no other.
        for wave in 0..2 + rng.below(2) {
            let mode = if wave > 0 {
                *rng.pick(&[Mode::Upsert, Mode::Upsert, Mode::Create, Mode::Fill])
            } else {
                Mode::Upsert
            };
            let count = if mode == Mode::Upsert { 1 + rng.below(3) as usize } else { 1 };
            let options = |rng: &mut Rng| {
                let empty_cells = if rng.once_in(3) { EmptyCells::Clear } else { EmptyCells::Keep };
                ImportOptions { mode, empty_cells, ..ImportOptions::default() }
            };
            let imports = (0..count).map(|_| (options(&mut rng), file(&mut rng, ROWS, KEYS))).collect();
            let mut steps = Vec::new();
            let mut uploads = 0..count;
            for _ in 0..30 {
                match rng.below(4) {
                    0 => steps.extend(uploads.next().map(Step::Upload)),
                    1 | 2 => steps.push(Step::Delete((0..=rng.below(6)).map(|_| rng.below(KEYS)).collect())),
                    _ => steps.push(Step::Pass(rng.below(20))),
                }
            }
            steps.extend(uploads.map(Step::Upload));
            waves.push(Wave { imports, steps });
        }
        Self { waves, faults: faults(&mut rng, seed) }
    }
}

/// A few kinds of fault of all, each now and then.
pub(crate) fn faults(rng: &mut Rng, seed: u64) -> Faults {
    let mut sometimes = |probability: f64| if rng.once_in(2) { probability } else { 0.0 };
    Faults {
        seed,
        event_twice: sometimes(0.5),
        message_twice: sometimes(0.3),
        deletion_forgotten: sometimes(0.2),
        message_reordered: sometimes(0.5),
        message_delayed: sometimes(0.6),
        delay: Duration::from_secs(100),
        kill_during: sometimes(0.1),
        kill_within: Duration::from_millis(100),
        kill_after_response: sometimes(0.1),
        wire: WireFaults {
            error_before: sometimes(0.02),
            error_after: sometimes(0.02),
            cut_after: sometimes(0.01),
            statement_error: sometimes(0.02),
            partial_batch: sometimes(0.1),
            transaction_conflict: sometimes(0.1),
            write_late: sometimes(0.1),
            late: Duration::from_millis(600),
            stale_read: sometimes(0.5),
            ..WireFaults::default()
        },
        ..Faults::default()
    }
}

/// A delete that has been made: its place in the order, and the record.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub(crate) place: u64,
    pub(crate) sku: String,
}

fn sku(number: u64) -> String {
    format!("K{number}")
}

/// A call that is made until it is answered; the answer.
pub(crate) async fn answered<T, E: std::fmt::Debug>(call: impl AsyncFn() -> Result<T, E>) -> T {
    answered_at(call).await.0
}

/// The same, and at which try.
async fn answered_at<T, E: std::fmt::Debug>(call: impl AsyncFn() -> Result<T, E>) -> (T, usize) {
    let mut last = None;
    for tries in 1..=60 {
        match call().await {
            Ok(answer) => return (answer, tries),
            Err(error) => last = Some(error),
        }
    }
    panic!("sixty tries: {last:?}");
}

/// What is stored under these SKUs, tombstones too.
async fn stored(stack: &Stack, skus: &[String]) -> BTreeMap<String, Record> {
    let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
    let mut found = BTreeMap::new();
    for sku in skus {
        let name = penstock_engine::key::RecordName::of(&account, &kind, sku);
        let record = answered(async || stack.cloud.store().records(&[&name]).await).await.remove(&name);
        found.extend(record.map(|record| (sku.clone(), record)));
    }
    found
}

/// What has been deleted in a wave.
#[derive(Debug, Default)]
pub(crate) struct Deletes {
    pub(crate) made: Vec<Deleted>,
    /// A request was repeated. It may have deleted a record twice, with an import that was accepted in between: of that
    /// the items tell the last time alone, and what the import counts is open.
    pub(crate) repeated: bool,
}

/// Deletes records by one request, repeated until it is answered, and tells those that were deleted by what their items
/// say now and did not say before.
pub(crate) async fn delete(stack: &Stack, numbers: &[u64], deletes: &mut Deletes, deviations: &mut Vec<String>) {
    let skus: BTreeSet<String> = numbers.iter().copied().map(sku).collect();
    let skus: Vec<String> = skus.into_iter().collect();
    let gone = |records: &BTreeMap<String, Record>, sku: &String| records.get(sku).and_then(|record| record.gone);
    let before = stored(stack, &skus).await;
    let (answer, tries) = answered_at(async || stack.client.delete_records("products", &skus).await).await;
    deletes.repeated |= tries > 1;
    let after = stored(stack, &skus).await;
    for sku in skus {
        match (gone(&before, &sku), gone(&after, &sku)) {
            (was, Some(is)) if was != Some(is) => deletes.made.push(Deleted { place: is.order, sku }),
            (was, is) if was == is && answer.not_found.contains(&sku) => {}
            (was, is) => deviations.push(format!("{sku} was {was:?} and is {is:?}, though the answer was {answer:?}")),
        }
    }
}

/// Stores a file where an import awaits it. In bad weather the storage may refuse, or cut the answer of what it took.
pub(crate) async fn upload(import: &Import, file: &[u8]) {
    let upload = import.upload.as_ref().expect("an upload URL");
    let client = crate::support::http::client();
    answered(async || {
        let mut request = client.put(&upload.url).body(file.to_vec());
        for (name, value) in &upload.headers {
            request = request.header(name, value);
        }
        match request.send().await.map(|answer| answer.status().as_u16()) {
            // 412: it is there.
            Ok(200 | 412) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// What has a place in the order: an import, by its number in the wave, or records that were deleted together.
#[derive(Debug, Default)]
struct Event {
    import: Option<(usize, Import)>,
    deleted: Vec<Deleted>,
}

/// Runs a wave to its end, and holds it to the catalogue, which it takes further.
async fn run_wave(stack: &Stack, wave: &Wave, catalogue: &mut Catalogue) -> Vec<String> {
    let mut deviations = Vec::new();
    stack.cloud.faults().clear();
    let mut imports = Vec::new();
    for (options, _) in &wave.imports {
        imports.push(stack.create(options.clone()).await);
    }
    stack.cloud.faults().resume();
    let mut deletes = Deletes::default();
    for step in &wave.steps {
        match step {
            Step::Upload(import) => upload(&imports[*import], &wave.imports[*import].1).await,
            Step::Delete(numbers) => delete(stack, numbers, &mut deletes, &mut deviations).await,
            Step::Pass(seconds) => stack.pass(Duration::from_secs(*seconds)).await,
        }
    }
    for _ in 0..5 {
        stack.cloud.quiet().await;
        stack.pass(Duration::from_secs(61)).await;
    }
    stack.cloud.faults().clear();
    let mut events: BTreeMap<u64, Event> = BTreeMap::new();
    for (at, created) in imports.iter().enumerate() {
        let import = match stack.ended_for(&stack.client, &created.id).await {
            Ok(import) => import,
            Err(import) => {
                deviations.push(format!("{} has not ended: {:?}", import.id, import.rows));
                continue;
            }
        };
        let (account, id) = ("1".parse().expect("valid"), import.id.parse().expect("an id"));
        let order = stack.cloud.store().import(&account, &id).await.expect("read").expect("there").order;
        events.entry(order).or_default().import = Some((at, import));
    }
    for deleted in deletes.made {
        events.entry(deleted.place).or_default().deleted.push(deleted);
    }
    for (place, Event { import, deleted }) in events {
        if import.is_some() && !deleted.is_empty() {
            deviations.push(format!("an import and a delete share the place {place}"));
        }
        for Deleted { sku, .. } in deleted {
            catalogue.remove(&sku);
        }
        if let Some((at, import)) = import {
            let (options, file) = &wave.imports[at];
            let rules = Rules { mode: options.mode, empty_cells: options.empty_cells };
            let expected = reference::apply(file, catalogue, rules, |_| true);
            deviations.extend(count(&import, &expected, wave.imports.len() == 1 && !deletes.repeated));
        }
    }
    deviations
}

/// What an import counts, and should not.
pub(crate) fn count(import: &Import, expected: &Expected, alone: bool) -> Option<String> {
    let rows = &import.rows;
    let status = if expected.failed > 0 { Status::CompletedWithErrors } else { Status::Completed };
    let sum = rows.created + rows.updated + rows.unchanged + rows.skipped + rows.failed;
    let whole = (import.status, rows.total, rows.failed, sum, rows.unprocessed)
        == (status, Some(expected.total), expected.failed, expected.total, 0);
    let counted = (rows.created, rows.skipped, rows.updated + rows.unchanged);
    let exact = !alone || counted == (expected.created, expected.skipped, expected.updated_or_unchanged);
    (!whole || !exact).then(|| format!("{} counts {rows:?}, not {expected:?}", import.id))
}

/// The records that do not show what the catalogue says.
pub(crate) async fn compare(stack: &Stack, catalogue: &Catalogue) -> Vec<String> {
    let skus: Vec<String> = (0..KEYS).map(sku).collect();
    let records = stack.records("1", &skus).await;
    let shown = |sku: &String| records.get(sku).map(reference::shown);
    let differs = |sku: &&String| shown(sku).as_ref() != catalogue.get(*sku);
    let said = |sku: &String| format!("{sku}: {:?}; expected {:?}", shown(sku), catalogue.get(sku));
    skus.iter().filter(differs).map(said).collect()
}

/// A stack with small chunks and these faults.
pub(crate) async fn stack_with(faults: &Faults) -> Stack {
    Stack::with(|options| {
        options.faults = faults.clone();
        options.proxy = true;
        let mut set = |name: &str, value: &str| options.environment.push((name.to_owned(), value.to_owned()));
        set("PENSTOCK_CHUNK_ROWS", "10");
        set("PENSTOCK_BLOCK_CHUNKS", "4");
    })
    .await
}

/// Stops a stack once messages that were delivered late, or again, have been taken in, which change nothing. Its logs
/// are shown if anything deviated, in the end or before.
pub(crate) async fn late_deviations(stack: Stack, catalogue: &Catalogue, deviated: bool) -> Vec<String> {
    for _ in 0..10 {
        stack.cloud.quiet().await;
        stack.pass(Duration::from_secs(400)).await;
    }
    stack.cloud.quiet().await;
    let late = compare(&stack, catalogue).await;
    if deviated || !late.is_empty() {
        eprintln!("{}", stack.logs());
    }
    stack.stop().await;
    late.into_iter().map(|deviation| format!("later: {deviation}")).collect()
}

/// Runs a schedule; what deviates, in words.
async fn run(schedule: &Schedule) -> Vec<String> {
    let stack = stack_with(&schedule.faults).await;
    let (mut catalogue, mut deviations) = (Catalogue::new(), Vec::new());
    for wave in &schedule.waves {
        deviations.extend(run_wave(&stack, wave, &mut catalogue).await);
        deviations.extend(compare(&stack, &catalogue).await);
    }
    let deviated = !deviations.is_empty();
    deviations.extend(late_deviations(stack, &catalogue, deviated).await);
    deviations
}

async fn holds(seed: u64) {
    println!("seed {seed}");
    let schedule = Schedule::new(seed);
    let deviations = run(&schedule).await;
    assert!(deviations.is_empty(), "seed {seed}, {:?}:\n{}", schedule.faults, deviations.join("\n"));
}

crate::seeds!(schedule_1: 1, schedule_2: 2, schedule_3: 3, schedule_4: 4);

/// The seeds that `PENSTOCK_DELETES_SEEDS` names, such as `1000..1200`, one after the other; without it the next of the
/// ordinary run.
#[tokio::test(flavor = "multi_thread")]
async fn long() {
    crate::support::seeds::each("PENSTOCK_DELETES_SEEDS", "5..6", "schedules of deletes", holds).await;
}
