//! Whoever waits is told: every event, at least once, by whatever way receivers fail and senders die.
//!
//! `PENSTOCK_WEBHOOK_SEEDS=1000..1200 cargo test --workspace --test suite webhooks::long -- --nocapture` runs as many
//! schedules as one likes; the ordinary run takes a small fixed set.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use penstock_client::{Import, NewExport};
use penstock_local::{Faults, Options, WireFaults};
use penstock_model::{
    AccountId, Delivery, DeliveryState, DisabledFor, EventType, ImportOptions, KindName, Mode, Status, Webhook,
    WebhookChange, WebhookId, webhook::ATTEMPTS,
};
use penstock_store::{
    conditions::{Condition, SABOTAGE},
    crash,
    webhooks::WebhookCreation,
};
use penstock_webhooks::{Secret, signature};
use reqwest::header::{HeaderName, HeaderValue};

use crate::support::{
    OTHER_TOKEN, Stack, TOKEN,
    crashes::{arm, armed},
    files,
    receiver::{Came, Manner, Receiver},
    rng::Rng,
    seeds,
    tables::{import_items, key},
    until, upload,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// A stack with a bus, whose senders wait for three seconds, and die at the crash points that the folder holds.
async fn stack_with(folder: &Path, change: impl FnOnce(&mut Options)) -> Stack {
    Stack::with(|options| {
        options.bus = true;
        options.environment.push(("PENSTOCK_WEBHOOK_SECONDS".into(), "3".into()));
        let directory = (crash::DIRECTORY.to_owned(), folder.display().to_string());
        let functions = &mut options.functions;
        for function in [
            &mut functions.split,
            &mut functions.validate,
            &mut functions.export,
            &mut functions.notify,
            &mut functions.sweep,
        ] {
            function.environment.push(directory.clone());
        }
        change(options);
    })
    .await
}

async fn stack() -> Stack {
    stack_with(Path::new("/nowhere"), |_| {}).await
}

fn account(name: &str) -> AccountId {
    name.parse().expect("valid")
}

/// A new endpoint of an account, as the test wants it.
async fn endpoint(stack: &Stack, of: &str, url: &str, change: impl FnOnce(&mut Webhook)) -> Webhook {
    let store = stack.cloud.store();
    let now = store.now_ms();
    let id = WebhookId::new(now, penstock_store::random());
    let mut webhook = Webhook::new(id, account(of), url.to_owned(), Secret::random().expose(), now);
    change(&mut webhook);
    assert_eq!(store.create_webhook(&webhook).await.expect("stored"), WebhookCreation::Created);
    webhook
}

async fn now(stack: &Stack, webhook: &Webhook) -> Webhook {
    stack.cloud.store().webhook(&webhook.account, &webhook.id).await.expect("read").expect("there")
}

async fn deliveries(stack: &Stack, webhook: &Webhook) -> Vec<Delivery> {
    stack.cloud.store().list_deliveries(&webhook.account, &webhook.id, None, 1_000).await.expect("read")
}

/// The sort keys of what is still to be told, or to be attempted.
async fn untold(stack: &Stack) -> Vec<String> {
    let items = import_items(stack).await;
    let is_left = |item: &&serde_json::Value| {
        let sk = key(item, "sk");
        sk.starts_with("event#") || (sk.starts_with("delivery#") && item["state"]["S"] == "pending")
    };
    items.iter().filter(is_left).map(|item| key(item, "sk").to_owned()).collect()
}

/// Lets time pass, an hour at a time behind the first minutes, until nothing is left to be told. Fails after ten days.
async fn all_told(stack: &Stack) {
    for step in 0..300 {
        stack.cloud.quiet().await;
        if untold(stack).await.is_empty() {
            return;
        }
        let minute = Duration::from_secs(61);
        stack.pass(if step < 20 || step % 2 == 1 { minute } else { HOUR }).await;
    }
    panic!("not told within ten days: {:?}\n{}", untold(stack).await, stack.logs());
}

/// The types of what came, by the ids of what it tells of, each once.
fn told(came: &[Came]) -> BTreeMap<String, BTreeSet<EventType>> {
    let mut told: BTreeMap<String, BTreeSet<EventType>> = BTreeMap::new();
    for came in came {
        let message = came.message();
        assert_eq!(message.id, came.id());
        let data = message.data;
        let of = data.import.map(|import| import.id).or(data.export.map(|export| export.id));
        told.entry(of.or(data.webhook.map(|webhook| webhook.id)).expect("a subject")).or_default().insert(message.what);
    }
    told
}

/// What the bus got, in the same form.
fn on_bus(stack: &Stack) -> BTreeMap<String, BTreeSet<EventType>> {
    let mut told: BTreeMap<String, BTreeSet<EventType>> = BTreeMap::new();
    for entry in stack.cloud.bus_entries() {
        assert_eq!((entry.source.as_str(), &entry.detail["type"]), ("penstock", &entry.detail_type.as_str().into()));
        let data = &entry.detail["data"];
        let of = ["import", "export", "webhook"].iter().find_map(|sort| data[*sort]["id"].as_str()).expect("a subject");
        told.entry(of.to_owned()).or_default().insert(entry.detail_type.parse().expect("a type"));
    }
    told
}

fn types<const N: usize>(types: [EventType; N]) -> BTreeSet<EventType> {
    types.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_told_to_each_endpoint_that_asks_and_to_nobody_else() {
    let stack = stack().await;
    let [all, failures, others, foreign] =
        [Receiver::start().await, Receiver::start().await, Receiver::start().await, Receiver::start().await];
    let to_all = endpoint(&stack, "1", &all.url(), |_| {}).await;
    endpoint(&stack, "1", &failures.url(), |webhook| {
        webhook.events = Some([EventType::ImportCompletedWithErrors].into());
    })
    .await;
    let vendors: BTreeSet<KindName> = ["vendors".parse().expect("valid")].into();
    endpoint(&stack, "1", &others.url(), |webhook| webhook.kinds = Some(vendors)).await;
    endpoint(&stack, "2", &foreign.url(), |_| {}).await;
    let good = stack.import(b"sku,name,brand\nS-1,One,Acme\n").await;
    let bad = stack.import(b"sku,name,brand\nS-2,Two,Acme\nS-3,,Acme\n").await;
    all_told(&stack).await;
    let good_types = types([EventType::ImportProcessing, EventType::ImportCompleted]);
    let bad_types = types([EventType::ImportProcessing, EventType::ImportCompletedWithErrors]);
    let both = BTreeMap::from([(good.id.clone(), good_types), (bad.id.clone(), bad_types)]);
    assert_eq!(told(&all.came()), both);
    assert_eq!(on_bus(&stack), both, "the bus is told the same");
    let of_bad = BTreeMap::from([(bad.id.clone(), types([EventType::ImportCompletedWithErrors]))]);
    assert_eq!(told(&failures.came()), of_bad);
    assert!(others.came().is_empty() && foreign.came().is_empty());

    // What is sent: thin, signed, and where to look.
    let keys: Vec<_> =
        to_all.secrets.iter().map(|one| one.secret.parse::<Secret>().expect("a secret").verifies()).collect();
    for came in all.came() {
        let headers = came.headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().expect("a name");
            let value: HeaderValue = value.parse().expect("a value");
            (name, value)
        });
        let seconds = stack.cloud.store().now_ms() / 1_000;
        signature::verify(&keys, &headers.collect(), &came.body, seconds).expect("signed");
        assert_eq!((came.path.as_str(), came.headers["content-type"].as_str()), ("/events", "application/json"));
    }
    let ended = all.came().into_iter().map(|came| came.message());
    let ended = ended.into_iter().find(|message| message.what == EventType::ImportCompletedWithErrors);
    let ended = ended.expect("it came").data;
    let import = ended.import.expect("an import");
    assert_eq!((ended.account.as_str(), import.kind.as_str(), import.status), ("1", "products", bad.status));
    assert_eq!(import.rows, Some(bad.rows));
    assert_eq!(import.url, Some(format!("{}/v1/imports/{}", stack.cloud.public_url(), bad.id)));
    assert!(!all.came().iter().any(|came| String::from_utf8_lossy(&came.body).contains("Acme")), "never a cell");
    // Once each, and nothing of the imports is touched by it.
    assert!(all.ids().values().all(|times| *times == 1));
    assert_eq!(format!("{:?}", stack.client.import(&bad.id).await.expect("there")), format!("{bad:?}"));
    stack.stop().await;
}

/// Down, cut, 500, 429, 301 and silence, and then the event is taken: whole, with one id, at growing distances.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_in_every_way_is_asked_again_until_it_answers() {
    let stack = stack().await;
    let manners =
        [Manner::Down, Manner::Cut, Manner::Status(500), Manner::RetryAfter(90_000), Manner::Redirect, Manner::Slow];
    let receiver = Receiver::start().await;
    let webhook = endpoint(&stack, "1", &receiver.url(), |webhook| {
        webhook.events = Some([EventType::ImportCompleted].into());
    })
    .await;
    receiver.set(manners);
    let import = stack.import(b"sku,name,brand\nS-1,One,Acme\n").await;
    all_told(&stack).await;
    let [delivery] = &deliveries(&stack, &webhook).await[..] else { panic!("one delivery") };
    assert_eq!(delivery.state, DeliveryState::Delivered, "{delivery:#?}");
    let outcomes: Vec<_> = delivery.attempts.iter().map(|attempt| (attempt.status, attempt.error.as_deref())).collect();
    let wanted = [
        (None, Some("answer_cut")),
        (None, Some("answer_cut")),
        (Some(500), None),
        (Some(503), None),
        (Some(301), None),
        (None, Some("timed_out")),
        (Some(204), None),
    ];
    assert_eq!(outcomes, wanted);
    let at: Vec<i64> = delivery.attempts.iter().map(|attempt| attempt.at).collect();
    // 5 s, 1 min, 10 min; then a day instead of an hour, since it asked for more; then 3 and 6 hours.
    for (pair, least_seconds) in at.windows(2).zip([4, 54, 540, 86_400, 9_720, 19_440]) {
        assert!(pair[1] - pair[0] >= least_seconds * 1_000, "{at:?}");
    }
    assert_eq!(receiver.ids().len(), 1, "one id over all attempts");
    assert_eq!(receiver.came().len(), 6, "all but the first came whole");
    assert!(receiver.came().iter().all(|came| came.path == "/events"), "no redirect is followed");
    let messages: BTreeSet<_> = receiver.came().iter().map(|came| came.body.clone()).collect();
    assert_eq!(messages.len(), 1, "the same each time");
    let later = stack.client.import(&import.id).await.expect("there");
    assert_eq!(format!("{later:?}"), format!("{import:?}"), "the import is as it was");
    assert_eq!(now(&stack, &webhook).await.failing_since, None);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_given_up_after_three_days_and_can_be_ordered_again() {
    let stack = stack().await;
    let receiver = Receiver::with([Manner::Status(500); ATTEMPTS as usize]).await;
    let webhook = endpoint(&stack, "1", &receiver.url(), |webhook| {
        webhook.events = Some([EventType::ImportCompleted].into());
    })
    .await;
    stack.import(b"sku,name,brand\nS-1,One,Acme\n").await;
    all_told(&stack).await;
    let failed = deliveries(&stack, &webhook).await.remove(0);
    assert_eq!((failed.state, receiver.came().len()), (DeliveryState::Failed, 10));
    let days = (failed.attempts[9].at - failed.attempts[0].at) as f64 / 86_400_000.0;
    assert!((2.6..4.0).contains(&days), "{days} days");
    assert!(now(&stack, &webhook).await.disabled.is_none(), "three days are not five");
    let store = stack.cloud.store();
    let again = store.resend(&webhook.account, &webhook.id, failed.id()).await.expect("read").expect("there");
    assert_eq!(again.state, DeliveryState::Pending);
    stack.cloud.quiet().await;
    let arrived = deliveries(&stack, &webhook).await.remove(0);
    assert_eq!((arrived.state, arrived.attempts.len()), (DeliveryState::Delivered, 11));
    assert_eq!(receiver.ids().len(), 1, "the same id");
    // A repeat is sent again, too.
    store.resend(&webhook.account, &webhook.id, failed.id()).await.expect("read").expect("there");
    stack.cloud.quiet().await;
    assert_eq!(receiver.came().len(), 12);
    let missing = "evt_00000000000000000000000000".parse().expect("an id");
    assert_eq!(store.resend(&webhook.account, &webhook.id, &missing).await.expect("read"), None);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_disabled_and_gets_what_it_missed_when_it_is_back() {
    let stack = stack().await;
    let receiver = Receiver::with([Manner::Status(410)]).await;
    let webhook = endpoint(&stack, "1", &receiver.url(), |webhook| {
        webhook.events = Some([EventType::ImportCompleted].into());
    })
    .await;
    let from = stack.cloud.store().now_ms();
    let first = stack.import(b"sku,name,brand\nS-1,One,Acme\n").await;
    all_told(&stack).await;
    let disabled = now(&stack, &webhook).await;
    assert_eq!(disabled.disabled.as_ref().map(|disabled| disabled.reason), Some(DisabledFor::Gone));
    let second = stack.import(b"sku,name,brand\nS-2,Two,Acme\n").await;
    all_told(&stack).await;
    assert_eq!(receiver.came().len(), 1, "nothing more is sent");
    let states: Vec<_> = deliveries(&stack, &webhook).await.iter().map(|delivery| delivery.state).collect();
    assert_eq!(states, [DeliveryState::Dropped, DeliveryState::Failed], "newest first");
    assert_eq!(on_bus(&stack)[webhook.id.as_str()], types([EventType::WebhookDisabled]), "its owner is told");

    let store = stack.cloud.store();
    let enabled = disabled.change(WebhookChange { disabled: Some(false), ..WebhookChange::default() }, store.now_ms());
    assert!(store.replace_webhook(&disabled, &enabled).await.expect("stored"));
    assert!(!store.replace_webhook(&disabled, &enabled).await.expect("read"), "a repeat finds another revision");
    let until = store.now_ms() + 1;
    let before = store.resend_range(&webhook.account, &webhook.id, 0, from, None).await.expect("read");
    assert_eq!((before.deliveries, before.next), (0, None), "nothing happened before");
    let resent = store.resend_range(&webhook.account, &webhook.id, from, until, None).await.expect("read");
    assert_eq!((resent.deliveries, resent.next), (2, None));
    all_told(&stack).await;
    let both: BTreeSet<String> = [first.id, second.id].into();
    assert_eq!(told(&receiver.came()).into_keys().collect::<BTreeSet<_>>(), both);
    let resent = store.resend_range(&webhook.account, &webhook.id, from, until, None).await.expect("read");
    assert_eq!(resent.deliveries, 0, "what has arrived is not sent again");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_for_five_days_is_disabled() {
    let stack = stack().await;
    // Nobody listens there.
    let gone = Receiver::start().await.url();
    let webhook = endpoint(&stack, "1", &gone, |_| {}).await;
    for day in 0..6 {
        stack.import(format!("sku,name,brand\nS-{day},One,Acme\n").as_bytes()).await;
        for _ in 0..24 {
            stack.cloud.quiet().await;
            stack.pass(HOUR).await;
        }
    }
    stack.cloud.quiet().await;
    let disabled = now(&stack, &webhook).await;
    assert_eq!(disabled.disabled.map(|disabled| disabled.reason), Some(DisabledFor::Failing));
    let failed = deliveries(&stack, &webhook).await.pop().expect("the first");
    assert_eq!((failed.state, failed.attempts[0].error.as_deref()), (DeliveryState::Failed, Some("connection_failed")));
    all_told(&stack).await;
    assert_eq!(on_bus(&stack)[webhook.id.as_str()], types([EventType::WebhookDisabled]));
    stack.stop().await;
}

/// An answer of the URL that an endpoint had says nothing of the one that it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_of_its_old_url_disables_no_endpoint() {
    let stack = stack_with(Path::new("/nowhere"), |options| {
        options.environment.retain(|(name, _)| name != "PENSTOCK_WEBHOOK_SECONDS");
    })
    .await;
    let (old, new) = (Receiver::with([Manner::Held(410)]).await, Receiver::start().await);
    let only = Some([EventType::ImportCompleted].into());
    let webhook = endpoint(&stack, "1", &old.url(), |webhook| webhook.events = only).await;
    stack.uploaded(b"sku,name,brand\nS-1,One,Acme\n").await;
    until("the old URL is asked", async || !old.came().is_empty()).await;
    let store = stack.cloud.store();
    let moved = webhook.change(WebhookChange { url: Some(new.url()), ..WebhookChange::default() }, store.now_ms());
    assert!(store.replace_webhook(&webhook, &moved).await.expect("stored"));
    old.let_go();
    all_told(&stack).await;
    assert_eq!(deliveries(&stack, &webhook).await[0].attempts[0].status, Some(410));
    let now = now(&stack, &webhook).await;
    assert_eq!((now.url, now.disabled, now.failing_since), (new.url(), None, None));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_an_endpoint_that_was_deleted_or_made_later() {
    let stack = stack().await;
    let receiver = Receiver::with([Manner::Status(500); 3]).await;
    let webhook = endpoint(&stack, "1", &receiver.url(), |_| {}).await;
    stack.import(b"sku,name,brand\nS-1,One,Acme\n").await;
    stack.cloud.quiet().await;
    let came = receiver.came().len();
    assert_eq!(came, 2, "the first attempts of two events");
    let store = stack.cloud.store();
    assert!(store.delete_webhook(&webhook.account, &webhook.id).await.expect("deleted"));
    assert!(!store.delete_webhook(&webhook.account, &webhook.id).await.expect("read"), "a repeat finds it gone");
    stack.import(b"sku,name,brand\nS-2,Two,Acme\n").await;
    all_told(&stack).await;
    assert_eq!(receiver.came().len(), came);
    assert!(deliveries(&stack, &webhook).await.is_empty(), "what was to be attempted is gone");
    // One that is made now is told nothing of what happened before.
    let later = Receiver::start().await;
    endpoint(&stack, "1", &later.url(), |_| {}).await;
    stack.pass(HOUR).await;
    stack.cloud.quiet().await;
    assert!(later.came().is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_counted() {
    let stack = stack().await;
    let mut made = Vec::new();
    for _ in 0..penstock_model::limits::ACCOUNT_WEBHOOKS {
        made.push(endpoint(&stack, "1", "http://127.0.0.1:1/", |_| {}).await);
    }
    let store = stack.cloud.store();
    let one_more = Webhook { id: WebhookId::new(1, [3; 10]), ..made[0].clone() };
    assert_eq!(store.create_webhook(&one_more).await.expect("read"), WebhookCreation::NoPlace);
    assert_eq!(store.create_webhook(&made[0]).await.expect("read"), WebhookCreation::Created, "a repeat finds it");
    let listed = store.list_webhooks(&account("1")).await.expect("read");
    let ids: Vec<_> = listed.iter().map(|webhook| &webhook.id).collect();
    assert_eq!(ids.len(), made.len());
    assert!(ids.is_sorted_by(|a, b| a >= b), "newest first");
    assert!(store.delete_webhook(&account("1"), &made[5].id).await.expect("deleted"));
    assert_eq!(store.create_webhook(&one_more).await.expect("stored"), WebhookCreation::Created);
    assert!(store.list_webhooks(&account("2")).await.expect("read").is_empty());
    stack.stop().await;
}

/// A backlog of an endpoint that never answers keeps the senders busy, and one event of another overtakes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_endpoint_holds_up_no_other() {
    const BACKLOG: usize = 120;
    let stack = stack_with(Path::new("/nowhere"), |options| options.functions.notify.concurrency = 2).await;
    let [slow, quick] = [Receiver::with([Manner::Slow; BACKLOG]).await, Receiver::start().await];
    let to_slow = endpoint(&stack, "1", &slow.url(), |_| {}).await;
    let to_quick = endpoint(&stack, "1", &quick.url(), |_| {}).await;
    for _ in 0..BACKLOG {
        stack.cloud.store().send_test(&to_slow).await.expect("ordered");
    }
    until("the senders are busy", async || slow.came().len() >= 20).await;
    stack.cloud.store().send_test(&to_quick).await.expect("ordered");
    until("the event of the other one has come", async || quick.came().len() == 1).await;
    let attempted = slow.came().len();
    assert!(attempted < BACKLOG, "{attempted} of {BACKLOG} came before it");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_and_imports_that_wait_to_be_confirmed_are_told() {
    let stack = stack().await;
    let receiver = Receiver::start().await;
    endpoint(&stack, "1", &receiver.url(), |_| {}).await;
    stack.import(b"sku,name,brand\nS-1,One,Acme\nS-2,Two,Acme\n").await;
    let export = NewExport { kind: "products".to_owned(), ..NewExport::default() };
    let export = stack.client.create_export(&export).await.expect("ordered");
    let cancelled = stack.create(ImportOptions::default()).await;
    stack.client.cancel(&cancelled.id).await.expect("cancelled");
    let expired = stack.create(ImportOptions::default()).await;
    let review = ImportOptions { review: true, ..ImportOptions::default() };
    let reviewed = stack.create(review).await;
    assert_eq!(upload(&reviewed, b"sku,name,brand\nS-3,Three,Acme\n").await, 200);
    stack.cloud.quiet().await;
    let applies = stack.client.confirm(&reviewed.id).await.expect("confirmed");
    stack.ended(&applies.id).await;
    let replace = ImportOptions { mode: Mode::Replace, ..ImportOptions::default() };
    let replaces = stack.create(replace).await;
    assert_eq!(upload(&replaces, b"sku,name,brand\nS-1,One,Acme\n").await, 200);
    stack.cloud.quiet().await;
    stack.client.confirm(&replaces.id).await.expect("confirmed");
    assert_eq!(stack.ended(&replaces.id).await.removed, 2);
    stack.pass(HOUR).await;
    assert_eq!(stack.ended(&expired.id).await.status, Status::Expired);
    all_told(&stack).await;
    let told = told(&receiver.came());
    let confirmed =
        types([EventType::ImportProcessing, EventType::ImportAwaitingConfirmation, EventType::ImportCompleted]);
    assert_eq!(told[&export.id], types([EventType::ExportCompleted]));
    assert_eq!(told[&cancelled.id], types([EventType::ImportCancelled]));
    assert_eq!(told[&expired.id], types([EventType::ImportExpired]));
    assert_eq!(told[&reviewed.id], confirmed);
    assert_eq!(told[&replaces.id], confirmed);
    assert_eq!(told[&applies.id], types([EventType::ImportProcessing, EventType::ImportCompleted]));
    let messages: Vec<_> = receiver.came().iter().map(Came::message).collect();
    let of = |id: &str, what: EventType| {
        let found = messages.iter().filter(|message| message.what == what);
        found.filter_map(|message| message.data.import.clone()).find(|import| import.id == id).expect("it came")
    };
    assert_eq!(of(&replaces.id, EventType::ImportAwaitingConfirmation).to_remove, Some(2));
    assert_eq!(of(&replaces.id, EventType::ImportCompleted).removed, Some(2));
    let held = of(&reviewed.id, EventType::ImportAwaitingConfirmation);
    assert_eq!((held.writes_nothing, held.rows.map(|rows| rows.created)), (true, Some(1)));
    assert_eq!(of(&reviewed.id, EventType::ImportCompleted).confirmed_as, Some(applies.id));
    assert_eq!(on_bus(&stack), told);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_is_not_there_keeps_no_endpoint_waiting() {
    let none = ("PENSTOCK_EVENT_BUS".to_owned(), "elsewhere".to_owned());
    let stack = stack_with(Path::new("/nowhere"), |options| options.environment.push(none)).await;
    let receiver = Receiver::start().await;
    endpoint(&stack, "1", &receiver.url(), |_| {}).await;
    let import = stack.import(b"sku,name,brand\nS-1,One,Acme\n").await;
    stack.cloud.quiet().await;
    assert_eq!(told(&receiver.came())[&import.id].len(), 2);
    assert_eq!(untold(&stack).await.len(), 2, "the bus may be there later");
    // After a day it is given up.
    stack.pass(25 * HOUR).await;
    all_told(&stack).await;
    assert!(stack.cloud.bus_entries().is_empty());
    stack.stop().await;
}

/// The crash points of what tells events.
fn points() -> impl Iterator<Item = &'static str> {
    let is_here = |point: &&'static str| point.starts_with("event.") || point.starts_with("delivery.");
    crash::POINTS.iter().copied().filter(is_here)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_after_any_step_loses_no_event() {
    for point in points() {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = stack_with(folder.path(), |_| {}).await;
        let receiver = Receiver::start().await;
        let webhook = endpoint(&stack, "1", &receiver.url(), |_| {}).await;
        arm(folder.path(), point);
        let import = stack.import(b"sku,name,brand\nS-1,One,Acme\n").await;
        all_told(&stack).await;
        assert_eq!(armed(folder.path()), [""; 0], "{point}");
        let both = types([EventType::ImportProcessing, EventType::ImportCompleted]);
        assert_eq!(told(&receiver.came())[&import.id], both, "{point}");
        assert_eq!(on_bus(&stack)[&import.id], both, "{point}");
        assert_eq!(receiver.ids().len(), 2, "{point}: ids are stable");
        let states: BTreeSet<_> =
            deliveries(&stack, &webhook).await.iter().map(|delivery| delivery.state.as_str()).collect();
        assert_eq!(states, ["delivered"].into(), "{point}");
        stack.stop().await;
    }
}

/// An endpoint of a schedule.
struct Planned {
    account: &'static str,
    /// How it answers its first requests, before it takes everything.
    manners: Vec<Manner>,
    /// Whether it is deleted behind the first wave.
    deleted: bool,
    /// What it asks for; everything if nothing.
    events: Option<BTreeSet<EventType>>,
}

/// What a seed decides.
struct Schedule {
    seed: u64,
    endpoints: Vec<Planned>,
    /// Files of imports, by account, in two waves.
    waves: [Vec<(&'static str, Vec<u8>)>; 2],
    faults: Faults,
    crash_points: Vec<&'static str>,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let endpoints = (0..2 + rng.below(3)).map(|_| planned(&mut rng)).collect();
        let mut wave = || {
            let imports = 1 + rng.below(3);
            (0..imports).map(|_| (*rng.pick(&["1", "1", "2"]), files::clashing(&mut rng, 30, 20))).collect()
        };
        let waves = [wave(), wave()];
        let own = crash::POINTS.iter().copied();
        let crash_points = own
            .filter(|point| ["event.", "delivery.", "end.", "split."].iter().any(|begin| point.starts_with(begin)))
            .filter(|_| rng.once_in(3))
            .collect();
        let faults = faults(&mut rng, seed);
        Self { seed, endpoints, waves, faults, crash_points }
    }
}

fn planned(rng: &mut Rng) -> Planned {
    let manners = [
        Manner::Status(500),
        Manner::Status(429),
        Manner::RetryAfter(700),
        Manner::Redirect,
        Manner::Down,
        Manner::Cut,
        Manner::Slow,
    ];
    // Each event has ten attempts, of which deaths and the weather cost some: bad answers are five at most.
    let bad = rng.below(6);
    let filter = [EventType::ImportCompleted, EventType::ImportCompletedWithErrors, EventType::ImportFailed];
    Planned {
        account: if rng.once_in(3) { "2" } else { "1" },
        manners: (0..bad).map(|_| *rng.pick(&manners)).collect(),
        deleted: rng.once_in(4),
        events: rng.once_in(3).then(|| filter.into()),
    }
}

/// A few kinds of fault of all, each now and then.
fn faults(rng: &mut Rng, seed: u64) -> Faults {
    let mut sometimes = |probability: f64| if rng.once_in(2) { probability } else { 0.0 };
    Faults {
        seed,
        event_twice: sometimes(0.5),
        message_twice: sometimes(0.3),
        deletion_forgotten: sometimes(0.2),
        message_reordered: sometimes(0.5),
        message_delayed: sometimes(0.3),
        delay: Duration::from_secs(100),
        kill_during: sometimes(0.1),
        kill_within: Duration::from_millis(100),
        kill_after_response: sometimes(0.1),
        wire: WireFaults {
            error_before: sometimes(0.02),
            error_after: sometimes(0.02),
            throttle: sometimes(0.01),
            throttle_burst: 5,
            cut_before: sometimes(0.01),
            cut_after: sometimes(0.01),
            timeout_after: sometimes(0.003),
            hold: Duration::from_millis(200),
            transaction_conflict: sometimes(0.1),
            ..WireFaults::default()
        },
        ..Faults::default()
    }
}

/// Runs a schedule; what deviates from the promises, in words.
async fn run(schedule: &Schedule, environment: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder for crash points");
    for point in &schedule.crash_points {
        arm(folder.path(), point);
    }
    let stack = stack_with(folder.path(), |options| {
        options.faults = schedule.faults.clone();
        options.proxy = true;
        let more = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        options.environment.extend(more);
    })
    .await;
    stack.cloud.faults().clear();
    let mut endpoints = Vec::new();
    for planned in &schedule.endpoints {
        let receiver = Receiver::with(planned.manners.clone()).await;
        let webhook = endpoint(&stack, planned.account, &receiver.url(), |webhook| {
            webhook.events.clone_from(&planned.events);
        })
        .await;
        endpoints.push((planned, receiver, webhook));
    }
    let mut ended = Vec::new();
    for (number, wave) in schedule.waves.iter().enumerate() {
        for (account, import) in run_wave(schedule, &stack, wave).await {
            ended.push((number, account, import));
        }
        if number == 0 {
            // What is under way ends first: what begins later is what must send nothing.
            stack.cloud.quiet().await;
            for (planned, _, webhook) in &endpoints {
                if planned.deleted {
                    let is_gone = stack.cloud.store().delete_webhook(&webhook.account, &webhook.id).await;
                    assert!(is_gone.expect("deleted"));
                }
            }
        }
    }
    all_told(&stack).await;
    let mut deviations = check(&stack, &endpoints, &ended).await;
    // Messages that were delivered late, or again, change nothing.
    for _ in 0..5 {
        stack.pass(Duration::from_secs(400)).await;
        stack.cloud.quiet().await;
    }
    for (_, account, import) in &ended {
        let later = stack.client_of(token(account)).import(&import.id).await.expect("there");
        if format!("{later:?}") != format!("{import:?}") {
            deviations.push(format!("{} has changed since it ended: {later:?}", import.id));
        }
    }
    if !deviations.is_empty() {
        eprintln!("{}", stack.logs());
    }
    stack.stop().await;
    deviations
}

fn token(account: &str) -> &'static str {
    if account == "1" { TOKEN } else { OTHER_TOKEN }
}

async fn run_wave<'a>(
    schedule: &Schedule,
    stack: &Stack,
    wave: &'a [(&'static str, Vec<u8>)],
) -> Vec<(&'a str, Import)> {
    let mut imports = Vec::new();
    stack.cloud.faults().clear();
    for (account, file) in wave {
        let client = stack.client_of(token(account));
        let import = client.create(&penstock_client::NewImport::default(), None).await.expect("created");
        assert_eq!(upload(&import, file).await, 200, "seed {}", schedule.seed);
        imports.push((*account, client, import));
    }
    stack.cloud.faults().resume();
    for _ in 0..4 {
        stack.cloud.quiet().await;
        stack.pass(Duration::from_secs(61)).await;
    }
    stack.cloud.faults().clear();
    let mut ended = Vec::new();
    for (account, client, import) in imports {
        let import = stack.ended_for(&client, &import.id).await.expect("it ends");
        ended.push((account, import));
    }
    ended
}

async fn check(
    stack: &Stack,
    endpoints: &[(&Planned, Receiver, Webhook)],
    ended: &[(usize, &str, Import)],
) -> Vec<String> {
    let mut deviations = Vec::new();
    let mut ids: BTreeMap<(String, EventType), BTreeSet<String>> = BTreeMap::new();
    for (planned, receiver, webhook) in endpoints {
        let came = receiver.came();
        let told = told(&came);
        for came in &came {
            let message = came.message();
            let import = message.data.import.expect("an import").id;
            ids.entry((import, message.what)).or_default().insert(message.id);
        }
        for (wave, account, import) in ended {
            let types = told.get(&import.id).cloned().unwrap_or_default();
            let end: EventType = format!("import.{}", import.status.as_str()).parse().expect("a type");
            let asks = |what: &EventType| planned.events.as_ref().is_none_or(|events| events.contains(what));
            let wanted: BTreeSet<_> = [EventType::ImportProcessing, end].into_iter().filter(asks).collect();
            let is_foreign = *account != planned.account;
            if is_foreign && !types.is_empty() {
                deviations.push(format!("{} of another account was told to {}", import.id, webhook.id));
            } else if planned.deleted && *wave == 1 && !types.is_empty() {
                deviations.push(format!("{} was told to {}, which was deleted before", import.id, webhook.id));
            } else if !is_foreign && !planned.deleted && types != wanted {
                deviations.push(format!("{} was told {types:?} of {}, not {wanted:?}", webhook.id, import.id));
            }
        }
        if !planned.deleted {
            for delivery in deliveries(stack, webhook).await {
                if delivery.state != DeliveryState::Delivered {
                    deviations.push(format!("a delivery is {:?}: {delivery:?}", delivery.state));
                }
            }
        }
    }
    let on_bus = on_bus(stack);
    for (_, _, import) in ended {
        let end: EventType = format!("import.{}", import.status.as_str()).parse().expect("a type");
        let wanted = types([EventType::ImportProcessing, end]);
        if on_bus.get(&import.id) != Some(&wanted) {
            deviations.push(format!("the bus was told {:?} of {}", on_bus.get(&import.id), import.id));
        }
    }
    for entry in stack.cloud.bus_entries() {
        let detail = &entry.detail;
        let import = detail["data"]["import"]["id"].as_str().expect("an import").to_owned();
        let id = detail["id"].as_str().expect("an id").to_owned();
        ids.entry((import, entry.detail_type.parse().expect("a type"))).or_default().insert(id);
    }
    for (what, ids) in ids.into_iter().filter(|(_, ids)| ids.len() != 1) {
        deviations.push(format!("{what:?} has the ids {ids:?}"));
    }
    deviations
}

async fn holds(seed: u64) {
    let schedule = Schedule::new(seed);
    assert_eq!(run(&schedule, &[]).await, Vec::<String>::new(), "seed {seed}");
}

crate::seeds! {
    schedule_1_loses_no_event: 1,
    schedule_2_loses_no_event: 2,
    schedule_3_loses_no_event: 3,
    schedule_4_loses_no_event: 4,
}

/// As many as the variable names; two in the ordinary run.
#[tokio::test(flavor = "multi_thread")]
async fn long() {
    seeds::each("PENSTOCK_WEBHOOK_SEEDS", "5..7", "schedules of webhooks", async |seed| holds(seed).await).await;
}

/// The test of the test: an event that is stored behind the transaction is lost when its maker dies between the two.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_not_in_the_outbox_is_missed() {
    let mut schedule = Schedule::new(1);
    schedule.faults = Faults::default();
    schedule.crash_points = vec!["event.stored"];
    schedule.endpoints = vec![Planned { account: "1", manners: Vec::new(), deleted: false, events: None }];
    schedule.waves.iter_mut().flatten().for_each(|(account, _)| *account = "1");
    assert_eq!(run(&schedule, &[]).await, Vec::<String>::new(), "with the outbox");
    let deviations = run(&schedule, &[(SABOTAGE, Condition::Outbox.name())]).await;
    assert!(deviations.iter().any(|deviation| deviation.contains("was told")), "{deviations:?}");
    println!("noticed: {}", deviations.join("; "));
}
