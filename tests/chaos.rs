//! The promises under faults: random schedules from a printed seed, over the real function processes.
//!
//! `PENSTOCK_CHAOS_SEEDS=1000..1200 cargo test --workspace --test suite chaos::long -- --nocapture` runs as many
//! schedules as one likes; the ordinary run takes a small fixed set. A seed decides the files, the options, the faults
//! and the crash points; timing is the machine's.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use penstock_client::Import;
use penstock_local::{Faults, WireFaults};
use penstock_model::{EmptyCells, ImportOptions, Mode, QueueName, Status, story::StorySum};
use penstock_store::{
    conditions::{Condition, SABOTAGE},
    crash,
};

use crate::support::{
    self, OTHER_TOKEN, Stack, TOKEN, files, force,
    reference::{self, Catalogue, Rules},
    rng::Rng,
    storage,
    weather::upload_through,
};

/// Rows of one file.
const ROWS: u64 = 600;

/// Keys that the rows of all files share.
const KEYS: u64 = 250;

/// How the deviation of an import that hangs reads.
const HAS_NOT_ENDED: &str = "has not ended";

/// One import of a schedule.
#[derive(Clone)]
struct Planned {
    account: &'static str,
    file: Vec<u8>,
    options: ImportOptions,
    cancelled: bool,
    /// The import of an earlier wave, by its place among all, whose upload it reads if that has one; the file is the
    /// same.
    from: Option<usize>,
    /// That whose rejected rows it corrects, if it has any and nobody else does.
    corrects: Option<usize>,
    /// It is reviewed beside the others, and confirmed when they have ended.
    reviewed: bool,
    /// Its file is dropped off.
    by_inbox: bool,
}

/// What a seed decides.
struct Schedule {
    seed: u64,
    /// Imports that run at once, and then those that follow when they have ended.
    waves: Vec<Vec<Planned>>,
    faults: Faults,
    crash_points: Vec<&'static str>,
    /// Imports are accepted, and messages worked on, one at a time, so that the seed alone decides what overtakes what.
    in_turn: bool,
    /// Rounds of bad weather, of a bit more than a minute each; then it clears.
    rounds: u32,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let empty_cells = |rng: &mut Rng| if rng.once_in(3) { EmptyCells::Clear } else { EmptyCells::Keep };
        // Where little changes, most writes can be left out.
        let file = if rng.once_in(2) { files::steady } else { files::clashing };
        let planned = |rng: &mut Rng, account, mode, cancelled| Planned {
            account,
            file: file(rng, ROWS, KEYS),
            options: ImportOptions { mode, empty_cells: empty_cells(rng), ..ImportOptions::default() },
            cancelled,
            from: None,
            corrects: None,
            reviewed: false,
            by_inbox: false,
        };
        // Upserts may overlap one another; a create or fill import overlaps no other.
        let mut upserts = Vec::new();
        for _ in 0..1 + rng.below(3) {
            let cancelled = rng.once_in(5);
            upserts.push(planned(&mut rng, "1", Mode::Upsert, cancelled));
        }
        if rng.once_in(2) {
            upserts.push(planned(&mut rng, "2", Mode::Upsert, false));
        }
        let mut waves = vec![upserts];
        if rng.once_in(2) {
            let mode = *rng.pick(&[Mode::Create, Mode::Fill]);
            let alone = planned(&mut rng, "1", mode, false);
            if rng.once_in(2) { waves.insert(0, vec![alone]) } else { waves.push(vec![alone]) }
        }
        if rng.once_in(2) {
            waves.push(vec![planned(&mut rng, "1", Mode::Upsert, false)]);
        }
        build_on_earlier(&mut rng, &mut waves);
        let crash_points: Vec<&str> = crash::POINTS.iter().copied().filter(|_| rng.once_in(4)).collect();
        let faults = faults(&mut rng, seed);
        let rounds = 4 + rng.below(6) as u32;
        if rng.once_in(2) {
            let reviewed = Planned { reviewed: true, ..planned(&mut rng, "1", Mode::Upsert, false) };
            waves.last_mut().expect("a wave").push(reviewed);
        }
        if rng.once_in(2) {
            waves.extend(nights(&mut rng));
        }
        for planned in waves.iter_mut().flatten() {
            let is_by_itself = planned.from.is_none() && planned.corrects.is_none();
            planned.by_inbox = is_by_itself && !planned.cancelled && !planned.reviewed && rng.once_in(3);
        }
        Self { seed, waves, faults, crash_points, in_turn: false, rounds }
    }
}

/// A file that comes each night, in which little has changed; now and then in the order of another night, or with a row
/// less, or as a replace, or twice.
fn nights(rng: &mut Rng) -> Vec<Vec<Planned>> {
    let say = |rng: &mut Rng, key: u64| {
        let (description, cost) = (*rng.pick(&["red", "", "green"]), *rng.pick(&["1", "2.50", ""]));
        format!("K{key},N,B,{description},{cost},true\n")
    };
    let mut rows: Vec<String> = (0..KEYS).map(|key| say(rng, key)).collect();
    let empty_cells = if rng.once_in(3) { EmptyCells::Clear } else { EmptyCells::Keep };
    let mut night = |rng: &mut Rng| {
        for (key, row) in rows.iter_mut().enumerate() {
            if rng.once_in(30) {
                *row = say(rng, key as u64);
            }
        }
        let mut rows = rows.clone();
        if rng.once_in(3) {
            rows.swap_remove(rng.below(KEYS) as usize);
            rows.reverse();
        }
        let file = format!("sku,name,brand,description,cost,active\n{}", rows.concat()).into_bytes();
        let mode = if rng.once_in(2) { Mode::Replace } else { Mode::Upsert };
        let most_removed_percent = (mode == Mode::Replace).then_some(100);
        let options = ImportOptions { mode, most_removed_percent, empty_cells, ..ImportOptions::default() };
        let by_inbox = false;
        vec![Planned {
            account: "1",
            file,
            options,
            cancelled: false,
            from: None,
            corrects: None,
            reviewed: false,
            by_inbox,
        }]
    };
    let nights: Vec<Vec<Planned>> = (0..3).map(|_| night(rng)).collect();
    nights.into_iter().flat_map(|night| vec![night; 1 + rng.below(2) as usize]).collect()
}

/// Has some imports read the upload of an earlier one, and some correct one.
fn build_on_earlier(rng: &mut Rng, waves: &mut [Vec<Planned>]) {
    let mut earlier: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for wave in waves {
        for planned in wave.iter_mut().filter(|_| !earlier.is_empty()) {
            let one = |rng: &mut Rng| {
                let at = rng.below(earlier.len() as u64) as usize;
                Some(at).filter(|at| rng.once_in(2) && earlier[*at].0 == planned.account)
            };
            planned.corrects = one(rng);
            planned.from = one(rng);
            if let Some(at) = planned.from {
                planned.file.clone_from(&earlier[at].1);
            }
        }
        earlier.extend(wave.iter().map(|planned| (planned.account, planned.file.clone())));
    }
}

/// A few kinds of fault of all, each now and then.
fn faults(rng: &mut Rng, seed: u64) -> Faults {
    let mut sometimes = |probability: f64| if rng.once_in(2) { probability } else { 0.0 };
    Faults {
        seed,
        event_twice: sometimes(0.5),
        event_lost: sometimes(0.3),
        event_late: sometimes(0.3),
        event_for_another_key: sometimes(0.5),
        message_twice: sometimes(0.3),
        deletion_forgotten: sometimes(0.2),
        message_reordered: sometimes(0.5),
        message_delayed: sometimes(0.3),
        delay: Duration::from_secs(100),
        kill_during: sometimes(0.1),
        kill_within: Duration::from_millis(100),
        kill_after_response: sometimes(0.1),
        kill_functions: Vec::new(),
        deadline_near: sometimes(0.3),
        wire: WireFaults {
            error_before: sometimes(0.02),
            error_after: sometimes(0.02),
            throttle: sometimes(0.01),
            throttle_burst: 5,
            cut_before: sometimes(0.01),
            cut_after: sometimes(0.01),
            timeout_after: sometimes(0.003),
            hold: Duration::from_millis(200),
            partial_batch: sometimes(0.1),
            statement_error: sometimes(0.02),
            transaction_conflict: sometimes(0.1),
            stale_read: sometimes(0.5),
            ..WireFaults::default()
        },
    }
}

/// An import of a schedule that has ended.
struct Ended<'a> {
    planned: &'a Planned,
    import: Import,
    /// It has not ended after three hours of fair weather.
    hangs: bool,
    order: u64,
    /// The rows that were in chunks that had begun.
    begun: BTreeSet<u64>,
    errors: Vec<(u64, u64, Option<String>, String)>,
}

/// Runs a schedule; what deviates from the promises, in words.
async fn run(schedule: &Schedule, environment: &[(&str, &str)]) -> Vec<String> {
    run_and_count(schedule, environment).await.0
}

/// The same, and how many rows splitters have dropped.
async fn run_and_count(schedule: &Schedule, environment: &[(&str, &str)]) -> (Vec<String>, u64) {
    let folder = tempfile::tempdir().expect("a folder for crash points");
    for point in &schedule.crash_points {
        std::fs::write(folder.path().join(point), []).expect("a crash point is set");
    }
    let stack = Stack::with(|options| {
        options.faults = schedule.faults.clone();
        options.proxy = true;
        let mut set = |name: &str, value: &str| options.environment.push((name.to_owned(), value.to_owned()));
        set("PENSTOCK_CHUNK_ROWS", "40");
        set("PENSTOCK_BLOCK_CHUNKS", "4");
        // The directory is given to the functions alone: the api runs in this process.
        environment.iter().for_each(|(name, value)| set(name, value));
        let directory = (crash::DIRECTORY.to_owned(), folder.path().display().to_string());
        let functions = &mut options.functions;
        for function in [&mut functions.split, &mut functions.validate, &mut functions.report, &mut functions.sweep] {
            function.environment.push(directory.clone());
        }
        if schedule.in_turn {
            // The sweeper would send again what is late, and a row that is sent again is always written.
            options.scheduled = false;
            functions.validate.concurrency = 1;
            options.queues[QueueName::Chunks].batch_size = 1;
        }
    })
    .await;
    let mut ended = Vec::new();
    for wave in &schedule.waves {
        let more = run_wave(schedule, &stack, wave, &ended).await;
        ended.extend(more);
    }
    let mut deviations = check(&stack, &ended).await;
    // Messages that were delivered late, or again, are taken in and change nothing.
    for _ in 0..20 {
        stack.cloud.quiet().await;
        stack.pass(Duration::from_secs(400)).await;
    }
    stack.cloud.quiet().await;
    for (name, depth) in stack.cloud.queue_depths() {
        if depth.total() > 0 {
            deviations.push(format!("queue {name} holds {depth:?}"));
        }
    }
    deviations.extend(check(&stack, &ended).await.into_iter().map(|deviation| format!("later: {deviation}")));
    let dropped = rows_dropped(&stack.cloud.logs("split"));
    let left = storage::listed(&stack, "inbox/").await;
    if !left.is_empty() {
        deviations.push(format!("in the inbox are {left:?}"));
    }
    let pids: BTreeSet<u32> = stack.cloud.processes().iter().map(|process| process.pid).collect();
    if !deviations.is_empty() {
        eprintln!("{}", stack.logs());
    }
    stack.stop().await;
    deviations.extend(stack_children(&pids).into_iter().map(|pid| format!("process {pid} is left")));
    (deviations, dropped)
}

/// The rows that splitters say they have dropped.
fn rows_dropped(log: &str) -> u64 {
    let dropped = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["dropped"].as_u64();
    log.lines().filter_map(dropped).sum()
}

/// Those of these processes that are still this process's children, ended ones that nobody has reaped among them.
fn stack_children(pids: &BTreeSet<u32>) -> Vec<u32> {
    let parent = std::process::id().to_string();
    let is_child = |pid: &u32| {
        // proc_pid_stat(5): behind the name in brackets come state and parent.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(parent.as_str())
    };
    pids.iter().copied().filter(is_child).collect()
}

async fn run_wave<'a>(
    schedule: &Schedule,
    stack: &Stack,
    wave: &'a [Planned],
    earlier: &[Ended<'_>],
) -> Vec<Ended<'a>> {
    stack.cloud.faults().clear();
    let (mut imports, mut dropped) = (Vec::new(), Vec::new());
    let mut corrected: BTreeSet<&str> = earlier.iter().filter_map(|ended| ended.import.corrects.as_deref()).collect();
    for planned in wave {
        let client = stack.client_of(if planned.account == "1" { TOKEN } else { OTHER_TOKEN });
        if planned.by_inbox {
            let preset = format!("p-{}-{}", earlier.len(), dropped.len());
            let new = penstock_client::NewPreset { kind: "products".into(), options: planned.options.clone() };
            client.put_preset(&preset, &new).await.expect("a preset is put");
            dropped.push((client, preset, planned));
            continue;
        }
        let options = ImportOptions { review: planned.reviewed, ..planned.options.clone() };
        let mut new = penstock_client::NewImport { options, ..Default::default() };
        let uploaded = planned.from.map(|at| &earlier[at].import).filter(|of| of.source_expires_at.is_some());
        new.from = uploaded.map(|of| of.id.clone());
        let bad = planned.corrects.map(|at| &earlier[at].import).filter(|of| of.rows.failed > 0);
        let bad = bad.filter(|of| corrected.insert(&of.id));
        new.corrects = bad.map(|of| of.id.clone());
        imports.push((client.clone(), client.create(&new, None).await.expect("an import is created"), planned));
    }
    stack.cloud.faults().resume();
    for (_, import, planned) in imports.iter().filter(|(_, import, _)| import.from.is_none()) {
        upload_through(schedule.seed, import, &planned.file).await;
        if schedule.in_turn {
            stack.cloud.quiet().await;
        }
    }
    for (_, preset, planned) in &dropped {
        let key = format!("inbox/{}/{preset}/a.csv", planned.account);
        storage::put_through(schedule.seed, stack, &key, &planned.file).await;
    }
    for (client, import, planned) in &imports {
        // As a client would: a cancellation that was not answered is asked for again.
        let mut tries = 0;
        while planned.cancelled
            && tries < 20
            && client.cancel(&import.id).await.is_err_and(|error| !is_conflict(&error))
        {
            tries += 1;
        }
    }
    for _ in 0..schedule.rounds {
        stack.cloud.quiet().await;
        stack.pass(Duration::from_secs(61)).await;
    }
    stack.cloud.faults().clear();
    for (client, preset, planned) in dropped {
        let mut found = None;
        let is_made = async || {
            let imports = client.list(None, 100).await.expect("a page").imports;
            found = imports.into_iter().find(|import| import.preset.as_ref() == Some(&preset));
            found.is_some()
        };
        stack.passes_until("the file is taken", is_made).await;
        imports.push((client, found.expect("it was looked for"), planned));
    }
    let mut ended = Vec::new();
    for (client, mut created, planned) in imports {
        if planned.reviewed {
            created = confirmed(schedule, stack, &client, created).await;
        }
        let (import, hangs) = match stack.ended_for(&client, &created.id).await {
            Ok(import) => (import, false),
            Err(import) => (*import, true),
        };
        ended.push(look(stack, &client, import, hangs, planned).await);
    }
    ended
}

/// The import that applies a review, which is confirmed when it is judged, whatever has changed meanwhile.
async fn confirmed(schedule: &Schedule, stack: &Stack, client: &penstock_client::Client, review: Import) -> Import {
    let now = async || client.import(&review.id).await.expect("there");
    let is_judged = async || now().await.status == Status::AwaitingConfirmation;
    stack.passes_until("the review is judged", is_judged).await;
    let rows = now().await.rows;
    let accounted = rows.created + rows.updated + rows.unchanged + rows.skipped + rows.failed;
    assert_eq!(rows.total, Some(accounted), "seed {}: {rows:?}", schedule.seed);
    let even_if_moved = penstock_client::Confirm { even_if_moved: true };
    client.confirm_with(&review.id, even_if_moved).await.expect("confirmed")
}

fn is_conflict(error: &penstock_client::ClientError) -> bool {
    matches!(error, penstock_client::ClientError::Refused { status, .. } if status.as_u16() == 409)
}

async fn look<'a>(
    stack: &Stack,
    client: &penstock_client::Client,
    import: Import,
    hangs: bool,
    planned: &'a Planned,
) -> Ended<'a> {
    let store = stack.cloud.store();
    let account = planned.account.parse().expect("valid");
    let stored = store.import(&account, &import.id.parse().expect("valid")).await.expect("read").expect("there");
    let begun = support::begun::rows(stack, &stored, &planned.file).await;
    let (mut errors, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.errors(&import.id, cursor.as_deref(), 100).await.expect("a page");
        errors.extend(page.errors.into_iter().map(|e| (e.row, e.line, e.field, e.code)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ended { planned, import, hangs, order: stored.order, begun, errors }
}

/// Holds what has ended to the model that applies imports in the order of acceptance, rows one at a time.
async fn check(stack: &Stack, ended: &[Ended<'_>]) -> Vec<String> {
    let mut deviations = Vec::new();
    let mut deviates = |what: String| deviations.push(what);
    for account in ["1", "2"] {
        let mut in_order: Vec<&Ended<'_>> = ended.iter().filter(|e| e.planned.account == account).collect();
        in_order.sort_by_key(|e| e.order);
        let mut catalogue = Catalogue::new();
        let (mut created, mut removed) = (0, 0);
        for ended in &in_order {
            let Ended { planned, import, begun, .. } = ended;
            let rules = Rules { mode: planned.options.mode, empty_cells: planned.options.empty_cells };
            let all = reference::apply(&planned.file, &mut catalogue.clone(), rules, |_| true);
            let expected = reference::apply(&planned.file, &mut catalogue, rules, |row| begun.contains(&row));
            let rows = &import.rows;
            if ended.hangs {
                deviates(format!("{} {HAS_NOT_ENDED}: {rows:?}", import.id));
                continue;
            }
            // Cancelled before its upload was accepted: there are no rows to count.
            if ended.order == 0 && planned.cancelled && import.status == Status::Cancelled && rows.total.is_none() {
                continue;
            }
            created += rows.created;
            if planned.options.mode == Mode::Replace {
                // It overlaps no other, and each of its rows is good.
                let mut named = Catalogue::new();
                reference::upsert(&planned.file, &mut named);
                let before = catalogue.len();
                catalogue.retain(|key, _| named.contains_key(key));
                let goes = (before - catalogue.len()) as u64;
                removed += goes;
                if import.removed != goes {
                    deviates(format!("{} removed {} records, not {goes}", import.id, import.removed));
                }
            }
            let whole = begun.len() as u64 == all.total;
            let status = match import.status {
                Status::Cancelled => planned.cancelled,
                Status::CompletedWithErrors => whole && expected.failed > 0,
                Status::Completed => whole && expected.failed == 0,
                _ => false,
            };
            if !status {
                deviates(format!("{} ended as {:?}: {:?}", import.id, import.status, import.failure));
            }
            let accounted = rows.created + rows.updated + rows.unchanged + rows.skipped + rows.failed;
            if rows.processed != accounted
                || rows.total != Some(accounted + rows.unprocessed)
                || accounted != begun.len() as u64
            {
                deviates(format!("{} does not add up: {rows:?}, {} rows had begun", import.id, begun.len()));
            }
            if whole && (rows.total != Some(all.total) || rows.unprocessed != 0) {
                deviates(format!("{} counts {:?} of {} rows", import.id, rows.total, all.total));
            }
            if rows.failed != expected.failed || ended.errors != expected.errors {
                deviates(format!(
                    "{} has {} failed rows, {} errors; expected {} and {}",
                    import.id,
                    rows.failed,
                    ended.errors.len(),
                    expected.failed,
                    expected.errors.len()
                ));
            }
            if let Some(what) = told_wrongly(stack, account, import).await {
                deviates(what);
            }
            if import.rejected.as_ref().map_or(0, |rejected| rejected.rows) != rows.failed {
                deviates(format!("{} has {:?} of {} rejected rows", import.id, import.rejected, rows.failed));
            }
            let alone = planned.options.mode != Mode::Upsert || in_order.len() == 1;
            let counted = (rows.created, rows.skipped, rows.updated + rows.unchanged);
            if alone && counted != (expected.created, expected.skipped, expected.updated_or_unchanged) {
                deviates(format!("{} counted {rows:?}; expected {expected:?}", import.id));
            }
        }
        if created != catalogue.len() as u64 + removed {
            deviates(format!(
                "account {account}: {created} rows created {} records, and {removed} were removed",
                catalogue.len()
            ));
        }
        let skus = files::keys(KEYS);
        let stored: BTreeMap<String, BTreeMap<String, String>> = stack
            .records(account, &skus)
            .await
            .iter()
            .map(|(sku, record)| (sku.clone(), reference::shown(record)))
            .collect();
        for sku in skus {
            if stored.get(&sku) != catalogue.get(&sku) {
                deviates(format!(
                    "account {account}, {sku}: {:?}; expected {:?}",
                    stored.get(&sku),
                    catalogue.get(&sku)
                ));
            }
        }
    }
    deviations
}

/// What is wrong with the history of an import that corrects another one; nothing of one that does not.
async fn told_wrongly(stack: &Stack, account: &str, import: &Import) -> Option<String> {
    let corrects = import.corrects.as_ref()?;
    let client = stack.client_of(if account == "1" { TOKEN } else { OTHER_TOKEN });
    let history = client.history(&import.id).await.expect("a history");
    let StorySum { total, added, created, updated, unchanged, skipped, failed, unprocessed, .. } = history.sum;
    let at = history.rounds.iter().position(|round| round.id == import.id);
    let before = at.and_then(|at| history.rounds.get(at.checked_sub(1)?)).map(|round| &round.id);
    let adds_up = total + added == created + updated + unchanged + skipped + failed + unprocessed;
    let made = history.rounds.iter().map(|round| round.rows.created).sum::<u64>();
    let is_right = adds_up && before == Some(corrects) && made == created;
    (!is_right).then(|| format!("{} is told as {history:#?}", import.id))
}

async fn holds(seed: u64) {
    let schedule = Schedule::new(seed);
    let dropped_off = schedule.waves.iter().flatten().filter(|planned| planned.by_inbox).count();
    println!("seed {seed}, {dropped_off} files dropped off");
    let deviations = run(&schedule, &[]).await;
    assert!(
        deviations.is_empty(),
        "seed {seed}, {:?}, crash points {:?}:\n{}",
        schedule.faults,
        schedule.crash_points,
        deviations.join("\n")
    );
}

crate::seeds!(schedule_1: 1, schedule_2: 2, schedule_3: 3, schedule_4: 4, schedule_5: 5, schedule_6: 6, schedule_7: 7, schedule_8: 8);

/// The ordinary run drops files off, among them some of whose events are lost or come twice.
#[test]
fn schedules_drop_files_off() {
    let schedules: Vec<Schedule> = (1..9).map(Schedule::new).collect();
    let has = |schedule: &&Schedule| schedule.waves.iter().flatten().any(|planned| planned.by_inbox);
    let dropping: Vec<&Schedule> = schedules.iter().filter(has).collect();
    assert!(dropping.iter().any(|schedule| schedule.faults.event_lost > 0.0));
    assert!(dropping.iter().any(|schedule| schedule.faults.event_twice > 0.0));
}

/// The seeds that `PENSTOCK_CHAOS_SEEDS` names, such as `1000..1200`, one after the other; without it the next of the
/// ordinary run.
#[tokio::test(flavor = "multi_thread")]
async fn long() {
    support::seeds::each("PENSTOCK_CHAOS_SEEDS", "9..10", "schedules", holds).await;
}

/// Dropped rows are applied all the same, in the same schedules: each leaves its record as it is.
#[tokio::test(flavor = "multi_thread")]
async fn dropped_rows_that_are_applied_change_nothing() {
    let mut dropped = 0;
    for seed in 11..14 {
        println!("seed {seed}");
        let mut schedule = Schedule::new(seed);
        schedule.waves.extend(nights(&mut Rng::new(seed)));
        let (deviations, drops) = run_and_count(&schedule, &[(SABOTAGE, Condition::DigestDrops.name())]).await;
        assert_eq!(deviations, Vec::<String>::new(), "seed {seed}");
        dropped += drops;
    }
    println!("{dropped} rows that would have been dropped");
    assert!(dropped > 300, "{dropped}");
}

/// Which of overlapping imports goes first is open where one creates or fills; that each row is applied once is not.
#[tokio::test(flavor = "multi_thread")]
async fn overlapping_imports_of_all_modes_apply_each_row_once() {
    let seed = 21;
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let stack = Stack::with(|options| {
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "40".into()));
        options.faults =
            Faults { seed, message_twice: 0.5, message_reordered: 0.5, kill_during: 0.1, ..Faults::default() };
        options.faults.kill_within = Duration::from_millis(50);
    })
    .await;
    let mut imports = Vec::new();
    for mode in [Mode::Create, Mode::Fill, Mode::Upsert, Mode::Create, Mode::Fill] {
        let file = files::clashing(&mut rng, ROWS, KEYS);
        let import = stack.create(ImportOptions { mode, ..ImportOptions::default() }).await;
        assert_eq!(support::upload(&import, &file).await, 200);
        imports.push((import, file));
    }
    let (mut created, mut keys) = (0, BTreeSet::new());
    for (import, file) in imports {
        let import = stack.ended(&import.id).await;
        let mut alone = Catalogue::new();
        let expected = reference::upsert(&file, &mut alone);
        keys.extend(alone.into_keys());
        support::adds_up(&import);
        assert_eq!((import.rows.total, import.rows.failed), (Some(expected.total), expected.failed));
        created += import.rows.created;
    }
    let skus = files::keys(KEYS);
    let stored: BTreeSet<String> = stack.records("1", &skus).await.into_keys().collect();
    assert_eq!(stored, keys);
    assert_eq!(created, keys.len() as u64, "each record was made by one row");
    stack.stop().await;
}

/// The test of the test: with a tally that counts a chunk as often as it is delivered, a schedule deviates. Some chunks
/// of every block come late, so that others are delivered again while the block is open.
#[tokio::test(flavor = "multi_thread")]
async fn a_tally_that_counts_twice_is_noticed() {
    let delay = Duration::from_secs(100);
    let faults = Faults { message_twice: 1.0, message_delayed: 0.5, delay, ..Faults::default() };
    let schedule = steady(7, &[2], faults);
    assert_eq!(run(&schedule, &[]).await, Vec::<String>::new(), "seed {} with one tally", schedule.seed);
    let deviations = run(&schedule, &[(SABOTAGE, Condition::TalliedOnce.name())]).await;
    assert!(!deviations.is_empty());
    println!("noticed: {}", deviations.join("; "));
}

/// A schedule of waves of upserts of the first account, whose rows say little that is new.
fn steady(seed: u64, waves: &[usize], faults: Faults) -> Schedule {
    let mut rng = Rng::new(seed);
    let mut planned = || Planned {
        account: "1",
        file: files::steady(&mut rng, ROWS, KEYS),
        // What a digest drops is not applied, and shows nothing of how rows are.
        options: force(),
        cancelled: false,
        from: None,
        corrects: None,
        reviewed: false,
        by_inbox: false,
    };
    let waves = waves.iter().map(|&imports| (0..imports).map(|_| planned()).collect()).collect();
    Schedule { seed, waves, faults: Faults { seed, ..faults }, crash_points: Vec::new(), in_turn: true, rounds: 3 }
}

/// The test of the test: each condition under which a row that changes nothing costs no write is needed. With it the
/// schedule holds, without it it deviates. *newest* has a schedule of its own in `tests/unchanged.rs`.
async fn is_needed(condition: Condition, schedule: Schedule) {
    let seed = schedule.seed;
    assert_eq!(run(&schedule, &[]).await, Vec::<String>::new(), "seed {seed} with {condition:?}");
    let deviations = run(&schedule, &[(SABOTAGE, condition.name())]).await;
    assert!(!deviations.is_empty(), "seed {seed} holds without {condition:?}");
    // An import that hangs would say nothing of the condition: the functions may not even have started.
    let hangs: Vec<&String> = deviations.iter().filter(|deviation| deviation.contains(HAS_NOT_ENDED)).collect();
    assert!(hangs.is_empty(), "seed {seed} without {condition:?}: {hangs:?}");
    println!("seed {seed} without {condition:?}: {} deviations", deviations.len());
}

/// Messages come up to 100 seconds late, so that rows overtake one another.
fn late() -> Faults {
    Faults { message_delayed: 1.0, message_reordered: 0.5, delay: Duration::from_secs(100), ..Faults::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_beside_an_older_import_has_to_leave_its_stamps() {
    is_needed(Condition::NoOlderRunning, steady(31, &[1, 3], late())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_names_a_record_again_has_to_leave_its_stamps() {
    is_needed(Condition::First, steady(32, &[1, 1], late())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_changes_its_record_has_to_be_written() {
    is_needed(Condition::Equal, steady(33, &[1, 1], Faults::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_has_to_be_compared_with_its_record_as_it_is() {
    let wire = WireFaults { stale_read: 1.0, ..WireFaults::default() };
    is_needed(Condition::Consistent, exported_again(34, Faults { wire, ..Faults::default() })).await;
}

/// One file, another, and the first again.
fn exported_again(seed: u64, faults: Faults) -> Schedule {
    let mut schedule = steady(seed, &[1, 1, 1], faults);
    let keys = 0..ROWS;
    for (wave, cost) in schedule.waves.iter_mut().zip(["1", "2", "1"]) {
        let rows: String = keys.clone().map(|key| format!("K{key},N,B,{cost}\n")).collect();
        wave[0].file = format!("sku,name,brand,cost\n{rows}").into_bytes();
    }
    schedule
}

/// Four chunks of a batch share the time of an invocation, and the first uses it up: those behind it go back without
/// having begun, for as long as it takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_throttles_for_an_hour_fails_no_row() {
    let stack = Stack::with(|options| {
        options.proxy = true;
        options.faults.wire.throttled_table = Some("penstock-records".into());
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "50".into()));
        options.functions.validate.concurrency = 1;
    })
    .await;
    assert_eq!(stack.cloud.store().settings().records_table, "penstock-records");
    let import = stack.uploaded(&files::plain(0, 400, "1")).await;
    for _ in 0..6 {
        stack.cloud.quiet().await;
        stack.pass(Duration::from_secs(10 * 60)).await;
    }
    stack.cloud.quiet().await;
    let waits = stack.client.import(&import.id).await.expect("it is there");
    assert_eq!((waits.status, waits.rows.created, waits.rows.failed), (Status::Processing, 0, 0));
    assert!(stack.cloud.logs("validate").contains("a message goes back"), "{}", stack.cloud.logs("validate"));
    stack.cloud.faults().clear();
    let import = stack.ended(&import.id).await;
    assert_eq!((import.status, import.rows.created, import.rows.failed), (Status::Completed, 400, 0));
    stack.stop().await;
}
