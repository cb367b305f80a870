//! Imports whose time is over: each is kept for as long as the deployment says, from its end on.
//!
//! An import that has ended, and in which nothing is left to look at, stands in a partition of the index `due` of its
//! own, by the moment at which it ended. So those whose time is over are the first of it, whatever the deployment says
//! now, and a parameter that is changed counts for all of them at once. The entry is written by the update that ends
//! the import, or by the last one after it, which took it off the sweeper's list before.
//!
//! ```text
//! whoever ends it           imports table                         sweeper
//!  │ end, set_report ─────▶ due_shard `ended-…`, due_at: its end
//!                              │ its end + retention is past ─────▶ end_retention
//!                           the import goes, its removal comes ◀──── remove_ended: what a DELETE does
//!                              │                                    † delete.ordered
//!                              │ due now ─────────────────────────▶ remove ([`crate::removals`])
//! ```
//!
//! The index only says where to look. Whether an import goes is decided from the import, read consistently
//! ([`Import::retention`](penstock_model::Import::retention)), and the transaction is made while it stands there still:
//!
//! - *It has not ended.* It is in other partitions of the index. One that had expired leaves this one in the
//!   transaction that accepts its late upload; where the index lags behind, the look finds it running.
//! - *Another import reads its upload.* It stays, and is looked at again after the stall time, so that it keeps no
//!   others waiting.
//! - *It is deleted, or its account is removed, at the same moment.* One of the two transactions is made, and the other
//!   finds the import missing.
//!
//! DynamoDB's own expiry (TTL) would not do. It removes an item whenever it comes to it, alone: row errors would be
//! gone of an import that is there, or be left of one that is gone, and no file goes with it.

use penstock_model::{Retention, limits::RETIRED_AT_ONCE};

use crate::{
    Result, Store,
    change::Change,
    due::Due,
    dynamo::is_made,
    removals::Gone,
    table::{DUE_SHARDS, import_key, import_of},
};

impl Store {
    /// Imports whose retention may be over, the longest ended first within each partition of the index: at most
    /// [`RETIRED_AT_ONCE`] of each.
    pub async fn due_retentions(&self) -> Result<Vec<Due>> {
        let ended_until = self.now_ms().saturating_sub(self.settings().import_retention_ms());
        let mut due = Vec::new();
        for shard in 0..DUE_SHARDS {
            let found = self.due_in(format!("ended-{shard}"), ended_until, Some(RETIRED_AT_ONCE), import_of).await?;
            due.extend(found.into_iter().map(Due::from));
        }
        Ok(due)
    }

    /// Removes an import whose retention is over, as its owner's deletion would; whether this call did. A repeat finds
    /// it missing.
    pub async fn end_retention(&self, due: &Due) -> Result<bool> {
        let Some(import) = self.import(&due.account, &due.import).await? else { return Ok(false) };
        match import.retention(self.now_ms(), self.settings().import_retention_ms()) {
            // The index lags behind, or its place there is not the moment of its end any more.
            Retention::Unended => Ok(false),
            Retention::Until(_) => {
                self.list_as_ended_at(due, import.ended_at().unwrap_or(import.created_at)).await?;
                Ok(false)
            }
            Retention::Read(_) => {
                self.put_off_retention(due).await?;
                Ok(false)
            }
            // Where somebody else is at it, the next look finds it where it is.
            Retention::Over => Ok(self.remove_ended(&import).await? == Gone::Now),
        }
    }

    /// Puts the next look at an import on the list of ended ones off, so that it keeps no others waiting. A repeat does
    /// so again.
    pub async fn put_off_retention(&self, due: &Due) -> Result<()> {
        self.list_as_ended_at(due, self.next_look().saturating_sub(self.settings().import_retention_ms())).await
    }

    /// Lists an import by another moment, in Unix milliseconds, if it is on the list of ended ones.
    async fn list_as_ended_at(&self, due: &Due, at_ms: i64) -> Result<()> {
        let change = Change::default().only_if("due_shard = :due_shard").ended(&due.import, at_ms);
        is_made(change.in_update(self.update(import_key(&due.account, &due.import)))).await.map(drop)
    }
}
