//! Blocks: the fates and tallies of a bounded number of chunks in one item.
//!
//! A block is made before the first of its chunks is sent. For each chunk it holds a fate and a tally, each written once by a conditional
//! update, so that whoever comes second finds what the first one decided and carries on from there. Nothing is ever added to a number that
//! a repeat could add to again; sums are made on reading.
//!
//! ```text
//! splitter   open_block ──▶ send chunks ──▶ checkpoint … size_block(last) ──▶ set_total ──▶ settle
//! validator                     begin ──▶ records, errors ──▶ tally ──▶ note (if the block is full) ──▶ settle
//! halt                     order_halt ──▶ close every block ──▶ settle
//! ```
//!
//! `begin` and closing meet in the same item: either the chunk began before the block was closed, and is finished, or it never begins.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use penstock_model::{Chunk, Import, ImportId, Job, Status, Tally};
use serde::{Deserialize, Serialize};

use crate::{
    Backoff, Result, Store, StoreError,
    accept::Step,
    crash,
    dynamo::{self, Item, Updated, from_item, is_made, n, putting, s, send, updating, value},
    imports::import_key,
};

/// A block as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// How many chunks it has; the last block of a file may have fewer than [`penstock_model::Chunking::per_block`].
    pub size: u32,
    /// The fate of each chunk that has one, by its number in the file.
    #[serde(default)]
    pub fates: HashMap<String, Fate>,
    /// The tally of each chunk that has one, by its number in the file.
    #[serde(default)]
    pub tallies: HashMap<String, Tally>,
    /// Whether no further chunk may begin.
    #[serde(default)]
    pub closed: bool,
    /// Chunks that were dead-lettered before they began and have been sent once more, by their numbers in the file.
    #[serde(default)]
    pub sent_again: HashMap<String, bool>,
}

/// What was decided of a chunk, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// The decision.
    pub verdict: Verdict,
    /// The chunk's last row.
    pub last_row: u64,
}

/// The decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All its accepted rows will be applied.
    Begun,
    /// All its rows have failed: it could not be processed.
    Failed,
}

/// What a chunk finds when it asks for its fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// A verdict, not tallied yet.
    Verdict {
        /// It.
        verdict: Verdict,
        /// Whether it was made before, so that some of what follows may have been done.
        before: bool,
    },
    /// It has been tallied; what follows a tally may still be missing.
    Tallied(Box<Block>),
    /// The import is to end early, or is gone: nothing is to be done with the chunk.
    Closed,
}

impl Block {
    /// The sums of its tallies.
    pub fn sum(&self) -> Tally {
        self.tallies.values().fold(Tally::default(), |mut sum, tally| {
            sum += *tally;
            sum
        })
    }

    /// Whether every chunk that it has is tallied.
    pub fn is_full(&self) -> bool {
        self.tallies.len() as u32 == self.size
    }

    /// Whether every chunk with a fate is tallied: all that a closed block will ever hold.
    pub fn is_at_rest(&self) -> bool {
        self.fates.keys().all(|chunk| self.tallies.contains_key(chunk))
    }

    /// The last row of the last chunk with a fate; 0 without one.
    pub fn last_row(&self) -> u64 {
        self.fates.values().map(|fate| fate.last_row).max().unwrap_or(0)
    }
}

fn block_key(import: &ImportId, block: u32) -> Item {
    dynamo::key(format!("block#{import}#{block}"), "block")
}

impl Store {
    /// Makes a block before its first chunk is sent, and counts it in the import, in one transaction.
    ///
    /// A repeat finds the block made. An import that is to end early gets no further block.
    pub async fn open_block(&self, import: &Import, block: u32) -> Result<Step> {
        let mut item: Item = serde_dynamo::to_item(Block { size: import.chunking.per_block, ..Block::default() })
            .map_err(StoreError::unreadable("a block"))?;
        item.extend(block_key(&import.id, block));
        let put = putting(self.put_action(item).condition_expression("attribute_not_exists(pk)"));
        let counted = self
            .update_action(import_key(&import.account, &import.id))
            .update_expression("SET opened_blocks = :opened")
            .condition_expression("opened_blocks = :block AND #status = :processing AND attribute_not_exists(halt)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":opened", n(block + 1))
            .expression_attribute_values(":block", n(block))
            .expression_attribute_values(":processing", s(Status::Processing.as_str()));
        let actions = vec![put, updating(counted)];
        let mut pause = Backoff::default();
        while self.transact(actions.clone()).await?.is_some() {
            let Some(now) = self.import(&import.account, &import.id).await? else { return Ok(Step::Overtaken) };
            if now.status != Status::Processing || now.halt.is_some() {
                return Ok(Step::Overtaken);
            }
            if now.opened_blocks > block {
                return Ok(Step::Made);
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
        crash::point("split.block_opened");
        Ok(Step::Made)
    }

    /// Says how many chunks the last block has. A repeat writes the same.
    pub async fn size_block(&self, import: &Import, block: u32, size: u32) -> Result<Block> {
        let output = self
            .update(block_key(&import.id, block))
            .update_expression("SET #size = :size")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#size", "size")
            .expression_attribute_values(":size", n(size))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(StoreError::unavailable("dynamodb:UpdateItem"))?;
        crash::point("split.last_block_sized");
        from_item("a block", output.attributes.unwrap_or_default())
    }

    /// Decides a chunk's fate, unless it has been decided: the first wins, and everyone finds what it decided.
    pub async fn decide(&self, job: &Job, chunk: &Chunk, verdict: Verdict) -> Result<Begin> {
        let fate = Fate { verdict, last_row: chunk.first_row + chunk.rows - 1 };
        let update = self
            .update(block_key(&job.import, job.chunking.block_of(chunk.index)))
            .update_expression("SET fates.#chunk = :fate")
            .condition_expression("attribute_exists(pk) AND closed = :open AND attribute_not_exists(fates.#chunk)")
            .expression_attribute_names("#chunk", chunk.index.to_string())
            .expression_attribute_values(":fate", value("a fate", &fate)?)
            .expression_attribute_values(":open", AttributeValue::Bool(false))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let found: Block = match send(update).await? {
            Updated::Made(_) => return Ok(Begin::Verdict { verdict, before: false }),
            Updated::Unmet(item) if item.is_empty() => return Ok(Begin::Closed),
            Updated::Unmet(item) => from_item("a block", item)?,
        };
        let name = chunk.index.to_string();
        Ok(if found.tallies.contains_key(&name) {
            Begin::Tallied(Box::new(found))
        } else if let Some(fate) = found.fates.get(&name) {
            Begin::Verdict { verdict: fate.verdict, before: true }
        } else {
            Begin::Closed
        })
    }

    /// Writes a chunk's tally, unless it has one: the first wins. Gives the block as it is afterwards; `None` if the import is gone.
    pub async fn tally(&self, job: &Job, chunk: u32, tally: &Tally) -> Result<Option<Block>> {
        let update = self
            .update(block_key(&job.import, job.chunking.block_of(chunk)))
            .update_expression("SET tallies.#chunk = :tally")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(tallies.#chunk)")
            .expression_attribute_names("#chunk", self.tally_name(chunk))
            .expression_attribute_values(":tally", value("a tally", tally)?)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let (Updated::Made(block) | Updated::Unmet(block)) = send(update).await?;
        crash::point("validate.tally");
        if block.is_empty() { Ok(None) } else { from_item("a block", block).map(Some) }
    }

    /// Closes a block: no chunk of it begins any more. Gives the block as it is afterwards. A repeat writes the same.
    pub(crate) async fn close_block(&self, import: &Import, block: u32) -> Result<Block> {
        let output = self
            .update(block_key(&import.id, block))
            .update_expression("SET closed = :closed")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":closed", AttributeValue::Bool(true))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(StoreError::unavailable("dynamodb:UpdateItem"))?;
        crash::point("halt.block_closed");
        from_item("a block", output.attributes.unwrap_or_default())
    }

    /// Remembers that a dead-lettered chunk has been sent once more. A repeat writes the same.
    pub async fn note_sent_again(&self, job: &Job, chunk: u32) -> Result<()> {
        let update = self
            .update(block_key(&job.import, job.chunking.block_of(chunk)))
            .update_expression("SET sent_again.#chunk = :yes")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#chunk", chunk.to_string())
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        is_made(update).await.map(drop)
    }

    /// Blocks of an import by their numbers, read consistently; one that does not exist is left out.
    pub async fn blocks(&self, import: &ImportId, numbers: &[u32]) -> Result<HashMap<u32, Block>> {
        let mut blocks = HashMap::new();
        for group in numbers.chunks(100) {
            let by_pk: HashMap<String, u32> =
                group.iter().map(|&number| (format!("block#{import}#{number}"), number)).collect();
            let keys = group.iter().map(|&number| block_key(import, number)).collect();
            for item in self.batch_get(self.imports_table(), keys).await? {
                let number = item.get("pk").and_then(|pk| pk.as_s().ok()).and_then(|pk| by_pk.get(pk)).copied();
                if let Some(number) = number {
                    blocks.insert(number, from_item("a block", item)?);
                }
            }
        }
        Ok(blocks)
    }

    /// Removes a block. A repeat finds it gone.
    pub(crate) async fn delete_block(&self, import: &ImportId, block: u32) -> Result<()> {
        self.dynamodb()
            .delete_item()
            .table_name(self.imports_table())
            .set_key(Some(block_key(import, block)))
            .send()
            .await
            .map_err(StoreError::unavailable("dynamodb:DeleteItem"))?;
        Ok(())
    }
}
