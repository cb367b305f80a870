//! The sweeper's list: imports for which there may be something to do carry `due_at`, by which the index `due` finds
//! them. So do orders to remove what is left of imports, and imports that have ended ([`crate::retention`]), in
//! partitions of their own.

use aws_sdk_dynamodb::types::Select;
use penstock_model::{AccountId, Import, ImportId, Stage, limits::REMOVALS_AT_ONCE};

use crate::{
    Result, Store, StoreError,
    change::Change,
    crash,
    dynamo::{is_made, n, s},
    table::{DUE_SHARDS, import_key, import_of, removal_of},
};

/// Where an import is found, as the index tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose it is.
    pub account: AccountId,
    /// The import.
    pub import: ImportId,
}

impl From<(AccountId, ImportId)> for Due {
    fn from((account, import): (AccountId, ImportId)) -> Self {
        Self { account, import }
    }
}

impl Store {
    /// The imports that are due for a look, the longest due first within each partition of the index. The index may lag
    /// behind; a look at an import that needs none does nothing.
    pub async fn due_imports(&self) -> Result<Vec<Due>> {
        self.due_until(self.now_ms()).await
    }

    /// Every import for which there may be something to do, now or later.
    pub async fn unfinished_imports(&self) -> Result<Vec<Due>> {
        self.due_until(i64::MAX).await
    }

    async fn due_until(&self, at_ms: i64) -> Result<Vec<Due>> {
        let mut due = Vec::new();
        for shard in 0..DUE_SHARDS {
            due.extend(self.due_in(shard.to_string(), at_ms, None, import_of).await?.into_iter().map(Due::from));
        }
        Ok(due)
    }

    /// Removals that are due, the longest due first within each partition of the index: at most
    /// [`REMOVALS_AT_ONCE`] of each. The index may lag behind; an order that is not due is not carried out.
    pub async fn due_removals(&self) -> Result<Vec<Due>> {
        let mut due = Vec::new();
        for shard in 0..DUE_SHARDS {
            let shard = format!("removal-{shard}");
            let found = self.due_in(shard, self.now_ms(), Some(REMOVALS_AT_ONCE), removal_of).await?;
            due.extend(found.into_iter().map(Due::from));
        }
        Ok(due)
    }

    /// What is due in a partition of the index, or the first of it.
    pub(crate) async fn due_in<T>(
        &self,
        shard: String,
        at_ms: i64,
        most: Option<usize>,
        read: fn(&str, &str) -> Option<(AccountId, T)>,
    ) -> Result<Vec<(AccountId, T)>> {
        let (mut due, mut start) = (Vec::new(), None);
        loop {
            let page = self
                .dynamodb()
                .query()
                .table_name(self.imports_table())
                .index_name("due")
                .select(Select::AllProjectedAttributes)
                .key_condition_expression("due_shard = :shard AND due_at <= :at")
                .expression_attribute_values(":shard", s(&shard))
                .expression_attribute_values(":at", n(at_ms))
                .set_limit(most.and_then(|most| i32::try_from(most).ok()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::unavailable("dynamodb:Query"))?;
            for item in page.items.unwrap_or_default() {
                let part = |name: &str| item.get(name)?.as_s().ok();
                if let (Some(pk), Some(sk)) = (part("pk"), part("sk"))
                    && let Some(found) = read(pk, sk)
                {
                    due.push(found);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() || most.is_some_and(|most| due.len() >= most) {
                return Ok(due);
            }
        }
    }

    /// How far an import is, as the sweeper tells one look from the next: the same text means that nothing has
    /// happened.
    pub async fn progress(&self, import: &Import) -> Result<String> {
        let removal = self.removal_progress(import).await?;
        Ok(format!("{} {}{removal}", import.checkpoint.chunk, self.rows(import).await?.processed))
    }

    /// Has an import looked at next, as one that has made no progress: whoever calls this knows that nothing of it is
    /// under way or queued any more.
    ///
    /// A repeat does the same again. An import that has left the list stays as it is.
    pub async fn hurry(&self, account: &AccountId, id: &ImportId) -> Result<()> {
        let Some(import) = self.import(account, id).await? else { return Ok(()) };
        let progress = self.progress(&import).await?;
        let change = Change::default().listed(id).set("due_at", n(self.now_ms())).set("last_swept", s(progress));
        is_made(change.in_update(self.update(import_key(account, id)))).await.map(drop)
    }

    /// Notes what the sweeper saw and when it is to look again. An import that has left the list stays as it is. A
    /// repeat moves the next look, no more.
    pub async fn note_swept(&self, account: &AccountId, id: &ImportId, seen: &str) -> Result<()> {
        let change = Change::default().listed(id).set("due_at", n(self.next_look())).set("last_swept", s(seen));
        is_made(change.in_update(self.update(import_key(account, id)))).await.map(drop)
    }

    /// Has an import that has ended, and in which nothing is left to look at, leave the list for that of ended ones,
    /// unless a late upload was accepted since it was read. A repeat finds it there.
    pub async fn note_ended(&self, import: &Import) -> Result<()> {
        let Some(ended_at) = import.ended_at() else { return Ok(()) };
        let change = Change::at(&[Stage::Expired, Stage::Ended]).listed(&import.id).ended(&import.id, ended_at);
        is_made(change.in_update(self.update(import_key(&import.account, &import.id)))).await.map(drop)
    }

    /// Has an import that has ended, or waits to be confirmed, looked at again at this moment, in Unix milliseconds. A
    /// repeat does the same.
    pub async fn look_again_at(&self, account: &AccountId, id: &ImportId, at_ms: i64) -> Result<()> {
        let change = Change::at(&[Stage::Held, Stage::Ended]).listed(id).set("due_at", n(at_ms));
        is_made(change.in_update(self.update(import_key(account, id)))).await.map(drop)
    }

    /// When the sweeper is to look at an import that is touched now, in Unix milliseconds.
    pub(crate) fn next_look(&self) -> i64 {
        self.now_ms() + self.settings().stall_seconds as i64 * 1000
    }

    /// Marks an import whose time to upload is over as expired; whether this call did. The caller has found no upload.
    /// A repeat, and an import that has been accepted since it was read, changes nothing.
    pub async fn expire(&self, import: &Import) -> Result<bool> {
        let Some(transition) = import.expire(self.now_ms()) else { return Ok(false) };
        let expired = self.make(import, &transition).await?;
        crash::point("sweep.expired");
        Ok(expired)
    }

    /// Remembers where the checkpoint stood when the import's splitter was dead-lettered. A repeat writes the same.
    pub async fn note_dead_split(&self, import: &Import) -> Result<()> {
        let change = Change::of_existing().set("split_died_at", n(import.checkpoint.chunk));
        is_made(change.in_update(self.update(import_key(&import.account, &import.id)))).await.map(drop)
    }
}
