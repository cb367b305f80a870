//! `penstock doctor`: whether a service does what it is for. It imports files of its own, looks at everything that
//! follows from them, and removes what it made.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Args;
use penstock_client::{Client, ClientError, Import, NewImport};
use penstock_model::Scope;
use penstock_store::{Store, keys};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    follow,
    interrupt::Interrupts,
    progress::Progress,
    service::{Asked, Service},
    stack::{self, Deployed},
    terminal,
};

/// The account of the keys that it makes for itself, so that nobody else's records are near its own.
const ACCOUNT: &str = "penstock-doctor";

/// What its work needs.
const SCOPES: [Scope; 4] = [Scope::ImportRead, Scope::ImportWrite, Scope::ImportDelete, Scope::RecordDelete];

const KIND: &str = "products";

/// Errors of a page, more than it makes.
const PAGE: usize = 10;

#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// A deployed stack, by its name: its API is asked (or --url, where it has another name) with a key of the doctor's
    /// own, which is revoked at the end. AWS credentials and region are those that the AWS CLI would take.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["token", "profile"])]
    stack: Option<String>,
    /// How long an import may take to its end.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    within: u64,
    /// Prints what was looked at as JSON, an object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Service,
}

pub(crate) async fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::catch()?;
    let key = match &args.stack {
        Some(name) => Some(OwnKey::make(name, stack::deployed(name).await?, args.service.url()).await?),
        None => None,
    };
    let client = match &key {
        Some(key) => Asked::unnamed(key.client.clone()),
        None => args.service.client()?,
    };
    let mark = format!("penstock-doctor-{}", &penstock_store::sha256_hex(&penstock_store::random::<16>())[..12]);
    let within = Duration::from_secs(args.within);
    let mut doctor = Doctor { client: &client, within, json: args.json, mark, imports: Vec::new(), differs: 0 };
    let examined = tokio::select! {
        examined = doctor.examine() => examined,
        () = interrupts.next() => Err(anyhow::anyhow!("interrupted; what was made is removed")),
    };
    let removed = doctor.remove().await;
    let differs = doctor.differs;
    if let Some(key) = key {
        key.revoke().await?;
    }
    examined.and(removed)?;
    match differs {
        0 => note!("{} does what it is for", client.url()),
        _ => note!("{}: {differs} of these differ", client.url()),
    }
    Ok(if differs == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A key that is there while the doctor is.
struct OwnKey {
    store: Store,
    id: String,
    client: Client,
}

impl OwnKey {
    /// Writes one to a stack's table. A repeat makes another one.
    async fn make(name: &str, stack: Deployed, url: Option<&str>) -> anyhow::Result<Self> {
        let url = url.or(stack.api_url.as_deref());
        let url = url.with_context(|| format!("the stack {name} has no output ApiUrl: is it Penstock's?"))?;
        let (id, secret) = (keys::new_id(), keys::new_secret());
        let client = Client::new(url, &format!("{id}.{secret}"))?;
        let store = Store::new(stack.settings);
        let label = Some("doctor".to_owned());
        let key = keys::NewKey { id: id.clone(), secret, account: ACCOUNT.parse()?, scopes: SCOPES.into(), label };
        let made = store.put_key(&key).await?;
        made.with_context(|| format!("the account {ACCOUNT} is being removed: try again when it is gone"))?;
        Ok(Self { store, id, client })
    }

    /// Revokes it. A repeat changes nothing.
    async fn revoke(self) -> anyhow::Result<()> {
        self.store.revoke_key(&self.id).await.with_context(|| format!("the key {} is not revoked", self.id))?;
        Ok(())
    }
}

/// What was found: nothing, or what is otherwise than it should be.
type Found<T = ()> = Result<T, String>;

/// Says of what is not as it should be what it is.
fn is(as_it_should_be: bool, what: impl FnOnce() -> String) -> Found {
    if as_it_should_be { Ok(()) } else { Err(what()) }
}

/// An error with its causes.
fn whole(error: ClientError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

struct Doctor<'a> {
    client: &'a Client,
    within: Duration,
    json: bool,
    /// How its records and its files are called, so that they are nobody else's.
    mark: String,
    /// The imports that it has made.
    imports: Vec<String>,
    /// How much is not as it should be.
    differs: usize,
}

impl Doctor<'_> {
    /// Tells what was looked at and what was found; gives it, if it is as it should be.
    fn tell<T>(&mut self, what: &str, found: Found<T>) -> anyhow::Result<Option<T>> {
        let differs = found.as_ref().err();
        if self.json {
            terminal::say_json_line(&json!({ "look": what, "ok": differs.is_none(), "found": differs }))?;
        } else {
            match differs {
                None => say!("ok       {what}"),
                Some(found) => say!("DIFFERS  {what}: {found}"),
            }
        }
        self.differs += usize::from(differs.is_some());
        Ok(found.ok())
    }

    /// The record of a row, by its number from 1.
    fn sku(&self, row: usize) -> String {
        format!("{}-{row}", self.mark)
    }

    /// Three rows, the last of which is none.
    fn file(&self, costs: [&str; 2]) -> String {
        let rows = [costs[0], costs[1], "cheap"].into_iter().enumerate();
        let line = |(row, cost): (usize, &str)| format!("{},Doctor {},Penstock,{cost}\n", self.sku(row + 1), row + 1);
        rows.map(line).fold("sku,name,brand,cost\n".to_owned(), |file, line| file + &line)
    }

    /// Goes through it all, up to where nothing more can be looked at.
    async fn examine(&mut self) -> anyhow::Result<()> {
        let Some(import) = self.imported("an import of new records", ["1.5", "2.5"], [2, 0]).await? else {
            return Ok(());
        };
        let errors = self.errors(&import).await;
        self.tell("its error names row, line, field and cell", errors)?;
        let rejected = self.rejected(&import).await;
        self.tell("its rejected row is in a file", rejected)?;
        let records = self.records([1.5, 2.5]).await;
        self.tell("its records are as they were sent", records)?;
        if self.imported("an import of the same records", ["11.5", "12.5"], [0, 2]).await?.is_some() {
            let records = self.records([11.5, 12.5]).await;
            self.tell("its records are as they were sent", records)?;
        }
        Ok(())
    }

    /// Imports a file and looks at every step of it.
    async fn imported(&mut self, what: &str, costs: [&str; 2], counts: [u64; 2]) -> anyhow::Result<Option<Import>> {
        let file = self.file(costs);
        let size = file.len() as u64;
        let filename = Some(format!("{}.csv", self.mark));
        let new = NewImport { kind: Some(KIND.to_owned()), filename, size: Some(size), ..NewImport::default() };
        let created = self.client.create(&new, None).await.map_err(whole);
        let Some(created) = self.tell(&format!("{what} is made"), created)? else { return Ok(None) };
        self.imports.push(created.id.clone());
        let upload = created.upload.clone().ok_or_else(|| "it has no upload URL".to_owned());
        let taken = match &upload {
            Ok(upload) => self.client.upload(upload, size, file.clone()).await.map_err(whole),
            Err(none) => Err(none.clone()),
        };
        let (Some(()), Ok(upload)) = (self.tell("its upload URL takes a file", taken)?, upload) else {
            return Ok(None);
        };
        let again = match self.client.upload(&upload, size, file).await {
            Err(ClientError::UploadRefused { status, .. }) if matches!(status.as_u16(), 409 | 412) => Ok(()),
            Err(error) => Err(whole(error)),
            Ok(()) => Err("it took another one".to_owned()),
        };
        self.tell("its upload URL takes no second one", again)?;
        let ended = self.ended(created).await;
        let Some(import) = self.tell("it ends, and its rejected rows are written", ended)? else { return Ok(None) };
        let rows = &import.rows;
        let found = (rows.total, rows.processed, rows.created, rows.updated, rows.failed);
        let [made, updated] = counts;
        let counted = is(found == (Some(3), 3, made, updated, 1), || {
            let failure = import.failure.as_ref().map(|failure| format!(", {}: {}", failure.code, failure.message));
            let status = import.status.as_str();
            format!("{status}{}, {}", failure.unwrap_or_default(), serde_json::to_string(rows).unwrap_or_default())
        });
        Ok(self
            .tell(&format!("of its 3 rows {made} are created, {updated} updated, 1 failed"), counted)?
            .map(|()| import))
    }

    /// An import, once it has ended and its rejected rows can be had.
    async fn ended(&self, seen: Import) -> Found<Import> {
        let id = seen.id.clone();
        let mut latest = Some(seen);
        let mut progress = Progress::new();
        let following = follow::to_its_end(self.client, &id, &mut progress, &mut latest);
        match timeout(self.within, following).await {
            Ok(Ok(import)) => Ok(import),
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(_) => {
                let status = latest.map_or("gone", |import| import.status.as_str());
                Err(format!("after {} s it is {status}", self.within.as_secs()))
            }
        }
    }

    async fn errors(&self, import: &Import) -> Found {
        let page = self.client.errors(&import.id, None, PAGE).await.map_err(whole)?;
        let found: Vec<_> = page
            .errors
            .iter()
            .map(|error| (error.row, error.line, error.key.clone(), error.field.as_deref(), error.value.as_deref()))
            .collect();
        is(found == [(3, 4, Some(self.sku(3)), Some("cost"), Some("cheap"))], || format!("{found:?}"))
    }

    async fn rejected(&self, import: &Import) -> Found {
        let mut file = self.client.rejected(&import.id).await.map_err(whole)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = file.chunk().await.map_err(whole)? {
            bytes.extend_from_slice(chunk.as_ref());
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        let (head, row, end) = (lines.next(), lines.next(), lines.next());
        let is_row =
            |row: &str| row.starts_with("3,4,") && row.ends_with(&format!(",{},Doctor 3,Penstock,cheap", self.sku(3)));
        let is_whole =
            head == Some("_row,_line,_errors,sku,name,brand,cost") && row.is_some_and(is_row) && end.is_none();
        is(is_whole, || format!("{text:?}"))
    }

    /// Whether the records of the first two rows have these costs, and there is none of the third.
    async fn records(&self, costs: [f64; 2]) -> Found {
        for (row, cost) in (1..).zip(costs) {
            let record = self.client.record(KIND, &self.sku(row)).await.map_err(whole)?;
            let fields = record.map(|record| record["fields"].clone()).unwrap_or_default();
            let (name, brand) = (format!("Doctor {row}"), "Penstock");
            let is_same = fields["name"] == name && fields["brand"] == brand && fields["cost"].as_f64() == Some(cost);
            is(is_same, || format!("{} is {fields}", self.sku(row)))?;
        }
        self.is_gone(3).await
    }

    async fn is_gone(&self, row: usize) -> Found {
        let record: Option<Value> = self.client.record(KIND, &self.sku(row)).await.map_err(whole)?;
        is(record.is_none(), || format!("{} is there", self.sku(row)))
    }

    /// Removes what was made: the records, then the imports with their errors and files.
    async fn remove(&mut self) -> anyhow::Result<()> {
        if self.imports.is_empty() {
            return Ok(());
        }
        let ids = std::mem::take(&mut self.imports);
        let mut ended = Vec::new();
        for id in &ids {
            ended.push(self.halt(id).await.map_err(|why| format!("{id}: {why}")));
        }
        // No chunk writes a record any more.
        let forgotten = self.forget().await;
        self.tell("the records are deleted", forgotten)?;
        for (id, ended) in ids.iter().zip(ended) {
            let deleted = match ended {
                Ok(()) => self.delete(id).await.map_err(|why| format!("{id}: {why}")),
                Err(why) => Err(why),
            };
            self.tell("an import is deleted", deleted)?;
        }
        Ok(())
    }

    /// Has an import end that has not.
    async fn halt(&self, id: &str) -> Found {
        let import = self.client.import(id).await.map_err(whole)?;
        if !import.status.is_final() {
            let cancelled = self.client.cancel(id).await.map_err(whole)?;
            self.ended(cancelled).await?;
        }
        Ok(())
    }

    async fn forget(&self) -> Found {
        let skus = [self.sku(1), self.sku(2), self.sku(3)];
        self.client.delete_records(KIND, &skus).await.map_err(whole)?;
        for row in 1..=3 {
            self.is_gone(row).await?;
        }
        Ok(())
    }

    async fn delete(&self, id: &str) -> Found {
        self.client.delete(id).await.map_err(whole)?;
        match self.client.import(id).await {
            Err(ClientError::Refused { status, .. }) if status.as_u16() == 404 => Ok(()),
            Err(error) => Err(whole(error)),
            Ok(import) => Err(format!("it is there, and {}", import.status.as_str())),
        }
    }
}
