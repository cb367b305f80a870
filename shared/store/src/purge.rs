//! What the removal of an account removes, step by step. [`crate::names`] says how each is found.
//!
//! Every step sends a bounded number of requests and says where it goes on, and a repeat of it finds done what was
//! done. What is asked for is always an account's own: a partition key is compared as a whole, and a prefix of objects'
//! keys ends in a separator. So no other account is met, also where its name begins with this one's.

use std::collections::BTreeSet;

use penstock_engine::key;
use penstock_model::{
    AccountId, Halt, Import, ImportId, ImportOptions, KindName, Mode, PurgePlace, PurgeStep, Purged, RemovedCounts,
    limits::{
        IMPORTS_REMOVED_AT_ONCE, READ_BATCH, RECORD_SHARDS, RECORD_SHARDS_AT_ONCE, REMOVAL_REQUESTS_AT_ONCE,
        REMOVED_AT_ONCE,
    },
};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::{
    Result, Store, StoreError, crash,
    dynamo::{Item, from_item, items, joined},
    exports::EXPORTS,
    names::{Bucket, Folder, Own},
    quota::{ACCOUNT, IMPORTS},
    table::{account_pk, import_key, partitions_of_import, unfinished_key},
    versions::Behind,
};

/// Whether imports and exports of an account that is being removed have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All of them.
    All,
    /// There are more to be told that they are to end.
    Told,
    /// All have been told, and some are being finished.
    Waits,
}

/// By what the traces of an import are found.
#[derive(Deserialize)]
struct Guide {
    sk: String,
    #[serde(default)]
    opened_blocks: u32,
    /// Of an order to remove what a deleted import has left.
    #[serde(default)]
    replaced: bool,
    #[serde(default)]
    reviewed: bool,
    /// Of an import.
    #[serde(default)]
    options: ImportOptions,
}

impl Store {
    /// The imports of an account that have not ended, as they are now: those that count against its quota, and those
    /// that run in the order of a kind.
    async fn imports_to_end(&self, account: &AccountId) -> Result<Vec<Import>> {
        let mut ids = self.set(unfinished_key(account, ACCOUNT), IMPORTS).await?;
        let orders = self.query(account_pk(account), Own::Order.text()).projection_expression("running");
        for order in items(orders, None).await? {
            ids.extend(order.get("running").and_then(|running| running.as_ss().ok()).into_iter().flatten().cloned());
        }
        let keys: Vec<Item> =
            ids.iter().filter_map(|id| Some(import_key(account, &id.parse::<ImportId>().ok()?))).collect();
        let mut imports = Vec::new();
        for keys in keys.chunks(READ_BATCH) {
            for item in self.batch_get(self.imports_table(), keys.to_vec()).await? {
                imports.push(from_item::<Import>("an import", item)?);
            }
        }
        imports.retain(|import| !import.status.is_final());
        Ok(imports)
    }

    /// Whether an import or an export of an account has not ended.
    pub(crate) async fn has_unfinished(&self, account: &AccountId) -> Result<bool> {
        let exports = self.set(unfinished_key(account, EXPORTS), EXPORTS).await?;
        Ok(!exports.is_empty() || !self.imports_to_end(account).await?.is_empty())
    }

    /// Cancels the imports and exports of an account, so many of them, and tells whether all have ended. A repeat goes
    /// on with those that are left.
    pub(crate) async fn end_all(&self, account: &AccountId) -> Result<Ended> {
        let mut untold = self.imports_to_end(account).await?;
        untold.retain(|import| import.halt.is_none());
        for import in untold.iter().take(IMPORTS_REMOVED_AT_ONCE) {
            self.order_halt(account, &import.id, &Halt::cancelled()).await?;
            self.settle(account, &import.id).await?;
        }
        if untold.len() > IMPORTS_REMOVED_AT_ONCE {
            return Ok(Ended::Told);
        }
        let exports: BTreeSet<String> = self.set(unfinished_key(account, EXPORTS), EXPORTS).await?;
        for id in exports.iter().filter_map(|id| id.parse().ok()) {
            while let Some(export) = self.export(account, &id).await?
                && let Some(cancelled) = export.cancel(self.now_ms(), self.settings().export_retention_ms())
            {
                if self.replace_export(&export, &cancelled).await? {
                    break;
                }
            }
        }
        Ok(if self.has_unfinished(account).await? { Ended::Waits } else { Ended::All })
    }

    /// Makes one step of a purge.
    pub(crate) async fn purge(&self, account: &AccountId, place: &PurgePlace) -> Result<Purged> {
        match place.step {
            PurgeStep::Files => self.purge_files(account, place).await,
            PurgeStep::Records => self.purge_records(account, place).await,
            PurgeStep::Imports => self.purge_traces(account, place, Own::Import).await,
            PurgeStep::Deleted => self.purge_traces(account, place, Own::Removal).await,
            PurgeStep::Own => self.purge_own(account, place).await,
        }
    }

    /// Removes a page of objects of each folder, and the unfinished multipart uploads that a list tells of.
    async fn purge_files(&self, account: &AccountId, place: &PurgePlace) -> Result<Purged> {
        let (mut counts, mut is_all) = (RemovedCounts::default(), true);
        for folder in Folder::ALL {
            let prefix = folder.of_account(account);
            is_all &= self.abort_all(folder.bucket(), &prefix).await?;
            let (removed, is_whole) = match folder.bucket() {
                Bucket::Uploads => self.remove_all_versions(&prefix).await?,
                Bucket::Results => self.remove_results(&prefix).await?,
            };
            match folder {
                Folder::Uploads | Folder::Inbox | Folder::Refused => counts.uploads += removed,
                Folder::Rejected | Folder::Exports => counts.files += removed,
                // Nobody has been shown one.
                Folder::Digests => {}
            }
            is_all &= is_whole;
        }
        Ok(Purged { counts, rest: (!is_all).then(|| place.clone()) })
    }

    /// Gives up a page of unfinished multipart uploads; whether those were all.
    async fn abort_all(&self, bucket: Bucket, prefix: &str) -> Result<bool> {
        let bucket = self.bucket(bucket);
        let listed = self.inner.s3.list_multipart_uploads().bucket(bucket).prefix(prefix).send().await;
        let page = listed.map_err(StoreError::unavailable("s3:ListMultipartUploads"))?;
        for upload in page.uploads.unwrap_or_default() {
            if let (Some(key), Some(id)) = (upload.key, upload.upload_id) {
                self.abort_multipart(bucket, &key, &id).await?;
            }
        }
        Ok(page.is_truncated != Some(true))
    }

    /// Removes a page of versions and delete markers of objects whose keys begin so; how many versions, and whether
    /// those were all.
    async fn remove_all_versions(&self, prefix: &str) -> Result<(u64, bool)> {
        let page = self.list_versions(prefix, Behind::default(), REMOVED_AT_ONCE).await?;
        let count = page.versions.len() as u64;
        let versions = page.versions.into_iter().map(|version| (version.key, version.id));
        self.delete_object_versions(versions.chain(page.markers).collect()).await?;
        Ok((count, page.rest.is_none()))
    }

    /// Removes a page of results whose keys begin so; how many, and whether those were all.
    async fn remove_results(&self, prefix: &str) -> Result<(u64, bool)> {
        let bucket = self.bucket(Bucket::Results);
        let listed = self.inner.s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await;
        let page = listed.map_err(StoreError::unavailable("s3:ListObjectsV2"))?;
        let keys: Vec<String> = page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect();
        for group in keys.chunks(REMOVAL_REQUESTS_AT_ONCE) {
            let mut requests = JoinSet::new();
            for key in group {
                let (store, key) = (self.clone(), key.clone());
                requests.spawn(async move { store.remove_result(&key).await });
            }
            while let Some(done) = requests.join_next().await {
                joined(Some(done))?;
            }
        }
        Ok((keys.len() as u64, page.is_truncated != Some(true)))
    }

    fn bucket(&self, bucket: Bucket) -> &str {
        match bucket {
            Bucket::Uploads => &self.settings().uploads_bucket,
            Bucket::Results => &self.settings().results_bucket,
        }
    }

    /// Removes a page of records of each of some shards of a kind.
    async fn purge_records(&self, account: &AccountId, place: &PurgePlace) -> Result<Purged> {
        let done = |counts, rest| Ok(Purged { counts, rest });
        let guide = self.guides(account, Own::Order, place.after.as_deref(), 1).await?.pop();
        let Some(Guide { sk, .. }) = guide else { return done(RemovedCounts::default(), None) };
        let kind: Option<KindName> = sk.strip_prefix(Own::Order.text()).and_then(|kind| kind.parse().ok());
        let next_kind = PurgePlace { after: Some(sk), shard: 0, ..place.clone() };
        let Some(kind) = kind else { return done(RemovedCounts::default(), Some(next_kind)) };
        let shards = (usize::from(place.shard)..RECORD_SHARDS).take(RECORD_SHARDS_AT_ONCE);
        let mut pages = JoinSet::new();
        for shard in shards.filter_map(|shard| u8::try_from(shard).ok()) {
            let (store, partition) = (self.clone(), key::partition(account, &kind, shard));
            pages.spawn(async move { store.keys_page(store.settings().records_table.clone(), partition).await });
        }
        let (mut keys, mut is_all) = (Vec::new(), true);
        while let Some(page) = pages.join_next().await {
            let (page, is_whole) = joined(Some(page))?.unwrap_or_default();
            keys.extend(page);
            is_all &= is_whole;
        }
        let counts = RemovedCounts { records: keys.len() as u64, ..RemovedCounts::default() };
        self.delete_items(&self.settings().records_table, keys).await?;
        let behind = usize::from(place.shard) + RECORD_SHARDS_AT_ONCE;
        done(
            counts,
            Some(match (is_all, u16::try_from(behind)) {
                (false, _) => place.clone(),
                (true, Ok(shard)) if behind < RECORD_SHARDS => PurgePlace { shard, ..place.clone() },
                (true, _) => next_kind,
            }),
        )
    }

    /// The keys of the first items of a partition, at most [`REMOVED_AT_ONCE`], and whether those are all.
    pub(crate) async fn keys_page(&self, table: String, partition: String) -> Result<(Vec<Item>, bool)> {
        let query = self.query_partition(&table, partition).projection_expression("pk, sk");
        let sent = query.limit(REMOVED_AT_ONCE as i32).send().await;
        let page = sent.map_err(StoreError::unavailable("dynamodb:Query"))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key.is_none()))
    }

    /// The items in an account's own partition by which others are found, behind that of this sort key, so many.
    async fn guides(&self, account: &AccountId, own: Own, after: Option<&str>, limit: usize) -> Result<Vec<Guide>> {
        let query = self
            .query(account_pk(account), own.text())
            .projection_expression("sk, opened_blocks, replaced, reviewed, #options");
        let query = query.expression_attribute_names("#options", "options");
        let query = query.set_exclusive_start_key(after.map(|sk| crate::dynamo::key(account_pk(account), sk)));
        items(query, Some(limit)).await?.into_iter().map(|item| from_item("what is found by", item)).collect()
    }

    /// Removes blocks and row errors of some imports.
    async fn purge_traces(&self, account: &AccountId, place: &PurgePlace, own: Own) -> Result<Purged> {
        let counts = RemovedCounts::default();
        let guides = self.guides(account, own, place.after.as_deref(), IMPORTS_REMOVED_AT_ONCE).await?;
        let Some(last) = guides.last() else { return Ok(Purged { counts, rest: None }) };
        let after = last.sk.clone();
        let (mut traces, mut left) = (JoinSet::new(), guides.into_iter());
        let (mut keys, mut is_all) = (Vec::new(), true);
        loop {
            while traces.len() < REMOVAL_REQUESTS_AT_ONCE
                && let Some(guide) = left.next()
            {
                let Some(id) = guide.sk.strip_prefix(own.text()).and_then(|id| id.parse::<ImportId>().ok()) else {
                    continue;
                };
                let store = self.clone();
                let is_replace = guide.replaced || guide.options.mode == Mode::Replace;
                let is_review = guide.reviewed || guide.options.review;
                let partitions = partitions_of_import(&id, guide.opened_blocks, is_replace, is_review);
                traces.spawn(async move { store.traces_in(partitions).await });
            }
            let Some((found, is_whole)) = joined(traces.join_next().await)? else { break };
            keys.extend(found);
            is_all &= is_whole;
        }
        self.delete_items(self.imports_table(), keys).await?;
        // Whose traces are not all found yet are looked for again, with their neighbours.
        let after = if is_all { Some(after) } else { place.after.clone() };
        Ok(Purged { counts, rest: Some(PurgePlace { after, ..place.clone() }) })
    }

    /// The keys of the items of these partitions, some [`REMOVED_AT_ONCE`], and whether those
    /// are all.
    async fn traces_in(&self, partitions: Vec<String>) -> Result<(Vec<Item>, bool)> {
        let (mut keys, mut is_all) = (Vec::new(), true);
        for partition in partitions {
            if keys.len() >= REMOVED_AT_ONCE {
                return Ok((keys, false));
            }
            let (found, is_whole) = self.keys_page(self.imports_table().to_owned(), partition).await?;
            keys.extend(found);
            is_all &= is_whole;
        }
        Ok((keys, is_all))
    }

    /// Removes the first items of the account's own partition, and the keys that are among them. It is done when it
    /// finds none.
    async fn purge_own(&self, account: &AccountId, place: &PurgePlace) -> Result<Purged> {
        let mut counts = RemovedCounts::default();
        let (keys, _) = self.keys_page(self.imports_table().to_owned(), account_pk(account)).await?;
        let sort_keys = keys.iter().filter_map(|key| key.get("sk")?.as_s().ok());
        for sk in sort_keys {
            match Own::of(sk) {
                // A key's own item first: it is found by the one that is listed.
                Some(Own::Key) => {
                    self.delete_key(account, sk.strip_prefix(Own::Key.text()).unwrap_or(sk)).await?;
                    counts.keys += 1;
                }
                Some(Own::Import) => counts.imports += 1,
                Some(Own::Export) => counts.exports += 1,
                Some(Own::Schema) => counts.kinds += 1,
                _ => {}
            }
        }
        let rest = (!keys.is_empty()).then(|| place.clone());
        self.delete_items(self.imports_table(), keys).await?;
        crash::point("account.own");
        Ok(Purged { counts, rest })
    }
}
