//! Creating, listing, accepting, expiring and deleting imports.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use penstock_model::{Checkpoint, Halt, Import, ImportId, Layout, Order, QueueName, Status, digest::Source, limits};
use penstock_store::{
    Store,
    accept::{Acceptance, Step},
    imports::{Creation, Filter, Idempotency},
    quota::Quota,
};
use tokio::time::{Instant, sleep};

use super::bench::{Bench, account, at_once, object};

fn place(acceptance: Acceptance) -> u64 {
    match acceptance {
        Acceptance::Go(import) => import.order,
        Acceptance::Nothing(reason) => panic!("not accepted: {reason}"),
    }
}

async fn refused(store: &Store, import: &Import, etag: &str) -> bool {
    let acceptance = store.accept(&import.account, &import.id, &object(etag)).await.expect("answers");
    matches!(acceptance, Acceptance::Nothing(_))
}

pub(crate) async fn an_import_is_stored_once_and_is_its_accounts_alone(bench: Bench) {
    let Bench { store, .. } = &bench;
    let import = bench.import();
    assert!(matches!(store.create_import(&import, None).await.expect("answers"), Creation::Created));
    assert_eq!(bench.now(&import).await, import);
    // As when the client repeats a call that had had its effect.
    let other = Import { filename: Some("other.csv".into()), ..import.clone() };
    assert!(matches!(store.create_import(&other, None).await.expect("answers"), Creation::Created));
    assert_eq!(bench.now(&import).await, import);
    assert_eq!(store.import(&account(), &import.id).await.expect("answers"), None);
    let layout = Layout::csv();
    let columns = ["sku".to_owned(), "Größe".to_owned()];
    let source = Source { id: "0123456789abcdef".to_owned(), fields: Some(vec![7]) };
    assert_eq!(
        store.set_layout(&import, &layout, &columns, &columns[1..], &source).await.expect("answers"),
        Step::Made
    );
    let now = bench.now(&import).await;
    assert_eq!(
        (now.layout, now.columns.as_deref(), &now.ignored_columns[..], now.source.as_ref()),
        (Some(layout.clone()), Some(&columns[..]), &columns[1..], Some(&source))
    );
    assert_eq!(store.set_layout(&bench.import(), &layout, &[], &[], &source).await.expect("answers"), Step::Overtaken);
}

pub(crate) async fn an_idempotency_key_stands_for_one_request(bench: Bench) {
    let Bench { store, .. } = &bench;
    let stands_for = |request: &str| Idempotency { key: "käy 1".into(), request: request.into() };
    let first = bench.import();
    assert!(matches!(store.create_import(&first, Some(&stands_for("a"))).await.expect("answers"), Creation::Created));
    assert!(matches!(store.create_import(&first, Some(&stands_for("a"))).await.expect("answers"), Creation::Created));
    match store.create_import(&bench.import(), Some(&stands_for("a"))).await.expect("answers") {
        Creation::Repeated(id) => assert_eq!(id, first.id),
        other => panic!("{other:?}"),
    }
    let other = bench.import();
    assert!(matches!(
        store.create_import(&other, Some(&stands_for("b"))).await.expect("answers"),
        Creation::OtherRequest
    ));
    assert_eq!(store.import(&bench.account, &other.id).await.expect("answers"), None);
    let later = Import { created_at: first.created_at + limits::IDEMPOTENCY_MS, ..bench.import() };
    assert!(matches!(store.create_import(&later, Some(&stands_for("b"))).await.expect("answers"), Creation::Created));
    let made = at_once(6, |_| {
        let bench = bench.clone();
        async move {
            let import = bench.import();
            let key = Idempotency { key: "at once".into(), request: "a".into() };
            match bench.store.create_import(&import, Some(&key)).await.expect("answers") {
                Creation::Created => import.id,
                Creation::Repeated(id) => id,
                other => panic!("the same request: {other:?}"),
            }
        }
    })
    .await;
    assert!(made.windows(2).all(|pair| pair[0] == pair[1]), "{made:?}");
}

pub(crate) async fn lists_are_newest_first_in_pages_and_by_status_and_kind(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let mut made = Vec::new();
    for at in 0..5 {
        let mut import = bench.import();
        import.id = ImportId::new(1_700_000_000_000 + at, penstock_store::random());
        import.kind = if at % 2 == 0 { "products" } else { "contacts" }.parse().expect("a kind");
        store.create_import(&import, None).await.expect("created");
        made.insert(0, import.id);
    }
    let halt = Halt::cancelled();
    store.order_halt(account, &made[1], &halt).await.expect("answers");
    let ids = |imports: Vec<Import>| imports.into_iter().map(|import| import.id).collect::<Vec<_>>();
    let all = Filter::default();
    assert_eq!(ids(store.list_imports(account, &all, None, 2).await.expect("a page")), made[..2]);
    assert_eq!(ids(store.list_imports(account, &all, Some(&made[1]), 2).await.expect("a page")), made[2..4]);
    assert_eq!(ids(store.list_imports(account, &all, Some(&made[3]), 2).await.expect("a page")), made[4..]);
    let kind = |name: &str| name.parse().expect("a kind");
    let contacts = Filter { kinds: vec![kind("contacts"), kind("vouchers")], ..Filter::default() };
    assert_eq!(
        ids(store.list_imports(account, &contacts, None, 9).await.expect("a page")),
        [made[1].clone(), made[3].clone()]
    );
    let cancelled = Filter { status: Some(Status::Cancelled), ..contacts };
    assert_eq!(ids(store.list_imports(account, &cancelled, None, 9).await.expect("a page")), [made[1].clone()]);
}

pub(crate) async fn accepting_pins_one_object_and_gives_a_place_in_the_order(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let (first, second) = (bench.created().await, bench.created().await);
    assert_eq!(place(store.accept(account, &first.id, &object("a")).await.expect("answers")), 1);
    let now = bench.now(&first).await;
    assert_eq!((now.status, now.order, now.object), (Status::Processing, 1, Some(object("a"))));
    assert!(now.no_older_running);
    assert_eq!(place(store.accept(account, &first.id, &object("a")).await.expect("answers")), 1);
    assert!(refused(store, &first, "b").await);
    assert_eq!(place(store.accept(account, &second.id, &object("a")).await.expect("answers")), 2);
    assert!(!bench.now(&second).await.no_older_running, "the first one runs");
    // The places tell their imports, also when one of them is gone; a place that nobody took tells none.
    let places = BTreeSet::from([1, 2, 3]);
    let imports = store.imports_of_places(account, &first.kind, &places).await.expect("answers");
    assert_eq!(imports, BTreeMap::from([(1, first.id.clone()), (2, second.id.clone())]));
    let of_another_kind = store.imports_of_places(account, &"orders".parse().expect("a kind"), &places).await;
    assert!(of_another_kind.expect("answers").is_empty());
    assert!(refused(store, &bench.import(), "a").await, "there is none");
    let cancelled = bench.created().await;
    let halt = Halt::cancelled();
    store.order_halt(account, &cancelled.id, &halt).await.expect("answers");
    assert!(refused(store, &cancelled, "a").await, "it has ended");
    assert_eq!(bench.now(&cancelled).await.status, Status::Cancelled);
}

pub(crate) async fn imports_accepted_at_once_get_different_places(bench: Bench) {
    let mut imports = Vec::new();
    for _ in 0..6 {
        imports.push(bench.created().await);
    }
    let mut places = at_once(6, |at| {
        let (bench, import) = (bench.clone(), imports[at].clone());
        async move { place(bench.store.accept(&import.account, &import.id, &object("a")).await.expect("answers")) }
    })
    .await;
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3, 4, 5, 6]);
}

pub(crate) async fn one_upload_accepted_at_once_gets_one_place(bench: Bench) {
    let import = bench.created().await;
    let places = at_once(6, |_| {
        let (bench, import) = (bench.clone(), import.clone());
        async move { place(bench.store.accept(&import.account, &import.id, &object("a")).await.expect("answers")) }
    })
    .await;
    assert_eq!(places, [1; 6]);
    assert_eq!(bench.accepted().await.order, 2);
}

pub(crate) async fn a_checkpoint_moves_once(bench: Bench) {
    let Bench { store, .. } = &bench;
    let import = bench.accepted().await;
    let to = |chunk: u32| Checkpoint { chunk, offset: u64::from(chunk) * 100, row: 1 + u64::from(chunk), line: 2 };
    assert_eq!(store.checkpoint(&import, Checkpoint::START, to(3)).await.expect("answers"), Step::Made);
    assert_eq!(store.checkpoint(&import, Checkpoint::START, to(3)).await.expect("answers"), Step::Made, "a repeat");
    assert_eq!(store.checkpoint(&import, Checkpoint::START, to(4)).await.expect("answers"), Step::Overtaken);
    assert_eq!(bench.now(&import).await.checkpoint, to(3));
    assert_eq!(store.checkpoint(&import, to(3), to(5)).await.expect("answers"), Step::Made);
    assert!(store.set_total(&import, 50, None).await.expect("answers").is_some());
    assert!(store.set_total(&import, 50, None).await.expect("answers").is_some(), "a repeat");
    assert!(store.set_total(&import, 51, None).await.expect("answers").is_none(), "another total");
    assert_eq!(store.checkpoint(&import, to(5), to(6)).await.expect("answers"), Step::Overtaken, "it has been split");
    assert_eq!(
        store.checkpoint(&bench.import(), to(5), to(6)).await.expect("answers"),
        Step::Overtaken,
        "there is none"
    );
    store.note_dead_split(&import).await.expect("answers");
    assert_eq!(bench.now(&import).await.split_died_at, Some(0));
}

pub(crate) async fn an_order_to_end_stops_the_splitter(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let import = bench.accepted().await;
    let order = |status| Halt { status, failure: None };
    store.order_halt(account, &import.id, &order(Status::Cancelled)).await.expect("answers");
    store.order_halt(account, &import.id, &order(Status::Failed)).await.expect("answers");
    let now = bench.now(&import).await;
    assert_eq!((now.status, now.halt), (Status::Processing, Some(order(Status::Cancelled))), "the first order counts");
    assert_eq!(store.open_block(&import, 0).await.expect("answers"), Step::Overtaken);
    assert!(store.set_total(&import, 5, None).await.expect("answers").is_none());
    let to = Checkpoint { chunk: 1, ..Checkpoint::START };
    assert_eq!(store.checkpoint(&import, Checkpoint::START, to).await.expect("answers"), Step::Overtaken);
}

pub(crate) async fn an_import_expires_once_and_a_late_upload_counts(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let import = bench.created().await;
    assert!(!store.expire(&import).await.expect("answers"), "its time is not over");
    let late = bench.shifted(import.expires_at - import.created_at + limits::EXPIRY_GRACE_MS + 1_000);
    assert!(late.store.expire(&import).await.expect("answers"));
    assert!(!late.store.expire(&import).await.expect("answers"), "it has expired since it was read");
    assert_eq!(bench.now(&import).await.status, Status::Expired);
    assert_eq!(place(store.accept(account, &import.id, &object("a")).await.expect("answers")), 1);
    let now = bench.now(&import).await;
    assert_eq!((now.status, now.completed_at), (Status::Processing, None));
    assert!(!late.store.expire(&import).await.expect("answers"), "it has been accepted since it was read");
}

/// Waits until these of the account's imports are due, and no others: the index may lag behind its table.
async fn due(bench: &Bench, store: &Store, mut wanted: Vec<&ImportId>) {
    wanted.sort();
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let due = store.due_imports().await.expect("answers");
        let mut found: Vec<&ImportId> =
            due.iter().filter(|due| due.account == bench.account).map(|due| &due.import).collect();
        found.sort();
        if found == wanted {
            return;
        }
        assert!(Instant::now() < end, "not within 20 s: due are {found:?}, not {wanted:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn due_imports_are_found_until_they_are_swept(bench: Bench) {
    let clock = bench.shifted(0);
    let (first, second) = (bench.created().await, bench.created().await);
    due(&bench, &clock.store, Vec::new()).await;
    let stall_ms = bench.settings.stall_seconds as i64 * 1000;
    clock.set(stall_ms + 60_000);
    due(&bench, &clock.store, vec![&first.id, &second.id]).await;
    clock.store.note_swept(&bench.account, &first.id, "seen").await.expect("answers");
    due(&bench, &clock.store, vec![&second.id]).await;
    assert_eq!(bench.now(&first).await.last_swept.as_deref(), Some("seen"));
    clock.store.note_ended(&bench.now(&second).await).await.expect("answers");
    due(&bench, &clock.store, vec![&second.id]).await;
    // One that has ended is looked at once more, and then never again.
    clock.store.order_halt(&bench.account, &second.id, &Halt::cancelled()).await.expect("answers");
    due(&bench, &clock.store, vec![&second.id]).await;
    clock.store.note_ended(&bench.now(&second).await).await.expect("answers");
    due(&bench, &clock.store, Vec::new()).await;
    clock.set(2 * stall_ms + 120_000);
    due(&bench, &clock.store, vec![&first.id]).await;
}

pub(crate) async fn a_quota_is_never_exceeded(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let quota = Quota { name: "conformance", max: 2 };
    let imports: Vec<Import> = (0..6).map(|_| bench.import()).collect();
    let taken = at_once(6, |at| {
        let (bench, import) = (bench.clone(), imports[at].clone());
        async move { bench.store.create_uploaded_import(&import, Some(quota)).await.expect("answers") }
    })
    .await;
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 2, "{taken:?}");
    let made: Vec<&Import> =
        imports.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(import, _)| import).collect();
    let mut ordered = Vec::new();
    for (body, _) in bench.messages(QueueName::Splits, 2).await {
        match Order::decode(&body).expect("an order") {
            Order::Continue { import, .. } => ordered.push(import),
            other => panic!("{other:?}"),
        }
    }
    ordered.sort();
    let mut ids: Vec<ImportId> = made.iter().map(|import| import.id.clone()).collect();
    ids.sort();
    assert_eq!(ordered, ids, "what has a place is split");
    assert!(!store.has_place(account, quota).await.expect("answers"));
    store.order_halt(account, &made[0].id, &Halt::cancelled()).await.expect("answers");
    assert!(store.has_place(account, quota).await.expect("answers"));
    assert!(store.create_uploaded_import(&bench.import(), Some(quota)).await.expect("answers"));
    assert!(!store.create_uploaded_import(&bench.import(), Some(quota)).await.expect("answers"));
}
