//! `penstock listen`: what happens to imports, as it happens. It looks at the service again and again, and tells what
//! it finds as an endpoint would be told it: the same bodies, signed in the same way, by a secret of this command.
//! Nothing is registered at the service, so it need not reach this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use penstock_client::{Client, ClientError, Import, ImportFilter, base_url};
use penstock_model::{
    EventId, EventMessage, EventType, Status,
    event::{EventData, ImportTold},
    rfc3339, unix_ms,
};
use penstock_webhooks::{Secret, signature};
use reqwest::header::CONTENT_TYPE;

use crate::{interrupt::Interrupts, service::Service, terminal};

/// Imports that are looked at by one request.
const PAGE: usize = 100;

/// How long whoever gets events may take over one.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct ListenArgs {
    /// Posts each event to a URL, as an endpoint gets it; one that is not taken is said and not sent again.
    #[arg(long, value_name = "URL")]
    forward_to: Option<String>,
    /// Signs what is posted with this secret, whsec_… or whsk_…; with a new one, which is told, if not given.
    #[arg(long, env = "PENSTOCK_WEBHOOK_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// Prints each event as a JSON object on a line.
    #[arg(long)]
    json: bool,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    every: f64,
    #[command(flatten)]
    service: Service,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "it is 0.1 to 3600 seconds".to_owned())
}

/// What has happened to an import.
struct Event {
    message: EventMessage,
    /// The import as it was then.
    import: Import,
}

impl Event {
    /// What an import's new status tells; `None` for one that awaits its upload, of which nobody is told. `base` is the
    /// URL of the service.
    fn of(import: Import, base: &str) -> Option<Self> {
        let what: EventType = format!("import.{}", import.status.as_str()).parse().ok()?;
        // When it ended is known; of what came before, when it was seen.
        let at = import.completed_at.as_deref().and_then(unix_ms).unwrap_or_else(now_ms);
        let is_counted = import.status.is_final() || import.status == Status::AwaitingConfirmation;
        let told = ImportTold {
            id: import.id.clone(),
            kind: import.kind.clone(),
            status: import.status,
            writes_nothing: !import.options.writes(),
            rows: is_counted.then_some(import.rows),
            to_remove: import.to_remove.filter(|_| import.status == Status::AwaitingConfirmation),
            removed: Some(import.removed).filter(|removed| *removed > 0),
            failure: import.failure.as_ref().map(|failure| failure.code.clone()),
            confirmed_as: import.confirmed_as.clone(),
            metadata: import.metadata.clone(),
            url: Some(format!("{base}/v1/imports/{}", import.id)),
        };
        let id = EventId::seen(at, &import.id.parse().ok()?, what).to_string();
        let account = String::new();
        let data = EventData { account, import: Some(told), export: None, webhook: None };
        Some(Self { message: EventMessage { id, what, timestamp: rfc3339(at), data }, import })
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// What is known of the imports at the service.
#[derive(Debug, Default)]
struct Known {
    /// Every import that has been seen.
    seen: BTreeSet<String>,
    /// Those that have not ended, and where they stood.
    unfinished: BTreeMap<String, Status>,
    /// When the newest was made that was there at first. What is older and has not been seen slid up from a later page.
    since: String,
}

impl Known {
    /// Looks for the first time.
    async fn first(client: &Client) -> Result<Self, ClientError> {
        let newest = client.imports(&ImportFilter::default(), None, PAGE).await?.imports;
        let since = newest.first().map(|import| import.created_at.clone()).unwrap_or_default();
        let mut known = Self { since, ..Self::default() };
        for import in &newest {
            known.note(import);
        }
        for status in [Status::AwaitingUpload, Status::Processing, Status::AwaitingConfirmation] {
            let filter = ImportFilter { status: Some(status), kind: None };
            let mut cursor = None;
            loop {
                let page = client.imports(&filter, cursor.as_deref(), PAGE).await?;
                for import in &page.imports {
                    known.note(import);
                }
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(known)
    }

    /// Notes an import; whether it is new or stands elsewhere than before.
    fn note(&mut self, import: &Import) -> bool {
        let is_new = self.seen.insert(import.id.clone());
        let before = self.unfinished.get(&import.id).copied();
        if import.status.is_final() {
            self.unfinished.remove(&import.id);
        } else {
            self.unfinished.insert(import.id.clone(), import.status);
        }
        if is_new { import.created_at >= self.since } else { before.is_some_and(|before| before != import.status) }
    }

    /// Looks again and adds what has changed since the last time, the oldest import first.
    async fn look(&mut self, client: &Client, changed: &mut Vec<Import>) -> Result<(), ClientError> {
        // Nothing is noted before all pages with news are there: a look that breaks off is made again.
        let mut imports = Vec::new();
        let mut cursor = None;
        loop {
            let page = client.imports(&ImportFilter::default(), cursor.as_deref(), PAGE).await?;
            let has_news = page.imports.iter().any(|import| !self.seen.contains(&import.id));
            imports.extend(page.imports);
            cursor = page.next_cursor;
            if !has_news || cursor.is_none() {
                break;
            }
        }
        let looked_at: BTreeSet<String> = imports.iter().map(|import| import.id.clone()).collect();
        changed.extend(imports.into_iter().rev().filter(|import| self.note(import)));
        let others: Vec<String> = self.unfinished.keys().filter(|id| !looked_at.contains(*id)).cloned().collect();
        for id in others {
            match client.import(&id).await {
                Ok(import) if self.note(&import) => changed.push(import),
                Ok(_) => {}
                // It has been deleted.
                Err(ClientError::Refused { status, .. }) if status.as_u16() == 404 => {
                    self.unfinished.remove(&id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

pub(crate) async fn run(args: ListenArgs) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::catch()?;
    let client = args.service.client()?;
    let forward = args.forward_to.as_deref().map(|url| Forward::to(url, args.secret.as_deref())).transpose()?;
    let mut known = Known::first(&client).await?;
    note!("listening to the imports of {}; interrupt it to end it", client.url());
    if let Some(forward) = &forward {
        note!("what is posted is verified with {}", forward.secret.verifies().expose());
    }
    let mut gone = std::pin::pin!(terminal::reader_gone());
    let mut is_silent = false;
    loop {
        let mut changed = Vec::new();
        let look = async {
            tokio::time::sleep(Duration::from_secs_f64(args.every)).await;
            known.look(&client, &mut changed).await
        };
        let looked = tokio::select! {
            looked = look => looked,
            () = interrupts.next() => return Ok(ExitCode::SUCCESS),
            () = &mut gone => return Ok(ExitCode::SUCCESS),
        };
        match looked {
            Ok(()) => is_silent = false,
            Err(error) if error.is_transient() => {
                if !std::mem::replace(&mut is_silent, true) {
                    note!("{error}: trying again");
                }
            }
            Err(error) => return Err(error.into()),
        }
        for event in changed.into_iter().filter_map(|import| Event::of(import, client.url())) {
            if args.json {
                terminal::say_json_line(&event.message)?
            } else {
                line(&event)?
            }
            if let Some(forward) = &forward {
                tokio::select! {
                    () = forward.send(&event) => {}
                    () = interrupts.next() => return Ok(ExitCode::SUCCESS),
                    () = &mut gone => return Ok(ExitCode::SUCCESS),
                }
            }
        }
    }
}

fn line(event: &Event) -> anyhow::Result<()> {
    let Import { id, kind, status, rows, filename, .. } = &event.import;
    let name = filename.as_deref().unwrap_or("");
    let counts = format!("{} rows, {} failed", rows.processed, rows.failed);
    say!("{}  {id}  {:<21}  {counts}  {kind}  {name}", event.message.timestamp, status.as_str());
    Ok(())
}

/// Whoever gets the events.
struct Forward {
    http: reqwest::Client,
    url: String,
    secret: Secret,
}

impl Forward {
    fn to(url: &str, secret: Option<&str>) -> anyhow::Result<Self> {
        // It is read here and not by the parser of the command line, which would repeat one that is none.
        let secret = secret.map(str::parse::<Secret>).transpose()?.unwrap_or_else(Secret::random);
        // It need not be a base, so it may have a query.
        let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
        let path = base_url(path)?;
        let http = penstock_client::http_to(&path).timeout(FORWARD_TIMEOUT);
        let url = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        Ok(Self { http: http.build()?, url, secret })
    }

    /// Posts an event, and says so if it was not taken.
    async fn send(&self, event: &Event) {
        let Event { message, import } = event;
        let body = serde_json::to_vec(message).expect("an event's members have JSON");
        let headers = signature::standard([&self.secret], &message.id, now_ms().div_euclid(1_000), &body);
        let post = self.http.post(&self.url).headers(headers).header(CONTENT_TYPE, "application/json");
        let sent = post.body(body).send().await;
        match sent.and_then(reqwest::Response::error_for_status) {
            Ok(_) => {}
            Err(error) => note!("{} of {} was not taken: {error}", message.what, import.id),
        }
    }
}
