//! The sweeper's list: imports for which there may be something to do carry `due_at`, by which the index `due` finds them.

use aws_sdk_dynamodb::types::Select;
use penstock_model::{AccountId, Import, ImportId, Status};

use crate::{
    Result, Store, StoreError, crash,
    dynamo::{is_made, n, s},
    imports::import_key,
};

/// Where an import is found, as the index tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose it is.
    pub account: AccountId,
    /// The import.
    pub import: ImportId,
}

/// The number of partitions of the index.
pub const DUE_SHARDS: u32 = 4;

pub(crate) fn due_shard(id: &ImportId) -> String {
    let last = id.as_str().bytes().last().unwrap_or(0);
    (u32::from(last) % DUE_SHARDS).to_string()
}

impl Store {
    /// The imports that are due for a look, the longest due first within each partition of the index. The index may lag behind; a look at
    /// an import that needs none does nothing.
    pub async fn due_imports(&self) -> Result<Vec<Due>> {
        let mut due = Vec::new();
        for shard in 0..DUE_SHARDS {
            let mut start = None;
            loop {
                let page = self
                    .dynamodb()
                    .query()
                    .table_name(self.imports_table())
                    .index_name("due")
                    .select(Select::AllProjectedAttributes)
                    .key_condition_expression("due_shard = :shard AND due_at <= :now")
                    .expression_attribute_values(":shard", s(shard.to_string()))
                    .expression_attribute_values(":now", n(self.now_ms()))
                    .set_exclusive_start_key(start)
                    .send()
                    .await
                    .map_err(StoreError::unavailable("dynamodb:Query"))?;
                for item in page.items.unwrap_or_default() {
                    let part =
                        |name: &str, prefix: &str| item.get(name)?.as_s().ok()?.strip_prefix(prefix).map(str::to_owned);
                    if let (Some(account), Some(import)) = (part("pk", "account#"), part("sk", "import#"))
                        && let (Ok(account), Ok(import)) = (account.parse(), import.parse())
                    {
                        due.push(Due { account, import });
                    }
                }
                start = page.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(due)
    }

    /// Notes what the sweeper saw and when it is to look again; without anything left to look at, takes the import off its list.
    ///
    /// A repeat moves the next look, no more.
    pub async fn looked_at(&self, account: &AccountId, id: &ImportId, seen: Option<&str>) -> Result<()> {
        let update = self.update(import_key(account, id)).condition_expression("attribute_exists(due_at)");
        let update = match seen {
            Some(seen) => update
                .update_expression("SET due_at = :due, seen = :seen")
                .expression_attribute_values(":due", n(self.next_look()))
                .expression_attribute_values(":seen", s(seen)),
            None => update.update_expression("REMOVE due_at, due_shard"),
        };
        is_made(update).await.map(drop)
    }

    /// When the sweeper is to look at an import that is touched now, in Unix milliseconds.
    pub(crate) fn next_look(&self) -> i64 {
        self.now_ms() + self.settings().stall_seconds as i64 * 1000
    }

    /// Marks an import to which nothing was uploaded as expired; whether this call did. A repeat, and an import that has been accepted
    /// meanwhile, changes nothing.
    pub async fn expire(&self, account: &AccountId, id: &ImportId) -> Result<bool> {
        let update = self
            .update(import_key(account, id))
            .update_expression("SET #status = :expired, completed_at = :now REMOVE due_at, due_shard")
            .condition_expression("#status = :awaiting")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":expired", s(Status::Expired.as_str()))
            .expression_attribute_values(":awaiting", s(Status::AwaitingUpload.as_str()))
            .expression_attribute_values(":now", n(self.now_ms()));
        let expired = is_made(update).await?;
        crash::point("sweep.expired");
        Ok(expired)
    }

    /// Remembers where the checkpoint stood when the import's splitter was dead-lettered. A repeat writes the same.
    pub async fn note_dead_split(&self, import: &Import) -> Result<()> {
        let update = self
            .update(import_key(&import.account, &import.id))
            .update_expression("SET split_died_at = :chunk")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":chunk", n(import.checkpoint.chunk));
        is_made(update).await.map(drop)
    }
}
