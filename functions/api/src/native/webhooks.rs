//! The endpoints of an account, which are told of events, and the deliveries to them.
//!
//! All of it takes the scope `account:write`: whoever can have events sent elsewhere learns what happens in the
//! account, and a delivery shows what an endpoint answered.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_model::{
    Delivery, EventId, EventType, KindName, SignatureStyle, Webhook, WebhookChange, WebhookId, limits, rfc3339,
    unix_ms, views,
};
use penstock_store::{Store, StoreError, random, webhooks::WebhookCreation};
use penstock_webhooks::{Policy, Secret, SecretError, WebhookUrl};
use serde::{Deserialize, Deserializer};

use super::body::{JsonBody, JsonShape};
use crate::{
    auth::{Caller, WriteAccount},
    named::Named,
    page::{self, Page},
    refusal::Refusal,
};

/// The body of `POST /v1/webhooks`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct WebhookRequest {
    url: String,
    events: Option<BTreeSet<EventType>>,
    kinds: Option<BTreeSet<KindName>>,
    description: Option<String>,
    #[serde(default)]
    signature: SignatureStyle,
}

impl JsonShape for WebhookRequest {
    const ARRAYS: &'static [&'static str] = &["/events", "/kinds"];
}

/// The body of `PATCH /v1/webhooks/{id}`: what is not there stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct PatchRequest {
    url: Option<String>,
    #[serde(default, deserialize_with = "given")]
    events: Option<Option<BTreeSet<EventType>>>,
    #[serde(default, deserialize_with = "given")]
    kinds: Option<Option<BTreeSet<KindName>>>,
    #[serde(default, deserialize_with = "given")]
    description: Option<Option<String>>,
    disabled: Option<bool>,
}

impl JsonShape for PatchRequest {
    const ARRAYS: &'static [&'static str] = &["/events", "/kinds"];
}

/// What is there, be it null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// The body of `POST /v1/webhooks/{id}/resend`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RangeRequest {
    after: String,
    before: String,
    cursor: Option<EventId>,
}

impl JsonShape for RangeRequest {
    const ARRAYS: &'static [&'static str] = &[];
}

/// An endpoint as it is shown. A secret is shown once: to whoever had it made.
fn shown(webhook: &Webhook, made: Option<&Secret>, now_ms: i64) -> Result<views::Webhook, StoreError> {
    let line = |secret: &penstock_model::WebhookSecret| views::WebhookSecretLine {
        created_at: rfc3339(secret.created_at),
        expires_at: secret.expires_at.map(rfc3339),
    };
    let public_key = match webhook.style {
        SignatureStyle::V1a => webhook.secrets.first().map(|newest| public_key(&newest.secret)).transpose()?,
        SignatureStyle::V1 | SignatureStyle::ProductsManager => None,
    };
    Ok(views::Webhook {
        id: webhook.id.to_string(),
        url: webhook.url.clone(),
        events: webhook.events.as_ref().map(|events| events.iter().copied().collect()),
        kinds: webhook.kinds.as_ref().map(|kinds| kinds.iter().map(ToString::to_string).collect()),
        description: webhook.description.clone(),
        signature: webhook.style,
        // Of a key pair nobody but the sender needs the private half.
        secret: made.filter(|_| public_key.is_none()).map(Secret::expose),
        public_key,
        secrets: webhook.signing(now_ms).map(line).collect(),
        created_at: rfc3339(webhook.created_at),
        disabled: webhook.disabled.as_ref().map(|disabled| disabled.reason),
        disabled_at: webhook.disabled.as_ref().map(|disabled| rfc3339(disabled.at)),
        failing_since: webhook.failing_since.map(rfc3339),
    })
}

fn public_key(secret: &str) -> Result<String, StoreError> {
    let secret: Secret = secret.parse().map_err(|error: SecretError| StoreError::Unreadable {
        what: "the secret of an endpoint",
        source: error.into(),
    })?;
    Ok(secret.verifies().expose())
}

/// A delivery as it is shown.
fn delivery(store: &Store, delivery: &Delivery) -> views::Delivery {
    let attempt = |attempt: &penstock_model::Attempt| views::DeliveryAttempt {
        at: rfc3339(attempt.at),
        ms: attempt.ms,
        status: attempt.status,
        error: attempt.error.clone(),
    };
    views::Delivery {
        id: delivery.id().to_string(),
        state: delivery.state,
        attempts: delivery.attempts.iter().map(attempt).collect(),
        // While an attempt is under way, that is when it is given up.
        next_at: delivery.next_at.filter(|_| !delivery.under_way).map(rfc3339),
        answer: delivery.answer.clone(),
        event: delivery.event.message(store.settings().api_url.as_deref()),
    }
}

fn no_webhook() -> Refusal {
    Refusal::not_found("there is no such webhook")
}

fn no_delivery() -> Refusal {
    Refusal::not_found("there is no such delivery to this webhook, or it is older than 30 days")
}

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::unprocessable("invalid_webhook", detail)
}

fn check_url(store: &Store, url: &str) -> Result<String, Refusal> {
    let settings = store.settings();
    let url = WebhookUrl::parse(url, &Policy::of(settings.webhook_loopback, &settings.webhook_ports));
    url.map(|url| url.as_str().to_owned()).map_err(|error| Refusal::unprocessable("invalid_url", error.to_string()))
}

fn check_events(events: Option<&BTreeSet<EventType>>) -> Result<(), Refusal> {
    match events.into_iter().flatten().find(|event| !event.is_for_webhooks()) {
        Some(event) => Err(invalid(format!("`events`: a webhook cannot ask for {event}; leave it out"))),
        None => Ok(()),
    }
}

fn check_kinds(kinds: Option<&BTreeSet<KindName>>) -> Result<(), Refusal> {
    let (Some(kinds), most) = (kinds, limits::WEBHOOK_KINDS) else { return Ok(()) };
    match kinds.len() {
        0 => Err(invalid("`kinds` names none: leave it out for all kinds")),
        named if named > most => Err(invalid(format!("`kinds` names {named} kinds, the limit is {most}"))),
        _ => Ok(()),
    }
}

fn check_description(description: Option<&String>) -> Result<(), Refusal> {
    let (chars, most) = (description.map_or(0, |text| text.chars().count()), limits::WEBHOOK_DESCRIPTION_CHARS);
    if chars > most {
        return Err(invalid(format!("`description` has {chars} characters, the limit is {most}")));
    }
    Ok(())
}

/// A new secret of this style.
fn secret(style: SignatureStyle) -> Secret {
    match style {
        SignatureStyle::V1 | SignatureStyle::ProductsManager => Secret::random(),
        SignatureStyle::V1a => Secret::random_asymmetric(),
    }
}

/// A repeat makes another endpoint.
pub(super) async fn create(
    State(store): State<Store>,
    Caller { account, .. }: Caller<WriteAccount>,
    body: JsonBody<WebhookRequest>,
) -> Result<Response, Refusal> {
    let WebhookRequest { url, events, kinds, description, signature } = body.value;
    let url = check_url(&store, &url)?;
    check_events(events.as_ref())?;
    check_kinds(kinds.as_ref())?;
    check_description(description.as_ref())?;
    let (now, secret) = (store.now_ms(), secret(signature));
    let webhook = Webhook::new(WebhookId::new(now, random()), account, url, secret.expose(), now);
    let webhook = Webhook { events, kinds, description, style: signature, ..webhook };
    if store.create_webhook(&webhook).await? == WebhookCreation::NoPlace {
        let message =
            format!("the account has {} webhooks, the most that it may have: delete one", limits::ACCOUNT_WEBHOOKS);
        return Err(Refusal::conflict("too_many_webhooks", message));
    }
    tracing::info!(webhook.id = %webhook.id, account = %webhook.account, "a webhook was made");
    // Relative to this request, so that it is right behind a stage too.
    let location = format!("webhooks/{}", webhook.id);
    let view = shown(&webhook, Some(&secret), now)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// The caller's endpoint of this id.
async fn find(store: &Store, caller: &Caller<WriteAccount>, id: Option<&WebhookId>) -> Result<Webhook, Refusal> {
    let id = id.ok_or_else(no_webhook)?;
    store.webhook(&caller.account, id).await?.ok_or_else(no_webhook)
}

/// The same, if something is sent to it.
async fn enabled(store: &Store, caller: &Caller<WriteAccount>, id: Option<&WebhookId>) -> Result<Webhook, Refusal> {
    let webhook = find(store, caller, id).await?;
    match webhook.disabled {
        None => Ok(webhook),
        Some(_) => {
            let message = "the webhook is disabled, and nothing is sent to it: enable it first, by `disabled: false`";
            Err(Refusal::conflict("webhook_disabled", message))
        }
    }
}

pub(super) async fn list(
    State(store): State<Store>,
    Caller { account, .. }: Caller<WriteAccount>,
) -> Result<Json<views::WebhookList>, Refusal> {
    let now = store.now_ms();
    let found = store.list_webhooks(&account).await?;
    let webhooks = found.iter().map(|webhook| shown(webhook, None, now)).collect::<Result<_, _>>()?;
    Ok(Json(views::WebhookList { webhooks }))
}

pub(super) async fn show(
    State(store): State<Store>,
    caller: Caller<WriteAccount>,
    id: Named<WebhookId>,
) -> Result<Json<views::Webhook>, Refusal> {
    let webhook = find(&store, &caller, id.get()).await?;
    Ok(Json(shown(&webhook, None, store.now_ms())?))
}

/// A repeat changes nothing more.
pub(super) async fn change(
    State(store): State<Store>,
    caller: Caller<WriteAccount>,
    id: Named<WebhookId>,
    body: JsonBody<PatchRequest>,
) -> Result<Json<views::Webhook>, Refusal> {
    let PatchRequest { url, events, kinds, description, disabled } = body.value;
    let url = url.map(|url| check_url(&store, &url)).transpose()?;
    check_events(events.as_ref().and_then(Option::as_ref))?;
    check_kinds(kinds.as_ref().and_then(Option::as_ref))?;
    check_description(description.as_ref().and_then(Option::as_ref))?;
    let change = WebhookChange { url, events, kinds, description, disabled };
    loop {
        let (webhook, now) = (find(&store, &caller, id.get()).await?, store.now_ms());
        let changed = webhook.change(change.clone(), now);
        // Where a sender noted something meanwhile, the next round decides.
        if store.replace_webhook(&webhook, &changed).await? {
            return Ok(Json(shown(&changed, None, now)?));
        }
    }
}

/// From the answer on no attempt begins that sends anything to it. A repeat finds it missing.
pub(super) async fn delete(
    State(store): State<Store>,
    Caller { account, .. }: Caller<WriteAccount>,
    id: Named<WebhookId>,
) -> Result<StatusCode, Refusal> {
    let id = id.get().ok_or_else(no_webhook)?;
    if !store.delete_webhook(&account, id).await? {
        return Err(no_webhook());
    }
    tracing::info!(webhook.id = %id, account = %account, "a webhook is deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// A repeat makes another secret.
pub(super) async fn rotate(
    State(store): State<Store>,
    caller: Caller<WriteAccount>,
    id: Named<WebhookId>,
) -> Result<Json<views::Webhook>, Refusal> {
    loop {
        let (webhook, now) = (find(&store, &caller, id.get()).await?, store.now_ms());
        let secret = secret(webhook.style);
        let rotated = webhook.rotate(secret.expose(), now).ok_or_else(|| {
            let most = limits::WEBHOOK_SECRETS;
            let message = format!("{most} secrets of the webhook sign already: wait until one of them has expired");
            Refusal::conflict("too_many_secrets", message)
        })?;
        if store.replace_webhook(&webhook, &rotated).await? {
            tracing::info!(webhook.id = %webhook.id, account = %webhook.account, "a webhook has a new secret");
            return Ok(Json(shown(&rotated, Some(&secret), now)?));
        }
    }
}

/// A repeat sends another event.
pub(super) async fn test(
    State(store): State<Store>,
    caller: Caller<WriteAccount>,
    id: Named<WebhookId>,
) -> Result<Response, Refusal> {
    let webhook = enabled(&store, &caller, id.get()).await?;
    let sent = store.send_test(&webhook).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery(&store, &sent))).into_response())
}

pub(super) async fn deliveries(
    State(store): State<Store>,
    caller: Caller<WriteAccount>,
    id: Named<WebhookId>,
    page: Page,
) -> Result<Json<views::DeliveryPage>, Refusal> {
    let (limit, after) = (page.limit(limits::PAGE_DEFAULT)?, page.after::<EventId>()?);
    let webhook = find(&store, &caller, id.get()).await?;
    let found = store.list_deliveries(&caller.account, &webhook.id, after.as_ref(), limit + 1).await?;
    let (found, next_cursor) = page::cut(found, limit, |delivery| delivery.id().to_string());
    let deliveries = found.iter().map(|found| delivery(&store, found)).collect();
    Ok(Json(views::DeliveryPage { deliveries, next_cursor }))
}

/// A repeat orders it once more.
pub(super) async fn resend(
    State(store): State<Store>,
    caller: Caller<WriteAccount>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path((id, event)) = path.map_err(|_| no_delivery())?;
    let webhook = enabled(&store, &caller, id.parse().ok().as_ref()).await?;
    let event: EventId = event.parse().map_err(|_| no_delivery())?;
    let sent = store.resend(&caller.account, &webhook.id, &event).await?.ok_or_else(no_delivery)?;
    Ok((StatusCode::ACCEPTED, Json(delivery(&store, &sent))).into_response())
}

/// A repeat finds those pending that it has ordered, and orders no more.
pub(super) async fn resend_range(
    State(store): State<Store>,
    caller: Caller<WriteAccount>,
    id: Named<WebhookId>,
    body: JsonBody<RangeRequest>,
) -> Result<Response, Refusal> {
    let RangeRequest { after, before, cursor } = body.value;
    let moment = |name: &str, text: &str| {
        unix_ms(text).ok_or_else(|| {
            let message = format!("`{name}` is no moment in RFC 3339, such as 2026-11-21T18:14:19Z");
            Refusal::unprocessable("invalid_range", message)
        })
    };
    let (from, before) = (moment("after", &after)?, moment("before", &before)?);
    if from >= before {
        let message = "`after` is not earlier than `before`: the time between them holds no event";
        return Err(Refusal::unprocessable("invalid_range", message));
    }
    if cursor.as_ref().is_some_and(|event| !(from..before).contains(&event.at_ms())) {
        let message = "`cursor` is no event of the time between `after` and `before`: it comes from the answer before";
        return Err(Refusal::unprocessable("invalid_range", message));
    }
    let webhook = enabled(&store, &caller, id.get()).await?;
    let resent = store.resend_range(&caller.account, &webhook.id, from, before, cursor.as_ref()).await?;
    let next_cursor = resent.next.map(|event| event.to_string());
    let view = views::Resent { resent: resent.deliveries as u64, next_cursor };
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}
