//! The functions through the Runtime API as AWS drives them: events of the shapes that AWS documents, and the answers
//! that it looks at.
//!
//! `data/events/` holds the events, with placeholders for what a test knows only when it runs. Sources: the API Gateway
//! Developer Guide ("Input format of a Lambda function for proxy integration", "Payload format structure" 2.0), the
//! Amazon S3 User Guide ("Event message structure"), the AWS Lambda Developer Guide ("Using Lambda with Amazon SQS").

use std::time::Duration;

use penstock_client::Import;
use penstock_engine::split::{Piece, SplitOptions, Splitter};
use penstock_local::FunctionError;
use penstock_model::{
    AccountId, Body, Checkpoint, Chunk, ChunkMessage, Dropped, EventId, FunctionName, Grammar, ImportId, ImportOptions,
    Job, Order, QueueName, Repeats, Status, StoredObject,
};
use penstock_store::uploads::upload_key;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::{Map, Value, json};

use crate::support::{Stack, TOKEN, adds_up, files, upload};

const REST: &str = include_str!("data/events/api-gateway-rest.json");
const HTTP: &str = include_str!("data/events/api-gateway-http.json");
const OBJECT_CREATED: &str = include_str!("data/events/s3-object-created.json");
const S3_TEST: &str = include_str!("data/events/s3-test.json");
const SQS: &str = include_str!("data/events/sqs.json");

/// The ids of the two messages in [`SQS`].
const MESSAGES: [&str; 2] = ["059f36b4-87a3-44ab-83d2-661975830a7d", "2e1424d4-f796-459a-8184-9c92662be6da"];

const FILE: &[u8] = b"sku,name,brand\nA,a,b\nB,b\nC,\"c\nd\",d\n\"a,b/c %\",e,f\n";

/// How long a message is held back, at most: far longer than a test takes, wherever in it the draw falls.
const HELD: Duration = Duration::from_secs(10_000 * 24 * 3600);

/// A stack on which nothing happens of itself: storage events are lost, messages come a long time after they were sent,
/// nothing is scheduled. What a test sees happen is then due to what it invoked.
async fn still() -> Stack {
    Stack::with(|options| {
        options.scheduled = false;
        options.faults.event_lost = 1.0;
        options.faults.message_delayed = 1.0;
        options.faults.delay = HELD;
    })
    .await
}

/// An event with its placeholders filled in: one that is a whole text becomes the value, one within a text its text.
fn fill(event: &str, values: &[(&str, Value)]) -> Value {
    let mut event: Value = serde_json::from_str(event).expect("JSON");
    replace(&mut event, values);
    let left = event.to_string();
    assert!(!left.contains("${"), "not filled in: {left}");
    event
}

fn replace(value: &mut Value, values: &[(&str, Value)]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, values)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, values)),
        Value::String(text) => {
            for (name, with) in values {
                let placeholder = format!("${{{name}}}");
                if *text == placeholder {
                    *value = with.clone();
                    return;
                }
                if let Some(with) = with.as_str() {
                    *text = text.replace(&placeholder, with);
                }
            }
        }
        _ => {}
    }
}

async fn invoke(stack: &Stack, function: &str, event: Value) -> Value {
    let answer = stack.cloud.invoke(function, event.to_string()).await.expect("the function answers");
    serde_json::from_slice(&answer).expect("JSON")
}

/// A request as it comes to API Gateway.
#[derive(Clone)]
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    /// Percent-encoded where that is needed.
    query: &'a [(&'a str, &'a str)],
    body: Option<&'a str>,
    is_base64: bool,
    token: &'a str,
}

fn get<'a>(path: &'a str) -> Request<'a> {
    Request { method: "GET", path, query: &[], body: None, is_base64: false, token: TOKEN }
}

impl Request<'_> {
    fn values(&self) -> Vec<(&'static str, Value)> {
        let authorization = format!("Bearer {}", self.token);
        vec![
            ("method", self.method.into()),
            ("path", self.path.into()),
            ("proxy", self.path[1..].into()),
            ("authorization", authorization.into()),
            ("body", self.body.map_or(Value::Null, Value::from)),
            ("is_base64", self.is_base64.into()),
        ]
    }

    /// As a REST API passes it on.
    fn rest(&self) -> Value {
        let map = |value: &dyn Fn(&str) -> Value| match self.query {
            [] => Value::Null,
            query => Value::Object(query.iter().map(|(name, text)| (name.to_string(), value(text))).collect()),
        };
        let mut values = self.values();
        values.push(("query", map(&|text| text.into())));
        values.push(("multi_value_query", map(&|text| json!([text]))));
        fill(REST, &values)
    }

    /// As an HTTP API passes it on.
    fn http(&self) -> Value {
        let raw: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query: Map<String, Value> =
            self.query.iter().map(|(name, value)| (name.to_string(), (*value).into())).collect();
        let mut values = self.values();
        values.push(("raw_query", raw.join("&").into()));
        values.push(("query", query.into()));
        fill(HTTP, &values)
    }

    /// What the api function answers to the request from either gateway, which has to be the same.
    async fn answer(&self, stack: &Stack) -> Answer {
        let [rest, http] = [self.rest(), self.http()].map(|event| invoke(stack, "api", event));
        let (rest, http) = (Answer::read(rest.await), Answer::read(http.await));
        assert_eq!(rest.status, http.status);
        assert_eq!(rest.body, http.body);
        assert_eq!(rest.headers, http.headers);
        rest
    }
}

/// An answer as API Gateway reads it.
#[derive(Debug)]
struct Answer {
    status: u64,
    headers: HeaderMap,
    body: Option<String>,
}

impl Answer {
    fn read(answer: Value) -> Self {
        assert_eq!(answer["isBase64Encoded"], false, "{answer}");
        let mut headers = HeaderMap::new();
        let mut add = |name: &str, value: &Value| {
            let name: HeaderName = name.parse().expect("a header's name");
            headers.append(name, value.as_str().expect("text").parse().expect("a header's value"));
        };
        for (name, value) in answer["headers"].as_object().into_iter().flatten() {
            add(name, value);
        }
        for (name, values) in answer["multiValueHeaders"].as_object().into_iter().flatten() {
            values.as_array().expect("a list").iter().for_each(|value| add(name, value));
        }
        let status = answer["statusCode"].as_u64().expect("a status");
        Self { status, headers, body: answer["body"].as_str().map(str::to_owned) }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().expect("ASCII")
    }

    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(self.body.as_deref().unwrap_or_default()).expect("JSON")
    }

    fn refusal(&self) -> (u64, String) {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body: Value = serde_json::from_str(self.body.as_deref().unwrap_or_default()).expect("JSON");
        (self.status, body["code"].as_str().expect("a code").to_owned())
    }
}

fn account() -> AccountId {
    "1".parse().expect("valid")
}

fn id_of(import: &Import) -> ImportId {
    import.id.parse().expect("an id")
}

/// The event that S3 sends for the object at a key, which is encoded as S3 encodes it.
fn object_created(stack: &Stack, key: &str, object: &StoredObject) -> Value {
    let encoded = key.replace('+', "%2B").replace(' ', "+");
    let values = [
        ("bucket", stack.cloud.settings().uploads_bucket.as_str().into()),
        ("key", encoded.into()),
        ("size", object.bytes.into()),
        ("etag", object.etag.as_str().into()),
        ("version", object.version.as_deref().unwrap_or("null").into()),
    ];
    fill(OBJECT_CREATED, &values)
}

fn messages(queue: &str, first: &str, second: &str) -> Value {
    fill(SQS, &[("queue", queue.into()), ("first", first.into()), ("second", second.into())])
}

/// The upload of an import as it is stored.
async fn stored(stack: &Stack, import: &Import) -> StoredObject {
    let found = stack.cloud.store().find_upload(&account(), &id_of(import)).await.expect("answers");
    found.expect("an upload")
}

/// The chunk that a message carries.
fn chunk_of(message: &str) -> ChunkMessage {
    match Order::decode(message).expect("as written") {
        Order::Chunk(message) => *message,
        other => panic!("{other:?}"),
    }
}

/// The messages in which a file of an accepted import travels.
async fn chunk_messages(stack: &Stack, import: &Import, file: &[u8]) -> Vec<String> {
    let import = stack.cloud.store().import(&account(), &id_of(import)).await.expect("answers").expect("is there");
    let job = import.job();
    let mut splitter = Splitter::new(SplitOptions::new(job.grammar, &import.chunking));
    let mut pieces = splitter.push(file).expect("a header");
    pieces.extend(splitter.finish().expect("a header").0);
    let chunks = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Chunk(chunk, _) => Some(chunk),
        Piece::Header(_) => None,
    });
    chunks
        .map(|chunk| {
            ChunkMessage {
                job: job.clone(),
                chunk,
                repeats: Repeats::Any,
                dropped: Dropped::default(),
                last_try: false,
            }
            .encode()
            .expect("small")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_done_by_the_events_of_api_gateway_s3_and_sqs() {
    let stack = still().await;
    let bucket = stack.cloud.settings().uploads_bucket.clone();

    // API Gateway, body in base64, as for its binary media types: {"filename": "prödukte.csv"}
    let body = Some("eyJmaWxlbmFtZSI6ICJwcsO2ZHVrdGUuY3N2In0=");
    let create = Request { method: "POST", path: "/v1/imports", query: &[], body, is_base64: true, token: TOKEN };
    let answer = Answer::read(invoke(&stack, "api", create.rest()).await);
    let shown = answer.json();
    assert_eq!((answer.status, &shown["filename"]), (201, &json!("prödukte.csv")));
    let created: Import = serde_json::from_value(shown).expect("an import");
    let path = format!("/v1/imports/{}", created.id);
    // Relative, since behind a stage the path is another one for the client.
    assert_eq!(answer.header("location"), format!("imports/{}", created.id));
    assert_eq!(upload(&created, FILE).await, 200);

    // S3 tests the notification when it is set up.
    assert_eq!(invoke(&stack, "split", fill(S3_TEST, &[("bucket", bucket.into())])).await, Value::Null);
    assert_eq!(get(&path).answer(&stack).await.json()["status"], "awaiting_upload");

    // S3.
    let object = stored(&stack, &created).await;
    let event = object_created(&stack, &upload_key(&account(), &id_of(&created)), &object);
    assert_eq!(invoke(&stack, "split", event.clone()).await, Value::Null);
    let shown = get(&path).answer(&stack).await.json();
    assert_eq!(
        (&shown["status"], &shown["rows"]["total"], &shown["rows"]["processed"]),
        (&json!("processing"), &json!(4), &json!(0))
    );
    // It is delivered at least once; the second time there is nothing left to do.
    assert_eq!(invoke(&stack, "split", event).await, Value::Null);
    assert_eq!(stack.cloud.queue_depths()["chunks"].total(), 1);
    // What ends the import from here on is not held back; the chunk's own message stays where it is.
    stack.cloud.faults().clear();

    // SQS: of two messages, one is none of ours.
    let chunks = chunk_messages(&stack, &created, FILE).await;
    assert_eq!(chunks.len(), 1);
    let answer = invoke(&stack, "validate", messages("chunks", &chunks[0], "{\"corrupt\": true}\nA,a,b\n")).await;
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": MESSAGES[1] }] }));
    let import = stack.client.import(&created.id).await.expect("is there");
    assert_eq!((import.status, import.rows.created, import.rows.failed), (Status::CompletedWithErrors, 3, 1));
    adds_up(&import);

    // API Gateway again: a query, a record whose key needs every kind of escape, a redirect.
    let query = &[("limit", "1")];
    let errors = Request { query, ..get(&format!("{path}/errors")) }.answer(&stack).await.json();
    let shown: Vec<_> = errors["errors"].as_array().into_iter().flatten().map(|e| (&e["row"], &e["code"])).collect();
    assert_eq!(shown, [(&json!(2), &json!("ragged_row"))]);
    // A REST API passes a path on as it came.
    let record = get("/v1/records/products/a%252Cb%2Fc%20%2525").rest();
    let record = Answer::read(invoke(&stack, "api", record).await).json();
    assert_eq!((&record["key"], &record["fields"]["sku"]), (&json!("a%2Cb/c %25"), &json!("a,b/c %")));
    let import = stack.ended(&created.id).await;
    let answer = Answer::read(invoke(&stack, "api", get(&format!("{path}/rejected")).rest()).await);
    assert_eq!((answer.status, answer.body.as_deref().unwrap_or_default()), (303, ""));
    assert!(answer.header("location").contains(&created.id));

    // The message that the splitter sent comes at last.
    assert_eq!(stack.cloud.queue_depths()["chunks"].total(), 1);
    stack.pass(HELD).await;
    stack.cloud.idle().await;
    assert_eq!(stack.client.import(&created.id).await.expect("is there").rows, import.rows);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_gateways_get_the_same_answers() {
    let stack = still().await;
    let health = get("/health").answer(&stack).await;
    assert_eq!((health.status, health.json()), (200, json!({ "status": "ok" })));
    let empty = get("/v1/imports").answer(&stack).await.json();
    assert_eq!(empty, json!({ "imports": [], "next_cursor": null }));
    let import = stack.create(ImportOptions::default()).await;
    let list = Request { query: &[("status", "awaiting_upload"), ("limit", "5")], ..get("/v1/imports") };
    assert_eq!(list.answer(&stack).await.json()["imports"][0]["id"], import.id);
    let list = Request { query: &[("status", "cancelled"), ("limit", "5")], ..get("/v1/imports") };
    assert_eq!(list.answer(&stack).await.json()["imports"], json!([]));

    let path = format!("/v1/imports/{}", import.id);
    let wrong = Request { token: "test.secreT", ..get(&path) }.answer(&stack).await;
    assert_eq!(wrong.refusal(), (401, "unauthorized".into()));
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    let post = |body| Request { method: "POST", body: Some(body), ..get("/v1/imports") };
    for (request, refusal) in [
        (Request { query: &[("limit", "0")], ..get("/v1/imports") }, (400, "invalid_limit")),
        (post("{\"kind\": "), (400, "invalid_body")),
        (post("{\"kind\": \"unicorns\"}"), (422, "unknown_kind")),
        (get("/v1/imports/imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F"), (404, "not_found")),
        (get("/v1/nothing"), (404, "not_found")),
        // The stage is no part of a path.
        (get("/prod/v1/imports"), (404, "not_found")),
        (Request { method: "PUT", ..get("/v1/imports") }, (405, "method_not_allowed")),
        (get(&format!("{path}/rejected")), (409, "not_ready")),
    ] {
        let (status, code) = request.answer(&stack).await.refusal();
        assert_eq!((status, code.as_str()), refusal, "{} {}", request.method, request.path);
    }
    let cancel = Request { method: "POST", ..get(&format!("{path}/cancel")) }.answer(&stack).await;
    assert_eq!((cancel.status, &cancel.json()["status"]), (200, &json!("cancelled")));
    let delete = Request { method: "DELETE", ..get(&path) };
    let answer = Answer::read(invoke(&stack, "api", delete.http()).await);
    assert_eq!((answer.status, answer.body.as_deref().unwrap_or_default()), (204, ""));
    assert_eq!(delete.answer(&stack).await.refusal(), (404, "not_found".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_events_that_are_about_no_import_change_nothing() {
    let stack = still().await;
    let import = stack.create(ImportOptions::default()).await;
    let other = stack.create(ImportOptions::default()).await;
    assert_eq!(upload(&import, FILE).await, 200);
    let object = stored(&stack, &import).await;
    let key = upload_key(&account(), &id_of(&import));
    let unknown = "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F";
    for foreign in [
        "products.csv".to_owned(),
        "uploads/an old export + more.csv".to_owned(),
        format!("{key}/part"),
        format!("uploads/1/{unknown}"),
        format!("uploads/2/{}", import.id),
        format!("rejected/1/{}.csv", import.id),
    ] {
        assert_eq!(invoke(&stack, "split", object_created(&stack, &foreign, &object)).await, Value::Null, "{foreign}");
    }
    for waiting in [&import, &other] {
        assert_eq!(stack.client.import(&waiting.id).await.expect("is there").status, Status::AwaitingUpload);
    }
    // An event for another version of an import's key than it is about.
    assert_eq!(invoke(&stack, "split", object_created(&stack, &key, &object)).await, Value::Null);
    let accepted = stack.client.import(&import.id).await.expect("is there");
    assert_eq!((accepted.status, accepted.rows.total), (Status::Processing, Some(4)));
    let version = object.version.as_ref().map(|version| format!("f{}", &version[1..]));
    let another = StoredObject { version, etag: "0".repeat(32), bytes: 7 };
    assert_eq!(invoke(&stack, "split", object_created(&stack, &key, &another)).await, Value::Null);
    let after = stack.client.import(&import.id).await.expect("is there");
    assert_eq!((after.status, after.rows, after.failure), (Status::Processing, accepted.rows, None));
    assert_eq!(stack.cloud.queue_depths()["chunks"].total(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_no_function_knows_are_errors() {
    let stack = still().await;
    let scheduled = json!({ "version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {} });
    for (function, event) in [
        ("split", scheduled.clone()),
        ("split", json!({})),
        ("split", json!([])),
        ("validate", scheduled.clone()),
        ("validate", fill(SQS, &[("queue", "chunks".into()), ("first", "{}".into()), ("second", 7.into())])),
        ("api", scheduled),
    ] {
        let answer = stack.cloud.invoke(function, event.to_string()).await;
        assert!(matches!(answer, Err(FunctionError::Unhandled(_))), "{function} {event}: {answer:?}");
    }
    // And none of them was the end of a process.
    assert!(stack.cloud.processes().iter().all(|process| process.alive));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_continue_is_a_message_of_the_splits_queue() {
    let stack = still().await;
    let import = stack.uploaded(&files::plain(0, 10, "1")).await;
    let order = Order::Continue { account: account(), import: id_of(&import), died_at: None };
    let order = order.encode().expect("small");
    let answer = invoke(&stack, "split", messages("splits", "no order", &order)).await;
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": MESSAGES[0] }] }));
    let split = stack.client.import(&import.id).await.expect("is there");
    assert_eq!((split.status, split.rows.total), (Status::Processing, Some(10)));
    let answer = invoke(&stack, "split", messages("splits", &order, &order)).await;
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    stack.stop().await;
}

/// Every order there is, about an import that nobody knows, so that there is nothing to do.
fn orders() -> Vec<Order> {
    let import = || "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F".parse::<ImportId>().expect("an id");
    let event = || "evt_01JD8ZC4S2G9QJ7V5N3M1K0H6F".parse::<EventId>().expect("an id");
    let kind = "products".parse().expect("valid");
    let columns = vec!["sku".into(), "name".into(), "brand".into()];
    let job = Job::dry(account(), kind, &ImportOptions::default(), Grammar::CSV, columns);
    let body = Body::Rows(b"A,a,b\n".to_vec());
    let chunk = Chunk { index: 0, first_row: 1, first_line: 2, offset: 15, bytes: 6, rows: 1, body };
    let job = Job { import: import(), ..job };
    let chunk = ChunkMessage { job, chunk, repeats: Repeats::Any, dropped: Dropped::default(), last_try: false };
    // The one that follows each, so that a new order does not compile here until it has its place.
    let next = |order: &Order| match order {
        Order::Chunk(_) => Some(Order::Continue { account: account(), import: import(), died_at: None }),
        Order::Continue { .. } => {
            Some(Order::ResendMissing { account: account(), import: import(), from: Checkpoint::START })
        }
        Order::ResendMissing { .. } => Some(Order::Report { account: account(), import: import() }),
        Order::Report { .. } => {
            Some(Order::Export { account: account(), export: "exp_01JD8ZC4S2G9QJ7V5N3M1K0H6F".parse().expect("an id") })
        }
        Order::Export { .. } => Some(Order::to_remove(&account(), &import())),
        Order::Remove { .. } => Some(Order::Tell { account: account(), event: event() }),
        Order::Tell { .. } => Some(Order::Deliver {
            account: account(),
            webhook: "whk_01JD8ZC4S2G9QJ7V5N3M1K0H6F".parse().expect("an id"),
            event: event(),
            attempt: 0,
        }),
        Order::Deliver { .. } => None,
    };
    std::iter::successors(Some(Order::Chunk(Box::new(chunk))), next).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_taken_by_the_function_of_its_queue_and_by_the_sweeper_alone() {
    let stack = still().await;
    let functions = || QueueName::ALL.iter().map(|queue| queue.row().function).chain([FunctionName::Sweep]);
    for order in orders() {
        let body = order.encode().expect("small");
        for function in functions() {
            let answer = invoke(&stack, function.as_str(), messages("any", &body, &body)).await;
            let takes = function == FunctionName::Sweep || function == order.queue().row().function;
            let refused = answer["batchItemFailures"].as_array().expect("a list").len();
            assert_eq!(refused, if takes { 0 } else { 2 }, "{function}: {order:?}");
        }
    }
    // An order of a later version, which looks like one that is known, is acknowledged by nobody.
    let newer = orders()[3].encode().expect("small").replacen("report", "forget", 1);
    for function in functions() {
        let answer = invoke(&stack, function.as_str(), messages("any", &newer, &newer)).await;
        let both: Vec<_> = MESSAGES.iter().map(|id| json!({ "itemIdentifier": id })).collect();
        assert_eq!(answer, json!({ "batchItemFailures": both }), "{function}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_message_does_not_hold_up_the_rest_of_its_batch() {
    let stack = still().await;
    let import = stack.uploaded(FILE).await;
    let object = stored(&stack, &import).await;
    let event = object_created(&stack, &upload_key(&account(), &id_of(&import)), &object);
    assert_eq!(invoke(&stack, "split", event).await, Value::Null);
    stack.cloud.faults().clear();
    let good = chunk_messages(&stack, &import, FILE).await.remove(0);
    let (header, rows) = good.split_once('\n').expect("a header line");
    let decoded = chunk_of(&good);
    let message_of = |job: Job| {
        let (chunk, dropped) = (decoded.chunk.clone(), Dropped::default());
        ChunkMessage { job, chunk, repeats: Repeats::Any, dropped, last_try: false }.encode().expect("small")
    };
    let unknown_kind = Job { kind: "unicorns".parse().expect("valid"), ..decoded.job.clone() };
    for corrupt in [
        String::new(),
        "no header".to_owned(),
        format!("{{}}\n{rows}"),
        good[..good.len() - 1].to_owned(),
        format!("{header}\n{rows}more,rows,here\n"),
        header.replace("\"carried\":\"text\"", "\"carried\":\"base64\"") + "\n" + rows,
        message_of(unknown_kind),
    ] {
        assert_ne!(corrupt, good);
        let answer = invoke(&stack, "validate", messages("chunks", &corrupt, &corrupt)).await;
        let both: Vec<_> = MESSAGES.iter().map(|id| json!({ "itemIdentifier": id })).collect();
        assert_eq!(answer, json!({ "batchItemFailures": both }), "{corrupt:?}");
    }
    assert_eq!(stack.client.import(&import.id).await.expect("is there").rows.processed, 0);
    // A chunk of an import that nobody knows is nothing to do, and nothing to try again.
    let nobody = Job { import: "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F".parse().expect("an id"), ..decoded.job.clone() };
    // The bad one first, and the good one twice, the second time with its rows in base64.
    let answer = invoke(&stack, "validate", messages("chunks", "bad", &good)).await;
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": MESSAGES[0] }] }));
    let again = invoke(&stack, "validate", messages("chunks", &good, &message_of(nobody))).await;
    assert_eq!(again, json!({ "batchItemFailures": [] }));
    let import = stack.ended(&import.id).await;
    assert_eq!((import.status, import.rows.created, import.rows.failed), (Status::CompletedWithErrors, 3, 1));
    assert_eq!(stack.errors(&import.id).await.len(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_message_cannot_hold_as_text_come_in_base64() {
    let stack = still().await;
    let file = b"sku,name,brand\nA,a\x01b,c\nB,\xff,c\nC,\0,c\nD,\xef\xbf\xbf,c\n";
    let import = stack.uploaded(file).await;
    let object = stored(&stack, &import).await;
    let event = object_created(&stack, &upload_key(&account(), &id_of(&import)), &object);
    assert_eq!(invoke(&stack, "split", event).await, Value::Null);
    stack.cloud.faults().clear();
    let message = chunk_messages(&stack, &import, file).await.remove(0);
    assert!(message.contains("base64") && message.is_ascii(), "{message}");
    let Chunk { body: Body::Rows(rows), .. } = chunk_of(&message).chunk else { panic!("no rows") };
    assert_eq!(rows, file[15..]);
    assert_eq!(
        invoke(&stack, "validate", messages("chunks", &message, &message)).await,
        json!({ "batchItemFailures": [] })
    );
    let import = stack.ended(&import.id).await;
    assert_eq!((import.rows.created, import.rows.failed), (2, 2));
    let record = stack.client.record("products", "A").await.expect("answers").expect("is there");
    assert_eq!(record["fields"]["name"], "a\u{1}b");
    stack.stop().await;
}
