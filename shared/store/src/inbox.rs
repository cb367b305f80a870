//! The inbox: files that others put into the bucket of uploads under `inbox/<account>/<preset>/…`, as the operator lets
//! them. Each version of an object there becomes one import of that preset, whose id follows from the version.
//!
//! ```text
//! whoever sends      S3                    splitter, told by S3            imports table                sweeper
//!  │ puts a file ──▶ inbox/…, a version ─▶ take_from_inbox ──────────────▶ import, due_at
//!  ▼                                       │ † inbox.taken
//!                    uploads/… ◀────────── copy_from_inbox
//!                    │                     │ † inbox.copied
//!                    │                     ▼
//!                    └── event ──────────▶ an upload like any other ─────▶ accepted
//!                    inbox/… ◀───────────────────────────────────────────────────────────────────────── its import has
//!                                                                                                        a file: it goes
//! ```
//!
//! The splitter copies since S3 takes minutes for the largest file, more than a sweep has.
//!
//! - *An event comes twice.* The same version gives the same id, so one import is made. Both may copy: of two versions
//!   under the import's key one is accepted, and the other one is turned away ([`crate::removals`]).
//! - *An event is lost.* The sweeper lists the inbox, and takes what has no import.
//! - *The splitter dies before the copy, or the copy fails.* The import awaits its upload; the sweeper looks at it,
//!   finds none, and orders the splitter to copy ([`Import::inbox`] tells what). It expires like an import to which
//!   nothing is uploaded.
//! - *The splitter dies behind the copy, or the copy's event is lost.* The sweeper finds the upload, as it finds any.
//! - *A key is written over.* The versions are two files, and two imports.
//! - *A file has no account, no preset, no kind or no room.* It stays where it is; the sweeper tries it again at each
//!   list.
//! - *The import is deleted while its file is in the inbox.* The order that takes its place removes the file as well,
//!   and as long as it is there no import is made of the file. Whoever makes one has seen the file a few minutes before
//!   at most, and the order stays for longer than that ([`penstock_model::limits::REMOVAL_AGAIN_MS`]).
//!
//! The sweeper alone removes files of the inbox: those whose import has accepted its copy. One whose import has ended
//! without it stays, and goes with the import.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem};
use aws_sdk_s3::{
    config,
    error::ProvideErrorMetadata,
    types::{MetadataDirective, TaggingDirective},
};
use penstock_model::{
    AccountId, Actor, Import, ImportId, InboxFile, Mode, PresetName, Scope, Waits,
    limits::{FILENAME_CHARS, INBOX_COPY_SECONDS, INBOX_LISTED, INBOX_LOOK_MS, INBOX_SECONDS, READ_BATCH},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Backoff, Result, Store, StoreError, crash,
    dynamo::{Item, from_item, putting},
    names::Folder,
    quota::IMPORTS,
    settings::timeouts,
    table::{import_key, inbox_key, removal_key},
    uploads::upload_key,
    versions::Behind,
};

/// What stays as it is in the header that names what is copied (Amazon S3 API Reference, CopyObject,
/// `x-amz-copy-source`).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A file of the inbox as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub file: InboxFile,
    /// When it was stored, in Unix seconds.
    modified_at: i64,
}

impl Found {
    /// The id of the import of the file: its time is when the file was stored, and the bits that make it unique follow
    /// from key and version. So whoever finds the file finds the same import.
    fn import(&self) -> ImportId {
        let InboxFile { key, version, .. } = &self.file;
        // No version's id has a line feed.
        let hash = Sha256::digest(format!("{version}\n{key}"));
        let mut bits = [0; 10];
        bits.copy_from_slice(&hash[..10]);
        ImportId::new(self.modified_at.saturating_mul(1000), bits)
    }
}

/// What became of a file of the inbox.
#[derive(Debug)]
pub enum Taken {
    /// This is its import, made now or before.
    Import(Box<Import>),
    /// It stays where it is for now.
    Waits(Waits),
    /// Its import has been deleted.
    Deleted,
}

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// It is stored, and S3 tells of it.
    Stored,
    /// The file is not there any more.
    Gone,
}

/// A list of files of the inbox.
#[derive(Debug)]
pub struct Listed {
    /// The files.
    pub files: Vec<Found>,
    rest: Option<Behind>,
}

/// Where the list of the inbox goes on, and when.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Place {
    due_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

/// Whether an object is a file of the inbox. What programs store in place of a folder is none: its key ends in `/`.
pub fn is_file(key: &str) -> bool {
    key.split_once('/').is_some_and(|(folder, _)| folder == Folder::Inbox.text()) && !key.ends_with('/')
}

/// For whom a file is, of which preset, and its name, by its key.
fn address(key: &str) -> Option<(AccountId, PresetName, &str)> {
    let (Folder::Inbox, account) = Folder::of(key)? else { return None };
    let (preset, name) = key.strip_prefix(&Folder::Inbox.of_account(&account))?.split_once('/')?;
    let preset = preset.parse().ok()?;
    Some((account, preset, name)).filter(|_| is_file(key))
}

/// The file's name as its import shows it: the end of what stands behind the preset, by which its format is told.
fn filename(name: &str) -> String {
    let over = name.chars().count().saturating_sub(FILENAME_CHARS);
    name.chars().skip(over).collect()
}

impl Store {
    /// The file as it is stored; `None` if it is gone.
    pub async fn find_in_inbox(&self, file: InboxFile) -> Result<Option<Found>> {
        let head = self.inner.s3.head_object().bucket(&self.settings().uploads_bucket);
        match head.key(&file.key).version_id(&file.version).send().await {
            Ok(head) => Ok(Some(Found { file, modified_at: head.last_modified.map_or(0, |modified| modified.secs()) })),
            // What is no version's id at all is a bad request.
            Err(error) if error.raw_response().is_some_and(|it| matches!(it.status().as_u16(), 400 | 404)) => Ok(None),
            Err(error) => Err(StoreError::unavailable("s3:HeadObject")(error)),
        }
    }

    /// Makes the import of a file: as the key that put its preset, which must not be revoked. The import and its place
    /// among the account's unfinished ones are stored in one transaction. A repeat gives the same import.
    pub async fn take_from_inbox(&self, found: &Found) -> Result<Taken> {
        let Some((account, preset, name)) = address(&found.file.key) else { return Ok(Taken::Waits(Waits::Address)) };
        let id = found.import();
        let mut pause = Backoff::default();
        loop {
            if let Some(import) = self.import(&account, &id).await? {
                return Ok(Taken::Import(Box::new(import)));
            }
            let import = match self.import_of(found, &account, &preset, name, &id).await? {
                Ok(import) => import,
                Err(why) => return Ok(Taken::Waits(why)),
            };
            let place = self.take_place_action(&account, self.account_quota(), IMPORTS, &id);
            let mut actions = vec![putting(self.new_import_action(&import)?), place, self.not_deleted(&import)];
            actions.extend(self.use_action(&import));
            let Some(reasons) = self.transact(actions).await? else {
                crash::point("inbox.taken");
                // Where the kind has gone meanwhile, the import has ended.
                self.has_kind(&import).await?;
                return Ok(Taken::Import(Box::new(import)));
            };
            let unmet = |action: usize| reasons[action] == "ConditionalCheckFailed";
            if unmet(2) {
                return Ok(Taken::Deleted);
            }
            if unmet(1) && !self.has_place(&account, self.account_quota()).await? {
                return Ok(Taken::Waits(Waits::Place));
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
    }

    /// The import that there is to be of a file, or why not now.
    async fn import_of(
        &self,
        found: &Found,
        account: &AccountId,
        preset: &PresetName,
        name: &str,
        id: &ImportId,
    ) -> Result<Result<Import, Waits>> {
        let Some(preset) = self.preset(account, preset).await? else {
            return Ok(Err(if self.account(account).await?.is_some() { Waits::Preset } else { Waits::Account }));
        };
        let by = self.key(&preset.put_by.key).await?.filter(|key| !key.revoked && key.account == *account);
        let needed = [Some(Scope::ImportWrite), (preset.options.mode == Mode::Replace).then_some(Scope::RecordDelete)];
        let Some(by) = by.filter(|key| needed.iter().flatten().all(|scope| key.scopes.contains(scope))) else {
            return Ok(Err(Waits::Key));
        };
        let Some(kind) = self.kind(account, &preset.kind).await? else { return Ok(Err(Waits::Kind)) };
        if !self.today(account).await?.has_room(Some(found.file.bytes)) {
            return Ok(Err(Waits::Bytes));
        }
        let now = self.now_ms();
        let import = Import::new(id.clone(), account.clone(), preset.kind, now, now + INBOX_SECONDS as i64 * 1000);
        Ok(Ok(Import {
            kind_version: kind.version,
            filename: Some(filename(name)),
            options: preset.options,
            chunking: self.settings().chunking,
            created_by: Some(Actor::new(by.id, by.label, None, Actor::INBOX)),
            preset: Some(preset.name),
            inbox: Some(found.file.clone()),
            ..import
        }))
    }

    /// That an import has not been deleted whose traces are still being removed, as an action of the transaction that
    /// makes it.
    fn not_deleted(&self, import: &Import) -> TransactWriteItem {
        let check = ConditionCheck::builder()
            .table_name(self.imports_table())
            .set_key(Some(removal_key(&import.account, &import.id)))
            .condition_expression("attribute_not_exists(pk)");
        TransactWriteItem::builder().condition_check(check.build().expect("table, key and condition are set")).build()
    }

    /// Has S3 copy the file of an import to where its upload is awaited. A repeat stores another version there, which
    /// no import is about.
    pub async fn copy_from_inbox(&self, import: &Import, file: &InboxFile) -> Result<Copied> {
        let bucket = &self.settings().uploads_bucket;
        let encoded = |text| utf8_percent_encode(text, PLAIN);
        let source = format!("{bucket}/{}?versionId={}", encoded(&file.key), encoded(&file.version));
        let patient = config::Config::builder().timeout_config(timeouts(Duration::from_secs(INBOX_COPY_SECONDS)));
        let copy = self.inner.s3.copy_object().bucket(bucket).key(upload_key(&import.account, &import.id));
        let sent = copy
            .copy_source(source)
            // The bytes alone: what else a sender has said of them is nobody's here, and tags take more permissions.
            .metadata_directive(MetadataDirective::Replace)
            .tagging_directive(TaggingDirective::Replace)
            .customize()
            .config_override(patient)
            .send()
            .await;
        match sent {
            Ok(_) => {
                crash::point("inbox.copied");
                Ok(Copied::Stored)
            }
            // What is no version's id at all is an argument that is not valid.
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion" | "InvalidArgument")) => {
                Ok(Copied::Gone)
            }
            Err(error) => Err(StoreError::unavailable("s3:CopyObject")(error)),
        }
    }

    /// The files of the inbox that come next, at most [`INBOX_LISTED`]; `None` where it is not yet time. A repeat gives
    /// the same, until [`Store::note_inbox`].
    pub async fn list_inbox(&self) -> Result<Option<Listed>> {
        let place: Option<Place> = self.get_item("where the inbox is listed", inbox_key()).await?;
        let Place { due_at, key, version } = place.unwrap_or_default();
        if due_at > self.now_ms() {
            return Ok(None);
        }
        let prefix = format!("{}/", Folder::Inbox.text());
        let page = self.list_versions(&prefix, Behind { key, version }, INBOX_LISTED).await?;
        let found = page.versions.into_iter().filter(|listed| is_file(&listed.key)).map(|listed| Found {
            file: InboxFile { key: listed.key, version: listed.id, bytes: listed.bytes },
            modified_at: listed.modified_at,
        });
        Ok(Some(Listed { files: found.collect(), rest: page.rest }))
    }

    /// Notes that a list of the inbox is done with: the next one goes on behind it at the next look, or begins anew
    /// after [`INBOX_LOOK_MS`]. A repeat notes it again.
    pub async fn note_inbox(&self, listed: Listed) -> Result<()> {
        let place = match listed.rest {
            Some(Behind { key, version }) => Place { due_at: self.now_ms(), key, version },
            None => Place { due_at: self.now_ms() + INBOX_LOOK_MS, ..Place::default() },
        };
        let mut item: Item = serde_dynamo::to_item(place).map_err(StoreError::unreadable("a place in the inbox"))?;
        item.extend(inbox_key());
        self.put_item(item).await
    }

    /// The import of each file, as it is now, of those that have one.
    pub async fn imports_of(&self, files: &[Found]) -> Result<Vec<Option<Import>>> {
        let ids = files.iter().map(|found| Some((address(&found.file.key)?.0, found.import())));
        let ids: Vec<Option<(AccountId, ImportId)>> = ids.collect();
        let keys: Vec<Item> = ids.iter().flatten().map(|(account, id)| import_key(account, id)).collect();
        let mut imports = BTreeMap::new();
        for keys in keys.chunks(READ_BATCH) {
            for item in self.batch_get(self.imports_table(), keys.to_vec()).await? {
                let import: Import = from_item("an import", item)?;
                imports.insert((import.account.clone(), import.id.clone()), import);
            }
        }
        Ok(ids.into_iter().map(|id| imports.remove(&id?)).collect())
    }

    /// Removes files of the inbox. A repeat finds them gone.
    pub async fn remove_from_inbox(&self, files: impl IntoIterator<Item = InboxFile>) -> Result<()> {
        self.delete_object_versions(files.into_iter().map(|file| (file.key, file.version)).collect()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_account_preset_and_file() {
        let found = address("inbox/shop_1/nightly-stock/2026/12/stock ä.csv");
        let (account, preset, name) = found.expect("an address");
        assert_eq!((account.as_str(), preset.as_str(), name), ("shop_1", "nightly-stock", "2026/12/stock ä.csv"));
        for key in [
            "inbox/shop/file.csv",
            "inbox/shop/nightly/",
            "inbox/shop/nightly/2026/",
            "inbox/shop/Nightly/a.csv",
            "inbox/a shop/nightly/a.csv",
            "inbox//nightly/a.csv",
            "uploads/shop/nightly/a.csv",
            "inbox",
            "inboxes/shop/nightly/a.csv",
        ] {
            assert!(address(key).is_none(), "{key}");
        }
        assert!(is_file("inbox/a") && !is_file("inbox/") && !is_file("inbox/shop/") && !is_file("uploads/a"));
    }

    #[test]
    fn an_import_has_the_end_of_a_long_name() {
        assert_eq!(filename("a.csv"), "a.csv");
        let long = filename(&format!("{}.csv.gz", "ä".repeat(400)));
        assert_eq!((long.chars().count(), long.ends_with("ä.csv.gz")), (FILENAME_CHARS, true));
    }

    #[test]
    fn an_id_follows_from_the_version() {
        let of = |key: &str, version: &str, modified_at| {
            Found { file: InboxFile { key: key.into(), version: version.into(), bytes: 1 }, modified_at }.import()
        };
        let id = of("inbox/1/p/a", "v1", 1_700_000_000);
        assert_eq!(id, of("inbox/1/p/a", "v1", 1_700_000_000));
        assert!(of("inbox/1/p/a", "v1", 1_700_000_001) > id, "ids sort by time");
        let others = [of("inbox/1/p/b", "v1", 1_700_000_000), of("inbox/1/p/a", "v2", 1_700_000_000)];
        assert!(others.iter().all(|other| *other != id) && others[0] != others[1]);
    }
}
