//! Kinds of accounts: schemas that they registered, every version of them.
//!
//! The newest version stands in an item of its own, and so does each version, for imports that started with it. A
//! version never changes, so a process that has read one keeps it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use penstock_engine::{kind::Kind, kinds};
use penstock_model::{AccountId, KindName, Schema};
use serde::{Deserialize, Serialize};

use crate::{
    Backoff, Result, Store, StoreError,
    dynamo::{Item, from_item, n, putting},
    table::{account_pk, newest_schema_key, schema_version_key},
};

/// A kind and which version of it.
#[derive(Debug, Clone)]
pub struct KindVersion {
    /// From 1 for an account's own; 0 for a bundled kind.
    pub version: u32,
    /// Its schema.
    pub schema: Arc<Schema>,
}

/// Kinds that are kept at once, at most.
const KEPT: usize = 16;

/// Kinds that have been read and compiled.
#[derive(Debug, Default)]
pub(crate) struct Versions(Mutex<HashMap<(AccountId, KindName, u32), Arc<Kind>>>);

#[derive(Serialize, Deserialize)]
struct StoredSchema {
    version: u32,
    /// The schema's JSON: numbers in it keep their digits.
    document: String,
}

impl StoredSchema {
    fn schema(&self) -> Result<Arc<Schema>> {
        serde_json::from_str(&self.document).map(Arc::new).map_err(StoreError::unreadable("a schema"))
    }

    fn read(self) -> Result<KindVersion> {
        Ok(KindVersion { version: self.version, schema: self.schema()? })
    }
}

impl Store {
    /// The kind of this name as new imports of the account use it: bundled, or the newest version of the account's own.
    pub async fn kind(&self, account: &AccountId, kind: &KindName) -> Result<Option<KindVersion>> {
        if let Some(schema) = kinds::bundled(kind) {
            return Ok(Some(KindVersion { version: 0, schema: Arc::new(schema.clone()) }));
        }
        let stored: Option<StoredSchema> = self.get_item("a schema", newest_schema_key(account, kind)).await?;
        stored.map(StoredSchema::read).transpose()
    }

    /// The kind that an import started with, compiled for its account; `None` where it no longer exists or no longer
    /// compiles.
    pub async fn compiled_kind(&self, account: &AccountId, kind: &KindName, version: u32) -> Result<Option<Kind>> {
        let name = (account.clone(), kind.clone(), version);
        if let Some(kind) = self.inner.versions.0.lock().expect("no holder panics").get(&name) {
            return Ok(Some(Kind::clone(kind)));
        }
        let schema = match version {
            0 => kinds::bundled(kind).map(|schema| Arc::new(schema.clone())),
            _ => {
                let key = schema_version_key(account, kind, version);
                self.get_item::<StoredSchema>("a schema", key).await?.map(|stored| stored.schema()).transpose()?
            }
        };
        let Some(Ok(kind)) = schema.map(|schema| Kind::compile(&schema, account)) else { return Ok(None) };
        let mut versions = self.inner.versions.0.lock().expect("no holder panics");
        if versions.len() == KEPT {
            versions.clear();
        }
        versions.insert(name, Arc::new(kind.clone()));
        Ok(Some(kind))
    }

    /// Registers a schema as the newest version of an account's kind, and gives its number. A repeat of the newest one
    /// changes nothing and gives its number.
    pub async fn put_kind(&self, account: &AccountId, schema: &Schema) -> Result<u32> {
        let document = serde_json::to_string(schema).map_err(StoreError::unreadable("a schema"))?;
        let mut pause = Backoff::default();
        loop {
            let newest: Option<StoredSchema> =
                self.get_item("a schema", newest_schema_key(account, &schema.name)).await?;
            if let Some(newest) = newest.as_ref().filter(|newest| newest.document == document) {
                return Ok(newest.version);
            }
            let before = newest.map_or(0, |newest| newest.version);
            let stored = StoredSchema { version: before + 1, document: document.clone() };
            let item: Item = serde_dynamo::to_item(&stored).map_err(StoreError::unreadable("a schema"))?;
            let with_key = |key: Item| item.clone().into_iter().chain(key).collect::<Item>();
            let newest = self
                .put_action(with_key(newest_schema_key(account, &schema.name)))
                .condition_expression("attribute_not_exists(pk) OR version = :before")
                .expression_attribute_values(":before", n(before));
            let version = self.put_action(with_key(schema_version_key(account, &schema.name, stored.version)));
            match self.transact(vec![putting(newest), putting(version)]).await? {
                None => return Ok(stored.version),
                // Somebody registered another one meanwhile, or this call had had its effect: look again.
                Some(_) => pause.wait("dynamodb:TransactWriteItems").await?,
            }
        }
    }

    /// The account's own kinds, by name.
    pub async fn kinds(&self, account: &AccountId) -> Result<Vec<KindVersion>> {
        let items = self.items_of(account_pk(account), "schema#").await?;
        items.into_iter().map(|item| from_item::<StoredSchema>("a schema", item)?.read()).collect()
    }
}
