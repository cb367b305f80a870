//! Kinds of accounts: schemas that they registered, every version of them.
//!
//! The newest version stands in an item of its own, and so does each version, for imports that started with it. A
//! version never changes, so a process that has read one keeps it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use penstock_engine::{kind::Kind, kinds};
use penstock_model::{AccountId, KindName, Schema, limits};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::{
    Backoff, Result, Store, StoreError,
    dynamo::{Item, from_item, items, n, putting, to_item, updating},
    names::Own,
    table::{
        account_pk, kind_names_key, kind_number_key, kind_of, newest_schema_key, schema_version_key, schema_versions,
        version_of,
    },
};

/// A kind and which version of it.
#[derive(Debug, Clone)]
pub struct KindVersion {
    /// From 1 for an account's own; 0 for a bundled kind.
    pub version: u32,
    /// Its schema.
    pub schema: Arc<Schema>,
    /// Its document, as it was registered.
    pub document: Arc<str>,
}

/// What became of a schema that was to be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It is this version of its kind. `is_first` where the kind was not there.
    Version {
        /// The version's number.
        version: u32,
        /// Whether the kind is new.
        is_first: bool,
    },
    /// The account has as many kinds as it may have.
    TooManyKinds,
    /// The kind has as many versions as it may have.
    TooManyVersions,
}

/// Kinds that are kept at once, at most.
const KEPT: usize = 16;

/// Kinds that are compiled at once in a process, at most.
const COMPILED_AT_ONCE: usize = 2;

/// Kinds that have been read and compiled.
#[derive(Debug)]
pub(crate) struct Versions {
    kept: Mutex<HashMap<(AccountId, KindName, u32), Arc<Kind>>>,
    compiling: Arc<Semaphore>,
}

impl Default for Versions {
    fn default() -> Self {
        Self { kept: Mutex::default(), compiling: Arc::new(Semaphore::new(COMPILED_AT_ONCE)) }
    }
}

/// A line of the list of an account's kinds, or of the versions of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindEntry {
    /// The kind's name.
    pub name: KindName,
    /// The version, the newest one in a list of kinds.
    pub version: u32,
    /// Its title.
    pub title: String,
}

#[derive(Deserialize)]
struct StoredEntry {
    sk: String,
    version: u32,
    #[serde(default)]
    title: String,
}

/// The number of the last version of a kind that was removed.
#[derive(Default, Deserialize)]
pub(crate) struct LastVersion {
    pub(crate) version: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredSchema {
    version: u32,
    /// The versions that there are of the kind, in the item of its newest one.
    #[serde(default)]
    kept: u32,
    /// The schema's title, which lists show.
    #[serde(default)]
    title: String,
    /// The schema's JSON as it was registered.
    document: String,
}

impl StoredSchema {
    fn schema(&self, kind: &KindName) -> Result<Arc<Schema>> {
        Kind::parse_as(self.document.as_bytes(), kind).map(Arc::new).map_err(StoreError::unreadable("a schema"))
    }

    fn read(self, kind: &KindName) -> Result<KindVersion> {
        Ok(KindVersion { version: self.version, schema: self.schema(kind)?, document: self.document.into() })
    }

    /// Whether another document says the same: the same members with the same values, however it is laid out.
    fn says(&self, schema: &Schema, document: &str) -> bool {
        if self.document == document {
            return true;
        }
        // A value of JSON keeps no more of a number than a float holds, a schema each of its digits.
        let values = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        self.schema(&schema.name).is_ok_and(|mine| *mine == *schema) && values(&self.document) == values(document)
    }
}

impl Store {
    /// The kind of this name as new imports of the account use it: bundled, or the newest version of the account's own.
    pub async fn kind(&self, account: &AccountId, kind: &KindName) -> Result<Option<KindVersion>> {
        if let Some(schema) = kinds::bundled(kind) {
            let document = kinds::document(kind).unwrap_or_default().into();
            return Ok(Some(KindVersion { version: 0, schema: Arc::new(schema.clone()), document }));
        }
        let stored: Option<StoredSchema> = self.get_item("a schema", newest_schema_key(account, kind)).await?;
        stored.map(|stored| stored.read(kind)).transpose()
    }

    /// The kind that an import started with, compiled for its account; `None` where it no longer exists or no longer
    /// compiles.
    pub async fn compiled_kind(&self, account: &AccountId, kind: &KindName, version: u32) -> Result<Option<Kind>> {
        let name = (account.clone(), kind.clone(), version);
        if let Some(kind) = self.inner.versions.kept.lock().expect("no holder panics").get(&name) {
            return Ok(Some(Kind::clone(kind)));
        }
        let schema = match version {
            0 => kinds::bundled(kind).map(|schema| Arc::new(schema.clone())),
            _ => {
                let key = schema_version_key(account, kind, version);
                self.get_item::<StoredSchema>("a schema", key).await?.map(|stored| stored.schema(kind)).transpose()?
            }
        };
        let Some(schema) = schema else { return Ok(None) };
        // Patterns take some time to compile. One that is asked for by a request that is gone is still one of those at
        // once.
        let permit = self.inner.versions.compiling.clone().acquire_owned().await.expect("it is never closed");
        let account = account.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            Kind::compile(&schema, &account)
        });
        let Ok(kind) = compiled.await.expect("compiling does not panic") else { return Ok(None) };
        let mut versions = self.inner.versions.kept.lock().expect("no holder panics");
        if versions.len() == KEPT {
            versions.clear();
        }
        versions.insert(name, Arc::new(kind.clone()));
        Ok(Some(kind))
    }

    /// Registers a schema with its document as the newest version of an account's kind, and gives its number. A repeat
    /// of the newest one changes nothing and gives its number. The names of an account's kinds stand in one set, which
    /// bounds how many there are: to add a name again changes nothing.
    pub async fn put_kind(&self, account: &AccountId, schema: &Schema, document: &str) -> Result<Registration> {
        let mut pause = Backoff::default();
        loop {
            let newest: Option<StoredSchema> =
                self.get_item("a schema", newest_schema_key(account, &schema.name)).await?;
            let says = |newest: &&StoredSchema| newest.says(schema, document);
            if let Some(newest) = newest.as_ref().filter(says) {
                return Ok(Registration::Version { version: newest.version, is_first: false });
            }
            let number_key = kind_number_key(account, &schema.name);
            let (before, kept) = match &newest {
                Some(newest) => (newest.version, newest.kept),
                None => {
                    let last: Option<LastVersion> = self.get_item("a number", number_key.clone()).await?;
                    (last.unwrap_or_default().version, 0)
                }
            };
            if kept >= limits::KIND_VERSIONS {
                return Ok(Registration::TooManyVersions);
            }
            let title = schema.title.clone();
            let document = document.to_owned();
            let stored = StoredSchema { version: before + 1, kept: kept + 1, title, document };
            let item = to_item("a schema", &stored)?;
            let with_key = |key: Item| item.clone().into_iter().chain(key).collect::<Item>();
            let is_first = newest.is_none();
            let newest = self.put_action(with_key(newest_schema_key(account, &schema.name)));
            let newest = match is_first {
                true => newest.condition_expression("attribute_not_exists(pk)"),
                false => newest
                    .condition_expression("version = :before AND kept = :kept")
                    .expression_attribute_values(":before", n(before))
                    .expression_attribute_values(":kept", n(kept)),
            };
            let version = self.put_action(with_key(schema_version_key(account, &schema.name, stored.version)));
            let name = schema.name.as_str();
            let counted = self.name_action(kind_names_key(account), name, limits::ACCOUNT_KINDS);
            let mut actions = vec![putting(newest), putting(version), counted];
            if is_first {
                // The kind may have been registered and removed since its number was read.
                let numbered = self
                    .update_action(number_key)
                    .update_expression("SET version = :before")
                    .condition_expression("attribute_not_exists(version) OR version = :before")
                    .expression_attribute_values(":before", n(before));
                actions.push(updating(numbered));
            }
            match self.transact(actions).await? {
                None => return Ok(Registration::Version { version: stored.version, is_first }),
                Some(reasons) if reasons[2] == "ConditionalCheckFailed" => return Ok(Registration::TooManyKinds),
                // Somebody registered another one meanwhile, or this call had had its effect: look again.
                Some(_) => pause.wait("dynamodb:TransactWriteItems").await?,
            }
        }
    }

    /// The account's own kinds by name, at most `limit` of them, after the one that `after` names.
    pub async fn list_kinds(
        &self,
        account: &AccountId,
        after: Option<&KindName>,
        limit: usize,
    ) -> Result<Vec<KindEntry>> {
        let start = after.map(|kind| newest_schema_key(account, kind));
        let found = self.entries(account, Own::Schema.text(), true, start, limit).await?;
        Ok(found.into_iter().filter_map(|entry| Some(entry_of(kind_of(&entry.sk)?, entry))).collect())
    }

    /// The versions of an account's kind, newest first, at most `limit` of them, older than `before`.
    pub async fn list_kind_versions(
        &self,
        account: &AccountId,
        kind: &KindName,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<KindEntry>> {
        let start = before.map(|version| schema_version_key(account, kind, version));
        let found = self.entries(account, &schema_versions(kind), false, start, limit).await?;
        let is_version = |entry: &StoredEntry| version_of(&entry.sk) == Some(entry.version);
        Ok(found.into_iter().filter(is_version).map(|entry| entry_of(kind.clone(), entry)).collect())
    }

    /// A version of an account's kind; `None` where it is not there, or not any more.
    pub async fn kind_version(
        &self,
        account: &AccountId,
        kind: &KindName,
        version: u32,
    ) -> Result<Option<KindVersion>> {
        let stored: Option<StoredSchema> =
            self.get_item("a schema", schema_version_key(account, kind, version)).await?;
        stored.map(|stored| stored.read(kind)).transpose()
    }

    /// Titles and versions of schemas whose sort keys begin so. Their documents stay in the table.
    async fn entries(
        &self,
        account: &AccountId,
        prefix: &str,
        forward: bool,
        start: Option<Item>,
        limit: usize,
    ) -> Result<Vec<StoredEntry>> {
        let query = self
            .query(account_pk(account), prefix)
            .projection_expression("sk, version, title")
            .scan_index_forward(forward)
            .set_exclusive_start_key(start);
        items(query, Some(limit)).await?.into_iter().map(|item| from_item("a schema", item)).collect()
    }
}

fn entry_of(name: KindName, StoredEntry { version, title, .. }: StoredEntry) -> KindEntry {
    KindEntry { name, version, title }
}
