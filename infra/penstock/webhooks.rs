//! `penstock webhooks`: the endpoints to which events are sent, and what became of the events there.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use penstock_client::{Delivery, NewWebhook, ResendRange, Webhook, WebhookPatch};
use penstock_model::{DeliveryState, EventType, SignatureStyle};
use serde_json::json;

use crate::{
    help,
    interrupt::{end_when_interrupted_in_a_change, while_asking},
    service::Service,
    terminal,
};

/// Items of a page.
const PAGE: usize = 100;

#[derive(Subcommand)]
pub(crate) enum WebhooksCommand {
    /// Makes an endpoint and prints the secret that verifies what is sent to it, once; with --signature v1a the public
    /// key.
    #[command(after_help = help::WEBHOOKS_ADD)]
    Add {
        /// Where events are sent to: https://…
        #[arg(value_name = "URL")]
        to: String,
        /// The events that it asks for, separated by commas: all if not given; `none` for those alone of imports that
        /// name it.
        #[arg(long, value_delimiter = ',')]
        events: Vec<String>,
        /// The kinds whose events it asks for, separated by commas; all if not given.
        #[arg(long, value_delimiter = ',')]
        kinds: Vec<String>,
        /// What to call it.
        #[arg(long)]
        description: Option<String>,
        /// How what is sent is signed: v1 (HMAC-SHA256), v1a (Ed25519) or productsmanager.
        #[arg(long, default_value_t = SignatureStyle::V1)]
        signature: SignatureStyle,
        #[command(flatten)]
        common: Common,
    },
    /// Lists the endpoints, newest first; never a secret.
    #[command(after_help = help::WEBHOOKS_LIST)]
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Shows an endpoint as JSON; never a secret.
    #[command(after_help = help::WEBHOOKS_SHOW)]
    Show {
        /// The endpoint's id.
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// Changes an endpoint; what is not given stays as it is.
    #[command(after_help = help::WEBHOOKS_CHANGE)]
    Change {
        /// The endpoint's id.
        id: String,
        /// Where events are sent to from now on.
        #[arg(long, value_name = "URL")]
        to: Option<String>,
        /// The events that it asks for, separated by commas; `all`, or `none` for those alone of imports that name it.
        #[arg(long, value_delimiter = ',')]
        events: Vec<String>,
        /// The kinds whose events it asks for, separated by commas; `all`.
        #[arg(long, value_delimiter = ',')]
        kinds: Vec<String>,
        /// What to call it; an empty text for nothing.
        #[arg(long)]
        description: Option<String>,
        /// Sends nothing to it from now on.
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// Sends to it again.
        #[arg(long)]
        enable: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Deletes an endpoint: nothing is sent to it any more. On a terminal it asks first.
    #[command(after_help = help::WEBHOOKS_DELETE)]
    Delete {
        /// The endpoint's id.
        id: String,
        /// Does not ask.
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Gives an endpoint a new secret and prints it, once. The one before signs as well, for 24 hours.
    #[command(after_help = help::WEBHOOKS_ROTATE)]
    Rotate {
        /// The endpoint's id.
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// Sends an event `webhook.test` to an endpoint and prints the event's id.
    #[command(after_help = help::WEBHOOKS_TEST)]
    Test {
        /// The endpoint's id.
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// Lists the deliveries to an endpoint of the last 30 days, that of the newest event first.
    #[command(after_help = help::WEBHOOKS_DELIVERIES)]
    Deliveries {
        /// The endpoint's id.
        id: String,
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        common: Common,
    },
    /// Orders a delivery again, or those of a time that have not arrived.
    #[command(after_help = help::WEBHOOKS_RESEND)]
    Resend {
        /// The endpoint's id.
        id: String,
        /// The event's id.
        #[arg(required_unless_present = "after", conflicts_with = "after")]
        event: Option<String>,
        /// Of the events that happened from this moment on, in RFC 3339.
        #[arg(long, value_name = "MOMENT", requires = "before")]
        after: Option<String>,
        /// Of the events that happened before this moment, in RFC 3339.
        #[arg(long, value_name = "MOMENT", requires = "after")]
        before: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

/// What each of them takes.
#[derive(Args)]
pub(crate) struct Common {
    /// Prints JSON; of several an object on a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

pub(crate) async fn run(command: WebhooksCommand) -> anyhow::Result<ExitCode> {
    match command {
        WebhooksCommand::Add { to, events, kinds, description, signature, common } => {
            let (events, kinds) = (asked_events(&events)?.flatten(), asked_kinds(&kinds).flatten());
            let new = NewWebhook { url: to, events, kinds, description, signature };
            let webhook = common.service.client()?.create_webhook(&new).await?;
            match webhook.secret {
                Some(_) => note!("{}: the secret is shown this once", webhook.id),
                None => note!("{}: this public key verifies what is sent", webhook.id),
            }
            secret(&webhook, common.json)?;
        }
        WebhooksCommand::List { common } => {
            for webhook in common.service.client()?.webhooks().await? {
                if common.json { terminal::say_json_line(&webhook)? } else { line(&webhook)? }
            }
        }
        WebhooksCommand::Show { id, common } => terminal::say_json(&common.service.client()?.webhook(&id).await?)?,
        WebhooksCommand::Change { id, to, events, kinds, description, disable, enable, common } => {
            let patch = WebhookPatch {
                url: to,
                events: asked_events(&events)?,
                kinds: asked_kinds(&kinds),
                description: description.map(|text| Some(text).filter(|text| !text.is_empty())),
                disabled: (disable || enable).then_some(disable),
            };
            let webhook = common.service.client()?.change_webhook(&id, &patch).await?;
            if common.json { terminal::say_json(&webhook)? } else { line(&webhook)? }
        }
        WebhooksCommand::Delete { id, yes, common } => {
            let client = common.service.client()?;
            if !yes && terminal::has_a_person() {
                line(&client.webhook(&id).await?)?;
                let no = format!("{id} is not deleted");
                anyhow::ensure!(while_asking(&no, || terminal::agrees("delete it?"))?, no);
                end_when_interrupted_in_a_change()?;
            }
            client.delete_webhook(&id).await?;
            if common.json { terminal::say_json(&json!({ "id": id, "deleted": true }))? } else { say!("{id}  deleted") }
        }
        WebhooksCommand::Rotate { id, common } => {
            let webhook = common.service.client()?.rotate_webhook(&id).await?;
            note!("{}: it is verified by this from now on; the one before is good for 24 hours", webhook.id);
            secret(&webhook, common.json)?;
        }
        WebhooksCommand::Test { id, common } => {
            let delivery = common.service.client()?.test_webhook(&id).await?;
            if common.json { terminal::say_json(&delivery)? } else { say!("{}", delivery.id) }
        }
        WebhooksCommand::Deliveries { id, limit, common } => deliveries(&common, &id, limit).await?,
        WebhooksCommand::Resend { id, event, after, before, common } => {
            let client = common.service.client()?;
            match (event, after, before) {
                (Some(event), ..) => {
                    let delivery = client.resend(&id, &event).await?;
                    if common.json { terminal::say_json(&delivery)? } else { delivery_line(&delivery)? }
                }
                (None, Some(after), Some(before)) => {
                    let mut range = ResendRange { after, before, cursor: None };
                    let mut resent = 0;
                    loop {
                        let part = client.resend_range(&id, &range).await?;
                        resent += part.resent;
                        range.cursor = part.next_cursor;
                        if range.cursor.is_none() {
                            break;
                        }
                    }
                    if common.json {
                        terminal::say_json(&json!({ "id": id, "resent": resent }))?;
                    } else {
                        say!("{id}  {resent} deliveries are ordered again");
                    }
                }
                _ => anyhow::bail!("name an event, or a time by --after and --before"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The events that words name: nothing where there is none, `Some(None)` for `all`.
fn asked_events(words: &[String]) -> anyhow::Result<Option<Option<Vec<EventType>>>> {
    match words {
        [] => Ok(None),
        [all] if all == "all" => Ok(Some(None)),
        [none] if none == "none" => Ok(Some(Some(Vec::new()))),
        words => {
            let known = || {
                let asked = EventType::ALL.into_iter().filter(|event| event.is_for_webhooks());
                asked.map(EventType::as_str).collect::<Vec<_>>().join(", ")
            };
            let event =
                |word: &String| word.parse::<EventType>().with_context(|| format!("`{word}` is none of {}", known()));
            words.iter().map(event).collect::<anyhow::Result<_>>().map(|events| Some(Some(events)))
        }
    }
}

/// The kinds that words name: nothing where there is none, `Some(None)` for `all`.
fn asked_kinds(words: &[String]) -> Option<Option<Vec<String>>> {
    match words {
        [] => None,
        [all] if all == "all" => Some(None),
        words => Some(Some(words.to_vec())),
    }
}

/// Prints what verifies what is sent to an endpoint, which is in an answer once.
fn secret(webhook: &Webhook, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::say_json(webhook);
    }
    let shown = webhook.secret.as_deref().or(webhook.public_key.as_deref());
    say!("{}", shown.context("the service gave no secret")?);
    Ok(())
}

fn line(webhook: &Webhook) -> anyhow::Result<()> {
    let state = match (webhook.disabled, &webhook.failing_since) {
        (Some(why), _) => format!("disabled ({})", why.as_str()),
        (None, Some(since)) => format!("fails since {since}"),
        (None, None) => "enabled".to_owned(),
    };
    let events = match webhook.events.as_deref() {
        None => "every event".to_owned(),
        Some([]) => "imports that name it".to_owned(),
        Some(events) => events.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(","),
    };
    let kinds = webhook.kinds.as_ref().map_or(String::new(), |kinds| format!(" of {}", kinds.join(",")));
    let description = webhook.description.as_deref().unwrap_or("");
    say!("{}  {state}  {}  {events}{kinds}  {description}", webhook.id, webhook.url);
    Ok(())
}

async fn deliveries(common: &Common, id: &str, limit: usize) -> anyhow::Result<()> {
    let client = common.service.client()?;
    let (mut left, mut cursor) = (limit, None);
    while left > 0 {
        let page = client.deliveries(id, cursor.as_deref(), left.min(PAGE)).await?;
        left -= page.deliveries.len().min(left);
        for delivery in &page.deliveries {
            if common.json { terminal::say_json_line(delivery)? } else { delivery_line(delivery)? }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(())
}

fn delivery_line(delivery: &Delivery) -> anyhow::Result<()> {
    let last = delivery.attempts.last().map_or(String::new(), |attempt| {
        let came = match (attempt.status, &attempt.error) {
            (Some(status), _) => status.to_string(),
            (None, Some(error)) => error.clone(),
            (None, None) => "no end is known".to_owned(),
        };
        attempt.ms.map_or(came.clone(), |ms| format!("{came} after {ms} ms"))
    });
    let next = match (delivery.state, &delivery.next_at) {
        (DeliveryState::Pending, Some(at)) => format!("  next at {at}"),
        _ => String::new(),
    };
    let (event, subject) = (&delivery.event, subject(&delivery.event));
    say!("{}  {:<9}  {}  {}  {last}{next}", delivery.id, delivery.state.as_str(), event.what, subject);
    Ok(())
}

/// The id of what an event has happened to.
pub(crate) fn subject(event: &penstock_model::EventMessage) -> &str {
    let data = &event.data;
    let import = data.import.as_ref().map(|import| import.id.as_str());
    let export = data.export.as_ref().map(|export| export.id.as_str());
    import.or(export).or(data.webhook.as_ref().map(|webhook| webhook.id.as_str())).unwrap_or("")
}
