//! Kinds of accounts: schemas that they registered, every version of them.
//!
//! The newest version stands in an item of its own, and so does each version, for imports that started with it. A
//! version never changes, so a process that has read one keeps it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::types::AttributeValue;
use penstock_engine::{kind::Kind, kinds};
use penstock_model::{AccountId, KindName, Schema, limits};
use serde::{Deserialize, Serialize};

use crate::{
    Backoff, Result, Store, StoreError,
    dynamo::{Item, from_item, n, putting, s, updating},
    table::{self, account_pk, kind_names_key, newest_schema_key, schema_version_key},
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
    /// It is this version of its kind.
    Version(u32),
    /// The account has as many kinds as it may have.
    TooManyKinds,
    /// The kind has as many versions as it may have.
    TooManyVersions,
}

/// Kinds that are kept at once, at most.
const KEPT: usize = 16;

/// Kinds that have been read and compiled.
#[derive(Debug, Default)]
pub(crate) struct Versions(Mutex<HashMap<(AccountId, KindName, u32), Arc<Kind>>>);

#[derive(Serialize, Deserialize)]
struct StoredSchema {
    version: u32,
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
        if let Some(kind) = self.inner.versions.0.lock().expect("no holder panics").get(&name) {
            return Ok(Some(Kind::clone(kind)));
        }
        let schema = match version {
            0 => kinds::bundled(kind).map(|schema| Arc::new(schema.clone())),
            _ => {
                let key = schema_version_key(account, kind, version);
                self.get_item::<StoredSchema>("a schema", key).await?.map(|stored| stored.schema(kind)).transpose()?
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

    /// Registers a schema with its document as the newest version of an account's kind, and gives its number. A repeat
    /// of the newest one changes nothing and gives its number. The names of an account's kinds stand in one set, which
    /// bounds how many there are: to add a name again changes nothing.
    pub async fn put_kind(&self, account: &AccountId, schema: &Schema, document: &str) -> Result<Registration> {
        let mut pause = Backoff::default();
        loop {
            let newest: Option<StoredSchema> =
                self.get_item("a schema", newest_schema_key(account, &schema.name)).await?;
            if let Some(newest) = newest.as_ref().filter(|newest| newest.says(schema, document)) {
                return Ok(Registration::Version(newest.version));
            }
            let before = newest.map_or(0, |newest| newest.version);
            if before >= limits::KIND_VERSIONS {
                return Ok(Registration::TooManyVersions);
            }
            let stored = StoredSchema { version: before + 1, document: document.to_owned() };
            let item: Item = serde_dynamo::to_item(&stored).map_err(StoreError::unreadable("a schema"))?;
            let with_key = |key: Item| item.clone().into_iter().chain(key).collect::<Item>();
            let newest = self
                .put_action(with_key(newest_schema_key(account, &schema.name)))
                .condition_expression("attribute_not_exists(pk) OR version = :before")
                .expression_attribute_values(":before", n(before));
            let version = self.put_action(with_key(schema_version_key(account, &schema.name, stored.version)));
            let name = schema.name.as_str();
            let counted = self
                .update_action(kind_names_key(account))
                .update_expression("ADD #names :names")
                .condition_expression("attribute_not_exists(#names) OR size(#names) < :most OR contains(#names, :name)")
                .expression_attribute_names("#names", "names")
                .expression_attribute_values(":names", AttributeValue::Ss(vec![name.to_owned()]))
                .expression_attribute_values(":name", s(name))
                .expression_attribute_values(":most", n(limits::ACCOUNT_KINDS));
            match self.transact(vec![putting(newest), putting(version), updating(counted)]).await? {
                None => return Ok(Registration::Version(stored.version)),
                Some(reasons) if reasons[2] == "ConditionalCheckFailed" => return Ok(Registration::TooManyKinds),
                // Somebody registered another one meanwhile, or this call had had its effect: look again.
                Some(_) => pause.wait("dynamodb:TransactWriteItems").await?,
            }
        }
    }

    /// The account's own kinds, by name.
    pub async fn kinds(&self, account: &AccountId) -> Result<Vec<KindVersion>> {
        let items = self.items_of(account_pk(account), "schema#").await?;
        let kind_of = |item: &Item| item.get("sk").and_then(|sk| table::kind_of(sk.as_s().ok()?));
        let read = |item: Item| {
            let kind = kind_of(&item)?;
            Some(from_item::<StoredSchema>("a schema", item).and_then(|stored| stored.read(&kind)))
        };
        items.into_iter().filter_map(read).collect()
    }
}
