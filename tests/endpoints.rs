//! The endpoints of an account, as a client sees them: `/v1/webhooks`, and what an import says of them.

use std::collections::BTreeMap;

use penstock_client::{Delivery, NewImport, NewWebhook, ResendRange, WebhookPatch};
use penstock_model::{DeliveryState, DisabledFor, EventType, SignatureStyle, limits, rfc3339};
use penstock_webhooks::{VerifyKey, signature};
use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use crate::support::{
    OTHER_TOKEN, Stack, TOKEN,
    http::send,
    receiver::{Came, Manner, Receiver},
    refused, until,
};

fn new(url: &str) -> NewWebhook {
    NewWebhook { url: url.to_owned(), ..NewWebhook::default() }
}

/// Whether the holder of this key takes a request that came.
fn verifies(came: &Came, key: &str) -> bool {
    let header = |(name, value): (&String, &String)| {
        let name: HeaderName = name.parse().expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    };
    let headers: HeaderMap = came.headers.iter().map(header).collect();
    let at: i64 = came.headers["webhook-timestamp"].parse().expect("seconds");
    let key: VerifyKey = key.parse().expect("a key");
    signature::verify(&[key], &headers, &came.body, at).is_ok()
}

/// The delivery of an event once it stands so.
async fn delivery(stack: &Stack, webhook: &str, event: &str, state: DeliveryState) -> Delivery {
    let mut found = None;
    until("the delivery", async || {
        let page = stack.client.deliveries(webhook, None, 100).await.expect("a page");
        found = page.deliveries.into_iter().find(|delivery| delivery.id == event && delivery.state == state);
        found.is_some()
    })
    .await;
    found.expect("it was found")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_made_shown_changed_and_deleted() {
    let stack = Stack::start().await;
    let asked = NewWebhook {
        events: Some(vec![EventType::ImportFailed, EventType::ImportCompleted]),
        kinds: Some(vec!["products".into()]),
        description: Some("Nächtlich".into()),
        ..new("https://example.com/hooks?a=b")
    };
    let made = stack.client.create_webhook(&asked).await.expect("made");
    let secret = made.secret.clone().expect("the secret, once");
    assert!(made.id.starts_with("whk_") && secret.starts_with("whsec_"), "{}", made.id);
    assert_eq!((made.public_key.as_deref(), made.secrets.len()), (None, 1));
    let shown = stack.get(&format!("/v1/webhooks/{}", made.id)).await;
    assert!(!shown.text().contains(&secret["whsec_".len()..]), "a secret is shown again");
    let wanted = json!({
        "id": made.id,
        "url": "https://example.com/hooks?a=b",
        "events": ["import.completed", "import.failed"],
        "kinds": ["products"],
        "description": "Nächtlich",
        "signature": "v1",
        "public_key": null,
        "secrets": [{ "created_at": made.created_at, "expires_at": null }],
        "created_at": made.created_at,
        "disabled": null,
        "disabled_at": null,
        "failing_since": null,
    });
    assert_eq!(shown.json(), wanted);

    // What is not given stays; null is all.
    let patch = |body: Value| {
        let path = format!("/v1/webhooks/{}", made.id);
        send(stack.request(Method::PATCH, &path).bearer_auth(TOKEN).body(body.to_string()))
    };
    assert_eq!(patch(json!({})).await.json(), wanted);
    let changed = patch(json!({ "events": null, "kinds": null, "description": null, "disabled": true })).await.json();
    assert_eq!(
        (&changed["events"], &changed["kinds"], &changed["description"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!((&changed["disabled"], &changed["url"]), (&json!("asked"), &wanted["url"]));
    assert!(changed["disabled_at"].is_string(), "{changed}");
    let enabled = WebhookPatch {
        url: Some("https://example.com/new".into()),
        events: Some(Some(Vec::new())),
        disabled: Some(false),
        ..WebhookPatch::default()
    };
    let enabled = stack.client.change_webhook(&made.id, &enabled).await.expect("changed");
    assert_eq!((enabled.url.as_str(), enabled.disabled, enabled.disabled_at), ("https://example.com/new", None, None));
    assert_eq!(enabled.events, Some(Vec::new()));

    let second = stack.client.create_webhook(&new("https://example.com/")).await.expect("made").id;
    let listed = stack.client.webhooks().await.expect("a list");
    assert_eq!(listed.iter().map(|webhook| &webhook.id).collect::<Vec<_>>(), [&second, &made.id]);
    assert!(listed.iter().all(|webhook| webhook.secret.is_none()));
    stack.client.delete_webhook(&made.id).await.expect("deleted");
    assert_eq!(refused(stack.client.delete_webhook(&made.id).await), (404, "not_found".into()));
    assert_eq!(refused(stack.client.webhook(&made.id).await), (404, "not_found".into()));
    assert_eq!(stack.client.webhooks().await.expect("a list").len(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_endpoint_can_be_is_refused_and_says_why() {
    let stack = Stack::start().await;
    let id = stack.client.create_webhook(&new("https://example.com/")).await.expect("made").id;
    let url = |url: &str| json!({ "url": url });
    let with = |name: &str, value: Value| json!({ "url": "https://example.com/", name: value });
    let kinds: Vec<String> = (0..=limits::WEBHOOK_KINDS).map(|n| format!("kind-{n}")).collect();
    let long = "a".repeat(limits::WEBHOOK_DESCRIPTION_CHARS + 1);
    for (body, status, code, part) in [
        (json!({}), 400, "invalid_body", "url"),
        (url(""), 422, "invalid_url", "https://HOST"),
        (url("http://example.com/"), 422, "invalid_url", "HTTPS"),
        (url("https://user:pass@example.com/"), 422, "invalid_url", "credentials"),
        (url("https://example.com/#a"), 422, "invalid_url", "fragment"),
        (url("https://example.com:22/"), 422, "invalid_url", "443"),
        (url("https://169.254.169.254/latest"), 422, "invalid_url", "link-local"),
        (url("https://[::ffff:10.0.0.1]/"), 422, "invalid_url", "IPv4-mapped"),
        (url("https://10.0.0.1/"), 422, "invalid_url", "private"),
        (url(&format!("https://example.com/{}", "a".repeat(limits::WEBHOOK_URL_BYTES))), 422, "invalid_url", "2048"),
        (with("events", json!(["import.done"])), 400, "invalid_body", "import.completed"),
        (with("events", json!(["webhook.disabled"])), 422, "invalid_webhook", "webhook.disabled"),
        (with("events", json!("import.failed")), 400, "invalid_body", "sequence"),
        (with("kinds", json!([])), 422, "invalid_webhook", "kinds"),
        (with("kinds", json!(kinds)), 422, "invalid_webhook", "the limit is 20"),
        (with("kinds", json!(["A B"])), 400, "invalid_body", "kind"),
        (with("description", json!(long)), 422, "invalid_webhook", "the limit is 255"),
        (with("signature", json!("v2")), 400, "invalid_body", "v1a"),
        (with("secret", json!("whsec_")), 400, "invalid_body", "secret"),
    ] {
        let path = format!("/v1/webhooks/{id}");
        let mut asked = vec![(Method::POST, "/v1/webhooks")];
        // What a change takes as well it refuses as well.
        if body["signature"].is_null() && body["url"].is_string() && body["secret"].is_null() {
            asked.push((Method::PATCH, &path));
        }
        for (method, path) in asked {
            let answer = send(stack.request(method.clone(), path).bearer_auth(TOKEN).body(body.to_string())).await;
            let (found, word, detail) = answer.problem();
            assert_eq!((found, word.as_str()), (status, code), "{method} {body}: {detail}");
            assert!(detail.contains(part), "{method} {body}: {detail}");
        }
    }
    for _ in 1..limits::ACCOUNT_WEBHOOKS {
        stack.client.create_webhook(&new("https://example.com/")).await.expect("made");
    }
    let more = stack.client.create_webhook(&new("https://example.com/")).await;
    assert_eq!(refused(more), (409, "too_many_webhooks".into()));
    stack.client.delete_webhook(&id).await.expect("deleted");
    stack.client.create_webhook(&new("https://example.com/")).await.expect("there is room again");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_endpoint_is_a_missing_one() {
    let stack = Stack::start().await;
    let receiver = Receiver::start().await;
    let id = stack.client.create_webhook(&new(&receiver.url())).await.expect("made").id;
    let event = stack.client.test_webhook(&id).await.expect("sent").id;
    let missing = (404, "not_found".to_owned());
    let other = stack.client_of(OTHER_TOKEN);
    assert_eq!(refused(other.webhook(&id).await), missing);
    assert_eq!(refused(other.change_webhook(&id, &WebhookPatch::default()).await), missing);
    assert_eq!(refused(other.delete_webhook(&id).await), missing);
    assert_eq!(refused(other.rotate_webhook(&id).await), missing);
    assert_eq!(refused(other.test_webhook(&id).await), missing);
    assert_eq!(refused(other.deliveries(&id, None, 10).await), missing);
    assert_eq!(refused(other.resend(&id, &event).await), missing);
    let range = ResendRange { after: rfc3339(0), before: rfc3339(1_000), cursor: None };
    assert_eq!(refused(other.resend_range(&id, &range).await), missing);
    assert!(other.webhooks().await.expect("a list").is_empty());
    let named = NewImport { webhook: Some(id.clone()), ..NewImport::default() };
    assert_eq!(refused(other.create(&named, None).await), (422, "unknown_webhook".into()));
    for id in ["none", "whk_01KAKAX7PVE2NRKX37SYJHJP2W", "%2F"] {
        assert_eq!(stack.get(&format!("/v1/webhooks/{id}")).await.refusal(), missing);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_replaced_both_verify_what_is_sent() {
    let stack = Stack::start().await;
    let receiver = Receiver::start().await;
    let made = stack.client.create_webhook(&new(&receiver.url())).await.expect("made");
    let rotated = stack.client.rotate_webhook(&made.id).await.expect("rotated");
    let (old, new_one) = (made.secret.expect("the secret"), rotated.secret.expect("the new one"));
    assert_eq!(rotated.secrets.len(), 2);
    assert!(rotated.secrets[0].expires_at.is_none() && rotated.secrets[1].expires_at.is_some());
    let sent = stack.client.test_webhook(&made.id).await.expect("sent");
    delivery(&stack, &made.id, &sent.id, DeliveryState::Delivered).await;
    let came = &receiver.came()[0];
    assert!(verifies(came, &old) && verifies(came, &new_one), "{came:?}");
    assert_eq!(serde_json::from_slice::<Value>(&came.body).expect("JSON"), json!(sent.event));

    // A day later the old one does not sign any more.
    stack.pass(std::time::Duration::from_secs(24 * 3_600)).await;
    let sent = stack.client.test_webhook(&made.id).await.expect("sent");
    delivery(&stack, &made.id, &sent.id, DeliveryState::Delivered).await;
    let came = receiver.came().pop().expect("a request");
    assert!(!verifies(&came, &old) && verifies(&came, &new_one), "{came:?}");
    assert_eq!(stack.client.webhook(&made.id).await.expect("there").secrets.len(), 1);
    for _ in 1..limits::WEBHOOK_SECRETS {
        stack.client.rotate_webhook(&made.id).await.expect("rotated");
    }
    assert_eq!(refused(stack.client.rotate_webhook(&made.id).await), (409, "too_many_secrets".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signature_has_what_verifies_it() {
    let stack = Stack::start().await;
    let receiver = Receiver::start().await;
    let asymmetric = NewWebhook { signature: SignatureStyle::V1a, ..new(&receiver.url()) };
    let made = stack.client.create_webhook(&asymmetric).await.expect("made");
    // Nobody but the sender needs the private key.
    assert_eq!(made.secret, None);
    let key = made.public_key.expect("the public key");
    assert!(key.starts_with("whpk_"), "{key}");
    assert_eq!(stack.client.webhook(&made.id).await.expect("there").public_key.as_deref(), Some(&*key));
    let sent = stack.client.test_webhook(&made.id).await.expect("sent");
    delivery(&stack, &made.id, &sent.id, DeliveryState::Delivered).await;
    assert!(verifies(&receiver.came()[0], &key));

    let of_productsmanager = NewWebhook { signature: SignatureStyle::ProductsManager, ..new(&receiver.url()) };
    let made = stack.client.create_webhook(&of_productsmanager).await.expect("made");
    let secret: penstock_webhooks::Secret = made.secret.expect("the secret").parse().expect("a secret");
    let sent = stack.client.test_webhook(&made.id).await.expect("sent");
    delivery(&stack, &made.id, &sent.id, DeliveryState::Delivered).await;
    let came = receiver.came().pop().expect("a request");
    let wanted = signature::productsmanager(&secret, &came.body);
    assert_eq!(came.headers["x-pm-signature"], wanted["x-pm-signature"].to_str().expect("ASCII"));
    assert!(!came.headers.contains_key("webhook-signature"), "{came:?}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_and_ordered_again() {
    let stack = Stack::start().await;
    let receiver = Receiver::with([Manner::Status(410)]).await;
    let id = stack.client.create_webhook(&new(&receiver.url())).await.expect("made").id;
    let begin = stack.cloud.store().now_ms();
    let first = stack.client.test_webhook(&id).await.expect("sent");
    assert_eq!((first.state, first.event.what), (DeliveryState::Pending, EventType::WebhookTest));
    let failed = delivery(&stack, &id, &first.id, DeliveryState::Failed).await;
    let [attempt] = failed.attempts.as_slice() else { panic!("{failed:?}") };
    assert_eq!((attempt.status, attempt.error.as_deref(), failed.next_at), (Some(410), None, None));
    assert!(attempt.ms.is_some(), "{attempt:?}");

    // Gone is disabled: nothing is sent there before it is enabled again.
    let mut webhook = None;
    until("it is disabled", async || {
        webhook = Some(stack.client.webhook(&id).await.expect("there"));
        webhook.as_ref().is_some_and(|webhook| webhook.disabled == Some(DisabledFor::Gone))
    })
    .await;
    let disabled = (409, "webhook_disabled".to_owned());
    let range = |cursor| ResendRange { after: rfc3339(begin), before: rfc3339(begin + 600_000), cursor };
    assert_eq!(refused(stack.client.test_webhook(&id).await), disabled);
    assert_eq!(refused(stack.client.resend(&id, &first.id).await), disabled);
    assert_eq!(refused(stack.client.resend_range(&id, &range(None)).await), disabled);
    let enable = WebhookPatch { disabled: Some(false), ..WebhookPatch::default() };
    stack.client.change_webhook(&id, &enable).await.expect("enabled");

    let again = stack.client.resend(&id, &first.id).await.expect("ordered again");
    assert_eq!((again.id.as_str(), again.state), (first.id.as_str(), DeliveryState::Pending));
    let arrived = delivery(&stack, &id, &first.id, DeliveryState::Delivered).await;
    assert_eq!(arrived.attempts.len(), 2);
    assert_eq!(receiver.ids(), BTreeMap::from([(first.id.clone(), 2)]));
    // What has arrived is not ordered again by a range.
    let resent = stack.client.resend_range(&id, &range(None)).await.expect("looked at");
    assert_eq!((resent.resent, resent.next_cursor), (0, None));

    // Pages, the newest event first.
    for _ in 0..4 {
        stack.pass(std::time::Duration::from_secs(1)).await;
        stack.client.test_webhook(&id).await.expect("sent");
    }
    let all = stack.client.deliveries(&id, None, 100).await.expect("a page");
    let ids: Vec<String> = all.deliveries.iter().map(|delivery| delivery.id.clone()).collect();
    assert_eq!((ids.len(), all.next_cursor), (5, None));
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    let (mut paged, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = stack.client.deliveries(&id, cursor.as_deref(), 2).await.expect("a page");
        paged.extend(page.deliveries.into_iter().map(|delivery| delivery.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, ids);
    let path = format!("/v1/webhooks/{id}/deliveries");
    assert_eq!(stack.get(&format!("{path}?cursor=x")).await.refusal(), (400, "invalid_cursor".into()));
    assert_eq!(stack.get(&format!("{path}?limit=0")).await.refusal(), (400, "invalid_limit".into()));
    assert_eq!(refused(stack.client.resend(&id, "none").await), (404, "not_found".into()));
    for (after, before) in [("yesterday", "2026-01-01T00:00:00Z"), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")] {
        let range = ResendRange { after: after.into(), before: before.into(), cursor: None };
        assert_eq!(refused(stack.client.resend_range(&id, &range).await), (422, "invalid_range".into()));
    }
    let elsewhere = ResendRange {
        after: "2020-01-01T00:00:00Z".into(),
        before: "2020-01-02T00:00:00Z".into(),
        cursor: Some(ids[0].clone()),
    };
    assert_eq!(refused(stack.client.resend_range(&id, &elsewhere).await), (422, "invalid_range".into()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_orders_again_what_has_not_arrived() {
    let stack = Stack::start().await;
    let receiver = Receiver::start().await;
    let id = stack.client.create_webhook(&new(&receiver.url())).await.expect("made").id;
    let begin = stack.cloud.store().now_ms();
    let disable = |disabled| WebhookPatch { disabled: Some(disabled), ..WebhookPatch::default() };
    stack.client.change_webhook(&id, &disable(true)).await.expect("disabled");
    // What happens meanwhile is kept for it, and not sent.
    let import = stack.import(b"sku,name,brand\nA,a,b\n").await.id;
    let mut kept = Vec::new();
    until("its events are kept", async || {
        kept = stack.client.deliveries(&id, None, 100).await.expect("a page").deliveries;
        // That it was found, and that it is completed.
        kept.len() == 2 && kept.iter().any(|delivery| delivery.event.what == EventType::ImportCompleted)
    })
    .await;
    assert!(kept.iter().all(|delivery| delivery.state == DeliveryState::Dropped), "{kept:?}");
    stack.client.change_webhook(&id, &disable(false)).await.expect("enabled");
    assert!(receiver.came().is_empty());

    let until_now = stack.cloud.store().now_ms() + 1_000;
    let range = ResendRange { after: rfc3339(begin), before: rfc3339(until_now + 1_000), cursor: None };
    let resent = stack.client.resend_range(&id, &range).await.expect("ordered again");
    assert_eq!((resent.resent, resent.next_cursor), (kept.len() as u64, None));
    for delivered in &kept {
        let arrived = delivery(&stack, &id, &delivered.id, DeliveryState::Delivered).await;
        let told = arrived.event.data.import.expect("an import");
        assert_eq!(
            (told.id.as_str(), told.url),
            (&*import, Some(format!("{}/v1/imports/{import}", stack.cloud.url())))
        );
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_names_an_endpoint_and_what_its_events_carry() {
    let stack = Stack::start().await;
    let (asks, named) = (Receiver::start().await, Receiver::start().await);
    stack.client.create_webhook(&new(&asks.url())).await.expect("made");
    let nothing = NewWebhook { events: Some(Vec::new()), ..new(&named.url()) };
    let webhook = stack.client.create_webhook(&nothing).await.expect("made").id;
    let metadata = BTreeMap::from([("batch".to_owned(), "2026-11".to_owned()), ("ü".to_owned(), String::new())]);
    let asked = NewImport { metadata: metadata.clone(), webhook: Some(webhook.clone()), ..NewImport::default() };
    let told = stack.import_as(asked, b"sku,name,brand\nA,a,b\n").await;
    assert_eq!((&told.metadata, told.webhook.as_deref()), (&metadata, Some(&*webhook)));
    let other = stack.import(b"sku,name,brand\nB,a,b\n").await;
    let completed = |receiver: &Receiver| {
        let messages = receiver.came().into_iter().map(|came| came.message());
        let completed = messages.filter(|message| message.what == EventType::ImportCompleted);
        completed.filter_map(|message| message.data.import).collect::<Vec<_>>()
    };
    until("both imports are told", async || completed(&asks).len() == 2 && completed(&named).len() == 1).await;
    let import = &completed(&named)[0];
    assert_eq!((&import.id, &import.metadata), (&told.id, &metadata));
    assert!(completed(&asks).iter().any(|import| import.id == other.id && import.metadata.is_empty()));

    let entries = |count: usize| (0..count).map(|n| (n.to_string(), "x".to_owned())).collect::<BTreeMap<_, _>>();
    let entry = |name: usize, value: usize| BTreeMap::from([("n".repeat(name), "v".repeat(value))]);
    let (keys, name, value) = (limits::METADATA_KEYS, limits::METADATA_KEY_CHARS, limits::METADATA_VALUE_CHARS);
    for (metadata, is_taken) in [
        (entries(keys), true),
        (entries(keys + 1), false),
        (entry(name, value), true),
        (entry(name + 1, 1), false),
        (entry(0, 1), false),
        (entry(1, value + 1), false),
    ] {
        let made = stack.client.create(&NewImport { metadata, ..NewImport::default() }, None).await;
        match made {
            Ok(_) => assert!(is_taken),
            refusal => assert_eq!((refused(refusal), is_taken), ((422, "invalid_metadata".into()), false)),
        }
    }
    let unknown = NewImport { webhook: Some("whk_01KAKAX7PVE2NRKX37SYJHJP2W".into()), ..NewImport::default() };
    assert_eq!(refused(stack.client.create(&unknown, None).await), (422, "unknown_webhook".into()));
    stack.stop().await;
}
